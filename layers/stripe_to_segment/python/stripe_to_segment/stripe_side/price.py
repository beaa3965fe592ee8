"""A price as a subscription item states it, from a Price or from the older Plan, whichever is there."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import JsonObject, dig, hash_of, integer, reference, text
from stripe_to_segment.stripe_side.money import minor_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Price", "read_price"]


@dataclass(frozen=True, slots=True)
class Price:
    """What of a price matters here. `unit_amount` is in minor units, None where Stripe states none (tiers).

    https://docs.stripe.com/api/prices/object and https://docs.stripe.com/api/plans/object
    """

    id: str | None
    product: str | None
    label: str | None
    currency: str | None
    unit_amount: Decimal | None
    interval: str | None
    interval_count: int
    metered: bool
    divide_by: int | None
    round_up: bool

    def units(self, quantity: int) -> Decimal:
        """How many times the unit amount is charged for a quantity, after `transform_quantity`."""
        if not self.divide_by:
            return Decimal(quantity)
        packages = Decimal(quantity) / Decimal(self.divide_by)
        return packages.to_integral_value(ROUND_CEILING if self.round_up else ROUND_FLOOR)

    @property
    def period(self) -> str | None:
        """The billing period in words: "month", "year", "3 months"."""
        if self.interval is None:
            return None
        return self.interval if self.interval_count == 1 else f"{self.interval_count} {self.interval}s"


def read_price(price: JsonObject, plan: JsonObject) -> Price:
    """One price from an item's `price` and its `plan`; since 2020 items carry both, before only the plan.

    The plan fills only what the price leaves out, so a half-filled hybrid of the two still reads.
    """
    sources = (price, plan)
    recurring = [source for found in sources for source in (hash_of(found.get("recurring")), found)]
    transform = _first(
        hash_of(s.get("transform_quantity")) or hash_of(s.get("transform_usage")) or None for s in sources
    )
    return Price(
        id=_first(text(s.get("id")) for s in sources),
        product=_first(reference(s.get("product")) for s in sources),
        label=_label(sources),
        currency=_first(text(s.get("currency")) for s in sources),
        unit_amount=_unit_amount(sources),
        interval=_first(text(s.get("interval")) for s in recurring),
        interval_count=_first(integer(s.get("interval_count")) for s in recurring) or 1,
        metered=_first(text(s.get("usage_type")) for s in recurring) == "metered",
        divide_by=integer(dig(transform, "divide_by")),
        round_up=dig(transform, "round") == "up",
    )


def _first[T](candidates: Iterable[T | None]) -> T | None:
    return next((candidate for candidate in candidates if candidate is not None), None)


def _unit_amount(sources: tuple[JsonObject, ...]) -> Decimal | None:
    # A tiered plan may state the amount of no tier at all, or a stray 0: neither is what the customer pays.
    if any(source.get("billing_scheme") == "tiered" for source in sources):
        return None
    fields = ("unit_amount", "unit_amount_decimal", "amount", "amount_decimal")
    return _first(minor_decimal(source.get(field)) for source in sources for field in fields)


def _label(sources: tuple[JsonObject, ...]) -> str | None:
    """The name people gave it: metadata `plan`, lookup key, nickname, an expanded product's or an old plan's name."""
    paths = (("metadata", "plan"), ("lookup_key",), ("nickname",), ("product", "name"), ("name",))
    return _first(text(dig(source, *path)) for path in paths for source in sources)
