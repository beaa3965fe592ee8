"""Read from the Stripe API what the events of a batch do not state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.lookups import lookups
from stripe_to_segment.state.store import Learnt
from stripe_to_segment.stripe_side.event import scope_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from stripe_to_segment.delivery.load import Reader
    from stripe_to_segment.delivery.outcome import Work
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.store import Memory
    from stripe_to_segment.stripe_side.objects import Lookup

__all__ = ["look_up"]

# The second lookup reads the names of the products in a session's lines, which the first one read.
LOOKS = 2


def look_up(
    work: Collection[Work], memory: Memory, reader: Reader | None, settings: Settings, now: int
) -> list[Learnt]:
    """Read into the memory what the events do not state; returns the product names, to be stored."""
    if reader is None:
        return []
    asked: set[Lookup] = set()
    for _ in range(LOOKS):
        wanted = [lookup for one in work for lookup in _lookups(one, memory, settings, now) if lookup not in asked]
        if not wanted:
            break
        asked.update(wanted)
        memory.read.update(reader.read(wanted))
    learnt: list[Learnt] = []
    for lookup, body in memory.read.items():
        name = body.get("name")
        if lookup.kind == "product" and isinstance(name, str) and name:
            key = f"{scope_of(lookup.account, livemode=lookup.livemode)}:{lookup.id}"
            memory.product_names[key] = name
            # As of epoch second 0, so that the name in any product event replaces it.
            learnt.append(Learnt("product", key, name, 0))
    return learnt


def _lookups(one: Work, memory: Memory, settings: Settings, now: int) -> list[Lookup]:
    if one.event.listing is not None:
        # The import lists what this could read.
        return []
    try:
        return lookups(
            one.event, memory.profiles[one.key], memory, settings, may_wait=one.may_wait(settings, now).payment
        )
    except Exception:  # noqa: BLE001 - mapping meets the same and says so, for this event alone
        return []
