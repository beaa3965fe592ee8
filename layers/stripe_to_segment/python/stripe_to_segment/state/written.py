"""A dataclass as JSON in a record: its fields without those that have their default, and back, from any release."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance

    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["known_of", "stated_of"]


def stated_of(value: DataclassInstance) -> JsonObject:
    """The fields that have another value than their default, not copied as `asdict` copies them."""
    names, defaults, values_of = _fields_of(type(value))
    each = zip(names, values_of(value), defaults, strict=True)
    return {name: one for name, one, default in each if one != default}


@cache
def _fields_of(
    kind: type[DataclassInstance],
) -> tuple[list[str], list[object], Callable[[DataclassInstance], tuple[object, ...]]]:
    """The names of the fields, the default of each, MISSING where it has none, and what reads their values."""
    names = [one.name for one in fields(kind)]
    defaults = [one.default if one.default_factory is MISSING else one.default_factory() for one in fields(kind)]
    return names, defaults, attrgetter(*names)


def known_of(kind: type[DataclassInstance], values: JsonObject) -> JsonObject:
    """Only those values that are fields of the dataclass in this release."""
    # The names that `fields` reads too; it makes a list anew for each of hundreds of payments.
    names = kind.__dataclass_fields__
    return {name: value for name, value in values.items() if name in names}
