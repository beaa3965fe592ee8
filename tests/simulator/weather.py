"""Histories in bad weather: Segment and the StateTable fail, functions die, and two of them meet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record, Status
from stripe_to_segment.errors import StoreUnavailableError
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.memory_store import MemoryStore
from tests.chaos.verdict import of_customers
from tests.simulator.laws import ACCEPTED, FINE, SETTINGS, Ours, replayed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.person import Person
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt
    from tests.simulator.circles import Circle
    from tests.simulator.history import History

__all__ = ["DOWN", "faults_of_one_wording", "through_lost_records", "through_outages", "through_refusals"]

DOWN, REFUSED = Answer(Meaning.RETRY, "http_503"), Answer(Meaning.REFUSED, "http_400")
# Of calls that Segment picks from a request: refused for good, refused, taken without an answer.
NEVER, NOT_NOW, UNANSWERED = 0.1, 0.3, 0.4
# So often before a batch all dead letters are redriven.
REDRIVEN = 0.1
# So many seconds lie between two batches, and so many at most a batch may be on its way.
LEASE = 60


def through_outages(history: History | Circle, seed: int, *, mixed: bool = False) -> Ours:
    """Every fifth request is refused and of every tenth the answer is lost; what waits comes back later."""
    return _Weather(history, Random(f"outage {seed}"), mixed, refused=0.2, unanswered=0.1).pass_through()


def through_lost_records(history: History | Circle, seed: int, *, mixed: bool = False) -> Ours:
    """What Segment received is often not written down.

    The table refuses every tenth write, and every twentieth batch dies after Segment received it. Before its record is
    written and while it is sent, another batch of the same customer may run, one time in five.
    """
    rng = Random(f"lost records {seed}")
    return _Weather(
        history, rng, mixed, refused=0.05, unanswered=0.05, unwritten=0.1, killed=0.05, overtaken=0.2
    ).pass_through()


def through_refusals(history: History | Circle, seed: int, *, mixed: bool = False) -> Ours:
    """Segment accepts some calls of a request and refuses others, for now or for good; dead letters are redriven.

    It refuses for good only calls that it has never received. Functions die and others run meanwhile, too.
    """
    rng = Random(f"refusals {seed}")
    return _Weather(
        history, rng, mixed, refused=0.05, unanswered=0.05, killed=0.02, overtaken=0.1, picked=0.3
    ).pass_through()


def faults_of_one_wording(history: History, ours: Ours, *, mixed: bool) -> list[str]:
    """The facts that were not sent exactly once with one content; and, for events in order, whatever a replay sends."""
    told = [*ours.faults, *map(str, of_customers([history], ours.calls, SETTINGS))]
    return told if mixed else [*told, *replayed(history, ours)]


class _KilledError(Exception):
    """The function died; its batch comes back."""


@dataclass
class _Weather:
    """One history's events on their way: in order, or `mixed`, every event three times in any order.

    Segment keeps the first call of a messageId and drops its repeats; one that says something else is a fault. The rest
    are probabilities.
    """

    history: History | Circle
    rng: Random
    mixed: bool
    refused: float
    unanswered: float
    unwritten: float = 0.0
    killed: float = 0.0
    overtaken: float = 0.0
    picked: float = 0.0
    ours: Ours = field(init=False)
    waiting: list[Record] = field(init=False)
    letters: list[Record] = field(default_factory=list)
    heard: dict[str, bytes] = field(default_factory=dict)
    under_way: bool = False

    def __post_init__(self) -> None:
        self.ours = Ours(self.history.events[0]["created"], store=_Table(self._before_writing))
        events = [*self.history.events] * 3 if self.mixed else [*self.history.events]
        if self.mixed:
            self.rng.shuffle(events)
        self.waiting = [Record(f"{number}", json.dumps(event)) for number, event in enumerate(events)]

    def pass_through(self) -> Ours:
        """Deliver until nothing waits or is dead, and then the customer's last event until it is delivered."""
        while self.waiting or self.letters:
            if not self.waiting or self.rng.random() < REDRIVEN:
                self._back(self.letters)
                self.letters = []
            self._deliver(self._next_batch())
        self.picked = 0.0
        last = [Record("last", json.dumps(event)) for event in [self.history.last] if event is not None]
        while last:
            self._deliver(last)
            last, self.waiting = self.waiting, []
        return self.ours

    def _next_batch(self) -> list[Record]:
        size = self.rng.choice((1, 2, 5, 10))
        batch, self.waiting = self.waiting[:size], self.waiting[size:]
        return batch

    def _deliver(self, batch: list[Record]) -> None:
        delivery = Delivery(SETTINGS, self.ours.store, self._take, lambda call, _: call, lease=LEASE)
        if not self.under_way:
            # Whoever was killed is over by now.
            self.ours.frozen_at += LEASE
        try:
            outcomes = delivery.deliver(batch, self.ours.frozen_at)
        except _KilledError:
            self._back(batch)
            return
        self._back([outcome.record for outcome in outcomes if outcome.status is Status.RETRY])
        self.letters += [outcome.record for outcome in outcomes if outcome.reason == REFUSED.reason]
        for outcome in outcomes:
            if outcome.status not in {Status.RETRY, *FINE} and outcome.reason != REFUSED.reason:
                self.ours.faults.append(f"record {outcome.record.id} is {outcome.status}: {outcome.reason}")

    def _back(self, records: Sequence[Record]) -> None:
        for record in records:
            self.waiting.insert(self.rng.randrange(len(self.waiting) + 1), record)

    def _take(self, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
        if self.rng.random() < self.picked:
            return {call.message_id: self._take_one(call, livemode=livemode) for call in calls}
        mood = self.rng.random()
        if mood >= self.refused:
            self._hear(calls, livemode=livemode)
        self._come_by()
        if self.rng.random() < self.killed:
            raise _KilledError
        answer = DOWN if mood < self.refused + self.unanswered else ACCEPTED
        return dict.fromkeys((call.message_id for call in calls), answer)

    def _take_one(self, call: Call, *, livemode: bool) -> Answer:
        mood = self.rng.random()
        if mood < NEVER and call.message_id not in self.heard:
            return REFUSED
        if mood < NOT_NOW:
            return DOWN
        self._hear([call], livemode=livemode)
        return DOWN if mood < UNANSWERED else ACCEPTED

    def _hear(self, calls: Sequence[Call], *, livemode: bool) -> None:
        for call in calls:
            if self.heard.get(call.message_id, call.encoded) != call.encoded:
                self.ours.faults.append(f"messageId {call.message_id} came again and said something else")
        self.ours.take([call for call in calls if call.message_id not in self.heard], livemode=livemode)
        self.heard.update({call.message_id: call.encoded for call in calls})

    def _come_by(self) -> None:
        """Another batch may be quicker."""
        if self.waiting and not self.under_way and self.rng.random() < self.overtaken:
            self.under_way = True
            self._deliver(self._next_batch())
            self.under_way = False

    def _before_writing(self) -> bool:
        """Whether this cannot be written."""
        self._come_by()
        return self.rng.random() < self.unwritten


class _Table(MemoryStore):
    """The twin of the StateTable, whose writes may fail."""

    def __init__(self, fails: Callable[[], bool]) -> None:
        super().__init__()
        self._fails = fails

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write what does not fail."""
        failed: dict[str, Any] = {
            profile.key: StoreUnavailableError("throttled") for profile in profiles if self._fails()
        }
        written = [profile for profile in profiles if profile.key not in failed]
        return {**super().save(written, learnt, now), **failed}

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Tie, while others come by before and after."""
        self._fails()
        tied = super().tie(pairs)
        self._fails()
        return tied

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """Read, while others come by."""
        found = super().persons(keys)
        self._fails()
        return found

    def claim(self, persons: Mapping[str, Person], delivery: str, lease_until: int) -> dict[str, Exception]:
        """Write what does not fail."""
        failed: dict[str, Exception] = {key: StoreUnavailableError("throttled") for key in persons if self._fails()}
        written = {key: person for key, person in persons.items() if key not in failed}
        return {**super().claim(written, delivery, lease_until), **failed}

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write it down, unless that fails."""
        if self._fails():
            raise StoreUnavailableError("throttled")
        super().put_receipt(delivery, receipt, now)
