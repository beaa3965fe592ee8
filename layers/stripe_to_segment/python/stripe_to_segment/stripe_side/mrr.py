"""Monthly recurring revenue, as Stripe's own dashboard counts it.

Licensed recurring amounts of active and past-due subscriptions, normalised to a month and summed over items;
trials, metered usage and tax count nothing. https://docs.stripe.com/billing/subscriptions/analytics
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.discount import Discounts, read_discounts
from stripe_to_segment.stripe_side.subscription import currency_of, items_complete

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.stripe_side.subscription import Item

__all__ = ["COUNTING", "MonthlyValue", "monthly_value"]

COUNTING = frozenset({"active", "past_due"})

# Exact by definition: 52 weeks and 365 days a year, 12 months a year. Fractions, because a twelfth has no decimal
# form and a half minor unit must still round to even.
PERIODS_A_MONTH = {
    "month": Fraction(1),
    "year": Fraction(1, 12),
    "week": Fraction(52, 12),
    "day": Fraction(365, 12),
}


@dataclass(frozen=True, slots=True)
class MonthlyValue:
    """What a plan is worth a month in whole minor units, whatever the status; None where the payload cannot tell.

    `gross` says that discounts are known by id only, so they are not taken off.
    """

    amount: int | None
    gross: bool = False

    def counted(self, status: str | None) -> int | None:
        """The MRR in minor units at a status: the amount while active or past due, else 0."""
        return self.amount if status in COUNTING else 0


def monthly_value(subscription: JsonObject, items: Iterable[Item]) -> MonthlyValue:
    """The monthly value of these items under the subscription's discounts.

    It is unknown, never 0 and never partial, where a licensed item has no amount in the payload (tiers) or the
    payload cuts the list of items.
    """
    items = tuple(items)
    currency = currency_of(subscription)
    overall = read_discounts(subscription.get("discounts"), subscription.get("discount")).within(currency)
    each = [read_discounts(item.discounts).within(currency) for item in items]
    gross = overall.unstated or any(found.unstated for found in each)
    if not items or not items_complete(subscription):
        return MonthlyValue(None, gross)
    total, most_invoices = Fraction(0), Fraction(0)
    for item, discounts in zip(items, each, strict=True):
        if item.price.metered:
            continue
        price = item.price
        if price.interval not in PERIODS_A_MONTH or price.interval_count < 1 or price.unit_amount is None:
            return MonthlyValue(None, gross)
        value, invoices = _a_month(price.unit_amount * price.units(item.quantity), price.interval, price.interval_count)
        total += _less(value, discounts, invoices)
        most_invoices = max(most_invoices, invoices)
    return MonthlyValue(round(_less(total, overall, most_invoices)), gross)


# An account has few prices, and fractions are slow.
@lru_cache(maxsize=1024)
def _a_month(cost: Decimal, interval: str, interval_count: int) -> tuple[Fraction, Fraction]:
    """What the cost of a period comes to a month, and how many invoices a month has."""
    invoices = PERIODS_A_MONTH[interval] / interval_count
    return Fraction(cost) * invoices, invoices


def _less(value: Fraction, discounts: Discounts, invoices: Fraction) -> Fraction:
    """A value a month less its discounts; a fixed amount comes off once an invoice."""
    for coupon in discounts.coupons:
        if coupon.percent_off is not None:
            value -= value * Fraction(coupon.percent_off) / 100
        elif coupon.amount_off is not None:
            value -= coupon.amount_off * invoices
    return value if value.numerator > 0 else Fraction(0)
