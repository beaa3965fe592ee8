"""Sums over the calls that Segment kept, by currency. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.refunds import OrderRefunded, RefundFailed
from stripe_to_segment_tools.terminal.amounts import amount_text, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.settings import Settings

__all__ = ["Totals"]


class Totals:
    """Revenue, MRR and refunds in major units, by currency.

    MRR is the sum of `mrr_change`, as on a dashboard: each change is on one event. Refunds are what was given back: a
    refund that has failed was not.
    """

    def __init__(self, settings: Settings) -> None:
        signs = ((RefundFailed, 1), (OrderRefunded, -1))
        self._refunds = {settings.wire_name(each.event_name): sign for each, sign in signs}
        self._sums: dict[str, dict[str, Decimal]] = {"revenue": {}, "mrr": {}, "refunds": {}}

    def add(self, call: Mapping[str, Any]) -> None:
        """Count one call."""
        properties = call.get("properties")
        if call.get("type") != "track" or not isinstance(properties, dict):
            return
        amounts = {"revenue": number(properties.get("revenue")), "mrr": number(properties.get("mrr_change"))}
        sign = self._refunds.get(str(call.get("event")))
        if sign and (total := number(properties.get("total"))) is not None:
            amounts["refunds"] = sign * total
        currency = str(properties.get("currency") or "?")
        for name, amount in amounts.items():
            if amount is not None:
                self._sums[name][currency] = self._sums[name].get(currency, Decimal(0)) + amount

    def texts(self) -> dict[str, list[str]]:
        """The sums as people read them, currencies in alphabetical order; refunds are negative."""
        return {name: [amount_text(sums[code], code) for code in sorted(sums)] for name, sums in self._sums.items()}
