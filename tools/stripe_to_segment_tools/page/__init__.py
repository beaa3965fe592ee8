"""The local source debugger of `make run`: the events from Stripe, the calls to Segment, and each step between them."""

from __future__ import annotations

from stripe_to_segment_tools.page.desk import PAGE_PORT, Debugger, Desk

__all__ = ["PAGE_PORT", "Debugger", "Desk"]
