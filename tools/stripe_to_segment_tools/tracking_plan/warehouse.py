"""The tracking plan as tables of a warehouse: a table for each event, a column for each property.

Segment and RudderStack name both in snake case, make one column for each entry of an object, and turn a list into text.
https://segment.com/docs/connections/storage/warehouses/schema/ and
https://www.rudderstack.com/docs/destinations/warehouse-destinations/warehouse-schema/
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.properties import Kind
from stripe_to_segment_tools.tracking_plan.declarations import ADDRESS, EVENT_PLANS, GROUP_TRAITS, USER_TRAITS
from stripe_to_segment_tools.tracking_plan.schemas import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stripe_to_segment.mapping.properties import Property
    from stripe_to_segment_tools.tracking_plan.tracking_plan import TrackingPlan

__all__ = ["COLUMN_TYPES", "dbt_columns", "dbt_macro", "snake_case", "warehouse_guide", "warehouse_tables"]

# Segment's names of column types, by the kind of a value.
COLUMN_TYPES = {
    Kind.MONEY: "float",
    Kind.DECIMAL: "float",
    Kind.BY_CURRENCY: "float",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN: "boolean",
    Kind.TIME: "timestamp",
}
TEXT = "varchar"
# What the dbt package's views of calls have beside properties or traits.
OF_EVERY_CALL = {
    "event": "The name of the event in the tracking plan, whatever RenameEvents makes of it; identify of an identify.",
    "occurred_at": "When it happened, in UTC, by Stripe's event.",
    "received_at": "When the call arrived.",
    "user_id": "The user, if the call named one.",
    "anonymous_id": "The anonymous id of the call.",
    "group_id": "The group, if the call named one.",
    "stripe_event_id": "Stripe's event; empty where an import sent the call.",
}


@cache
def snake_case(name: str) -> str:
    """The name of a table or column: "Order Completed" is order_completed, createdAt created_at."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")


def warehouse_tables(plan: TrackingPlan, currencies: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Segment's type of each column of each table that holds properties or traits, by table and column."""
    shown = {f"context_traits_{name}": trait for name, trait in plan.user_traits.items() if name in SHOWN}
    tables = {
        "identifies": plan.user_traits,
        "users": plan.user_traits,
        "groups": GROUP_TRAITS,
        "tracks": shown,
        **{snake_case(name): {**event.properties, **shown} for name, event in plan.events.items()},
    }
    return {name: dict(_columns(properties, currencies)) for name, properties in tables.items()}


def _columns(properties: Mapping[str, Property], currencies: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, entry in properties.items():
        column, kind = snake_case(name), COLUMN_TYPES.get(entry.kind, TEXT)
        match entry.kind:
            case Kind.BY_CURRENCY:
                yield from ((f"{column}_{currency.lower()}", kind) for currency in currencies)
            case Kind.ADDRESS:
                yield from ((f"{column}_{snake_case(part)}", kind) for part in ADDRESS)
            case _:
                yield column, kind


def warehouse_guide(plan: TrackingPlan, currencies: tuple[str, ...]) -> Iterator[str]:
    """The lines of a document: the expected tables with their column types, and a letter to Segment's support."""
    tables = warehouse_tables(plan, currencies)
    yield "# Columns as a warehouse should have them"
    yield ""
    yield "In Segment's words for types. A column exists once a call had a value for it. Beside these every table has"
    yield "id, received_at, sent_at, timestamp, original_timestamp and further context_ columns."
    yield ""
    for table, columns in tables.items():
        yield from (f"{table}.{column} {kind}" for column, kind in columns.items())
    yield ""
    yield "# A letter to Segment's support, where amounts came before the primer"
    yield ""
    yield "Leave out the lines of columns that are float already; docs/warehouse.md says how to see the types."
    yield ""
    yield "Hello, in the schema of our source <schema_name> these columns were made as integer, because the first"
    yield "amount happened to be a whole number. They hold money. Please change their data types as follows, so that"
    yield "amounts keep their cents, and say when we can drop the tables for a backfill of our history:"
    yield ""
    for table, columns in tables.items():
        for column, kind in columns.items():
            if kind == COLUMN_TYPES[Kind.MONEY]:
                yield f"<schema_name>.{table}.{column}.integer.{kind}"


def dbt_macro() -> str:
    """The macro of the dbt package with each event's properties and their kinds."""
    lines = [
        "{#- Written by `make generate` from the events that mapping/ declares: change those, not this. -#}",
        "",
        "{#- The kind of each property of each event, by the event's name in the catalog. -#}",
        "{% macro tracking_plan() %}",
        "    {%- do return({",
    ]
    for name, plan in EVENT_PLANS.items():
        kinds = {property_name: str(entry.kind) for property_name, entry in plan.properties.items()}
        lines.append(f"        {json.dumps(name)}: {json.dumps(kinds)},")
    return "\n".join([*lines, "    }) -%}", "{% endmacro %}", ""])


def dbt_columns(query: str) -> str:
    """The descriptions of the columns of a view of calls, for the YAML of the dbt package; `query` is that view."""
    traits = {snake_case(name): entry for name, entry in USER_TRAITS.items()}
    stated = {name: entry for plan in reversed(EVENT_PLANS.values()) for name, entry in plan.properties.items()}
    known = traits if "'identifies'" in query else stated
    named = dict.fromkeys(name for name in re.findall(r"'([a-z_]+)'", query) if name in known)
    meanings = OF_EVERY_CALL | {name: known[name].meaning for name in named}
    return "".join(
        f"      - name: {name}\n        description: {json.dumps(meaning, ensure_ascii=False)}\n"
        for name, meaning in meanings.items()
    )
