"""Readers of a PaymentMethod.

https://docs.stripe.com/api/payment_methods/object
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import dig, integer, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["card_brand_of", "card_expiry_of"]

DECEMBER = 12


def card_brand_of(method: shapes.PaymentMethod) -> str | None:
    """The brand of a card, None for anything else."""
    return text(dig(method, "card", "brand"))


def card_expiry_of(method: shapes.PaymentMethod) -> int | None:
    """The last second of the month in which the card expires, in epoch seconds and UTC; None for anything else.

    A card is good until the end of that month.
    """
    year, month = integer(dig(method, "card", "exp_year")), integer(dig(method, "card", "exp_month"))
    if year is None or month is None or not 1 <= month <= DECEMBER:
        return None
    try:
        next_month = datetime(year + month // DECEMBER, month % DECEMBER + 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return int(next_month.timestamp()) - 1
