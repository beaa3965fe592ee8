"""Play events through the local stack and compare what arrived with what `explain` says should arrive."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.commands.send.command import send
from stripe_to_segment_tools.samples.files import body_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment_tools.local_stack.stack import LocalStack, Queued, Secret
    from stripe_to_segment_tools.receiver import Receiver

__all__ = ["Differences", "Planned", "Played", "differences", "play", "settle"]

ARRIVE_SECONDS = 20.0
# Where one event got stuck, the others are not waited for long: it is a failure already.
ARRIVE_SECONDS_AFTER_TROUBLE = 1.0
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Planned:
    """An event to play.

    Attributes
    ----------
    name
        What to call it in the table.
    event
        The event, fresh ids and times included.
    outcome, reason
        What `explain` says becomes of it, and why nothing comes of it where nothing does.
    calls
        The calls it should become.
    """

    name: str
    event: Mapping[str, Any]
    outcome: str
    reason: str | None
    calls: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one event.

    Attributes
    ----------
    planned
        What should have become of it.
    status
        The answer's status. None when there was none.
    answer
        The answer's text, or why there was none.
    calls
        Those of its calls that arrived.
    seconds
        From posting it until all was done.
    """

    planned: Planned
    status: int | None
    answer: str
    calls: Sequence[Mapping[str, Any]]
    seconds: float

    @property
    def problems(self) -> list[str]:
        """How it differs from the plan, in words; empty when it does not."""
        found = [] if self.status == 200 else [f"answered {self.status or 'not at all'}: {self.answer}"]  # noqa: PLR2004
        arrived = {call["messageId"]: call for call in self.calls}
        for call in self.planned.calls:
            if call["messageId"] not in arrived:
                found.append(f"missing: {describe(call)}")
            elif where := list(_paths(call, arrived[call["messageId"]])):
                found.append(f"other content: {describe(call)} at {', '.join(where)}")
        return found


@dataclass(frozen=True, slots=True)
class Differences:
    """All that is not as it should be, in words."""

    events: Mapping[str, Sequence[str]] = field(default_factory=dict)
    extra: Sequence[str] = ()
    violations: Sequence[str] = ()
    queued: Sequence[str] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.events or self.extra or self.violations or self.queued)

    def __iter__(self) -> Iterator[str]:
        """Each in one line."""
        yield from (f"{name}: {problem}" for name, problems in self.events.items() for problem in problems)
        yield from (f"not expected: {call}" for call in self.extra)
        yield from (f"contract: {violation}" for violation in self.violations)
        yield from self.queued


def play(plan: Sequence[Planned], url: str, secret: Secret, stack: LocalStack, receiver: Receiver) -> Iterator[Played]:
    """Post the events one after the other and yield each when its calls have arrived and the queue is empty.

    One after the other because what an event becomes depends on what the events before it said of its customer.
    An event whose calls do not arrive in time is yielded without them.
    """
    bodies = (body_of(dict(planned.event)) for planned in plan)
    answers = send(bodies, url, secret.stripe_signing_secrets)
    patience = ARRIVE_SECONDS
    for planned in plan:
        started = time.monotonic()
        answer = next(answers)
        while time.monotonic() < started + patience:
            # In this order: a call arrives before its event leaves the queue.
            empty = not stack.queued().events
            calls = _arrived(planned, receiver)
            if empty and (len(calls) == len(planned.calls) or answer.status != 200):  # noqa: PLR2004
                break
            time.sleep(PAUSE_SECONDS)
        else:
            patience = ARRIVE_SECONDS_AFTER_TROUBLE
        yield Played(planned, answer.status, answer.body, _arrived(planned, receiver), time.monotonic() - started)


def settle(played: Iterable[Played], receiver: Receiver) -> list[Played]:
    """Add what arrived later than it was waited for."""
    return [replace(each, calls=_arrived(each.planned, receiver)) for each in played]


def differences(played: Sequence[Played], queued: Queued, receiver: Receiver) -> Differences:
    """Compare everything with the plan, once all has been played."""
    planned = {call["messageId"] for each in played for call in each.planned.calls}
    arrived = [kept.call for kept in receiver.record.calls]
    held = [
        f"left in the events queue after {message.receive_count} attempts: {message.message_id}"
        for message in queued.events
    ]
    dead = [
        f"dead letter: {message.attributes.get('event_type')} {message.attributes.get('event_id')}:"
        f" {message.attributes.get('reason')} ({message.attributes.get('detail')})"
        for message in queued.dead_letters
    ]
    return Differences(
        events={each.planned.name: problems for each in played if (problems := each.problems)},
        extra=[f"{describe(call)} {call.get('messageId')}" for call in arrived if call.get("messageId") not in planned],
        violations=receiver.record.violations,
        queued=held + dead,
    )


def _arrived(planned: Planned, receiver: Receiver) -> list[Mapping[str, Any]]:
    by_message_id = {kept.call.get("messageId"): kept.call for kept in receiver.record.calls}
    expected = [call["messageId"] for call in planned.calls]
    return [by_message_id[message_id] for message_id in expected if message_id in by_message_id]


def describe(call: Mapping[str, Any]) -> str:
    """Name a call: the event's name of a track, the type of any other."""
    return str(call.get("event") if call.get("type") == "track" else call.get("type"))


def _paths(expected: Any, arrived: Any, path: str = "") -> Iterator[str]:
    """Yield the places where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(arrived, dict):
        for name in sorted(expected.keys() | arrived.keys()):
            if name not in arrived:
                yield f"{path}.{name} (missing)".lstrip(".")
            elif name not in expected:
                yield f"{path}.{name} (not expected)".lstrip(".")
            else:
                yield from _paths(expected[name], arrived[name], f"{path}.{name}")
    elif expected != arrived:
        yield f"{path.lstrip('.')} ({arrived!r}, expected {expected!r})"
