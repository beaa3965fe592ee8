"""A StateTable that went back in time, or was lost: what was sent stays sent, and what was remembered is gone.

Segment and a warehouse keep the first call of each messageId.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from stripe_to_segment.state.memory_store import MemoryStore
from tests.simulator import laws
from tests.simulator.imported import dealt, listed, listing

if TYPE_CHECKING:
    from typing import Any

    from tests.simulator.history import History

__all__ = ["gone_back", "lost"]


def gone_back(history: History, seed: int) -> list[str]:
    """The faults after the table went back at any moment to any one before, and what it lost came again in order."""
    rng, ours, events = Random(f"gone back {seed}"), laws.Ours(history.events[0]["created"]), [*history.events]
    then, now = sorted(rng.randrange(len(events)) for _ in range(2))
    ours.deliver(events[:then])
    backup = deepcopy(ours.store)
    ours.deliver(events[then:now])
    ours.store = backup
    for event in events[then:]:
        ours.deliver([event])
    return _judged(history, ours)


def lost(history: History, seed: int) -> list[str]:
    """The faults after the table was lost at any moment, and an import came as docs/operations.md says."""
    rng, ours, events = Random(f"lost {seed}"), laws.Ours(history.events[0]["created"]), [*history.events]
    moment = rng.choice(events)["created"]
    ours.deliver(event for event in events if event["created"] <= moment)
    ours.store, settings = MemoryStore(), ours.settings
    ours.settings = replace(settings, drop_events=("Subscription Imported",))
    for batch in dealt([*listing(listed(events, moment), moment, "opening", rng)], rng):
        ours.deliver(batch)
    ours.settings = settings
    for event in events:
        if event["created"] > moment:
            ours.deliver([event])
    # Cards are no part of an import.
    return [fault for fault in _judged(history, ours) if not fault.startswith("the card")]


def _judged(history: History, ours: laws.Ours) -> list[str]:
    ours.deliver([history.last])
    first: dict[str, Any] = {}
    for call in ours.calls:
        first.setdefault(call["messageId"], call)
    ours.calls = [*first.values()]
    return laws.judged(history, ours, ordered=False)
