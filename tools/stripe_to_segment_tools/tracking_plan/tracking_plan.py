"""The tracking plan under a team's settings: as Segment's rules, as one JSON Schema, and as a check of a call."""

from __future__ import annotations

from copy import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stripe_to_segment import __version__
from stripe_to_segment.settings import Settings
from stripe_to_segment.stripe_side.customer import PERSONAL
from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS, GROUP_TRAITS, USER_TRAITS, EventPlan
from stripe_to_segment_tools.tracking_plan.schemas import MOMENT, TEXT, context_schema, object_schema, properties_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jsonschema import Draft202012Validator

    from stripe_to_segment.mapping.properties import Property
    from stripe_to_segment_tools.tracking_plan.schemas import Schema

__all__ = ["TrackingPlan", "plan_under", "violations"]

KINDS = ("identify", "group", "track")
# The buckets that each kind of call must have; every other bucket is forbidden.
BUCKETS = {"identify": ("traits",), "group": ("groupId", "traits"), "track": ("event", "properties")}
EVERY_BUCKET = ("event", "groupId", "properties", "traits")
# Not simply `false`, because its errors do not name the place.
FORBIDDEN: Schema = {"not": {}}


class TrackingPlan:
    """The plan under one team's settings: its names of events, and its allowed personal traits.

    `events` are by the name that is sent; two events with the same name are one.
    """

    def __init__(self, settings: Settings) -> None:
        self.names = {name: _wires(name, plan, settings) for name, plan in EVENT_PLANS.items()}
        self.events: dict[str, EventPlan] = {}
        for name, wires in self.names.items():
            for wire in wires:
                plan = EVENT_PLANS[name]
                self.events[wire] = _together(self.events[wire], plan) if wire in self.events else plan
        self.user_traits = _let_out(settings)
        self._validators: dict[tuple[str, str], Draft202012Validator] = {}

    def segment(self) -> Schema:
        """The body for Segment's Public API, Replace (PUT) or Update (PATCH) Rules in Tracking Plan.

        Other properties and traits are not forbidden here: `enrich` may add them, and the source's settings in Segment
        decide about unplanned ones. https://docs.segmentapis.com/tag/Tracking-Plans
        """
        rules = [
            _rule("COMMON", "every call", context=context_schema(self.user_traits)),
            _rule("IDENTIFY", "every identify", traits=object_schema(self.user_traits)),
            _rule("GROUP", "every group", traits=object_schema(GROUP_TRAITS)),
        ]
        for name, plan in self.events.items():
            rules.append({**_rule("TRACK", plan.when, properties=properties_schema(plan)), "key": name})
        order = ("type", "key", "version", "jsonSchema")
        return {"rules": [{part: rule[part] for part in order if part in rule} for rule in rules]}

    def jsonschema(self) -> Schema:
        """One schema (draft 2020-12) for any single call, exactly as it stands in a `/v1/batch` request."""
        cases = [_case({"type": kind}, self._demands(kind)) for kind in KINDS]
        cases += [_case({"type": "track", "event": name}, self._demands("track", name)) for name in self.events]
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A call of stripe-to-segment",
            "description": f"Any item of the batch in a request to Segment, as version {__version__} sends it.",
            **self._envelope(),
            "allOf": cases,
        }

    def violations(self, call: Mapping[str, Any]) -> list[str]:
        """The violations in a call, one sentence for each; a call of the mapper has none."""
        kind, event = call.get("type"), call.get("event")
        if kind not in KINDS:
            return [f"type is {kind!r}; it is one of {', '.join(KINDS)}"]
        if kind == "track" and event not in self.events:
            return [f"track: {event!r} is not an event of the tracking plan"]
        name = str(event) if kind == "track" else kind
        # Imported here, because writing the plan needs no JSON Schema library, which is an extra of the wheel.
        from stripe_to_segment_tools.tracking_plan.findings import sentences

        errors = self._validator(kind, name).iter_errors(call)
        in_order = sorted(errors, key=lambda error: [str(step) for step in error.absolute_path])
        return [f"{name}: {sentence}" for error in in_order for sentence in sentences(error)]

    def _validator(self, kind: str, name: str) -> Draft202012Validator:
        """The validator of one kind of call or event, compiled once: trying all of them in turn is ten times slower."""
        found = self._validators.get((kind, name))
        if found is None:
            from jsonschema import Draft202012Validator

            from stripe_to_segment_tools.tracking_plan.findings import FORMATS

            schema = {**self._envelope(), "allOf": [self._demands(kind, name if kind == "track" else None)]}
            found = Draft202012Validator(schema, format_checker=FORMATS)
            self._validators[kind, name] = found
        return found

    def _envelope(self) -> Schema:
        """The fields that every call has or may have."""
        return {
            "type": "object",
            "properties": {
                "type": {"enum": [*KINDS]},
                "messageId": {"type": "string", "format": "uuid", "maxLength": 100},
                "timestamp": MOMENT,
                "userId": TEXT,
                "anonymousId": TEXT,
                "groupId": TEXT,
                "event": {"enum": [*self.events]},
                "context": context_schema(self.user_traits, closed=True),
                "integrations": {"type": "object", "minProperties": 1},
                "traits": {"type": "object"},
                "properties": {"type": "object"},
            },
            "required": ["type", "messageId", "context"],
            "additionalProperties": False,
            "anyOf": [{"required": ["userId"]}, {"required": ["anonymousId"]}],
        }

    def _demands(self, kind: str, event: str | None = None) -> Schema:
        """The fields that identify a call of this kind and, for a track, of this event."""
        buckets: Schema = {name: FORBIDDEN for name in EVERY_BUCKET if name not in BUCKETS[kind]}
        if kind == "identify":
            buckets["traits"] = object_schema(self.user_traits, closed=True)
        elif kind == "group":
            buckets["traits"] = object_schema(GROUP_TRAITS, closed=True)
        elif event is not None:
            buckets["properties"] = properties_schema(self.events[event], closed=True)
        return {"properties": buckets, "required": [*BUCKETS[kind]]}


