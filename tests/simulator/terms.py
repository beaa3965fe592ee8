"""A simulated contract as its parties know it: prices, coupons, items, and the subscription they make.

Nothing in this folder but `laws` knows the package under test: a truth that borrows the code it judges proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["DAYS", "Coupon", "Item", "Price", "Subscription"]

# How long a billing period takes here; only the order of things depends on it.
DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


@dataclass(frozen=True, slots=True)
class Coupon:
    """A percentage or a fixed amount in minor units off each invoice; `discount` is the id of its application.

    `product` is the only one that it takes something off, None if it does off all.
    """

    id: str
    discount: str
    percent: Decimal | None = None
    amount: int | None = None
    duration: str = "forever"
    product: str | None = None

    def covers(self, price: Price | None) -> bool:
        return self.product is None or (price is not None and price.product == self.product)


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs a period, in minor units and possibly less than one; `package` divides and rounds units."""

    id: str
    product: str
    currency: str
    amount: Decimal
    interval: str
    every: int = 1
    metered: bool = False
    tiered: bool = False
    package: tuple[int, str] | None = None
    nickname: str | None = None

    @property
    def days(self) -> int:
        return DAYS[self.interval] * self.every


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a subscription with its current period in epoch seconds."""

    id: str
    price: Price
    quantity: int
    period: tuple[int, int]
    coupons: tuple[Coupon, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """The whole contract at one moment; `cut` says that Stripe shows only a part of its items."""

    id: str
    customer: str
    currency: str
    items: tuple[Item, ...]
    start: int
    status: str
    coupons: tuple[Coupon, ...] = ()
    flexible: bool = False
    cut: bool = False
    trial: tuple[int, int] | None = None
    cancels_at: int | None = None
    at_period_end: bool = False
    asked_to_cancel: int | None = None
    ended: int | None = None
    reason: str | None = None
    feedback: str | None = None
    collection: str | None = None
    pause: str = "trial_end_without_payment_method"
    latest_invoice: str | None = None
    payment_method: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def period_end(self) -> int:
        return min(item.period[1] for item in self.items)

    def renewed(self, at: int) -> Subscription:
        """The next period of every item whose period is over."""
        return replace(
            self,
            items=tuple(
                replace(item, period=(at, at + item.price.days * 86_400)) if item.period[1] <= at else item
                for item in self.items
            ),
        )
