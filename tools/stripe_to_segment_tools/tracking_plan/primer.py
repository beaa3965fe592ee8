"""Calls that create each column of a warehouse with the right type, before the first real call does.

A warehouse takes a column's type from the first value that it sees: after a price of 20 the column holds whole numbers,
and a later 19.99 becomes 19. So each event and each set of traits is sent once with every amount fractional, for a user
who does not exist, and in XTS, ISO 4217's currency for tests.
https://segment.com/docs/connections/storage/warehouses/schema/#data-types
"""

from __future__ import annotations

import hashlib
from copy import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_to_segment import __version__
from stripe_to_segment.mapping.identity import IdentitySource
from stripe_to_segment.mapping.properties import Kind
from stripe_to_segment.segment_side.calls import Call, encode, message_id, wire
from stripe_to_segment_tools.tracking_plan.declarations import ADDRESS, GROUP_TRAITS, PRODUCT
from stripe_to_segment_tools.tracking_plan.schemas import SHOWN
from stripe_to_segment_tools.tracking_plan.tracking_plan import TrackingPlan
from stripe_to_segment_tools.tracking_plan.warehouse import COLUMN_TYPES, warehouse_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stripe_to_segment.mapping.properties import Property
    from stripe_to_segment.segment_side.calls import CallBody, Context
    from stripe_to_segment.settings import Settings

__all__ = ["PRIMER_CURRENCY", "PRIMER_USER", "TO_WAREHOUSES", "primed_columns", "primer_calls"]

PRIMER_USER, PRIMER_CURRENCY = "stripe-to-segment-primer", "XTS"

# Segment passes every call on to warehouses, whatever this says: they can be neither named nor left out.
# https://segment.com/docs/guides/filtering-data/#filtering-with-the-integrations-object
TO_WAREHOUSES = {"All": False}

CONTEXT: Context = {
    "library": {"name": "stripe-to-segment", "version": __version__},
    "active": False,
    "stripe": {"event_id": "primer", "event_type": "primer", "identity": str(IdentitySource.UNKNOWN)},
    "groupId": PRIMER_USER,
}
FRACTION = Decimal("0.25")
# The kinds with a fixed example value.
SIMPLE: dict[Kind, object] = {
    Kind.INTEGER: 1,
    Kind.BOOLEAN: False,
    Kind.TIME: "2000-01-01T00:00:00.000Z",
    Kind.CURRENCY: PRIMER_CURRENCY,
    Kind.HASH: "0" * 64,
}


def primer_calls(
    settings: Settings,
    timestamp: str,
    *,
    currencies: Sequence[str] = (),
    integrations: Mapping[str, Any] = TO_WAREHOUSES,
) -> list[Call]:
    """One identify, one group and one track of each event, with every property and trait of the tracking plan.

    Their messageIds are the same for one source and the same columns, so that Segment drops a repeat within a day.

    Parameters
    ----------
    settings
        The settings for names of events, personal traits and the source.
    timestamp
        The timestamp of the calls, as ISO 8601 in UTC.
    currencies
        The ISO 4217 codes that get a column each in objects by currency, beside XTS.
    integrations
        The `integrations` of the calls.
    """
    plan = _plan(settings)
    codes = (PRIMER_CURRENCY, *currencies)
    contents: list[tuple[str, CallBody]] = [
        ("", {"type": "identify", "traits": _values(plan.user_traits, codes)}),
        ("", {"type": "group", "groupId": PRIMER_USER, "traits": _values(GROUP_TRAITS, codes)}),
    ]
    for name, event in plan.events.items():
        contents.append((name, {"type": "track", "event": name, "properties": _values(event.properties, codes)}))
    # Whatever ContextTraits says now, for the setting may change: a track shows some traits in columns of its own.
    shown = _values({name: trait for name, trait in plan.user_traits.items() if name in SHOWN}, codes)
    calls = []
    for fact, content in contents:
        columns_sent = ",".join((*codes, *(content.get("traits") or content["properties"])))
        body: CallBody = {
            "messageId": message_id(settings.source, "primer", content["type"], f"{fact}|{columns_sent}"),
            "timestamp": timestamp,
            "userId": PRIMER_USER,
            # Otherwise a table has no column for it until an unknown user pays, and queries that name it fail.
            "anonymousId": PRIMER_USER,
            "context": {**CONTEXT, "traits": shown} if content["type"] == "track" else CONTEXT,
            "integrations": {**integrations},
            **content,
        }
        calls.append(Call(body, encode(body)))
    return calls


def primed_columns(settings: Settings) -> str:
    """A digest of the columns of amounts that the primer makes: another one, and some column was never primed."""
    tables = warehouse_tables(_plan(settings), (PRIMER_CURRENCY,))
    amounts = [
        f"{table}.{column}"
        for table, columns in sorted(tables.items())
        for column, kind in sorted(columns.items())
        if kind == COLUMN_TYPES[Kind.MONEY]
    ]
    return hashlib.sha256("\n".join(amounts).encode()).hexdigest()[:16]


def _plan(settings: Settings) -> TrackingPlan:
    """The team's plan with the events that it drops, for it may send them one day."""
    return TrackingPlan(replace(settings, drop_events=()))


def _values(of: Mapping[str, Property], currencies: Sequence[str]) -> dict[str, object]:
    return wire({name: _value(entry, currencies) for name, entry in of.items()})


def _value(entry: Property, currencies: Sequence[str]) -> object:
    """A value that only this kind can have."""
    word = entry.values[0] if entry.values else "primer"
    match entry.kind:
        case Kind.MONEY | Kind.DECIMAL:
            return FRACTION
        case Kind.BY_CURRENCY:
            return dict.fromkeys(currencies, FRACTION)
        case Kind.STRINGS:
            return [word]
        case Kind.PRODUCTS:
            return [_values(PRODUCT, currencies)]
        case Kind.ADDRESS:
            return _values(ADDRESS, currencies)
        case kind:
            return SIMPLE.get(kind, word)
