"""The cards of one customer: one that its network renews, sometimes a second one that comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulator.stream import Stream
    from tests.simulator.worth import Truth

__all__ = ["carry"]

DAY = 86_400


def carry(stream: Stream, truth: Truth, customer: str, at: int, seed: int) -> None:
    """The events of the cards, from `at` on in epoch seconds, and when the newest expires."""
    first, second = f"pm_{stream.number()}", f"pm_{stream.number()}"
    _tell(stream, "attached", at, _card(first, customer, 2026), None)
    _tell(stream, "automatically_updated", at + 20 * DAY, _card(first, customer, 2030), {"card": {"exp_year": 2026}})
    truth.card_expires_at = _end_of_september(2030)
    if seed % 3:
        _tell(stream, "attached", at + 30 * DAY, _card(second, customer, 2028), None)
        truth.card_expires_at = _end_of_september(2028)
    if seed % 3 == 1:
        _tell(stream, "detached", at + 50 * DAY, _card(second, None, 2028), {"customer": customer})
        truth.card_expires_at = _end_of_september(2030)


def _tell(stream: Stream, kind: str, at: int, card: dict[str, Any], previous: dict[str, Any] | None) -> None:
    stream.moment()
    stream.emit(f"payment_method.{kind}", at, card, previous)


def _card(method: str, customer: str | None, year: int) -> dict[str, Any]:
    return {
        "id": method,
        "object": "payment_method",
        "billing_details": {"address": None, "email": "jo@example.com", "name": "Jo Example", "phone": None},
        "card": {"brand": "visa", "exp_month": 9, "exp_year": year, "funding": "credit", "last4": "4242"},
        "customer": customer,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def _end_of_september(year: int) -> str:
    return f"{year}-09-30T23:59:59.000Z"
