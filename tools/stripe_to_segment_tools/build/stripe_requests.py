"""The requests of `deliver` to the Stripe API, and the permissions that a restricted key needs for them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from stripe_to_segment.stripe_side.objects import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["permissions", "requests_table"]


def permissions() -> str:
    """All permissions, as a list in a sentence."""
    *others, last = sorted({permission for _, _, needed in _requests() for permission in needed})
    return f"{', '.join(others)} and {last}"


def requests_table() -> str:
    """Each request with its permissions, as a table in Markdown."""
    rows = (f"| {', '.join(needed)} | `GET {address}` | {seconds} s |\n" for address, seconds, needed in _requests())
    return f"| Permission: Read | Request | An answer holds |\n|---|---|---|\n{''.join(sorted(rows))}"


def _requests() -> Iterator[tuple[str, float, list[str]]]:
    for each in OBJECTS.values():
        for rest, seconds in each.lookups.values():
            # Expanded objects need a permission too. https://docs.stripe.com/stripe-apps/reference/permissions
            expanded = map(_object_of, parse_qs(urlsplit(rest).query).get("expand[]", []))
            needed = [each.permission, *(OBJECTS[name].permission for name in expanded)]
            yield f"{each.path}{rest}", seconds, [*filter(None, dict.fromkeys(needed))]


def _object_of(expanded: str) -> str:
    """The kind of object in an expanded field; for a field of an object, such as a price's tiers, that object."""
    names = (part.removesuffix("s") for part in reversed(expanded.split(".")))
    return next(name for name in names if name in OBJECTS)
