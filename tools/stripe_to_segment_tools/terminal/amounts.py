"""Amounts of money as people read them."""

from __future__ import annotations

from decimal import Decimal

from stripe_to_segment.stripe_side.money import digits

__all__ = ["amount_text", "number"]

MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
# The symbols that English readers know: https://www.unicode.org/cldr/charts/latest/by_type/numbers.symbols.html
SYMBOLS = {
    "AUD": "A$",
    "BRL": "R$",
    "CAD": "CA$",
    "CNY": "CN¥",
    "EUR": "€",
    "GBP": "£",
    "HKD": "HK$",
    "ILS": "₪",
    "INR": "₹",
    "JPY": "¥",
    "KRW": "₩",
    "MXN": "MX$",
    "NZD": "NZ$",
    "PHP": "₱",
    "TWD": "NT$",
    "USD": "$",
    "VND": "₫",
}


def number(value: object) -> Decimal | None:
    """A number of a call as it is written there, or None where the value is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    found = Decimal(str(value))
    return found if found.is_finite() else None


def amount_text(amount: Decimal, currency: str, *, signed: bool = False) -> str:
    """An amount in major units: €1,285.20, KWD 1.235, or with `signed` also +€60.00.

    It has the decimals that Stripe bills in this currency, and more if the amount has more.
    """
    exponent = amount.normalize().as_tuple().exponent
    places = max(digits(currency), -exponent if isinstance(exponent, int) else 0)
    sign = MINUS if amount < 0 else "+" if signed and amount else ""
    return f"{sign}{SYMBOLS.get(currency) or f'{currency}{SPACE}'}{abs(amount):,.{places}f}"
