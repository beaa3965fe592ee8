"""Several deliver functions at once over one table: each request is a point at which another function may go on.

Each function runs in a thread of its own, and only one of them at a time: the seed decides which, so a run can be
repeated. DynamoDB reads the items of a request one after the other, and so does this table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from threading import Semaphore, Thread
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record, Status
from stripe_to_segment.errors import StoreUnavailableError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.state.store import Memory, each_once
from tests.simulator.laws import ACCEPTED, FINE, SETTINGS, Ours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from random import Random
    from typing import Any

    from stripe_to_segment.delivery.record import RecordOutcome
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.person import Person
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt

__all__ = ["FAIR", "LOSSES", "OUTAGE", "Chances", "at_once"]

FUNCTIONS, LEASE = 4, 60
DOWN = Answer(Meaning.RETRY, "http_503")
# How often a request lets another function go on, and a function begins while others run.
YIELDS, BEGINS = 0.5, 0.4
# Of waits for another batch, those for which there is no time.
NO_TIME = 0.3


@frozen
class Chances:
    """Probabilities: of a request to Segment that it is `refused`; of one to the table.

    The table refuses a request (`throttled`), its answer is lost after it was written (`timed_out`), or the function
    dies there (`killed`).
    """

    refused: float = 0
    throttled: float = 0
    timed_out: float = 0
    killed: float = 0


FAIR = Chances()
OUTAGE = Chances(refused=0.2)
LOSSES = Chances(refused=0.05, throttled=0.03, timed_out=0.02, killed=0.01)


def at_once(events: Sequence[Mapping[str, Any]], rng: Random, chances: Chances = FAIR) -> Ours:
    """Every event once or three times, in any order, in batches of any size, until each is delivered."""
    schedule = _Schedule(rng, chances, Ours(events[0]["created"]))
    schedule.ours.store = _Table(schedule)
    bodies = [json.dumps(event) for event in events] * rng.choice((1, 3))
    rng.shuffle(bodies)
    schedule.waiting = [Record(f"{number}", body) for number, body in enumerate(bodies)]
    schedule.deliver_all()
    return schedule.ours


class _KilledError(BaseException):
    """The function died. No error of the package's own: nothing catches it."""


@dataclass(slots=True)
class _Function:
    """One invocation with its batch; its outcomes are None where it died."""

    batch: list[Record]
    began: float
    turn: Semaphore = field(default_factory=lambda: Semaphore(0))
    outcomes: list[RecordOutcome] | None = None
    failure: Exception | None = None
    thread: Thread | None = None


