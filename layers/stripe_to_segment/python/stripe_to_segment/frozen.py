"""Dataclasses whose fields nobody may set."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, dataclass_transform

__all__ = ["frozen"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen[T](declared: type[T]) -> type[T]:
    """A dataclass with slots that the type checker keeps frozen, and Python does not.

    Python would set each field of a frozen one by calling a function, which takes four times as long, and each event
    makes twenty of them. `copy.replace` passes the fields by their places, for the same reason.
    """
    made: Any = dataclass(slots=True, unsafe_hash=True)(declared)
    names = [each.name for each in fields(made)]

    def replaced(self: T, /, **changes: object) -> T:
        values = [changes.pop(name) if name in changes else getattr(self, name) for name in names]
        # What is left is no field, which the constructor says.
        copy: T = made(*values, **changes)
        return copy

    made.__replace__ = replaced
    frozen_type: type[T] = made
    return frozen_type
