"""Stripe's minor units to major units and back, exactly, with `Decimal`.

The number of digits is Stripe's own and not ISO 4217's: ISK and UGX have no decimals in ISO and are sent with two.
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
    """How many decimals an amount of this currency has on Stripe's wire: 0, 2 or 3."""
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
    """Minor units from the string of a `*_decimal` field ("0.5"), or None where it holds no number."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    # A few letters can write a number of a million digits, over which the next sum would take half a minute.
    return number if number.is_finite() and abs(number.adjusted()) <= MAGNITUDE else None
