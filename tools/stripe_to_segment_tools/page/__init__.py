"""The local source debugger of `make run`: what came from Stripe, what went to Segment, and everything between."""

from __future__ import annotations

from stripe_to_segment_tools.page.desk import PAGE_PORT, Debugger, Desk

__all__ = ["PAGE_PORT", "Debugger", "Desk"]
