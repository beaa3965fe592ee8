"""Play events through the local stack, and compare the calls that arrive with those of `explain`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.commands.headlines import call_name
from stripe_to_segment_tools.commands.send.command import send
from stripe_to_segment_tools.samples.files import body_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment_tools.local_stack.stack import LocalStack, Queued, Secret
    from stripe_to_segment_tools.receiver import Receiver

__all__ = ["Differences", "Planned", "Played", "arrived", "differences", "play", "settle"]

ARRIVE_SECONDS = 20.0
# After one event got stuck, wait only this long for the calls of the others: the run has failed already.
ARRIVE_SECONDS_AFTER_TROUBLE = 1.0
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Planned:
    """An event to play, or a step of an import.

    Attributes
    ----------
    name
        Its name in the table.
    event
        The event, with fresh ids and times; None for a step of an import.
    outcome, reason
        The outcome that `explain` prints, and the reason if there are no calls.
    calls
        The expected calls.
    objects
        How many objects are learnt, in a step of an import that sends nothing.
    """

    name: str
    event: Mapping[str, Any] | None
    outcome: str
    reason: str | None
    calls: Sequence[Mapping[str, Any]]
    objects: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """The result of playing one event, or one step of an import.

    Attributes
    ----------
    planned
        The expected result.
    status
        The answer's status, None without an answer.
    answer
        The answer's text, or the reason why there was none.
    calls
        The calls of the event that arrived.
    seconds
        From posting the event to its end.
    note
        Numbers of the calls, to be printed beside them.
    wrong
        What else differs from what was expected, in words.
    """

    planned: Planned
    status: int | None
    answer: str
    calls: Sequence[Mapping[str, Any]]
    seconds: float
    note: str = ""
    wrong: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """The differences from the plan, in words; empty without any."""
        found = [] if self.status == 200 else [f"answered {self.status or 'not at all'}: {self.answer}"]  # noqa: PLR2004 - all is well
        received = {call["messageId"]: call for call in self.calls}
        for call in self.planned.calls:
            if call["messageId"] not in received:
                found.append(f"missing: {call_name(call)}")
            elif where := list(_paths(call, received[call["messageId"]])):
                found.append(f"other content: {call_name(call)} at {', '.join(where)}")
        return [*found, *self.wrong]


@dataclass(frozen=True, slots=True)
class Differences:
    """All differences from the plan, in words."""

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

    One after the other, because the calls of an event depend on earlier events of its customer. An event is yielded
    without calls that do not arrive in time.
    """
    bodies = (body_of(dict(planned.event or {})) for planned in plan)
    answers = send(bodies, url, secret.stripe_signing_secrets)
    patience = ARRIVE_SECONDS
    for planned in plan:
        started = time.monotonic()
        answer = next(answers)
        while time.monotonic() < started + patience:
            # In this order: a call arrives before its event leaves the queue.
            empty = not stack.queued().events
            calls = arrived(planned, receiver)
            if empty and (len(calls) == len(planned.calls) or answer.status != 200):  # noqa: PLR2004 - all is well
                break
            time.sleep(PAUSE_SECONDS)
        else:
            patience = ARRIVE_SECONDS_AFTER_TROUBLE
        yield Played(planned, answer.status, answer.body, arrived(planned, receiver), time.monotonic() - started)


def settle(played: Iterable[Played], receiver: Receiver) -> list[Played]:
    """Add the calls that arrived late."""
    return [replace(each, calls=arrived(each.planned, receiver)) for each in played]


def differences(played: Sequence[Played], queued: Queued, receiver: Receiver) -> Differences:
    """Compare all results with the plan, after all events were played."""
    planned = {call["messageId"] for each in played for call in each.planned.calls}
    kept = [each.call for each in receiver.record.calls]
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
        extra=[f"{call_name(call)} {call.get('messageId')}" for call in kept if call.get("messageId") not in planned],
        violations=receiver.record.violations,
        queued=held + dead,
    )


def arrived(planned: Planned, receiver: Receiver) -> list[Mapping[str, Any]]:
    """The expected calls that have arrived, in the order of the plan."""
    by_message_id = {kept.call.get("messageId"): kept.call for kept in receiver.record.calls}
    expected = [call["messageId"] for call in planned.calls]
    return [by_message_id[message_id] for message_id in expected if message_id in by_message_id]


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
