"""One batch from the queue: load, claim, send in bulk, and give each record its outcome.

No failure of Segment raises here. Where the StateTable does not answer, events wait; nothing is guessed.
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.claiming import Claiming
from stripe_to_segment.delivery.load import recall, unreadable
from stripe_to_segment.delivery.outcome import Work, outcome_of, receipt_of, unmappable, unwritten
from stripe_to_segment.delivery.payers import owned
from stripe_to_segment.delivery.progress import Prepared, Progress
from stripe_to_segment.delivery.reading import Reading, waits_for_circuit
from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.errors import StoreUnavailableError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import Meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Protocol

    from stripe_to_segment.delivery.load import Reader
    from stripe_to_segment.delivery.reading import Gate, ThinReader
    from stripe_to_segment.delivery.record import Record
    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.circuit import Circuit
    from stripe_to_segment.state.store import Memory, Store

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
        progress, records = Progress(now, int(now) + self.lease), list(records)
        work: list[Work] = []
        for read in Reading(self.settings, self.gate, self.thin_reader).work(records):
            if isinstance(read, Work):
                work.append(read)
            else:
                progress.outcomes[read.record.id] = read
        conflicts = 0
        while work:
            # In the order in which they are mapped and sent, identity first.
            work.sort(key=lambda one: one.order)
            again, others = self._round(work, progress)
            conflicts += bool(again)
            if conflicts == ROUNDS:
                for left in again:
                    progress.outcomes[left.record.id] = RecordOutcome(
                        left.record, Status.RETRY, Reason.CONTENDED, event=left.event
                    )
                again = []
            if others and not again:
                # First release the customers that are done: otherwise two batches could wait for each other in vain.
                self._confirm(progress)
                progress.release()
                if not self._await_turn(progress):
                    break
            work = [*again, *others]
        self._confirm(progress)
        return [progress.outcomes[record.id] for record in records]

    def _await_turn(self, progress: Progress) -> bool:
        """Wait for other batches that hold a lease on the same customers; False when no time is left.

        A record that goes back to the queue would wait longer than this.
        """
        waited = self.lease - (progress.until - progress.now)
        moment = self.wait(TURN_SECONDS) if self.wait is not None and waited < LONGEST_WAIT else None
        progress.now = progress.now if moment is None else moment
        return moment is not None

    def _round(self, work: list[Work], progress: Progress) -> tuple[list[Work], list[Work]]:
        """Map the work, write the claims, send the calls.

        Returns the work to map again on a newer record, and the work that waits for another batch.
        """
        # Events of a mode whose circuit this environment knows to be open are not even looked up.
        work = self._let_through(work, {}, progress)
        prepared = self._isolated(work, progress) if work else Prepared()
        self._send(prepared.ready, prepared.modes, progress)
        return prepared.again, prepared.others

    def _isolated(self, work: list[Work], progress: Progress) -> Prepared:
        """Prepare the work; an unforeseen error ends one record alone: work that fails is halved to find it."""
        try:
            return self._prepare(work, progress)
        except Exception as error:  # noqa: BLE001 - one record, or what is kept of its customer, must not stop the others
            if len(work) == 1:
                progress.outcomes[work[0].record.id] = unmappable(work[0], error)
                return Prepared()
        middle = len(work) // 2
        one, other = self._isolated(work[:middle], progress), self._isolated(work[middle:], progress)
        return Prepared(
            one.ready + other.ready, one.again + other.again, one.others + other.others, one.modes | other.modes
        )

    def _prepare(self, work: list[Work], progress: Progress) -> Prepared:
        """Map the work and write its claims."""
        circuits = self.gate.asks({one.event.livemode for one in work if not one.event.silent}) if self.gate else ()
        try:
            said = [one.event for one in work]
            memory = recall(said, self.store, circuits)
            events = owned(said, memory, self.store, self.reader)
        except StoreUnavailableError as error:
            progress.outcomes.update((one.record.id, unwritten(one, error)) for one in work)
            return Prepared()
        for one, event in zip(work, events, strict=True):
            one.event, one.key = event, event.profile_key
        if memory.unreadable:
            work = progress.readable(work, lambda one: unreadable(one.event, memory))
        work = self._let_through(work, memory.circuits, progress)
        modes = {one.event.livemode for one in work if not one.event.silent}
        free, others = self._by_turn(work, memory, progress)
        claimed = Claiming(self.settings, self.store, self.enrich, self.reader, self.remembers).claim(
            free, memory, progress
        )
        return Prepared(claimed.ready, claimed.again, others + claimed.others, modes)

    def _let_through(self, work: list[Work], circuits: Mapping[str, Circuit], progress: Progress) -> list[Work]:
        """The work that these circuits let through; the rest waits for the circuit's pause and is not mapped.

        A listed object that sends nothing does not wait.
        """
        if self.gate is None:
            return work
        waits = self.gate.waits({one.event.livemode for one in work if not one.event.silent}, circuits)
        for one in work:
            pause = None if one.event.silent else waits[one.event.livemode]
            if pause is not None:
                progress.outcomes[one.record.id] = waits_for_circuit(one.record, one.event, pause)
        return [one for one in work if one.event.silent or waits[one.event.livemode] is None]

    @staticmethod
    def _by_turn(work: list[Work], memory: Memory, progress: Progress) -> tuple[list[Work], list[Work]]:
        """The work whose customers are free, and the work whose customers another batch has leased.

        Calls of two batches could overtake each other on the way to Segment.
        """
        free: list[Work] = []
        others: list[Work] = []
        for one in work:
            profile = memory.profiles[one.key]
            # The claim may be this batch's own: DynamoDB wrote it, and the answer was lost.
            if profile.lease_until > progress.now and profile.delivery not in {"", progress.delivery}:
                progress.wait_for(one, profile.delivery, profile.lease_until)
                others.append(one)
            else:
                free.append(one)
        return free, others

    def _send(self, work: list[Work], modes: Collection[bool], progress: Progress) -> None:
        """Send each call once, also where several records contain it, and set the records' outcomes by the answers."""
        for livemode in sorted(modes, reverse=True):
            of_mode = [one for one in work if one.event.livemode is livemode]
            calls = _not_yet_sent(of_mode, progress)
            answers = self.send(calls, livemode=livemode) if calls else {}
            progress.answers.update(self._noted_by_gate(answers, livemode=livemode))
        for one in work:
            if one.translation is not None:
                progress.outcomes[one.record.id] = outcome_of(one, one.translation, progress.answers)
                progress.claimed += [one] if one.translation.claim is not None else []

    def _confirm(self, progress: Progress) -> None:
        """Write the receipt for the claims. If that fails, the records come again and send the same calls."""
        if not (progress.claimed or progress.leased) or not self.remembers:
            return
        receipt = receipt_of(progress.claimed, progress.answers, progress.outcomes)
        try:
            self.store.put_receipt(progress.delivery, receipt, progress.now)
        except StoreUnavailableError as error:
            progress.outcomes.update((one.record.id, unwritten(one, error)) for one in progress.claimed)

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


def _not_yet_sent(work: list[Work], progress: Progress) -> list[Call]:
    """The calls of these records that were not sent yet, each once."""
    under_way = set(progress.answers)
    calls: list[Call] = []
    for one in work:
        if one.translation is not None:
            one.calls = [call for call in one.translation.calls if call.message_id not in under_way]
            under_way |= {call.message_id for call in one.calls}
            calls += one.calls
    return calls
