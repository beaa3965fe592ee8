"""The local source debugger of `make run`: the events from Stripe, the calls to Segment, and each step between them."""

from __future__ import annotations

from stripe_to_segment_tools.page.debugger import PAGE_PORT, Debugger, PageParts

__all__ = ["PAGE_PORT", "Debugger", "PageParts"]
