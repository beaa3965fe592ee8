"""JSON Schemas of values, of buckets (properties, traits) and of the context.

`closed` schemas forbid everything that they do not name. Both drafts in use, 07 (Segment's) and 2020-12, read these
keywords alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.attribution import CAMPAIGN
from stripe_to_segment.mapping.identity import IdentitySource
from stripe_to_segment.mapping.properties import Kind, Property
from stripe_to_segment.stripe_side.customer import PERSONAL
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment_tools.tracking_plan.declarations import ADDRESS, ATTRIBUTION, PRODUCT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment_tools.tracking_plan.declarations import EventPlan

__all__ = ["MOMENT", "SHOWN", "TEXT", "Schema", "context_schema", "object_schema", "properties_schema"]

type Schema = dict[str, Any]

PAGE = ("url", "path", "search", "referrer")
TEXT: Schema = {"type": "string", "minLength": 1}
# Exactly the format that is sent, with milliseconds and Z, which every destination reads.
MOMENT: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
}


def properties_schema(plan: EventPlan, *, closed: bool = False) -> Schema:
    """The properties of one event, with the attribution properties that any event may have."""
    return object_schema({**plan.properties, **ATTRIBUTION}, plan.required, closed=closed)


def object_schema(of: Mapping[str, Property], required: tuple[str, ...] = (), *, closed: bool = False) -> Schema:
    """An object with these properties."""
    values = {name: {"description": _described(entry), **_value(entry, closed=closed)} for name, entry in of.items()}
    return {
        "type": "object",
        "properties": values,
        **({"required": [*required]} if required else {}),
        **({"additionalProperties": False} if closed else {}),
    }


def _described(entry: Property) -> str:
    return f"{entry.meaning} ({entry.unit})" if entry.unit else entry.meaning


def _value(entry: Property, *, closed: bool) -> Schema:  # noqa: C901, PLR0911 - a kind is a case, in one place
    match entry.kind:
        case Kind.STRING if entry.values:
            return {"type": "string", "enum": [*entry.values]}
        case Kind.STRING:
            return _or_null(TEXT, entry)
        case Kind.TIME:
            return _or_null(MOMENT, entry)
        case Kind.CURRENCY:
            return {"type": "string", "pattern": "^[A-Z]{3}$"}
        case Kind.HASH:
            return {"type": "string", "pattern": "^[0-9a-f]{64}$"}
        case Kind.MONEY | Kind.INTEGER | Kind.DECIMAL:
            kind = "integer" if entry.kind is Kind.INTEGER else "number"
            return _or_null({"type": kind} if entry.signed else {"type": kind, "minimum": 0}, entry)
        case Kind.BOOLEAN:
            return {"type": "boolean"}
        case Kind.STRINGS:
            return {"type": "array", "items": {"type": "string", "enum": [*entry.values]} if entry.values else TEXT}
        case Kind.PRODUCTS:
            return {"type": "array", "minItems": 1, "items": object_schema(PRODUCT, closed=closed)}
        case Kind.BY_CURRENCY:
            amount = {"type": "number"} if entry.signed else {"type": "number", "minimum": 0}
            return {"type": "object", "propertyNames": {"pattern": "^[A-Z]{3}$"}, "additionalProperties": amount}
        case Kind.ADDRESS:
            return object_schema(ADDRESS, closed=closed)


def _or_null(schema: Schema, entry: Property) -> Schema:
    return {**schema, "type": [schema["type"], "null"]} if entry.nullable else schema


# The traits that are in the context of a track too.
SHOWN = frozenset({*PERSONAL, "email_sha256", "plan", "mrr", "currency"})


def context_schema(traits: Mapping[str, Property], *, closed: bool = False) -> Schema:
    """The context of every call: that of a server, with Stripe's event and customer in it; `traits` are the user's."""
    library = _part({"name": TEXT, "version": TEXT}, closed=closed)
    stripe = _part(
        {
            "identity": {
                "enum": [str(identity_source) for identity_source in IdentitySource],
                "description": "the source of the user's id",
            },
        },
        {
            "event_id": TEXT,
            "event_type": TEXT,
            "import": {
                "enum": [str(level) for level in Level],
                "description": "the level of the import that sent it, if no event did",
            },
            "account": {**TEXT, "description": "the connected account, on a Connect platform"},
        },
        closed=closed,
    )
    external = _part(
        {
            "id": TEXT,
            "type": {"const": "stripe_customer_id"},
            "collection": {"const": "users"},
            "encoding": {"const": "none"},
        },
        closed=closed,
    )
    active = {"const": False, "description": "an event of a server does not change the user's last-seen time"}
    consent = _part(
        {"categoryPreferences": {"type": "object", "additionalProperties": {"type": "boolean"}}}, closed=closed
    )
    return _part(
        {"library": library, "active": active, "stripe": stripe},
        {
            "groupId": TEXT,
            "externalIds": {"type": "array", "minItems": 1, "items": external},
            "consent": consent,
            "traits": object_schema({name: one for name, one in traits.items() if name in SHOWN}, closed=closed),
            "campaign": _part({}, dict.fromkeys(CAMPAIGN.values(), TEXT), closed=closed),
            "page": _part({}, dict.fromkeys(PAGE, TEXT), closed=closed),
            "ip": TEXT,
            "userAgent": TEXT,
            "locale": TEXT,
        },
        closed=closed,
    )


def _part(always: Schema, sometimes: Schema | None = None, *, closed: bool) -> Schema:
    """An object; its `always` are required if it is closed, because other sources of a workspace know none of them."""
    schema: Schema = {"type": "object", "properties": {**always, **(sometimes or {})}}
    return {**schema, "required": [*always], "additionalProperties": False} if closed else schema
