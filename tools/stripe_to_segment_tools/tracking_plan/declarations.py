"""Read the mapper's declarations of events, properties and traits, for plan, schema, document and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, get_args, get_origin, get_type_hints

from stripe_to_segment.mapping import properties as types
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.mapping.properties import (
    AddressTraits,
    AttributionProperties,
    GroupTraits,
    Product,
    Property,
    UserTraits,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.mapping.tracking import Event

__all__ = ["ADDRESS", "ATTRIBUTION", "EVENT_PLANS", "GROUP_TRAITS", "PRODUCT", "USER_TRAITS", "EventPlan", "stated_by"]


@dataclass(frozen=True, slots=True)
class EventPlan:
    """One track event: when it is sent, its properties by name, and the properties that it always has."""

    when: str
    properties: Mapping[str, Property]
    required: tuple[str, ...]


def described(declared: type) -> dict[str, Property]:
    """The properties of a declared event or the entries of a declared object, in the order of declaration."""
    # The mapper imports the types of properties only for the type checker.
    hints = get_type_hints(declared, globalns={"ClassVar": ClassVar, **vars(types)}, include_extras=True)
    found: dict[str, Property] = {}
    for name, hint in hints.items():
        said = (
            [each for each in get_args(hint)[1:] if isinstance(each, Property)] if get_origin(hint) is Annotated else []
        )
        if said:
            found[name] = said[0]
    return found


def stated_by(name: str) -> list[str]:
    """The Stripe event types that state the event of this name."""
    return [kind for kind, row in CATALOG.items() if any(event.event_name == name for event in row.events)]


def _plan(declared: type[Event]) -> EventPlan:
    every = described(declared)
    # Properties that are always present come first.
    ordered = {name: every[name] for name in sorted(declared.names, key=lambda name: name not in declared.required)}
    return EventPlan(declared.sent_when, ordered, declared.required)


# In the catalog's order: the order of EVENTS is that of the imports, which differs between programs.
EVENT_PLANS: dict[str, EventPlan] = {event.event_name: _plan(event) for row in CATALOG.values() for event in row.events}
PRODUCT, ADDRESS, ATTRIBUTION = described(Product), described(AddressTraits), described(AttributionProperties)
USER_TRAITS, GROUP_TRAITS = (dict(sorted(described(traits).items())) for traits in (UserTraits, GroupTraits))
