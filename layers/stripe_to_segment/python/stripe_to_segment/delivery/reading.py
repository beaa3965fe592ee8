"""Read the records of a batch: the event in each, or the object that an import listed, and what a thin event names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from stripe_to_segment.delivery.load import storable
from stripe_to_segment.delivery.outcome import Work, oversize, unmappable
from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.catalog import refusal
from stripe_to_segment.mapping.identity import stated_by
from stripe_to_segment.mapping.imports import row_of
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_side.event import read_json
from stripe_to_segment.stripe_side.listing import is_listed, is_newer, listed_event
from stripe_to_segment.stripe_side.thin import ThinEvent, Unread, sent_event

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Protocol

    from stripe_to_segment.delivery.circuit_breaker import Pause
    from stripe_to_segment.delivery.record import Record
    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.circuit import Circuit
    from stripe_to_segment.stripe_side.event import EventHead, StripeEvent

    class Gate(Protocol):
        """Decides whether calls of a mode may be sent now, and takes the answers afterwards. It must not raise."""

        def asks(self, modes: Iterable[bool]) -> Collection[str]:
            """The circuits that have to be looked up."""

        def waits(self, modes: Iterable[bool], looked_up: Mapping[str, Circuit]) -> Mapping[bool, Pause | None]:
            """The pause of each mode, None where its calls may be sent."""

        def note(self, answers: Collection[Answer], *, livemode: bool) -> Pause | None:
            """Take these answers; returns the pause that they cause, if any."""

    class ThinReader(Protocol):
        """Reads the snapshots of thin events. It must not raise."""

        def read(self, wanted: Iterable[ThinEvent]) -> Mapping[ThinEvent, StripeEvent | Unread]:
            """The snapshot of each, or why it could not be read."""


__all__ = ["Gate", "Reading", "ThinReader", "waits_for_circuit"]

NO_READER = Unread(Reason.NO_STRIPE_API_KEY, "thin events are read from the Stripe API")


@frozen
class Reading:
    """Reads records; the parameters are those of Delivery."""

    settings: Settings
    gate: Gate | None = None
    thin_reader: ThinReader | None = None

    def work(self, records: Iterable[Record]) -> Iterator[Work | RecordOutcome]:
        """The work of each record, or its outcome where there is nothing to map."""
        for record, event in self._whole([(record, self._read(record)) for record in records]):
            yield event if isinstance(event, RecordOutcome) else self._work(record, event)

    def _read(self, record: Record) -> StripeEvent | ThinEvent | RecordOutcome:
        try:
            data = read_json(record.body)
            if is_listed(data) and is_newer(data):
                said = "a newer release has listed this object"
                return RecordOutcome(record, Status.RETRY, Reason.NEWER_RECORD, said)
            event = listed_event(data) if is_listed(data) else sent_event(data)
        except MalformedEventError as error:
            return RecordOutcome(record, Status.DEAD, error.reason, str(error))
        if event is None:
            return RecordOutcome(record, Status.IGNORED, Reason.LISTED)
        refused = refusal(event, self.settings)
        return RecordOutcome(record, Status.IGNORED, Reason.NOT_WANTED, refused, event=event) if refused else event

    def _whole(
        self, read: list[tuple[Record, StripeEvent | ThinEvent | RecordOutcome]]
    ) -> list[tuple[Record, StripeEvent | RecordOutcome]]:
        """The same with the snapshots of thin events in their places, or their outcomes."""
        thin = [event for _, event in read if isinstance(event, ThinEvent)]
        if not thin:
            return cast("list[tuple[Record, StripeEvent | RecordOutcome]]", read)
        # Events that cannot be sent now are not read now.
        waits = self.gate.waits({event.livemode for event in thin}, {}) if self.gate else {}
        wanted = [event for event in thin if waits.get(event.livemode) is None]
        snapshots = self.thin_reader.read(wanted) if self.thin_reader and wanted else dict.fromkeys(wanted, NO_READER)
        whole: list[tuple[Record, StripeEvent | RecordOutcome]] = []
        for record, event in read:
            if not isinstance(event, ThinEvent):
                whole.append((record, event))
            elif (pause := waits.get(event.livemode)) is not None:
                whole.append((record, waits_for_circuit(record, event, pause)))
            else:
                whole.append((record, self._snapshot(record, event, snapshots[event])))
        return whole

    def _snapshot(self, record: Record, thin: ThinEvent, found: StripeEvent | Unread) -> StripeEvent | RecordOutcome:
        if isinstance(found, Unread):
            status = Status.DEAD if found.hopeless else Status.RETRY
            return RecordOutcome(record, status, found.reason, found.detail, event=thin)
        refused = refusal(found, self.settings)
        return RecordOutcome(record, Status.IGNORED, Reason.NOT_WANTED, refused, event=found) if refused else found

    def _work(self, record: Record, event: StripeEvent) -> Work | RecordOutcome:
        work = Work(record, event, "")
        try:
            work.key = event.profile_key
            # Computed here, where an error ends only this record; the event caches the keys.
            fit, work.stated = storable(event), stated_by(event, self.settings)
            work.order = _order(event, work.stated)
        except Exception as error:  # noqa: BLE001 - one event that cannot be read must not stop the others
            return unmappable(work, error)
        return work if fit else oversize(work)


def waits_for_circuit(record: Record, event: EventHead, pause: Pause) -> RecordOutcome:
    """The record waits for the circuit's pause."""
    return RecordOutcome(record, Status.RETRY, Reason.CIRCUIT_OPEN, wait=pause.seconds, tries=pause.tries, event=event)


def _order(event: StripeEvent, stated: Stated) -> tuple[bool, int, int, int]:
    """The sort key: names and coupons first, then events that name the user, those that wait last; otherwise by time.

    Within one second created < updated < deleted.
    """
    row = row_of(event)
    return row.turn >= 0 and stated.user_id is None, row.turn, event.created, row.rank
