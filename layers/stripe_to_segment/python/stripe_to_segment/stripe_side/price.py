"""The price of a subscription item or a line, read from a Price or from the older Plan."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.fields import dig, hash_of, integer, reference, text
from stripe_to_segment.stripe_side.money import minor_decimal
from stripe_to_segment.stripe_side.tiers import tiers_of

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["Price", "read_price"]


@frozen
class Price:
    """The parts of a price that matter here. `unit_amount` is in minor units, None where the payload states none.

    A `tiered` price never has one: its amounts are in the `tiers`, as text, which no webhook carries since 2020-08-27.
    `by_id` says that the price is not stated as a whole, so it may have a label that is not stated here.

    https://docs.stripe.com/api/prices/object and https://docs.stripe.com/api/plans/object
    """

    id: str | None
    product: str | None
    label: str | None
    by_id: bool
    currency: str | None
    unit_amount: Decimal | None
    interval: str | None
    interval_count: int
    metered: bool
    divide_by: int | None
    round_up: bool
    tiered: bool
    tiers: str | None = None

    def units(self, quantity: Decimal | int) -> Decimal:
        """The number of unit amounts charged for a quantity, after `transform_quantity`."""
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


def read_price(price: shapes.Price, plan: shapes.Plan) -> Price:
    """One price from an item's `price` and `plan`; since 2020 items carry both, before only the plan.

    The plan fills only the fields that the price leaves out.
    """
    # A field is left out where it is null, or an empty text, hash or list; 0 and false are values.
    filled: Any = {**plan, **{name: value for name, value in price.items() if value or value == 0}}
    stated: shapes.PriceOrPlan = filled
    # A price keeps its period in the hash `recurring`, a plan at its top level.
    recurring: shapes.PriceOrPlan = {**stated, **hash_of(stated.get("recurring"))}
    transform = stated.get("transform_quantity") or stated.get("transform_usage")
    usage, rounding = text(recurring.get("usage_type")), text(dig(transform, "round"))
    # What a unit costs under values that are newer than this package is unknown.
    plain = usage in {None, "licensed", "metered"} and rounding in {None, "up", "down"}
    # Nor are the amounts of a scheme that is newer than this package those of a unit.
    tiered = text(stated.get("billing_scheme")) not in {None, "per_unit"}
    return Price(
        id=text(stated.get("id")),
        product=reference(stated.get("product")),
        label=_label(stated),
        # Whole prices and plans have the field, mostly as null, which `stated` leaves out.
        by_id="nickname" not in price and "nickname" not in plan,
        currency=text(stated.get("currency")),
        # A tiered plan may state an amount that no tier has, or a stray 0: neither is what the customer pays.
        unit_amount=_unit_amount(stated) if plain and not tiered else None,
        interval=text(recurring.get("interval")),
        interval_count=integer(recurring.get("interval_count")) or 1,
        metered=usage == "metered",
        divide_by=integer(dig(transform, "divide_by")),
        round_up=rounding == "up",
        tiered=tiered,
        tiers=tiers_of(stated) if tiered else None,
    )


# Newest first. A `_decimal` repeats a whole amount, and stands alone where the amount is not a whole number.
AMOUNTS = ("unit_amount", "unit_amount_decimal", "amount", "amount_decimal")


def _unit_amount(stated: shapes.PriceOrPlan) -> Decimal | None:
    for field in AMOUNTS:
        amount = minor_decimal(stated.get(field))
        if amount is not None:
            return amount
    return None


def _label(stated: shapes.PriceOrPlan) -> str | None:
    """The price's name: metadata `plan`, lookup key, nickname, or the name of an expanded product or an old plan."""
    return (
        text(dig(stated.get("metadata"), "plan"))
        or text(stated.get("lookup_key"))
        or text(stated.get("nickname"))
        or text(dig(stated.get("product"), "name"))
        or text(stated.get("name"))
    )
