"""One batch from the queue: read, look up, map, send in bulk, remember; and for each record what to do with it.

Nothing here raises because of Segment, and a StateTable that does not answer means waiting, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stripe_to_segment.errors import (
    EnrichError,
    MalformedEventError,
    StoreConflictError,
    StoreUnavailableError,
    ThinEventError,
)
from stripe_to_segment.identity import names_user, profile_key
from stripe_to_segment.judging import Work, judged, lessons, remembering
from stripe_to_segment.lookups import lookups
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.memory import Learnt
from stripe_to_segment.recalling import known_to, recall
from stripe_to_segment.segment_side.answers import Answer, Verdict
from stripe_to_segment.stripe_side.event import parse_event, scope_of
from stripe_to_segment.translation import refusal, translate
from stripe_to_segment.verdicts import Fate, Verdicts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Protocol

    from stripe_to_segment.circuit import Pause
    from stripe_to_segment.composing import Enrich
    from stripe_to_segment.lookups import Lookup
    from stripe_to_segment.memory import Memory, Store
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.verdicts import Record

    class Sender(Protocol):
        """Sends calls of one mode and gives each call's answer by messageId."""

        def __call__(self, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]: ...

    class Reader(Protocol):
        """Reads objects from the Stripe API; it gives what it could read and never raises."""

        def read(self, wanted: Iterable[Lookup]) -> Mapping[Lookup, JsonObject]: ...

    class Gate(Protocol):
        """Says whether calls of a mode may be sent now, and is told how that went. It must not raise."""

        def waits(self, modes: Iterable[bool]) -> Mapping[bool, Pause | None]: ...
        def told(self, answers: Collection[Answer], *, livemode: bool) -> Pause | None: ...


__all__ = ["Delivery"]

