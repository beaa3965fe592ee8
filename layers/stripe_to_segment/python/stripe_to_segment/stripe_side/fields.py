"""Readers for what all Stripe objects have in common: references, lists, metadata, timestamps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.stripe_side.shapes import Reference, StripeList

__all__ = ["day_of", "dig", "hash_of", "integer", "iso_time", "listed", "merged", "metadata_of", "reference", "text"]

JsonObject = dict[str, Any]

# In UTC, as all times of Stripe; without a zone it is added to in less time.
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC is what every time is printed in


def reference(value: object) -> str | None:
    """The id of a reference, which is an id or, where expanded, the object itself."""
    if isinstance(value, dict):
        value = value.get("id")
    return text(value)


def text(value: object) -> str | None:
    """A non-empty string, or None for everything else."""
    return value if isinstance(value, str) and value else None


def integer(value: object) -> int | None:
    """A whole number (amounts in minor units, quantities, epoch seconds), or None for everything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@overload
def hash_of[T: Mapping[str, object]](value: Reference[T]) -> T: ...
@overload
def hash_of(value: object) -> Any: ...


def hash_of(value: object) -> object:
    """A hash, or an empty one where Stripe sends null or leaves the field out."""
    return value if isinstance(value, dict) else {}


def dig(value: object, *path: str) -> Any:
    """The value at a path of keys, or None where any step is missing or is not a hash."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


@overload
def listed[T: Mapping[str, object]](value: StripeList[T] | list[T] | None) -> list[T]: ...
@overload
def listed[T: Mapping[str, object]](value: list[str | T] | None) -> list[T]: ...
@overload
def listed(value: object) -> list[Any]: ...


def listed(value: object) -> object:
    """The hashes of a Stripe list object (`{"object": "list", "data": [...]}`) or of a plain array."""
    if isinstance(value, dict):
        value = value.get("data")
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def metadata_of(value: object) -> dict[str, str]:
    """The metadata of an object: stripped values, without empty ones.

    Stripe stores strings only. A program on the way may have turned one into a number or a boolean, which is read as
    the string that it was, so `"analytics_opt_out": true` is an opt-out too; any other type is left out.
    """
    found = value.get("metadata") if isinstance(value, dict) else None
    if not found or not isinstance(found, dict):
        return {}
    return {key: written for key, entry in found.items() if (written := _written(entry))}


def _written(entry: object) -> str:
    if isinstance(entry, int):
        return str(entry).lower()
    return entry.strip() if isinstance(entry, str) else ""


def merged(newer: Mapping[str, Any], older: Mapping[str, Any]) -> Any:
    """`newer` overwritten with the values of `older` (a `previous_attributes`).

    In `previous_attributes` hashes hold only the changed keys while arrays come whole.
    https://docs.stripe.com/api/events/object#event_object-data-previous_attributes
    """
    result = dict(newer)
    for key, value in older.items():
        now = result.get(key)
        result[key] = merged(now, value) if isinstance(now, dict) and isinstance(value, dict) else value
    return result


def iso_time(epoch: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and `Z`, as Segment reads it, from epoch seconds."""
    if epoch is None:
        return None
    try:
        return f"{(EPOCH + timedelta(0, epoch)).isoformat()}.000Z"
    except OverflowError:
        return None


def day_of(epoch: int) -> int:
    """The day number since 1970, as the ledger stores it."""
    return epoch // 86_400
