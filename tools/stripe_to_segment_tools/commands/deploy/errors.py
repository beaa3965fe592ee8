"""The error of a deployment that could not start or did not succeed."""

from __future__ import annotations

__all__ = ["DeployError"]


class DeployError(Exception):
    """The deployment did not start or did not finish; the text says in one line what to do."""