# Two invocations rarely meet on one customer; that many times in a row only when something is wrong.
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything a batch needs beside its records.

    Parameters
    ----------
    settings, enrich
        What the team chose.
    store
        The StateTable or its twin.
    send
        Sends calls of one mode; it must not raise.
    reader
        Reads from the Stripe API; None where no API key is wanted.
    gate
        Keeps events back while the endpoint is to be left alone; None where nothing is really sent.
    remembers
        False where nothing is really sent, so nothing may be remembered as sent.
    """

    settings: Settings
    store: Store
    send: Sender
    enrich: Enrich
    reader: Reader | None = None
    gate: Gate | None = None
    remembers: bool = True

    def deliver(self, records: Iterable[Record], now: float) -> list[Verdicts]:
        """Deliver a batch; `now` is in epoch seconds. Gives one verdict for each record, in their order."""
        records = list(records)
        verdicts: dict[str, Verdicts] = {}
        work: list[Work] = []
        for record in records:
            read = self._read(record)
            if isinstance(read, Work):
                work.append(read)
            else:
                verdicts[record.id] = read
        # In the order in which they are mapped and sent, identity first.
        work.sort(key=lambda one: _order(one.event, self.settings))
        accepted: set[str] = set()
        for _ in range(ROUNDS):
            if not work:
                break
            work = self._round(work, now, verdicts, accepted)
        for left in work:
            verdicts[left.record.id] = Verdicts(left.record, Fate.RETRY, "contended", event=left.event)
        return [verdicts[record.id] for record in records]

    def _read(self, record: Record) -> Work | Verdicts:
        try:
            event = parse_event(record.body)
        except ThinEventError as error:
            return Verdicts(record, Fate.IGNORED, error.reason, str(error))
        except MalformedEventError as error:
            return Verdicts(record, Fate.DEAD, error.reason, str(error))
        refused = refusal(event, self.settings)
        if refused:
            return Verdicts(record, Fate.IGNORED, refused, event=event)
        return Work(record, event, profile_key(event))

    def _round(self, work: list[Work], now: float, verdicts: dict[str, Verdicts], accepted: set[str]) -> list[Work]:
        """Do the work once and write it down; gives back what has to be done again on a newer record."""
        work = self._let_through(work, verdicts)
        if not work:
            return []
        try:
            memory = recall([one.event for one in work], self.store)
        except StoreUnavailableError as error:
            for one in work:
                verdicts[one.record.id] = Verdicts(
                    one.record, Fate.RETRY, "store_unavailable", str(error), event=one.event
                )
            for livemode in {one.event.livemode for one in work}:
                self._heeded({}, livemode=livemode)
            return []
        before = dict(memory.profiles)
        learnt = [*self._look_up(work, memory), *self._translate(work, memory, now, verdicts, accepted)]
        answers = self._send(work)
        accepted.update(message for message, answer in answers.items() if answer.verdict is Verdict.ACCEPTED)
        for one in work:
            if one.translation is not None:
                verdicts[one.record.id] = judged(one, one.translation, answers)
                memory.profiles[one.key] = remembering(
                    one.translation, before[one.key], memory.profiles[one.key], accepted, int(now) // 86_400
                )
        if not self.remembers:
            return []
        changed = [profile for key, profile in memory.profiles.items() if profile != before.get(key)]
        errors = self.store.save(changed, learnt, now)
        return self._after_save(work, errors, verdicts)

    def _let_through(self, work: list[Work], verdicts: dict[str, Verdicts]) -> list[Work]:
        """What may be sent now; the rest waits as long as it was told to, without anything being read or mapped."""
        if self.gate is None:
            return work
        waits = self.gate.waits({one.event.livemode for one in work})
        for one in work:
            pause = waits[one.event.livemode]
            if pause is not None:
                verdicts[one.record.id] = Verdicts(
                    one.record, Fate.RETRY, "circuit_open", wait=pause.seconds, tries=pause.tries, event=one.event
                )
        return [one for one in work if waits[one.event.livemode] is None]

    def _look_up(self, work: list[Work], memory: Memory) -> list[Learnt]:
        """Read from the Stripe API what the events leave open; product names are remembered."""
        if self.reader is None:
            return []
        wanted = [
            lookup for one in work for lookup in lookups(one.event, memory.profiles[one.key], memory, self.settings)
        ]
        memory.read.update(self.reader.read(wanted))
        learnt: list[Learnt] = []
        for lookup, body in memory.read.items():
            name = body.get("name")
            if lookup.kind == "product" and isinstance(name, str) and name:
                key = f"{scope_of(lookup.account, livemode=lookup.livemode)}:{lookup.id}"
                memory.product_names[key] = name
                # As of never: any product event knows better.
                learnt.append(Learnt("product", key, name, 0))
        return learnt

    def _translate(
        self, work: list[Work], memory: Memory, now: float, verdicts: dict[str, Verdicts], accepted: set[str]
    ) -> list[Learnt]:
        """Translate one after the other; what an event teaches serves the next."""
        learnt: list[Learnt] = []
        under_way = set(accepted)
        hold_after = int(now) - self.settings.identity_hold_seconds if self.settings.identity_hold_seconds else None
        for one in work:
            known = known_to(one.event, memory)
            one.translation, one.calls = None, ()
            try:
                translation = translate(one.event, known, self.settings, enrich=self.enrich, hold_after=hold_after)
            except EnrichError as error:
                verdicts[one.record.id] = Verdicts(one.record, Fate.DEAD, "enrich_failed", str(error), event=one.event)
                continue
            except Exception as error:  # noqa: BLE001 - one event that the mapper cannot take must not stop the others
                verdicts[one.record.id] = Verdicts(
                    one.record, Fate.DEAD, "mapper_failed", f"{type(error).__name__} while mapping", event=one.event
                )
                continue
            one.translation = translation
            one.calls = tuple(call for call in translation.calls if call.message_id not in under_way)
            under_way.update(call.message_id for call in one.calls)
            profile = translation.profile
            if translation.counted:
                profile = profile.with_marks([translation.counted], int(now) // 86_400)
            memory.profiles[one.key] = profile
            for lesson in lessons(one.event, translation):
                (memory.orders if lesson.kind == "order" else memory.product_names)[lesson.key] = lesson.value
                learnt.append(lesson)
        return learnt

    def _send(self, work: list[Work]) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        for livemode in sorted({one.event.livemode for one in work}, reverse=True):
            calls = [call for one in work if one.event.livemode is livemode for call in one.calls]
            told = self.send(calls, livemode=livemode) if calls else {}
            answers.update(self._heeded(told, livemode=livemode))
        return answers

    def _heeded(self, answers: Mapping[str, Answer], *, livemode: bool) -> Mapping[str, Answer]:
        """The answers, once the gate knows them; with how often it was so, where they open it.

        It is told too that nothing was asked: who was let through alone must not keep the others waiting.
        """
        pause = None if self.gate is None else self.gate.told(answers.values(), livemode=livemode)
        if pause is None:
            return answers
        return {
            message: replace(answer, tries=pause.tries) if answer.verdict is Verdict.RETRY else answer
            for message, answer in answers.items()
        }

    def _after_save(
        self, work: list[Work], errors: Mapping[str, Exception], verdicts: dict[str, Verdicts]
    ) -> list[Work]:
        again: list[Work] = []
        for one in work if errors else ():
            if one.translation is None:
                continue
            keys = (one.key, *(lesson.key for lesson in lessons(one.event, one.translation)))
            error = next((errors[key] for key in keys if key in errors), None)
            if error is None:
                continue
            if isinstance(error, StoreConflictError):
                again.append(one)
            else:
                # Delivered but not written down: a repeat costs a call with the same messageId.
                verdicts[one.record.id] = Verdicts(
                    one.record, Fate.RETRY, "store_unavailable", str(error), event=one.event
                )
        return again


def _order(event: StripeEvent, settings: Settings) -> tuple[bool, int, int]:
    """Identity-bearing events first, then by time; of one second created < updated < deleted."""
    return not names_user(event, settings), event.created, CATALOG[event.type].rank
