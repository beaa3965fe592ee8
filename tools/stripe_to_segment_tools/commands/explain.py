"""`explain`: what each Stripe event becomes, offline, through the code that the functions run."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record, Status
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.store import MemoryStore
from stripe_to_segment_tools.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.samples.inputs import Input

__all__ = ["Explained", "explain", "team_enrich"]

ENRICH = PROJECT / "functions" / "deliver" / "enrich.py"
OUTCOMES = {Status.DELIVERED: "mapped", Status.IGNORED: "ignored"}


@dataclass(frozen=True, slots=True)
class Explained:
    """One line of `explain`: `outcome` is mapped, ignored or invalid; `calls` are the items of the batch request."""

    id: str | None
    type: str | None
    outcome: str
    reason: str | None
    calls: list[dict[str, Any]]

    def line(self) -> dict[str, Any]:
        """As it stands in the output."""
        return {
            "id": self.id,
            "type": self.type,
            "outcome": self.outcome,
            "reason": self.reason,
            "calls": self.calls,
        }


def explain(inputs: Iterable[Input], settings: Settings) -> Iterator[Explained]:
    """Explain events one after the other, through one in-memory store: what one teaches serves the next."""
    taken: list[Call] = []

    def take(calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:  # noqa: ARG001 - both modes alike
        taken.extend(calls)
        return {call.message_id: Answer(Meaning.ACCEPTED) for call in calls}

    # An event is never held back here, and nothing waits: the clock stands still.
    settings = replace(settings, identity_hold_seconds=0)
    delivery = Delivery(settings, MemoryStore(), take, team_enrich())
    for number, given in enumerate(inputs):
        if given.error is not None:
            yield Explained(None, None, "invalid", f"{given.source}: {given.error}", [])
            continue
        taken.clear()
        (done,) = delivery.deliver([Record(str(number), given.raw.decode(errors="replace"))], now=0)
        event, outcome = done.event, OUTCOMES.get(done.status, "invalid")
        reason = done.detail or done.reason or None
        yield Explained(
            _text(given.event, "id") if event is None else event.id,
            _text(given.event, "type") if event is None else event.type,
            outcome,
            f"{given.source}: {reason}" if outcome == "invalid" else reason,
            [call.body for call in taken],
        )


def team_enrich() -> Enrich:
    """The `enrich` of this checkout, which the deployed function uses too."""
    spec = importlib.util.spec_from_file_location("enrich", ENRICH)
    if spec is None or spec.loader is None:
        message = f"{ENRICH} cannot be loaded"
        raise FileNotFoundError(message)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Enrich = module.enrich
    return found


def _text(value: object, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
