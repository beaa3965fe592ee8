"""Which sum of the audit a call adds to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.disputes import DisputeLost, DisputeWon, PaymentDisputed
from stripe_to_segment.segment_side.calls import dedup_key_of, message_id
from stripe_to_segment.state.sums import UNCOUNTED, Kind, kind_by_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.segment_side.calls import Call, CallBody
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.refund import Dispute
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["fact_id", "kind_of", "kinds_of", "was_sent"]

# An import and an event may both state the amount of one.
DISPUTES = (PaymentDisputed, DisputeWon, DisputeLost)


def kinds_of(
    calls: Iterable[Call], facts: Collection[Fact], event: StripeEvent, known: Known, settings: Settings
) -> str:
    """One letter for each track of an event, in their order: its `Kind`, or UNCOUNTED. Empty where their names say it.

    Read from the facts and not from the calls, because a deployer may rename these.
    """
    tracks = [call.body for call in calls if call.body["type"] == "track"]
    renamed = {body.get("event") for body in tracks} - {fact.name for fact in facts}
    if not (renamed or [fact for fact in facts if isinstance(fact.event, DISPUTES)]):
        return ""
    by_name = [kind_by_name(body) for body in tracks]
    stated = {fact_id(fact.name, fact.key, event, settings): fact for fact in facts}
    kinds = [
        kind_of(fact, body, event, known, settings) if (fact := stated.get(body["messageId"])) is not None else said
        for body, said in zip(tracks, by_name, strict=True)
    ]
    return "" if kinds == by_name else "".join(kinds)


def fact_id(name: str, key: str, event: StripeEvent, settings: Settings) -> str:
    """The messageId of the call that states a fact."""
    return message_id(settings.source, event.scope, "track", f"{name}|{key}")


def kind_of(fact: Fact, body: CallBody, event: StripeEvent, known: Known, settings: Settings) -> str:
    """The kind of the call of a fact, UNCOUNTED where another call states the same amount."""
    stated = fact.event
    of_import = event.listing is not None
    if isinstance(stated, DisputeWon | DisputeLost) and of_import:
        # For a dispute that is over, the history of an import sends only the end; the opening is left to its own event
        # where one of the dispute has come.
        opened = was_sent(("Payment Disputed",), fact.key, event, known, settings) or _has_begun(fact.key, known)
        return UNCOUNTED if opened else Kind.DISPUTE
    if isinstance(stated, PaymentDisputed) and not of_import and _listed_before(fact.key, known):
        ended = was_sent(("Dispute Won", "Dispute Lost"), fact.key, event, known, settings)
        return UNCOUNTED if ended else Kind.DISPUTE
    # Of a fact that another event has claimed, the call is that event's.
    return kind_by_name({**body, "event": stated.event_name})


def was_sent(names: Iterable[str], key: str, event: StripeEvent, known: Known, settings: Settings) -> bool:
    """Whether a call of one of these names for the same object was sent, or is claimed."""
    stated = {dedup_key_of(fact_id(name, key, event, settings)) for name in names}
    claims = known.profile.claims.values()
    return not stated.isdisjoint(known.profile.ledger) or any(not stated.isdisjoint(claim.tracks) for claim in claims)


def _listed_before(dispute_id: str, known: Known) -> bool:
    """Whether an import has listed a dispute before any event moved its funds."""
    return any(one.listed_at is not None for one in _remembered(dispute_id, known))


def _has_begun(dispute_id: str, known: Known) -> bool:
    """Whether an event has moved the funds of a dispute before any import has listed it."""
    return any(one.listed_at is None for one in _remembered(dispute_id, known))


def _remembered(dispute_id: str, known: Known) -> Iterator[Dispute]:
    for _, payment in known.profile.listed_payments():
        if dispute_id in payment.disputes:
            yield payment.disputes[dispute_id]
