"""`explain`: map Stripe events to calls offline, with the code of the functions."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record, Status
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.stripe_side.fields import integer
from stripe_to_segment_tools.commands.overrides import REFERENCE_KEY, Overrides, chosen_settings
from stripe_to_segment_tools.project import ENRICH
from stripe_to_segment_tools.samples.inputs import read_events
from stripe_to_segment_tools.terminal.output import make_console, say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.samples.inputs import Input

__all__ = ["Explained", "explain", "explain_command", "team_enrich"]

THIN = (
    "this is a thin event, which only names its object: deliver reads the object from Stripe's API, and explain asks "
    "nobody. Explain the snapshot event of the same type, with its data: `stripe events retrieve evt_…`"
)
# As far as explain looks for an event that came late, so that one at the end of many makes no other wait for it.
AHEAD = 500
# Ids that events of one payment share, whichever of them there are.
PAYERS = re.compile(rb'"((?:cus|cs|pi|in|ch|py|re|sub)_\w+)"')
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
        """The JSON object of the output line."""
        return {
            "id": self.id,
            "type": self.type,
            "outcome": self.outcome,
            "reason": self.reason,
            "calls": self.calls,
        }


def explain_command(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files or folders of events, requests or SQS batches; - reads standard input.", metavar="PATH"
        ),
    ],
    *,
    pretty: Annotated[bool, typer.Option("--pretty", help="Print for people: a headline for each call.")] = False,
    settings: Overrides = None,
) -> None:
    """Print the calls of each Stripe event: one JSON line for each event, in input order. Offline, nothing is sent.

    `outcome` is mapped, ignored or invalid, `reason` gives the cause, and `calls` are exactly the items of Segment's
    batch request. Later events use the knowledge from earlier ones, such as the user. Signed client references are
    verified with the key in CLIENT_REFERENCE_KEY. Why an event is invalid also goes to standard error.

    Exit status: 0, or 1 if an event was invalid, or 2 if a setting cannot be used.

    Examples
    --------
      stripe-to-segment explain events/

      stripe-to-segment explain --set UNKNOWN_USER_POLICY=customer_id event.json

      pbpaste | stripe-to-segment explain - | jq .calls

      stripe-to-segment explain --pretty events/
    """
    chosen = replace(chosen_settings(settings), client_reference_key=os.environ.get(REFERENCE_KEY, "").strip())
    show, invalid = _shown(pretty=pretty), False
    for explained in explain(read_events(paths), chosen):
        show(explained)
        if explained.outcome == "invalid":
            invalid = True
            say(f"error: {explained.reason}", err=True)
    raise typer.Exit(1 if invalid else 0)


def _shown(*, pretty: bool) -> Callable[[Explained], None]:
    if not pretty:
        return lambda explained: say_json(explained.line())
    # Imported here, because JSON lines need neither a console nor the tracking plan.
    from stripe_to_segment_tools.commands.pretty import print_explained

    return partial(print_explained, make_console())


def explain(inputs: Iterable[Input], settings: Settings, now: float = 0) -> Iterator[Explained]:
    """Map events one after the other through one in-memory store, so that later ones use knowledge from earlier ones.

    An event that waits for others waits by the `created` times of the following events, at most to the end of the
    input: its time is over when none of them is as old any more. Its traits then stand behind those that later lines
    have sent meanwhile. Data that expired before `now` (epoch seconds) is dropped; with 0 none is.
    """
    everything = list(inputs)
    player = _Player(settings, now, _circles(everything))
    for number, (given, oldest) in enumerate(zip(everything, _oldest_to_come(everything), strict=True)):
        yield from player.play(number, given, oldest)
    yield from player.end()


def _oldest_to_come(inputs: Sequence[Input]) -> Iterator[float]:
    """For each event the `created` of the oldest among it and the following ones; a repeat is none of them.

    Events that are mixed up have come together, as after an outage, when none has waited longer than its hold.
    """
    seen: set[str | None] = set()
    times: list[float] = []
    for given in inputs:
        name, created = _text(given.event, "id"), _created(given.event)
        times.append(math.inf if created is None or name in seen else created)
        seen.add(name)
    return (min(times[number : number + AHEAD]) for number in range(len(times)))


def _circles(inputs: Sequence[Input]) -> list[bytes | None]:
    """For each event the circle of those that are joined by ids of customers and payments; None if it has no such id.

    Only an event of its own circle can say what another one waits for.
    """
    above: dict[bytes, bytes] = {}

    def first(name: bytes) -> bytes:
        while (over := above.setdefault(name, name)) != name:
            above[name], name = above[over], over
        return name

    named = [PAYERS.findall(given.raw) for given in inputs]
    for names in named:
        for name in names:
            above[first(name)] = first(names[0])
    return [first(names[0]) if names else None for names in named]


@dataclass(slots=True)
class _Held:
    """An event that waits, with its line number, and the epoch second until which it may wait."""

    number: int
    given: Input
    until: int

    @property
    def turn(self) -> int:
        """The order of a batch: refunds and disputes come after payments."""
        row = CATALOG.get(_text(self.given.event, "type") or "")
        return 0 if row is None else row.turn


class _Player:
    """Delivers events in input order, and yields their lines in that order, even if some had to wait."""

    def __init__(self, settings: Settings, now: float, circles: Sequence[bytes | None]) -> None:
        # Events never wait for an identity. The clock stands still, so an event may wait for its payment until the end.
        settings = replace(settings, identity_hold_seconds=0)
        store, enrich = MemoryStore(), team_enrich()
        self._now, self._hold = now, settings.payment_hold_seconds
        self._taken: list[Call] = []
        self._patient = Delivery(settings, store, self._take, enrich)
        self._at_last = Delivery(replace(settings, payment_hold_seconds=0), store, self._take, enrich)
        self._clock, self._circles = 0, circles
        self._held: list[_Held] = []
        self._lines: dict[int, Explained] = {}
        self._next = 0

    def play(self, number: int, given: Input, oldest: float) -> Iterator[Explained]:
        """Deliver an event, after the waiting events whose time is over and before those that waited for it."""
        # An event that is older than the one before it has come late.
        self._clock = max(self._clock, _created(given.event) or 0)
        for one in sorted((one for one in self._held if one.until <= oldest), key=lambda one: one.turn):
            self._settle(one, self._at_last)
        self._deliver(_Held(number, given, self._clock + self._hold), self._patient)
        circle = self._circles[number]
        for one in [one for one in self._held if one.number != number]:
            if circle is None or self._circles[one.number] in {None, circle}:
                self._settle(one, self._patient)
        yield from self._ready()

    def end(self) -> Iterator[Explained]:
        """Deliver the events that still wait."""
        for one in sorted(self._held, key=lambda one: one.turn):
            self._settle(one, self._at_last)
        yield from self._ready()

    def _settle(self, one: _Held, delivery: Delivery) -> None:
        self._held.remove(one)
        self._deliver(one, delivery)

    def _deliver(self, one: _Held, delivery: Delivery) -> None:
        given = one.given
        if given.error is not None:
            self._lines[one.number] = Explained(None, None, "invalid", f"{given.source}: {given.error}", [])
            return
        self._taken.clear()
        (done,) = delivery.deliver([Record(str(one.number), given.raw.decode(errors="replace"))], now=self._now)
        if done.status is Status.WAITING:
            self._held = sorted([*self._held, one], key=lambda each: each.number)
            return
        event, outcome = done.event, OUTCOMES.get(done.status, "invalid")
        reason = THIN if done.reason == Reason.NO_STRIPE_API_KEY else done.detail or done.reason or None
        self._lines[one.number] = Explained(
            _text(given.event, "id") if event is None else event.id,
            _text(given.event, "type") if event is None else event.type,
            outcome,
            f"{given.source}: {reason}" if outcome == "invalid" else reason,
            self._in_sequence(one.number, [{**call.body} for call in self._taken]),
        )

    def _in_sequence(self, number: int, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The calls for the line of an event; traits that were sent after those of a later line stand behind these.

        Read line after line, the last traits of a person are then the last that were sent.
        """
        shown = {who for other, line in self._lines.items() if other > number for who in map(_shown_of, line.calls)}
        after = [call for call in calls if (who := _shown_of(call)) is not None and who in shown]
        if after:
            self._lines[max(self._lines)].calls.extend(after)
        return [call for call in calls if call not in after]

    def _take(self, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:  # noqa: ARG002 - both modes alike
        self._taken.extend(calls)
        return {call.message_id: Answer(Meaning.ACCEPTED) for call in calls}

    def _ready(self) -> Iterator[Explained]:
        while self._next in self._lines:
            yield self._lines.pop(self._next)
            self._next += 1


def team_enrich() -> Enrich:
    """The `enrich` of this checkout, which is also the deployed function's; without a checkout, as shipped."""
    if ENRICH is None:
        return lambda call, _: call
    spec = importlib.util.spec_from_file_location("enrich", ENRICH)
    if spec is None or spec.loader is None:
        message = f"{ENRICH} cannot be loaded"
        raise FileNotFoundError(message)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Enrich = module.enrich
    return found


def _created(value: object) -> int | None:
    return integer(value.get("created")) if isinstance(value, dict) else None


def _shown_of(call: Mapping[str, Any]) -> tuple[str, str] | None:
    """The person or group whose traits a call shows; None where it is a track."""
    who = {"identify": call.get("userId") or call.get("anonymousId"), "group": call.get("groupId")}.get(call["type"])
    return (call["type"], who) if isinstance(who, str) else None


def _text(value: object, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
