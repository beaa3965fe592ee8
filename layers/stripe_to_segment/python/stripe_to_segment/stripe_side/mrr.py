"""Monthly recurring revenue (MRR), as Stripe's own dashboard counts it.

The sum of the licensed recurring amounts of active and past-due subscriptions, normalised to a month; trials, metered
usage and tax on top of a price count 0. https://docs.stripe.com/billing/subscriptions/analytics
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.discount import NOTHING, Discounts, Remembered, read_discounts
from stripe_to_segment.stripe_side.money import minor_decimal
from stripe_to_segment.stripe_side.subscription import counted_items, currency_of, items_complete
from stripe_to_segment.stripe_side.tiers import cost_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.price import Price
    from stripe_to_segment.stripe_side.subscription import Item

__all__ = ["COUNTING", "MonthlyValue", "Terms", "monthly_value"]

COUNTING = frozenset({"active", "past_due"})
# https://docs.stripe.com/api/subscriptions/object#subscription_object-status
NOT_COUNTING = frozenset({"canceled", "incomplete", "incomplete_expired", "paused", "trialing", "unpaid"})

# Exact by definition: 52 weeks and 365 days a year, 12 months a year. Fractions, because a twelfth has no decimal
# form and a half minor unit must still round to even.
PERIODS_A_MONTH = {
    "month": Fraction(1),
    "year": Fraction(1, 12),
    "week": Fraction(52, 12),
    "day": Fraction(365, 12),
}


class Terms(NamedTuple):
    """Knowledge about discounts and prices from outside the payload.

    `policy` says which discounts count: forever, all or none. `amounts` holds the cost of one unit in minor units, as
    text, and `tiers` the tiers, as written, by price and currency (`price_…:eur`).
    """

    policy: str = "forever"
    remembered: Remembered = NOTHING
    amounts: frozenset[tuple[str, str]] = frozenset()
    tiers: frozenset[tuple[str, str]] = frozenset()

    def cost(self, price: Price, quantity: int, currency: str | None) -> Decimal | None:
        """The cost of a billing period in minor units of the billed currency; None where it is unknown."""
        if price.tiered:
            key = f"{price.id}:{currency or price.currency}"
            written = next((written for name, written in self.tiers if name == key), None)
            if written is None and price.currency in {None, currency}:
                written = price.tiers
            return None if written is None else cost_of(written, quantity)
        unit_amount = self.unit_amount(price, currency)
        # No units cost nothing, whatever one of them does.
        if unit_amount is None and price.unit_amount is not None and not price.units(quantity):
            return Decimal()
        return None if unit_amount is None else unit_amount * price.units(quantity)

    def unit_amount(self, price: Price, currency: str | None) -> Decimal | None:
        """The cost of one unit in the billed currency, in minor units; None where it is unknown.

        A price states its base currency, also where another of its `currency_options` is billed; the invoice's line
        states the amount in that one. https://docs.stripe.com/products-prices/how-products-and-prices-work#multiple-currencies
        """
        if None in {price.currency, currency} or price.currency == currency:
            return price.unit_amount
        key = f"{price.id}:{currency}"
        return next((minor_decimal(amount) for name, amount in self.amounts if name == key), None)


STRIPES_RULE = Terms()


@frozen
class MonthlyValue:
    """The value of a plan for a month in whole minor units, independent of the status; None where it is unknown.

    `gross` is before discounts. `discount_unknown` says that only the amount of a discount is missing.
    """

    amount: int | None
    gross: int | None = None
    discount_unknown: bool = False

    def counted(self, status: str | None) -> int | None:
        """The MRR in minor units at a status: the amount while active or past due, None at a status that is new."""
        return 0 if status in NOT_COUNTING else self.amount if status in COUNTING else None


def monthly_value(
    subscription: shapes.Subscription, items: Iterable[Item], terms: Terms = STRIPES_RULE
) -> MonthlyValue:
    """The monthly value of these items under the subscription's discounts.

    It is unknown (never 0, gross or partial) where no payload states the cost of a licensed item (tiers) or the amount
    of a discount, and where the payload cuts the list of items.
    """
    items = tuple(items)
    currency = currency_of(subscription)
    overall = _overall(subscription, items, terms).counting(terms.policy, currency)
    if not items or not items_complete(subscription):
        return MonthlyValue(None)
    gross, unstated = Fraction(0), overall.unstated
    parts: list[_Part] = []
    for item in counted_items(items):
        price = item.price
        cost = terms.cost(price, item.quantity, currency)
        if price.interval not in PERIODS_A_MONTH or price.interval_count < 1 or cost is None:
            return MonthlyValue(None)
        value, invoices = _a_month(cost, price.interval, price.interval_count)
        discounts = read_discounts(item.discounts, remembered=terms.remembered).counting(terms.policy, currency)
        unstated = unstated or discounts.unstated
        gross += value
        parts += _less([_Part(price.product, value, invoices)], discounts)
    if gross == 0:
        # Nothing can be discounted, so an unknown discount does no harm.
        return MonthlyValue(0, 0)
    amount = None if unstated else round(sum(part.value for part in _less(parts, overall)))
    return MonthlyValue(amount, round(gross), discount_unknown=unstated)


def _overall(subscription: shapes.Subscription, items: Iterable[Item], terms: Terms) -> Discounts:
    """The subscription's own discounts, else the Customer's. https://docs.stripe.com/billing/subscriptions/coupons."""
    found = read_discounts(subscription.get("discounts"), subscription.get("discount"), terms.remembered)
    if found.coupons or found.unstated or any(item.discounts for item in items):
        return found
    return read_discounts(terms.remembered.own, remembered=terms.remembered)


# An account has few prices, and fractions are slow.
@lru_cache(maxsize=1024)
def _a_month(cost: Decimal, interval: str, interval_count: int) -> tuple[Fraction, Fraction]:
    """The cost of a period normalised to a month, and the number of invoices a month."""
    invoices = PERIODS_A_MONTH[interval] / interval_count
    return Fraction(cost) * invoices, invoices


class _Part(NamedTuple):
    """An item's product, its monthly value in minor units, and the number of its invoices a month."""

    product: str | None
    value: Fraction
    invoices: Fraction


def _less(parts: list[_Part], discounts: Discounts) -> list[_Part]:
    """The parts less their discounts."""
    for coupon in discounts.coupons:
        covered = [part for part in parts if coupon.covers(part.product)]
        value = sum(part.value for part in covered)
        if not value:
            continue
        if coupon.percent_off is not None:
            share = Fraction(coupon.percent_off) / 100
        else:
            share = _off_a_month(coupon.amount_off or 0, covered) / value
        left = max(1 - share, Fraction(0))
        parts = [part._replace(value=part.value * left) if part in covered else part for part in parts]
    return parts


def _off_a_month(amount: int, parts: list[_Part]) -> Fraction:
    """A fixed amount off each invoice, and never more than the invoice, normalised to a month.

    Items of several intervals share the invoices of the longer ones: of monthly and yearly items every twelfth invoice
    has both. https://docs.stripe.com/billing/subscriptions/mixed-interval
    """
    often = sorted({part.invoices for part in parts}, reverse=True)
    return sum(
        (
            (invoices - fewer)
            * min(amount, sum(part.value / part.invoices for part in parts if part.invoices >= invoices))
            for invoices, fewer in pairwise([*often, Fraction(0)])
        ),
        Fraction(0),
    )
