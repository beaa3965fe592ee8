"""Dataclasses whose fields must not be set."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, dataclass_transform

__all__ = ["frozen", "frozen_with_cache"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen[T](declared: type[T]) -> type[T]:
    """A dataclass with slots that the type checker keeps frozen, and Python does not.

    Python would set each field of a frozen one by calling a function, which takes four times as long, and each event
    makes twenty of them. `copy.replace` passes the fields by their places, for the same reason.
    """
    return _made(declared, slots=True)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen_with_cache[T](declared: type[T]) -> type[T]:
    """The same without slots, for classes that cache on the object what was worked out of it."""
    return _made(declared, slots=False)


def _made[T](declared: type[T], *, slots: bool) -> type[T]:
    own = vars(declared).get("__replace__")
    made: Any = dataclass(slots=slots, unsafe_hash=True)(declared)
    made.__replace__ = own or _replacing(made)
    frozen_type: type[T] = made
    return frozen_type


def _replacing(made: Any) -> Any:
    names = [each.name for each in fields(made) if each.init]
    values_of = attrgetter(*names)

    def replaced(self: Any, /, **changes: object) -> Any:
        copy = made(*values_of(self))
        for name, value in changes.items():
            if name not in names:
                raise TypeError(f"{made.__name__} has no field {name}")
            setattr(copy, name, value)
        return copy

    return replaced
