"""A price as a subscription item states it, from a Price or from the older Plan, whichever is there."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import JsonObject, dig, hash_of, integer, reference, text
from stripe_to_segment.stripe_side.money import minor_decimal

if TYPE_CHECKING:
    from collections.abc import Callable

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
    sources = [source for source in (price, plan) if source]
    recurring = [source for found in sources for source in (hash_of(found.get("recurring")), found)]
    transform = _first(_filled, sources, "transform_quantity", "transform_usage")
    return Price(
        id=_first(text, sources, "id"),
        product=_first(reference, sources, "product"),
        label=_label(sources),
        currency=_first(text, sources, "currency"),
        unit_amount=_unit_amount(sources),
        interval=_first(text, recurring, "interval"),
        interval_count=_first(integer, recurring, "interval_count") or 1,
        metered=_first(text, recurring, "usage_type") == "metered",
        divide_by=integer(dig(transform, "divide_by")),
        round_up=dig(transform, "round") == "up",
    )


def _first[T](read: Callable[[object], T | None], sources: list[JsonObject], *fields: str) -> T | None:
    """What the first of these fields holds, the newest place first."""
    # Every price of every event comes through here ten times: plain loops take half the time of generators.
    for source in sources:
        for field in fields:
            found = read(source.get(field))
            if found is not None:
                return found
    return None


def _filled(value: object) -> JsonObject | None:
    return hash_of(value) or None


def _unit_amount(sources: list[JsonObject]) -> Decimal | None:
    # A tiered plan may state the amount of no tier at all, or a stray 0: neither is what the customer pays.
    if _first(text, sources, "billing_scheme") == "tiered":
        return None
    return _first(minor_decimal, sources, "unit_amount", "unit_amount_decimal", "amount", "amount_decimal")


def _label(sources: list[JsonObject]) -> str | None:
    """The name people gave it: metadata `plan`, lookup key, nickname, an expanded product's or an old plan's name."""
    return (
        _first(_plan_in, sources, "metadata")
        or _first(text, sources, "lookup_key")
        or _first(text, sources, "nickname")
        or _first(_name_in, sources, "product")
        or _first(text, sources, "name")
    )


def _plan_in(metadata: object) -> str | None:
    return text(dig(metadata, "plan"))


def _name_in(product: object) -> str | None:
    return text(dig(product, "name"))
