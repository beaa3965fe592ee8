"""What a contract and a bill are truly worth: the arithmetic that the package is judged by, and none of its code.

Everything is a fraction of minor units until the one rounding, half to even, that the definitions ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulator.terms import Item, Subscription

__all__ = [
    "DIGITS",
    "Bill",
    "Failure",
    "Payment",
    "Refund",
    "Stated",
    "Truth",
    "in_major",
    "moment_of",
    "month_of",
    "monthly_worth",
    "true_mrr",
]

# Decimals on Stripe's wire, for the currencies that are simulated. https://docs.stripe.com/currencies
DIGITS = {"usd": 2, "eur": 2, "jpy": 0, "clp": 0, "kwd": 3, "isk": 2, "ugx": 2}
PERIODS_A_YEAR = {"day": 365, "week": 52, "month": 12, "year": 1}
MONTHS_A_YEAR = 12


class Stated(NamedTuple):
    """Where payloads state what a coupon takes off, and do not only name its discount."""

    on_subscriptions: bool
    on_items: bool


def in_major(minor: int, currency: str) -> Decimal:
    """Minor units as people write the amount."""
    return Decimal(minor).scaleb(-DIGITS[currency])


def month_of(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m")


def moment_of(epoch: int) -> str:
    """A moment as calls state it."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def monthly_worth(contract: Subscription, stated: Stated) -> int | None:
    """The contract's value a month, independent of its status; None if no payload can state it.

    Each item's bill of one period is discounted, multiplied by the bills of a year and divided by twelve months.
    Discounts without an end count, the others do not; a discount that no payload states makes the worth unknown.
    """
    licensed = [item for item in contract.items if not item.price.metered]
    if contract.cut or any(item.price.tiered for item in licensed):
        return None
    named = [*([] if stated.on_subscriptions else contract.coupons)]
    named += [coupon for item in licensed if not stated.on_items for coupon in item.coupons]
    if named and any(_bill(item) for item in licensed):
        return None
    a_year = [_bills_a_year(item) * _discounted(_bill(item), item) for item in licensed]
    for coupon in contract.coupons:
        covered = [number for number, item in enumerate(licensed) if coupon.covers(item.price)]
        together = sum(a_year[number] for number in covered)
        if coupon.duration != "forever" or not together:
            continue
        if coupon.percent is not None:
            off = together * Fraction(coupon.percent) / 100
        else:
            off = _off_a_year(coupon.amount or 0, [(a_year[number], licensed[number]) for number in covered])
        for number in covered:
            a_year[number] -= min(off, together) * a_year[number] / together
    return round(sum(a_year) / MONTHS_A_YEAR)


def true_mrr(contract: Subscription, stated: Stated) -> int | None:
    """Monthly recurring revenue: the monthly worth while it is active or past due, else nothing."""
    return monthly_worth(contract, stated) if contract.status in {"active", "past_due"} else 0


def _bills_a_year(item: Item) -> Fraction:
    return Fraction(PERIODS_A_YEAR[item.price.interval], item.price.every)


def _off_a_year(amount: int, covered: Sequence[tuple[Fraction, Item]]) -> Fraction:
    """What a fixed amount takes off the bills of a year: each bill has the items that are due, and is never below 0."""
    most = max(_bills_a_year(item) for _, item in covered)
    # Every how many bills an item is due, and what it costs then.
    due = [(most / _bills_a_year(item), worth / _bills_a_year(item)) for worth, item in covered]
    cycle = int(max(every for every, _ in due))
    bills = [sum(cost for every, cost in due if number % every == 0) for number in range(cycle)]
    return sum((min(Fraction(amount), bill) for bill in bills), Fraction(0)) * most / cycle


def _bill(item: Item) -> Fraction:
    """What one period of the item costs before discounts."""
    units = item.quantity
    if item.price.package:
        size, rounding = item.price.package
        units = -(-units // size) if rounding == "up" else units // size
    return Fraction(item.price.amount) * units


def _discounted(bill: Fraction, item: Item) -> Fraction:
    for coupon in item.coupons:
        if coupon.duration != "forever" or not coupon.covers(item.price):
            continue
        bill -= bill * Fraction(coupon.percent) / 100 if coupon.percent is not None else coupon.amount or 0
    return max(bill, Fraction(0))


@dataclass(frozen=True, slots=True)
class Bill:
    """What a buyer was asked for, in minor units: goods without tax, shipping without tax, and the tax on each.

    `balance` is what the customer's balance covered of it (negative: an old debt collected along with it).
    """

    goods: int
    goods_tax: int = 0
    shipping: int = 0
    shipping_tax: int = 0
    discount: int = 0
    inclusive: bool = False
    balance: int = 0

    @property
    def tax(self) -> int:
        return self.goods_tax + self.shipping_tax

    @property
    def total(self) -> int:
        return self.goods + self.goods_tax + self.shipping + self.shipping_tax

    @property
    def due(self) -> int:
        return max(self.total - self.balance, 0)

    @property
    def revenue(self) -> int:
        """The goods' share of what came in."""
        return round(Fraction(self.goods * self.due, self.total)) if self.total > 0 else 0


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came in under an order id."""

    currency: str
    at: int
    collected: int
    revenue: int
    guest: bool = False


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that went back; `order` is None where no payload joins the refund and its order."""

    currency: str
    at: int
    amount: int
    order: str | None
    guest: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt at a payment, in minor units: the object to be paid, and the intent, None for one of its own."""

    currency: str
    at: int
    amount: int
    customer: str | None
    pays: str
    intent: str | None = None


@dataclass(slots=True)
class Truth:
    """What really happened to one customer: payments by order id, refunds by charge and running total, final mrr."""

    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[tuple[str, int], Refund] = field(default_factory=dict)
    mrr: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    card_expires_at: str | None = None

    def sums(self) -> dict[tuple[str, str], Decimal]:
        """Revenue, refunds and mrr by currency."""
        found: dict[tuple[str, str], Decimal] = {}
        entries = [
            *(("revenue", one.currency, one.revenue) for one in self.payments.values()),
            *(("refunds", one.currency, one.amount) for one in self.refunds.values()),
            *(("mrr", currency, minor or 0) for currency, minor in self.mrr.values()),
        ]
        for measure, currency, minor in entries:
            found[measure, currency] = found.get((measure, currency), Decimal()) + in_major(minor, currency)
        return found

    def lifetime_value(self, currency: str) -> int:
        """Collected less refunded of the customer, without guests' orders, in minor units."""
        came = sum(one.collected for one in self.payments.values() if one.currency == currency and not one.guest)
        went = sum(one.amount for one in self.refunds.values() if one.currency == currency and not one.guest)
        return came - went
