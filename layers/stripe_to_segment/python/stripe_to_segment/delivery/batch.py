"""One batch from the queue: load, look up, map, claim, send in bulk, and give each record its outcome.

No failure of Segment raises here. Where the StateTable does not answer, events wait; nothing is guessed.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.learnt import learnt_from, named_once
from stripe_to_segment.delivery.load import fits, known_to, recall, unreadable
from stripe_to_segment.delivery.look_up import look_up
from stripe_to_segment.delivery.outcome import (
    Work,
    dead,
    outcome_of,
    oversize,
    receipt_of,
    unmappable,
    unwritten,
)
from stripe_to_segment.delivery.payers import owned
from stripe_to_segment.delivery.persons import Persons, Turn
from stripe_to_segment.delivery.reading import Reading, waits_for_circuit
from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.delivery.take_over import take_over
from stripe_to_segment.errors import EnrichError, StoreConflictError, StoreUnavailableError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.identity import reference_refused, stated_by
from stripe_to_segment.mapping.lookups import read_from_stripe
from stripe_to_segment.mapping.subscriptions.discounts import with_coupon_ahead
from stripe_to_segment.mapping.translate import translate
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import Meaning
from stripe_to_segment.state.store import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Protocol

    from stripe_to_segment.delivery.load import Reader
    from stripe_to_segment.delivery.reading import Gate, ThinReader
    from stripe_to_segment.delivery.record import Record
    from stripe_to_segment.delivery.take_over import Taken
    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.mapping.translate import Translation
    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.circuit import Circuit
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt, Memory, Store

    class Sender(Protocol):
        """Sends calls of one mode and returns each call's answer by messageId."""

        def __call__(self, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]: ...


__all__ = ["Delivery"]

# Two invocations rarely write one customer's record at once; this many times in a row means that something is wrong.
ROUNDS = 5
# Another batch is mostly done within a second.
TURN_SECONDS = 0.25
# After this many seconds the records go back to the queue, where waiting costs nothing.
LONGEST_WAIT = 30


def _delivery_id() -> str:
    return os.urandom(8).hex()


@dataclass(slots=True)
class _Batch:
    """The progress of a batch: outcomes by record, answers by messageId, and the records whose calls were claimed.

    `now` and `until` (the end of its lease) are in epoch seconds. `delivery` is the id under which it claims; once that
    has a receipt, later claims of the batch get a new id. `leased` says that it claimed a person under that id.
    """

    now: float
    until: int
    delivery: str = field(default_factory=_delivery_id)
    outcomes: dict[str, RecordOutcome] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    claimed: list[Work] = field(default_factory=list)
    leased: bool = False


@frozen
class _Prepared:
    """Work to send, work to map again on a newer record, and work that waits for another batch.

    `modes` are the modes that the gate let through.
    """

    ready: list[Work] = field(default_factory=list)
    again: list[Work] = field(default_factory=list)
    others: list[Work] = field(default_factory=list)
    modes: set[bool] = field(default_factory=set)


