"""Which remembered names an event needs: those of products whose price has no label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.invoices import lines_of
from stripe_to_segment.mapping.subscriptions.state import after_of, before_of
from stripe_to_segment.stripe_side.event import asked_once

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["products_needed"]


@asked_once
def products_needed(event: StripeEvent) -> list[str]:
    """Ids of products whose name is needed because the price has none of its own."""
    if event.type.startswith("customer.subscription."):
        items = (*after_of(event).items, *before_of(event).items)
        prices = [item.price for item in items]
    elif event.type in {"invoice.paid", "invoice.upcoming"}:
        prices = [line.price for line in lines_of(event)]
    else:
        return []
    return [price.product for price in prices if price.product and not price.label]
