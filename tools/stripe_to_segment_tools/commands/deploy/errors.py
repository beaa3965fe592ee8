"""Why a deployment does not begin, or did not succeed."""

from __future__ import annotations

__all__ = ["DeployError"]


class DeployError(Exception):
    """Nothing is deployed, or not to the end; the text says in one line what to do."""
