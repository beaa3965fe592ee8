"""Stripe's minor units to major units and back, exactly, with `Decimal`.

The number of decimals follows Stripe's list and not ISO 4217: ISK and UGX have none in ISO, and Stripe sends two.
https://docs.stripe.com/currencies#zero-decimal and #special-cases
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NamedTuple, overload

__all__ = ["Shares", "digits", "major", "minor_decimal", "rounded", "shares_of"]

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
# Stripe's amounts have up to 12 digits before the point and as many after it.
MAGNITUDE = 30
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def digits(currency: str) -> int:
    """The number of decimals in Stripe's amounts of this currency: 0, 2 or 3."""
    code = currency.upper()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


@overload
def major(minor: Decimal | int, currency: str) -> Decimal: ...
@overload
def major(minor: Decimal | int | None, currency: str | None) -> Decimal | None: ...


def major(minor: Decimal | int | None, currency: str | None) -> Decimal | None:
    """Major units (19.99) of an amount in minor units (1999); None where either is unknown."""
    if minor is None or currency is None:
        return None
    return Decimal(minor).scaleb(-digits(currency))


def rounded(minor: Decimal) -> Decimal:
    """A whole number of minor units, half to even, so that sums of many roundings do not drift."""
    return minor.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)


def pro_rata(amount: int, part: int, whole: int) -> int:
    """The share of an amount, in minor units, that falls to a part of a whole."""
    # Divided last: a rounded quotient times the amount may fall short of the half that it is.
    return int(rounded(Decimal(amount * part) / whole))


class Shares(NamedTuple):
    """What a collected amount consists of, in minor units."""

    revenue: int
    tax: int
    shipping: int

    def less(self, total: int, revenue: int, tax: int) -> Shares:
        """What is left, at least 0, where calls have stated this revenue and tax, and the shares of this total.

        The shares of a part that was stated without them are left, though its amount is not: they may be in a total
        that is smaller than they are.
        """
        earned = max(self.revenue - revenue, 0)
        rest = max(sum(self) - total - earned, 0)
        levied = min(max(self.tax - tax, 0), rest)
        return Shares(earned, levied, min(rest - levied, self.shipping))


def shares_of(collected: int, total: int, tax: int, shipping: int) -> Shares:
    """The shares of revenue, tax and shipping in an amount collected for a total; they sum to it.

    Pro rata where the customer paid less than the total or, with an old debt, more. A total of 0 or less collects only
    old debt, for which nothing states a tax.
    """
    if total <= 0:
        return Shares(collected, 0, 0)

    revenue = pro_rata(total - tax - shipping, collected, total)
    rest = collected - revenue
    carriage = pro_rata(shipping, collected, total) if tax else rest
    return Shares(revenue, rest - carriage, carriage)


def minor_decimal(value: object) -> Decimal | None:
    """Minor units from the string of a `*_decimal` field ("0.5"), or None where it is not a number."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # A few characters ("1e999999") can write a number of a million digits; the next sum would take half a minute.
    return number if number.is_finite() and abs(number.adjusted()) <= MAGNITUDE else None
