"""Prices, coupons and bills, drawn at random with all difficult kinds of amounts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.simulator.bills import Line
from tests.simulator.terms import Coupon, Item, Price
from tests.simulator.worth import Bill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

__all__ = ["CURRENCIES", "INTERVALS", "Market", "half_up"]

CURRENCIES = ("usd", "usd", "usd", "eur", "eur", "jpy", "kwd", "isk", "ugx", "clp")
INTERVALS = (
    *(("month", 1),) * 8,
    *(("year", 1),) * 4,
    ("week", 1),
    ("week", 1),
    ("day", 1),
    ("month", 3),
    ("month", 3),
    ("month", 6),
    ("week", 2),
    ("year", 2),
)
TAX_RATES = (Fraction(0), Fraction(0), Fraction(19, 100), Fraction(20, 100), Fraction(8875, 100_000), Fraction(8, 100))
# ISK and UGX are sent with two decimals that must be 00, KWD with three of which the last must be 0.
STEPS = {"isk": 100, "ugx": 100, "kwd": 10}


def half_up(amount: Fraction) -> int:
    """Stripe rounds the amounts of lines and taxes half up."""
    return int((amount * 2 + 1) // 2)


@dataclass(frozen=True, slots=True)
class Market:
    """Draws prices of one currency; `number` gives fresh ids."""

    rng: Random
    number: Callable[[], str]
    currency: str

    def price(self, interval: tuple[str, int] | None = None, *, tiered: bool = False) -> Price:
        """A licensed price: whole, below one minor unit, or by the package."""
        name, every = interval or self.rng.choice(INTERVALS)
        amount, package = Decimal(self._round(self.rng.choice((500, 999, 1999, 2500, 4900, 12_345, 99_900)))), None
        kind = self.rng.random()
        if kind < 0.1:
            amount = Decimal(self.rng.choice(("0.5", "12.75", "33.333", "0.0125", "1999.5")))
        elif kind < 0.2:
            package = (self.rng.choice((5, 10, 25)), self.rng.choice(("up", "down")))
        product = f"prod_{self.rng.choice('abc')}"
        nickname = self.rng.choice((None, "Basic", "Pro"))
        identity = f"price_{self.number()}"
        return Price(
            identity,
            product,
            self.currency,
            amount,
            name,
            every,
            tiered=tiered,
            package=package,
            nickname=nickname,
        )

    def metered(self, interval: tuple[str, int]) -> Price:
        """A metered price."""
        identity = f"price_{self.number()}"
        return Price(identity, "prod_usage", self.currency, Decimal("2.5"), *interval, metered=True)

    def coupon(self) -> Coupon:
        """A coupon over a percentage or over a fixed amount, which other customers have too."""
        discount = f"di_{self.number()}"
        duration = self.rng.choice(("forever", "forever", "once", "repeating"))
        if self.rng.random() < 0.4:
            amount = self._round(self.rng.choice((100, 250, 400)))
            return Coupon(f"co_{duration}_{amount}{self.currency}", discount, amount=amount, duration=duration)
        percent = Decimal(self.rng.choice(("10", "12.5", "25.5", "33.33", "50", "100")))
        return Coupon(f"co_{duration}_{int(percent * 100)}", discount, percent=percent, duration=duration)

    def seats(self, price: Price) -> int:
        """A quantity that suits the price."""
        if price.amount < 100:
            return self.rng.choice((100, 1000, 2501))
        return self.rng.choice((1, 1, 1, 2, 3, 7, 25, 60))

    def lines(self, items: Iterable[Item]) -> tuple[Line, ...]:
        """An invoice's lines for one period of these items, usage included."""
        found = []
        for item in items:
            quantity = self.rng.randrange(0, 4000) if item.price.metered else item.quantity
            units = quantity
            if item.price.package:
                size, rounding = item.price.package
                units = -(-quantity // size) if rounding == "up" else quantity // size
            amount = self._round(half_up(Fraction(item.price.amount) * units))
            found.append(Line(f"{quantity} x something", amount, quantity, item.price))
        return tuple(found)

    def bill(self, amount: int, *, discount: int = 0, ships: bool = False) -> Bill:
        """A bill over an amount in minor units: tax on top, tax inside or none, and shipping."""
        rate, inclusive = self.rng.choice(TAX_RATES), self.rng.random() < 0.4
        shipping = self._round(self.rng.choice((300, 490, 1500))) if ships else 0
        net, tax = self._taxed(amount - discount, rate, inclusive=inclusive)
        carriage, carriage_tax = self._taxed(shipping, rate, inclusive=inclusive)
        return Bill(net, tax, carriage, carriage_tax, discount, inclusive)

    def _taxed(self, amount: int, rate: Fraction, *, inclusive: bool) -> tuple[int, int]:
        if amount <= 0:
            return amount, 0
        tax = self._round(half_up(amount * rate / (1 + rate) if inclusive else amount * rate))
        return (amount - tax, tax) if inclusive else (amount, tax)

    def _round(self, amount: int) -> int:
        step = STEPS.get(self.currency, 1)
        return amount // step * step
