"""What becomes of one record of a batch: its verdict, what is remembered of it, what it teaches."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import Fate, Verdicts
from stripe_to_segment.mapping.identity import SILENT, profile_key
from stripe_to_segment.mapping.translate import Outcome
from stripe_to_segment.segment_side.answers import Verdict
from stripe_to_segment.state.profile import Receipt
from stripe_to_segment.state.store import Learnt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stripe_to_segment.delivery.record import Record
    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.mapping.translate import Translation
    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Work", "judged", "lessons", "receipt_of"]


@dataclass(slots=True)
class Work:
    """One record on its way: its event, the key of its customer's record, and what it says of the person.

    `waits_for` is the delivery of another batch that was busy with its customer first.
    """

    record: Record
    event: StripeEvent
    key: str
    stated: Stated = SILENT
    reference_refused: bool = False
    waits_for: str = ""
    translation: Translation | None = None
    calls: tuple[Call, ...] = ()

    @property
    def tries(self) -> int:
        """How often it was tried to tell what its event tells, this time included."""
        told = self.translation
        earlier = None if told is None else told.profile.claims.get(told.mark)
        return 1 if earlier is None else earlier.tries + 2


def judged(one: Work, translation: Translation, answers: Mapping[str, Answer]) -> Verdicts:
    """The verdict on a record whose event was mapped, from the answers to its calls."""
    told = Verdicts(
        one.record,
        Fate.DELIVERED,
        translation.reason or "",
        event=one.event,
        calls=tuple(str(call.body.get("event", call.body["type"])) for call in one.calls),
        rung=translation.rung,
        unknown=translation.unknown,
        reference_refused=one.reference_refused,
    )
    if translation.outcome is Outcome.HELD:
        return replace(told, fate=Fate.WAITING)
    if translation.outcome is Outcome.IGNORED:
        return replace(told, fate=Fate.IGNORED)
    # All of its calls, also those that another record of this batch carries.
    given = [answers[call.message_id] for call in translation.calls]
    if all(answer.verdict is Verdict.ACCEPTED for answer in given):
        return told
    for verdict, fate in (
        # Waiting first: a call that may still arrive must not be buried with one that never will.
        (Verdict.MISCONFIGURED, Fate.RETRY),
        (Verdict.RETRY, Fate.RETRY),
        (Verdict.REFUSED, Fate.DEAD),
        (Verdict.UNWANTED, Fate.IGNORED),
    ):
        found = next((answer for answer in given if answer.verdict is verdict), None)
        if found is not None:
            return replace(
                told,
                fate=fate,
                reason=found.reason,
                detail=found.detail,
                wait=found.retry_after,
                tries=max(found.tries or 0, one.tries),
            )
    return told


def lessons(event: StripeEvent, translation: Translation) -> list[Learnt]:
    """What its event teaches about orders and products."""
    scope = event.scope
    return [
        *(
            Learnt("order", f"{scope}:{key}", value, event.created, profile_key(event))
            for key, value in translation.orders.items()
        ),
        *(
            Learnt("product", f"{scope}:{key}", value, event.created, profile_key(event))
            for key, value in translation.product_names.items()
        ),
    ]


def receipt_of(claimed: Iterable[Work], answers: Mapping[str, Answer], verdicts: Mapping[str, Verdicts]) -> Receipt:
    """What became of the calls of these records. Two of them may be copies of one event, with different calls left."""
    arrived: set[str] = set()
    fates: dict[str, set[Fate]] = defaultdict(set)
    for one in claimed:
        if one.translation is not None:
            taken = [call for call in one.translation.calls if answers[call.message_id].verdict is Verdict.ACCEPTED]
            arrived.update(call.mark for call in taken if call.body["type"] == "track")
            fates[one.translation.mark].add(verdicts[one.record.id].fate)
    return Receipt(
        frozenset(arrived | {mark for mark, found in fates.items() if found == {Fate.DELIVERED}}),
        frozenset(mark for mark, found in fates.items() if found == {Fate.DEAD}),
        frozenset(mark for mark, found in fates.items() if found == {Fate.IGNORED}),
    )