@frozen
class Delivery:
    """Delivers batches of records.

    Parameters
    ----------
    settings, enrich
        The team's settings and its `enrich.py`.
    store
        The StateTable or a MemoryStore.
    send
        Sends calls of one mode; it must not raise.
    reader
        Reads from the Stripe API; None where no API key is wanted.
    thin_reader
        Reads thin events from the Stripe API; without it they wait.
    gate
        Holds events back while the circuit is open; None in log mode.
    remembers
        False in log mode: nothing is sent, so nothing may be stored as sent.
    lease
        The seconds for which a batch leases its customers: no other batch sends calls about them meanwhile.
    wait
        Waits for a number of seconds and returns the epoch second afterwards; None if there is no time to wait.
        Without it a batch never waits for another.
    """

    settings: Settings
    store: Store
    send: Sender
    enrich: Enrich
    reader: Reader | None = None
    thin_reader: ThinReader | None = None
    gate: Gate | None = None
    remembers: bool = True
    lease: int = 0
    wait: Callable[[float], float | None] | None = None

    def deliver(self, records: Iterable[Record], now: float) -> list[RecordOutcome]:
        """Deliver a batch; `now` is in epoch seconds. Returns one outcome for each record, in their order."""
        batch, records = _Batch(now, int(now) + self.lease), list(records)
        work: list[Work] = []
        for read in Reading(self.settings, self.gate, self.thin_reader).work(records):
            if isinstance(read, Work):
                work.append(read)
            else:
                batch.outcomes[read.record.id] = read
        conflicts = 0
        while work:
            # In the order in which they are mapped and sent, identity first.
            work.sort(key=lambda one: one.order)
            again, others = self._round(work, batch)
            conflicts += bool(again)
            if conflicts == ROUNDS:
                for left in again:
                    batch.outcomes[left.record.id] = RecordOutcome(
                        left.record, Status.RETRY, Reason.CONTENDED, event=left.event
                    )
                again = []
            if others and not again:
                # First release the customers that are done: otherwise two batches could wait for each other in vain.
                self._confirm(batch)
                batch.claimed, batch.leased, batch.delivery = [], False, _delivery_id()
                if not self._await_turn(batch):
                    break
            work = [*again, *others]
        self._confirm(batch)
        return [batch.outcomes[record.id] for record in records]

    def _await_turn(self, batch: _Batch) -> bool:
        """Wait for other batches that hold a lease on the same customers; False when no time is left.

        A record that goes back to the queue would wait longer than this.
        """
        waited = self.lease - (batch.until - batch.now)
        moment = self.wait(TURN_SECONDS) if self.wait is not None and waited < LONGEST_WAIT else None
        batch.now = batch.now if moment is None else moment
        return moment is not None

    def _round(self, work: list[Work], batch: _Batch) -> tuple[list[Work], list[Work]]:
        """Map the work, write the claims, send the calls.

        Returns the work to map again on a newer record, and the work that waits for another batch.
        """
        # Events of a mode whose circuit this environment knows to be open are not even looked up.
        work = self._let_through(work, {}, batch)
        prepared = self._isolated(work, batch) if work else _Prepared()
        self._send(prepared.ready, prepared.modes, batch)
        return prepared.again, prepared.others

    def _isolated(self, work: list[Work], batch: _Batch) -> _Prepared:
        """Prepare the work; an unforeseen error ends one record alone: work that fails is halved to find it."""
        try:
            return self._prepare(work, batch)
        except Exception as error:  # noqa: BLE001 - one record, or what is kept of its customer, must not stop the others
            if len(work) == 1:
                batch.outcomes[work[0].record.id] = unmappable(work[0], error)
                return _Prepared()
        middle = len(work) // 2
        one, other = self._isolated(work[:middle], batch), self._isolated(work[middle:], batch)
        return _Prepared(
            one.ready + other.ready, one.again + other.again, one.others + other.others, one.modes | other.modes
        )

    def _prepare(self, work: list[Work], batch: _Batch) -> _Prepared:
        """Map the work and write its claims."""
        circuits = self.gate.asks({one.event.livemode for one in work if not one.event.silent}) if self.gate else ()
        try:
            said = [one.event for one in work]
            memory = recall(said, self.store, circuits)
            events = owned(said, memory, self.store, self.reader)
        except StoreUnavailableError as error:
            batch.outcomes.update((one.record.id, unwritten(one, error)) for one in work)
            return _Prepared()
        for one, event in zip(work, events, strict=True):
            one.event, one.key = event, event.profile_key
        if memory.unreadable:
            work = self._readable(work, lambda one: unreadable(one.event, memory), batch)
        work = self._let_through(work, memory.circuits, batch)
        free, others = self._by_turn(work, memory, batch)
        ready, again, also = self._write_down(free, memory, batch)
        return _Prepared(ready, again, others + also, {one.event.livemode for one in work if not one.event.silent})

    def _let_through(self, work: list[Work], circuits: Mapping[str, Circuit], batch: _Batch) -> list[Work]:
        """The work that these circuits let through; the rest waits for the circuit's pause and is not mapped.

        A listed object that sends nothing does not wait.
        """
        if self.gate is None:
            return work
        waits = self.gate.waits({one.event.livemode for one in work if not one.event.silent}, circuits)
        for one in work:
            pause = None if one.event.silent else waits[one.event.livemode]
            if pause is not None:
                batch.outcomes[one.record.id] = waits_for_circuit(one.record, one.event, pause)
        return [one for one in work if one.event.silent or waits[one.event.livemode] is None]

    @staticmethod
    def _readable(work: list[Work], why_not: Callable[[Work], str], batch: _Batch) -> list[Work]:
        """The work whose items can be read; the rest waits for a newer release or a repaired item."""
        left: list[Work] = []
        for one in work:
            if reason := why_not(one):
                batch.outcomes[one.record.id] = RecordOutcome(one.record, Status.RETRY, reason, event=one.event)
            else:
                left.append(one)
        return left

    @staticmethod
    def _by_turn(work: list[Work], memory: Memory, batch: _Batch) -> tuple[list[Work], list[Work]]:
        """The work whose customers are free, and the work whose customers another batch has leased.

        Calls of two batches could overtake each other on the way to Segment.
        """
        free: list[Work] = []
        others: list[Work] = []
        for one in work:
            profile = memory.profiles[one.key]
            # The claim may be this batch's own: DynamoDB wrote it, and the answer was lost.
            if profile.lease_until > batch.now and profile.delivery not in {"", batch.delivery}:
                _wait_for(one, profile.delivery, profile.lease_until, batch)
                others.append(one)
            else:
                free.append(one)
        return free, others

    def _by_person(
        self, work: list[Work], persons: Persons, busy: Mapping[str, tuple[str, int]], batch: _Batch
    ) -> tuple[list[Work], list[Work], list[Work]]:
        """The work whose persons are free, the work that met a newer record, and the work that waits for others."""
        if not (persons.records or busy):
            return work, [], []
        busy = {**busy, **persons.busy}
        free: list[Work] = []
        again: list[Work] = []
        others: list[Work] = []
        for one in self._readable(work, lambda one: persons.unreadable(one.key), batch):
            if one.key in busy:
                _wait_for(one, *busy[one.key], batch)
                others.append(one)
            else:
                (again if one.key in persons.stale else free).append(one)
        return free, again, others

    def _write_down(self, work: list[Work], memory: Memory, batch: _Batch) -> tuple[list[Work], list[Work], list[Work]]:
        """Map, and write the claims and what was learnt.

        Returns the work to send, the work to map again on a newer record, and the work that waits for another batch to
        send calls of its user.
        """
        before = dict(memory.profiles)
        learnt = self._look_up(work, memory, batch)
        persons = Persons(self.settings, Turn(batch.delivery, batch.now, batch.until, self.remembers))
        try:
            taken = take_over([one.event for one in work], memory, self.store, persons.turn)
            persons.meet([(one.event, one.stated) for one in work], memory, self.store)
        except StoreUnavailableError as unavailable:
            batch.outcomes.update((one.record.id, unwritten(one, unavailable)) for one in work)
            return [], [], []
        work, again, others = self._by_person(work, persons, taken.busy, batch)
        learnt += self._translate(work, memory, persons, batch)
        learnt = named_once(learnt, [one.event for one in work])
        errors: Mapping[str, Exception] = {}
        if self.remembers:
            mapped = {one.key for one in work if one.translation is not None}
            claimed = {one.key for one in work if one.translation is not None and one.translation.claim is not None}
            claimed |= {fact.owner for fact in learnt if fact.joins_late and _is_not_known(fact, memory)}
            changed = [
                memory.profiles[key] for key in sorted(mapped) if key in claimed or memory.profiles[key] != before[key]
            ]
            errors = self._save(changed, learnt, persons, taken.by(mapped))
            batch.leased = batch.leased or persons.leased
        ready: list[Work] = []
        for one in work:
            if one.translation is None:
                continue
            error = _error_of(one, one.translation, errors, memory) if errors else None
            if error is None:
                ready.append(one)
            elif isinstance(error, StoreConflictError):
                again.append(one)
            else:
                batch.outcomes[one.record.id] = unwritten(one, error)
        return ready, again, others

    def _look_up(self, work: list[Work], memory: Memory, batch: _Batch) -> list[Learnt]:
        """Learn what events do not state themselves, from others of the batch and from Stripe, before they are mapped.

        Returns the product names, to be stored.
        """
        for one in work:
            if one.event.type == "customer.discount.created":
                memory.profiles[one.key] = with_coupon_ahead(one.event, memory.profiles[one.key])
        learnt = look_up(work, memory, self.reader, self.settings, int(batch.now))
        for one in work:
            customer = read_from_stripe(one.event, memory, "customer", one.event.customer)
            if customer is not None:
                one.stated = stated_by(one.event, self.settings, customer)
            one.reference_refused = reference_refused(one.event, self.settings)
        return learnt

    def _save(
        self,
        changed: Sequence[Profile],
        learnt: list[Learnt],
        persons: Persons,
        taken: Taken,
    ) -> dict[str, Exception]:
        """Claim the persons with several records, then write the records and what was learnt.

        Returns the errors by key.
        """
        now = persons.turn.now
        unmarked = self.store.save(taken.marked, [], now) if taken.marked else {}
        errors = {mark.moved_to: unmarked[mark.key] for mark in taken.marked if mark.key in unmarked}
        errors |= persons.claim({profile.key for profile in changed}, self.store)
        if errors:
            changed = [profile for profile in changed if profile.key not in errors]
            # Of a fact that is not written, also for events with another record than its owner's.
            errors |= {fact.key: errors[fact.owner] for fact in learnt if fact.owner in errors}
            learnt = [fact for fact in learnt if fact.owner not in errors]
        learnt, last = taken.parted(learnt)
        errors = persons.with_siblings(errors | self.store.save(changed, learnt, now))
        if last:
            # If this fails, the next event of the payment takes over again; one that teaches it is mapped anew.
            errors |= self.store.save([], [fact for fact in last if fact.owner not in errors], now)
        moved = {(person, record) for person, record in persons.left() if record not in errors}
        if moved:
            # If this fails, a record that moved is still listed, and is skipped by what the record itself says.
            with suppress(StoreUnavailableError):
                self.store.untie(moved)
        return errors

    def _translate(self, work: list[Work], memory: Memory, persons: Persons, batch: _Batch) -> list[Learnt]:
        """Translate one event after the other; each uses what the ones before it taught."""
        learnt: list[Learnt] = []
        now = int(batch.now)
        for one in work:
            one.translation = None
            try:
                known = known_to(one.event, memory, one.stated, self.settings)
                translation = translate(
                    one.event,
                    persons.known_of(known, one.event, memory),
                    self.settings,
                    enrich=self.enrich,
                    may_wait=one.may_wait(self.settings, now),
                )
            except EnrichError as error:
                batch.outcomes[one.record.id] = dead(one, Reason.ENRICH_FAILED, str(error))
                continue
            except Exception as error:  # noqa: BLE001 - one event that the mapper cannot take must not stop the others
                batch.outcomes[one.record.id] = unmappable(one, error)
                continue
            taught = [*map(memory.agreed, learnt_from(one.event, translation, memory.owners))]
            # An order's value is the key of another item; a name and a coupon are only stored.
            if [one for one in taught if not fits(one.key) or (one.kind == "order" and not fits(one.value))]:
                batch.outcomes[one.record.id] = oversize(one)
                continue
            one.translation = translation
            profile = translation.profile
            if translation.counted:
                profile = profile.with_delivered(translation.counted, now // DAY)
            if translation.claim:
                profile = profile.with_claim(
                    translation.dedup_key,
                    translation.claim,
                    now // DAY,
                    delivery=batch.delivery,
                    lease_until=batch.until,
                )
            profile, opt_out = persons.after(one.event, known.profile, profile, memory)
            memory.profiles[one.key] = profile
            learnt += [opt_out] if opt_out is not None else []
            for lesson in taught:
                alone = _is_stated_alone(lesson, known.profile, translation.profile)
                learnt += [lesson] if alone or memory.needs(lesson) else []
                memory.learn(lesson)
        return learnt

    def _send(self, work: list[Work], modes: Collection[bool], batch: _Batch) -> None:
        """Send each call once, also where several records contain it, and set the records' outcomes by the answers."""
        for livemode in sorted(modes, reverse=True):
            of_mode = [one for one in work if one.event.livemode is livemode]
            calls = _not_yet_sent(of_mode, batch)
            answers = self.send(calls, livemode=livemode) if calls else {}
            batch.answers.update(self._noted_by_gate(answers, livemode=livemode))
        for one in work:
            if one.translation is not None:
                batch.outcomes[one.record.id] = outcome_of(one, one.translation, batch.answers)
                batch.claimed += [one] if one.translation.claim is not None else []

    def _confirm(self, batch: _Batch) -> None:
        """Write the receipt for the claims. If that fails, the records come again and send the same calls."""
        if not (batch.claimed or batch.leased) or not self.remembers:
            return
        receipt = receipt_of(batch.claimed, batch.answers, batch.outcomes)
        try:
            self.store.put_receipt(batch.delivery, receipt, batch.now)
        except StoreUnavailableError as error:
            batch.outcomes.update((one.record.id, unwritten(one, error)) for one in batch.claimed)

    def _noted_by_gate(self, answers: Mapping[str, Answer], *, livemode: bool) -> Mapping[str, Answer]:
        """Report the answers to the circuit breaker; if they open the circuit, the answers carry the number of tries.

        A batch that sent nothing reports too: if it was the one to probe, another batch must probe in its place.
        """
        pause = None if self.gate is None else self.gate.note(answers.values(), livemode=livemode)
        if pause is None:
            return answers
        return {
            message: replace(answer, tries=pause.tries) if answer.meaning is Meaning.RETRY else answer
            for message, answer in answers.items()
        }


def _is_stated_alone(lesson: Learnt, before: Profile, after: Profile) -> bool:
    """Whether the event states a payment as an order of its own.

    Another batch, which joins it with its invoice, may write its order between the reads of the order and the record.
    """
    payment = lesson.itself
    alone = lesson.kind == "order" and not lesson.names_another and not payment.startswith("in_")
    return alone and after.has_counted(payment) and not before.has_counted(payment)


def _is_not_known(late: Learnt, memory: Memory) -> bool:
    """Whether the record of the payer knows nothing of this invoice of the payment.

    Another batch, which has read the record as it is, may be about to write the payment into it as an order of its own.
    If this batch writes it too, the other one meets a newer record, and learns of the invoice.
    """
    record = memory.profiles.get(late.owner)
    return record is not None and record.order_paid_by(late.itself) is None


def _error_of(one: Work, translation: Translation, errors: Mapping[str, Exception], memory: Memory) -> Exception | None:
    """Why the record of an event's customer was not written, or what the event taught."""
    keys = (one.key, *(lesson.key for lesson in learnt_from(one.event, translation, memory.owners)))
    return next((errors[key] for key in keys if key in errors), None)


def _wait_for(one: Work, delivery: str, until: int, batch: _Batch) -> None:
    """The record waits for the delivery of another batch."""
    # Where the same delivery holds the customer each time, its function may be dead: wait out its lease.
    died = one.waits_for == delivery
    rest = math.ceil(until - batch.now) if died else None
    one.waits_for = one.waits_for or delivery
    batch.outcomes[one.record.id] = RecordOutcome(
        one.record, Status.RETRY, Reason.UNDER_WAY, wait=rest, event=one.event
    )


def _not_yet_sent(work: list[Work], batch: _Batch) -> list[Call]:
    """The calls of these records that were not sent yet, each once."""
    under_way = set(batch.answers)
    calls: list[Call] = []
    for one in work:
        if one.translation is not None:
            one.calls = [call for call in one.translation.calls if call.message_id not in under_way]
            under_way |= {call.message_id for call in one.calls}
            calls += one.calls
    return calls
