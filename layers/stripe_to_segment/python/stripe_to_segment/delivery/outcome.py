"""The outcome of one record of a batch, the facts learnt from it, and the receipt of a delivery."""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.errors import UnreadableRecordError
from stripe_to_segment.mapping.identity import SILENT
from stripe_to_segment.mapping.imports import row_of
from stripe_to_segment.mapping.translate import EventOutcome, MayWait
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import Meaning
from stripe_to_segment.state.claim import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stripe_to_segment.delivery.record import Record
    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.mapping.translate import Translation
    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Work", "dead", "outcome_of", "oversize", "receipt_of", "unmappable", "unwritten"]


@dataclass(slots=True)
class Work:
    """One record in delivery: its event, the key of its customer's record, and its statements about the person.

    `order` is its place in the batch. `waits_for` is the delivery of the other batch that has leased its customer.
    """

    record: Record
    event: StripeEvent
    key: str
    order: tuple[bool, int, int, int] = (False, 0, 0, 0)
    stated: Stated = SILENT
    reference_refused: bool = False
    waits_for: str = ""
    translation: Translation | None = None
    calls: Sequence[Call] = ()

    def may_wait(self, settings: Settings, now: int) -> MayWait:
        """Whether the event is young enough, at an epoch second.

        For its payment it waits from its arrival: after an outage all events of a payment come late. For its user it
        waits from its creation: if it comes late, the identify that follows joins its calls to the user.
        """
        created, arrived = self.event.created, max(self.event.created, self.record.queued_at)
        age, hold = now - (created if self.event.listing is not None else arrived), settings.payment_hold_seconds
        # What goes back waits longer: its payment may have come with it and wait too, and is to be counted first.
        young = age < hold or (age < hold + hold // 2 and row_of(self.event).goes_back)
        return MayWait(now - created < settings.identity_hold_seconds > 0, hold > 0 and young)

    @property
    def tries(self) -> int:
        """The number of attempts to send this event's calls, this one included."""
        mapped = self.translation
        earlier = None if mapped is None else mapped.profile.claims.get(mapped.dedup_key)
        return 1 if earlier is None else earlier.tries + 2


def outcome_of(one: Work, translation: Translation, answers: Mapping[str, Answer]) -> RecordOutcome:
    """The outcome of a record whose event was mapped, from the answers to its calls."""
    delivered = RecordOutcome(
        one.record,
        Status.DELIVERED,
        translation.reason or "",
        "UNKNOWN_USER_POLICY is skip" if translation.reason is Reason.UNKNOWN_USER else "",
        event=one.event,
        calls=tuple([str(call.body.get("event", call.body["type"])) for call in one.calls]),
        identity_source=translation.identity_source,
        unknown=translation.unknown,
        reference_refused=one.reference_refused,
    )
    if translation.outcome is EventOutcome.HELD:
        return replace(delivered, status=Status.WAITING)
    if translation.outcome is EventOutcome.IGNORED:
        return replace(delivered, status=Status.IGNORED)
    # All calls of the event, also those that were sent with another record of this batch.
    given = [answers[call.message_id] for call in translation.calls]
    missed = [answer for answer in given if answer.meaning is not Meaning.ACCEPTED]
    if not missed:
        return delivered
    for meaning, status in (
        # Waiting first: a call that may still arrive must not be dead-lettered with one that never will.
        (Meaning.MISCONFIGURED, Status.RETRY),
        (Meaning.RETRY, Status.RETRY),
        (Meaning.REFUSED, Status.DEAD),
        (Meaning.UNWANTED, Status.IGNORED),
    ):
        found = next((answer for answer in missed if answer.meaning is meaning), None)
        if found is not None:
            return replace(
                delivered,
                status=status,
                reason=found.reason,
                detail=found.detail,
                wait=found.retry_after,
                tries=max(found.tries or 0, one.tries),
            )
    return delivered


def receipt_of(
    claimed: Iterable[Work], answers: Mapping[str, Answer], outcomes: Mapping[str, RecordOutcome]
) -> Receipt:
    """The receipt for the calls of these records. Two records may be copies of one event, with different calls left."""
    arrived: set[str] = set()
    ended: dict[str, Status | None] = {}
    for one in claimed:
        if one.translation is not None:
            tracks = [call for call in one.translation.calls if call.body["type"] == "track"]
            arrived |= {call.dedup_key for call in tracks if answers[call.message_id].meaning is Meaning.ACCEPTED}
            dedup_key, status = one.translation.dedup_key, outcomes[one.record.id].status
            # None where they ended in different ways.
            ended[dedup_key] = status if ended.get(dedup_key, status) is status else None
    return Receipt(
        frozenset(arrived | {dedup_key for dedup_key, status in ended.items() if status is Status.DELIVERED}),
        frozenset({dedup_key for dedup_key, status in ended.items() if status is Status.DEAD}),
        frozenset({dedup_key for dedup_key, status in ended.items() if status is Status.IGNORED}),
    )


def unwritten(one: Work, error: Exception) -> RecordOutcome:
    """The outcome of a record for which the StateTable could not be read or written; it waits."""
    reason = error.reason if isinstance(error, UnreadableRecordError) else Reason.STORE_UNAVAILABLE
    return RecordOutcome(one.record, Status.RETRY, reason, str(error), event=one.event)


def unmappable(one: Work, error: Exception) -> RecordOutcome:
    """The outcome of a record on whose event the mapper failed."""
    # The error's text is left out: it may quote the event.
    reason = Reason.NESTED_TOO_DEEP if isinstance(error, RecursionError) else Reason.MAPPER_FAILED
    return dead(one, reason, f"{type(error).__name__} while mapping")


def dead(one: Work, reason: str, detail: str) -> RecordOutcome:
    """The outcome of a record that can never be delivered."""
    return RecordOutcome(one.record, Status.DEAD, reason, detail, event=one.event)


def oversize(one: Work) -> RecordOutcome:
    """An id is too long for a key of the StateTable."""
    return dead(one, Reason.OVERSIZE_ID, "an id in the event is longer than any of Stripe's")