@dataclass(slots=True)
class _Schedule:
    """The records that wait, the functions that run, and the time in epoch seconds."""

    rng: Random
    chances: Chances
    ours: Ours
    waiting: list[Record] = field(default_factory=list)
    running: list[_Function] = field(default_factory=list)
    current: _Function | None = None
    back: Semaphore = field(default_factory=lambda: Semaphore(0))
    heard: dict[str, bytes] = field(default_factory=dict)

    def deliver_all(self) -> None:
        """Let the functions go on in turns, until no record waits."""
        while self.waiting or self.running:
            if self.waiting and len(self.running) < FUNCTIONS and (not self.running or self.rng.random() < BEGINS):
                self._begin()
            self.current = self.rng.choice(self.running)
            self.current.turn.release()
            self.back.acquire()
            if self.current.thread is None:
                self.running.remove(self.current)
                self._end(self.current)
        self.current, self.ours.frozen_at = None, self.ours.frozen_at + LEASE

    def _begin(self) -> None:
        """Begin with the next batch. No function outlives its lease, but one that died may leave one behind."""
        oldest = min((one.began for one in self.running), default=self.ours.frozen_at + LEASE)
        self.ours.frozen_at = min(self.ours.frozen_at + self.rng.randrange(LEASE // 3), oldest + LEASE - 2)
        if not self.running:
            self.ours.frozen_at += LEASE
        size = self.rng.choice((1, 1, 2, 5, 10))
        batch, self.waiting = self.waiting[:size], self.waiting[size:]
        function = _Function(batch, self.ours.frozen_at)
        function.thread = Thread(target=self._run, args=(function,), daemon=True)
        function.thread.start()
        self.running.append(function)

    def _run(self, function: _Function) -> None:
        function.turn.acquire()
        delivery = Delivery(
            SETTINGS, self.ours.store, self._take, lambda call, _: call, lease=LEASE, wait=self._wait_for_others
        )
        try:
            function.outcomes = delivery.deliver(function.batch, function.began)
        except _KilledError:
            pass
        except Exception as error:  # noqa: BLE001 - raised where the test sees it
            function.failure = error
        function.thread = None
        self.back.release()

    def _end(self, function: _Function) -> None:
        if function.failure is not None:
            raise function.failure
        if function.outcomes is None:
            self._return(function.batch)
            return
        again = {Status.RETRY, Status.WAITING}
        self._return([outcome.record for outcome in function.outcomes if outcome.status in again])
        for outcome in function.outcomes:
            if outcome.status not in again | FINE:
                self.ours.faults.append(f"record {outcome.record.id} is {outcome.status}: {outcome.reason}")

    def _return(self, records: Sequence[Record]) -> None:
        for record in records:
            self.waiting.insert(self.rng.randrange(len(self.waiting) + 1), record)

    def pause(self) -> None:
        """Perhaps another function goes on here, or this one dies."""
        function = self.current
        if function is None:
            return
        if self.rng.random() < YIELDS:
            self.back.release()
            function.turn.acquire()
        if self.rng.random() < self.chances.killed:
            raise _KilledError

    def _wait_for_others(self, _: float) -> float | None:
        self.pause()
        return None if self.rng.random() < NO_TIME else self.ours.frozen_at

    def _take(self, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
        """Segment, which keeps the first call of a messageId."""
        mood = self.rng.random()
        self.pause()
        if mood >= self.chances.refused:
            for call in calls:
                if self.heard.get(call.message_id, call.encoded) != call.encoded:
                    self.ours.faults.append(f"messageId {call.message_id} came again and said something else")
            self.ours.take([call for call in calls if call.message_id not in self.heard], livemode=livemode)
            self.heard.update({call.message_id: call.encoded for call in calls})
        self.pause()
        answer = DOWN if mood < self.chances.refused else ACCEPTED
        return dict.fromkeys((call.message_id for call in calls), answer)


class _Table(MemoryStore):
    """The twin of the StateTable, item by item."""

    def __init__(self, schedule: _Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def _asked[T](self, request: Callable[[], T]) -> T:
        schedule = self._schedule
        schedule.pause()
        if schedule.current is not None and schedule.rng.random() < schedule.chances.throttled:
            raise StoreUnavailableError("throttled")
        answer = request()
        if schedule.current is not None and schedule.rng.random() < schedule.chances.timed_out:
            raise StoreUnavailableError("timed out")
        return answer

    def _mixed[T](self, items: Collection[T]) -> list[T]:
        """The items in the order in which a request happens to reach them."""
        return self._schedule.rng.sample([*items], len(items))

    def _each[T](
        self, items: Collection[T], keys: Callable[[T], Collection[str]], write: Callable[[T], dict[str, Exception]]
    ) -> dict[str, Exception]:
        """Write one item after the other; the errors by the items' keys."""
        errors: dict[str, Exception] = {}
        for item in self._mixed(items):
            try:
                errors |= self._asked(lambda item=item: write(item))  # type: ignore[misc]
            except StoreUnavailableError as error:
                errors |= dict.fromkeys(filter(None, keys(item)), error)
        return errors

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        """Read the items, while others write between two of them."""
        memory = self._asked(Memory)
        for key in self._mixed(sorted(keys)):
            self._schedule.pause()
            found = super().load([key])
            for name in [each.name for each in fields(Memory)]:
                setattr(memory, name, getattr(memory, name) | getattr(found, name))
        return memory

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write what does not fail, the facts first."""
        save = super().save
        facts = each_once(learnt)
        errors = self._each(facts, lambda fact: (fact.key, fact.owner), lambda fact: save([], [fact], now))
        written = [profile for profile in profiles if profile.key not in errors]
        errors |= self._each(written, lambda profile: (profile.key,), lambda profile: save([profile], [], now))
        return errors

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """Read receipts."""
        return self._asked(lambda: MemoryStore.receipts(self, deliveries))

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write a receipt."""
        self._asked(lambda: MemoryStore.put_receipt(self, delivery, receipt, now))

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """Read persons."""
        return self._asked(lambda: MemoryStore.persons(self, keys))

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Tie records to persons."""
        return self._asked(lambda: MemoryStore.tie(self, pairs))

    def untie(self, pairs: Collection[tuple[str, str]]) -> None:
        """Untie records from persons."""
        self._asked(lambda: MemoryStore.untie(self, pairs))

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:
        """Mark records as sharing their person."""
        return self._asked(lambda: MemoryStore.share(self, person, records, now))

    def claim(self, persons: Mapping[str, Person], delivery: str, lease_until: int) -> dict[str, Exception]:
        """Claim one person after the other."""
        claim = super().claim
        return self._each(
            sorted(persons), lambda key: (key,), lambda key: claim({key: persons[key]}, delivery, lease_until)
        )
