"""Dataclasses whose fields must not be set."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

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
    # `dataclass` would compile a text for each of the methods below, and take twice as long while a function starts.
    made: Any = dataclass(slots=slots, repr=False, eq=False)(declared)
    made.__eq__, made.__hash__, made.__repr__ = _equality(made), _hashing(made), _representation(made)
    made.__replace__ = own or _replacing(made)
    frozen_type: type[T] = made
    return frozen_type


def _equality(made: Any) -> Callable[[Any, object], bool]:
    values_of = _values([each.name for each in fields(made) if each.compare])

    def equals(self: Any, other: object) -> bool:
        if self is other:
            return True
        return values_of(self) == values_of(other) if type(self) is type(other) else NotImplemented

    return equals


def _hashing(made: Any) -> Callable[[Any], int]:
    values_of = _values([each.name for each in fields(made) if (each.compare if each.hash is None else each.hash)])
    return lambda self: hash(values_of(self))


def _representation(made: Any) -> Callable[[Any], str]:
    names = [each.name for each in fields(made) if each.repr]
    return lambda self: f"{made.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def _replacing(made: Any) -> Callable[..., Any]:
    names = [each.name for each in fields(made) if each.init]
    values_of = _values(names)

    def replaced(self: Any, /, **changes: object) -> Any:
        copy = made(*values_of(self))
        for name, value in changes.items():
            if name not in names:
                raise TypeError(f"{made.__name__} has no field {name}")
            setattr(copy, name, value)
        return copy

    return replaced


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    values_of = attrgetter(*names)
    return values_of if len(names) > 1 else lambda self: (values_of(self),)
