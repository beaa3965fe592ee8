"""The page of `make run`: what came from Stripe on one side, what went to Segment on the other."""

from __future__ import annotations

from tools.page.app import create_page
from tools.page.gate import Gate

__all__ = ["Gate", "create_page"]
