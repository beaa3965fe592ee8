"""How an event of the tracking plan is declared: one class, which is also what the mapper makes.

    @track("Order Refunded", when="money is given back, in part or in full")
    class OrderRefunded(Event):
        order_id: OrderId
        total: Total = None

A property without a default is always there; one with the default None may be unknown, and what is unknown does not
reach the wire. `properties.py` has the types of properties, each with its meaning, so that a name or a type which is
not in the plan is an error of the type checker. The plan, its JSON Schema, the documents and the tests are read off
these classes.

Names are Title Case, object and past-tense action; properties are snake_case.
https://segment.com/docs/connections/spec/ecommerce/v2/ and /spec/b2b-saas/
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EVENTS", "Event", "always", "properties", "required", "track"]

EVENTS: dict[str, type[Event]] = {}
"""Every track event, by its name in the catalog."""


class Event:
    """One track event with its properties; amounts are `Decimal`s in major units, None is unknown."""

    event_name: ClassVar[str]
    sent_when: ClassVar[str]
    names: ClassVar[tuple[str, ...]] = ()

    def told(self) -> dict[str, Any]:
        """What is known of it, by property, in the order of their declaration."""
        return {name: value for name in self.names if (value := getattr(self, name)) is not None}


def always() -> Any:
    """A property that this event always has, where those with which it has it in common may lack it, or have none."""
    return field(default=None, metadata={"always": True})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(always,))
def properties[E: Event](declared: type[E]) -> type[E]:
    """Declare properties that several events have in common."""
    made = dataclass(frozen=True, kw_only=True)(declared)
    made.names = tuple(each.name for each in fields(made))  # type: ignore[arg-type]
    return made


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(always,))
def track[E: Event](name: str, *, when: str) -> Callable[[type[E]], type[E]]:
    """Declare an event of this name; `when` ends a sentence that begins with "Sent when"."""

    def declare(declared: type[E]) -> type[E]:
        made = properties(declared)
        made.event_name, made.sent_when = name, when
        EVENTS[name] = made
        return made

    return declare


def required(declared: type[Event]) -> tuple[str, ...]:
    """The properties that an event always has."""
    every = fields(declared)  # type: ignore[arg-type]
    return tuple(each.name for each in every if each.default is MISSING or each.metadata.get("always"))
