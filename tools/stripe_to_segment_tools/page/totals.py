"""Sums over the calls that Segment kept, by currency. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.refunds import OrderRefunded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.settings import Settings

__all__ = ["Totals"]


class Totals:
    """Revenue, MRR and refunds in major units, by currency.

    MRR is the sum of `mrr_change`, as on a dashboard: each change is on one event.
    """

    def __init__(self, settings: Settings) -> None:
        self._refunded = settings.wire_name(OrderRefunded.event_name)
        self._sums: dict[str, dict[str, Decimal]] = {"revenue": {}, "mrr": {}, "refunds": {}}

    def add(self, call: Mapping[str, Any]) -> None:
        """Count one call."""
        for name, (amount, currency) in self.of(call).items():
            sums = self._sums[name]
            sums[currency] = sums.get(currency, Decimal(0)) + amount

    def of(self, call: Mapping[str, Any]) -> dict[str, tuple[Decimal, str]]:
        """The amounts that one call adds, each with its sum and currency."""
        properties = call.get("properties")
        if call.get("type") != "track" or not isinstance(properties, dict):
            return {}
        stated = {"revenue": properties.get("revenue"), "mrr": properties.get("mrr_change")}
        if call.get("event") == self._refunded:
            stated["refunds"] = properties.get("total")
        currency = str(properties.get("currency") or "?")
        return {name: (Decimal(str(value)), currency) for name, value in stated.items() if _is_number(value)}

    def as_json(self) -> dict[str, dict[str, float]]:
        """The sums, currencies in alphabetical order."""
        return {name: {code: float(sums[code]) for code in sorted(sums)} for name, sums in self._sums.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
