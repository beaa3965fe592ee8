"""The cost of a tiered price, whose tiers the Stripe API returns, and webhooks in API versions before 2020-08-27.

https://docs.stripe.com/products-prices/pricing-models#tiered-pricing
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.stripe_side.fields import integer, listed, text
from stripe_to_segment.stripe_side.money import minor_decimal

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["cost_of", "tiers_of"]


class _Tier(NamedTuple):
    """One tier: its last unit, None without end; and in minor units the cost of a unit and of the tier itself."""

    up_to: int | None
    unit: Decimal
    flat: Decimal


def tiers_of(price: shapes.PriceOrPlan) -> str | None:
    """A price's tiers as text, None where they are not stated."""
    mode, tiers = text(price.get("tiers_mode")), listed(price.get("tiers"))
    return json.dumps({"mode": mode, "tiers": tiers}, separators=(",", ":")) if mode and tiers else None


def cost_of(written: str, quantity: int) -> Decimal | None:
    """The cost of a billing period in minor units; None where the tiers do not say.

    Graduated: each unit has the price of its tier. Volume: all units have the price of the tier of the last one.
    """
    mode, tiers = _read(written)
    if quantity < 1 or not tiers:
        # Whether the first tier itself is charged without a unit, no document says.
        return Decimal() if quantity == 0 and tiers and not tiers[0].flat else None
    total, first = Decimal(), 1
    for tier in tiers:
        last = tier.up_to is None or quantity <= tier.up_to
        if mode == "volume":
            if last:
                return tier.unit * quantity + tier.flat
        elif mode == "graduated":
            end = quantity if last else tier.up_to or quantity
            total += tier.unit * (end - first + 1) + tier.flat
            if last:
                return total
            first = end + 1
    return None


@lru_cache(maxsize=256)
def _read(written: str) -> tuple[str, tuple[_Tier, ...]]:
    read = json.loads(written)
    tiers: list[shapes.Tier] = read["tiers"]
    return read["mode"], tuple(
        _Tier(
            integer(tier.get("up_to")),
            # Until 2018-08-23 it was the `amount`.
            _amount(tier.get("unit_amount"), tier.get("unit_amount_decimal"), tier.get("amount")),
            _amount(tier.get("flat_amount"), tier.get("flat_amount_decimal")),
        )
        for tier in tiers
    )


def _amount(*stated: object) -> Decimal:
    """A tier without one of the amounts costs nothing by it."""
    found = map(minor_decimal, stated)
    return next((amount for amount in found if amount is not None), Decimal())
