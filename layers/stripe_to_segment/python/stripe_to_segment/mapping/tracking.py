"""Declare the events of the tracking plan: one class for each, of which the mapper creates instances.

    @track("Order Refunded", when="a payment is refunded, in part or in full")
    class OrderRefunded(Event):
        order_id: OrderId
        total: Total = None

A property without a default is always present; one with the default None may be unknown, and is then left out of the
call. `properties.py` has the types of properties, each with its meaning, so the type checker refuses a name or a type
that is not in the plan. The plan, its JSON Schema, the documents and the tests are derived from these classes.

Names are Title Case, object and past-tense action; properties are snake_case.
https://segment.com/docs/connections/spec/ecommerce/v2/ and /spec/b2b-saas/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EVENTS", "Event", "always", "properties", "track"]

EVENTS: dict[str, type[Event]] = {}
"""Every track event, by its name in the catalog."""

# Defaults of properties in their declarations: none at all, and that of `always`.
_NONE_GIVEN, _ALWAYS = object(), object()


class Event:
    """One track event with its properties; amounts are `Decimal`s in major units, None is unknown.

    `names` are the names of its properties in the order of their declaration, `required` those that it always has.
    Not a dataclass: thirty of them would take longer to import than all the rest of the mapper.
    """

    event_name: ClassVar[str]
    sent_when: ClassVar[str]
    names: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    must_be_given: ClassVar[frozenset[str]] = frozenset()
    may_be_given: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, **given: object) -> None:
        if not self.must_be_given <= given.keys() or not given.keys() <= self.may_be_given:
            raise TypeError(f"{type(self).__name__} takes {self.names}, not {tuple(given)}")
        self.__dict__.update(given)

    def __replace__(self, **changes: object) -> Self:
        """A copy with some properties changed, for `copy.replace`."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    # Its properties hold lists.
    __hash__ = None  # type: ignore[assignment]

    def known_properties(self) -> dict[str, object]:
        """The known properties, in the order of their declaration."""
        return {name: value for name in self.names if (value := getattr(self, name)) is not None}


def always() -> Any:
    """Declare a property that this event always has, although the class that it shares it with may lack it."""
    return _ALWAYS


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(always,))
def properties[E: Event](declared: type[E]) -> type[E]:
    """Declare properties that several events have in common."""
    bases = [base for base in reversed(declared.__mro__) if issubclass(base, Event)]
    names = [name for base in bases for name in base.names]
    required = [name for base in bases for name in base.required]
    given = [name for base in bases for name in base.must_be_given]
    # Only the names: the annotations themselves are for the type checker and for the plan.
    for name in declared.__annotations__:
        default = vars(declared).get(name, _NONE_GIVEN)
        names.append(name)
        if default is _NONE_GIVEN:
            given.append(name)
        if default is not None:
            required.append(name)
        if default is _ALWAYS:
            setattr(declared, name, None)
    declared.names, declared.required = tuple(dict.fromkeys(names)), tuple(dict.fromkeys(required))
    declared.must_be_given, declared.may_be_given = frozenset(given), frozenset(names)
    return declared


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(always,))
def track[E: Event](name: str, *, when: str) -> Callable[[type[E]], type[E]]:
    """Declare an event of this name; `when` ends a sentence that begins with "Sent when"."""

    def declare(declared: type[E]) -> type[E]:
        made = properties(declared)
        made.event_name, made.sent_when = name, when
        EVENTS[name] = made
        return made

    return declare
