"""Decide what an event says: its facts, the record after it, and what it teaches."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.identity import with_person
from stripe_to_segment.mapping.learning import Lesson
from stripe_to_segment.mapping.payments import Paid
from stripe_to_segment.mapping.traits import with_personal
from stripe_to_segment.segment_side.calls import dedup_key_for
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from stripe_to_segment.mapping.catalog import Row
    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.claim import Claim
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Decided", "EventToMap", "decide"]


@frozen
class EventToMap:
    """An event with its row of the catalog, what is known, the settings, and its claim of an earlier attempt."""

    event: StripeEvent
    row: Row
    known: Known
    settings: Settings
    claim: Claim


@frozen
class Decided:
    """The facts of an event, the record after it with what it says of the person, and what it teaches.

    `counted` are the deduplication keys of its payment.
    """

    facts: list[Fact]
    profile: Profile
    lesson: Lesson
    counted: tuple[str, ...]


def decide(this: EventToMap) -> Decided:
    """Decide what the event says. Once its calls are claimed, what it teaches was written down with them."""
    event, row, known, claim = this.event, this.row, this.known, this.claim
    facts = [] if claim.tracks and not claim.given_up else list(row.facts(event, known))
    lesson = Lesson(known.profile) if claim.tracks else row.learns(event, known, row.rank)
    profile, counted = _with_payment(event, lesson)
    if counted and lesson.counted is not None and event.sends_payments:
        profile, facts = _with_late_shares(profile, facts, lesson.counted.order)
    if not claim.tracks:
        profile = with_personal(with_person(profile, known.stated, event.created), event, this.settings)
    return Decided(facts, profile, lesson, counted)


def _with_payment(event: StripeEvent, lesson: Lesson) -> tuple[Profile, tuple[str, ...]]:
    """The record with the event's payment, which counts once even if several events state it, and its keys."""
    profile = lesson.profile
    if lesson.moved is not None:
        profile = profile.with_payment(*lesson.moved)
    if lesson.counted is None:
        return profile, ()
    order, payment = lesson.counted.order, lesson.counted.payment
    if event.listing is not None and not event.sends_payments:
        payment = replace(payment, listed_at=event.listing.moment)
    profile = profile.regained(order, payment.intent) if payment.intent else profile
    keys = tuple(dedup_key_for(event.scope, "counted", key) for key in lesson.counted.keys)
    listed = profile.payment(order)
    begun = listed is not None and listed.begun
    if not begun and (any(key in profile.ledger for key in keys) or (listed is not None and listed.complete)):
        if listed is not None and listed.listed_at is not None and event.sends_payments:
            # It is stated now: a payment that is attached to an invoice later is not sent again as a part of it.
            profile = profile.with_payment(order, replace(listed, listed_at=None))
        return profile, keys
    if listed is None and not payment.total:
        # A payment of 0 cannot be refunded, so it is not listed.
        return replace(profile, paid={payment.currency: 0, **profile.paid}), keys
    if listed is None:
        return profile.with_payment(order, payment), keys
    return profile.with_payment(order, payment.completing(listed)), keys


def _with_late_shares(profile: Profile, facts: list[Fact], order: str) -> tuple[Profile, list[Fact]]:
    """The payment states the shares of revenue and tax in the refunds that came before it, which were unknown then."""
    written = profile.payments.get(order, {})
    if "refunds" not in written:
        return profile, facts
    payment, revenue, tax = Payment.read(written).with_late_shares()
    if revenue is None and tax is None:
        return profile, facts
    stated: list[Fact] = []
    for fact in facts:
        event = fact.event
        if isinstance(event, Paid) and event.order_id == order:
            shares = major(revenue, payment.currency), major(tax, payment.currency)
            event = replace(event, revenue_refunded=shares[0], tax_refunded=shares[1])
        stated.append(replace(fact, event=event))
    return profile.with_payment(order, payment), stated
