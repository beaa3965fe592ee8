"""Stripe's minor units to major units and back, exactly, with `Decimal`.

The number of decimals follows Stripe's list and not ISO 4217: ISK and UGX have none in ISO, and Stripe sends two.
https://docs.stripe.com/currencies#zero-decimal and #special-cases
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import overload

__all__ = ["digits", "major", "minor_decimal", "rounded"]

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