def violations(call: Mapping[str, Any], settings: Settings | None = None) -> list[str]:
    """The violations of the plan under these settings in a call, one readable sentence for each."""
    return plan_under(settings or Settings()).violations(call)


def plan_under(settings: Settings) -> TrackingPlan:
    """The tracking plan under these settings; the same one for all that agree in what it depends on."""
    renames, traits = tuple(settings.rename_events.items()), (settings.personal_traits, settings.hash_email)
    return _plan_for(settings.revenue_events, renames, settings.drop_events, *traits)


@lru_cache(maxsize=32)
def _plan_for(
    revenue: str, renames: tuple[tuple[str, str], ...], drops: tuple[str, ...], personal: tuple[str, ...], hashed: bool
) -> TrackingPlan:
    names = Settings(revenue_events=revenue, rename_events=dict(renames), drop_events=drops)
    return TrackingPlan(replace(names, personal_traits=personal, hash_email=hashed))


def _wires(name: str, plan: EventPlan, settings: Settings) -> tuple[str, ...]:
    """The names under which an event is sent: one that may state revenue may have another one when it does."""
    wires = (settings.wire_name(name), settings.wire_name(name, pays="revenue" in plan.properties))
    return tuple(dict.fromkeys(wire for wire in wires if wire is not None))


def _together(one: EventPlan, other: EventPlan) -> EventPlan:
    """Two events with one name: the properties that both always have are always present."""
    required = tuple(name for name in one.required if name in other.required)
    return EventPlan(f"{one.when}; or {other.when}", {**one.properties, **other.properties}, required)


def _let_out(settings: Settings) -> dict[str, Property]:
    """The user traits without the personal ones that the settings do not send."""
    kept = {*PERSONAL} & {*settings.personal_traits}
    if settings.hash_email and "email" in kept:
        kept = kept - {"email"} | {"email_sha256"}
    kept_in = {*PERSONAL, "email_sha256"} - kept
    return {name: trait for name, trait in USER_TRAITS.items() if name not in kept_in}


def _rule(kind: str, about: str, **buckets: Schema) -> Schema:
    """A rule of Segment; a higher `version` lets a rule exist beside an older one."""
    every: Schema = {name: {"type": "object"} for name in ("context", "traits", "properties")}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "description": about,
        "properties": {**every, **buckets},
    }
    return {"type": kind, "version": 1, "jsonSchema": schema}


def _case(when: dict[str, str], then: Schema) -> Schema:
    known = {name: {"const": value} for name, value in when.items()}
    return {"if": {"properties": known, "required": [*known]}, "then": then}
