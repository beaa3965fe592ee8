"""Map one Stripe event, with the knowledge about its customer, to Segment calls. Pure: no I/O, no clock."""

from __future__ import annotations

from copy import replace
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.compose import NO_CALLS, compose
from stripe_to_segment.mapping.decide import EventToMap, decide
from stripe_to_segment.mapping.identify import identify, named_without_calls
from stripe_to_segment.mapping.identity import (
    IdentitySource,
    fallback_anonymous_id,
    own_id,
    resolve,
    with_person,
)
from stripe_to_segment.mapping.imports import enrich_for, row_of
from stripe_to_segment.mapping.unknown_numbers import unknown_numbers
from stripe_to_segment.mapping.withhold import with_all_withheld, with_withheld
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.calls import dedup_key_for
from stripe_to_segment.state.claim import NO_CLAIM
from stripe_to_segment.state.settle import withdrawn
from stripe_to_segment.state.withheld import Why
from stripe_to_segment.stripe_side.fields import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.mapping.catalog import Row
    from stripe_to_segment.mapping.compose import Composed, Enrich
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.learning import Lesson
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.claim import Claim
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

# The name in a record's `as_of` for the newest event whose wait for its user brought none, and the seconds within which
# the next one does not wait again.
WAITED, IN_VAIN_SECONDS = "waited", 10

__all__ = ["EventOutcome", "MayWait", "Translation", "event_dedup_key", "translate"]


class EventOutcome(StrEnum):
    """The outcome of mapping an event."""

    MAPPED = "mapped"
    IGNORED = "ignored"
    HELD = "held"


class MayWait(NamedTuple):
    """Whether an event is young enough to be held for others.

    `identity` holds an event with an unknown user, until one that names the user arrives. `payment` holds an event with
    an unknown payment, until one that names the payment's customer or order arrives, or says why it failed.
    """

    identity: bool = False
    payment: bool = False


@frozen
class Translation:
    """The calls of one event, and the knowledge after it.

    `calls` leaves out calls that the ledger lists as delivered. The profile treats the others as sent, so `claim` is
    written with it. The event's own `dedup_key` goes into the ledger when all calls are delivered; `counted`, the keys
    of its payment, go into it with the profile. `unknown` names the numbers that the payload does not state.
    """

    outcome: EventOutcome
    profile: Profile
    dedup_key: str
    reason: Reason | None = None
    calls: tuple[Call, ...] = ()
    counted: tuple[str, ...] = ()
    claim: Claim | None = None
    identity_source: IdentitySource | None = None
    unknown: tuple[str, ...] = ()
    orders: Mapping[str, str] = field(default_factory=dict)
    product_names: Mapping[str, str] = field(default_factory=dict)
    coupons: Mapping[str, str] = field(default_factory=dict)


def event_dedup_key(event: StripeEvent) -> str:
    """The ledger's deduplication key for an event delivered as a whole."""
    about = text(event.object.get("id")) or ""
    return dedup_key_for(event.scope, event.id, event.type, str(event.created), about)


def translate(
    event: StripeEvent,
    known: Known,
    settings: Settings,
    *,
    enrich: Enrich,
    may_wait: MayWait = MayWait(),  # noqa: B008 - a constant
) -> Translation:
    """Map one event of a type that the catalog has.

    Parameters
    ----------
    event
        The event.
    known
        Its customer's record, product names and orders, and the event's statements about the person.
    settings
        The settings.
    enrich
        The team's own function, which may change or drop each call.
    may_wait
        Whether it may be held; by default it is not.

    Raises
    ------
    EnrichError
        where `enrich` fails on one of the calls.
    """
    row, dedup_key = row_of(event), event_dedup_key(event)
    if dedup_key in known.profile.ledger:
        return Translation(EventOutcome.IGNORED, known.profile, dedup_key, Reason.ALREADY_DELIVERED)
    claim = known.profile.claims.get(dedup_key, NO_CLAIM)
    this = EventToMap(event, row, known, settings, claim)
    decided = decide(this)
    profile, lesson = decided.profile, decided.lesson
    fallback_id = own_id(profile.fallback_id or fallback_anonymous_id(event), event, settings)
    who = resolve(known.stated, profile, fallback_id, event, settings)
    source = IdentitySource.UNKNOWN if who is None else who.identity_source
    outcome, composed = EventOutcome.IGNORED, NO_CALLS
    reason: Reason | None = None
    if profile.opted_out or event.silent:
        reason = Reason.OPTED_OUT if profile.opted_out else Reason.LISTED
        if not event.silent:
            profile = with_all_withheld(profile, decided.facts, this, Why.OPTED_OUT)
            profile = withdrawn(profile, dedup_key, Why.OPTED_OUT)
        profile = named_without_calls(known.profile, profile)
    elif not claim.tracks and (waits := _waits_for(row, event, known, source, may_wait)):
        held = Translation(EventOutcome.HELD, known.profile, dedup_key, waits, identity_source=source)
        return _held(event, known, lesson, held)
    elif who is None:
        reason, why = Reason.UNKNOWN_USER, Why.UNKNOWN_USER
        profile = withdrawn(with_all_withheld(profile, decided.facts, this, why), dedup_key, why)
    else:
        plan = identify(this, decided, who, fallback_id)
        composed = compose(this, decided.facts, plan, enrich_for(event, enrich))
        after = plan.after() if composed.every else profile
        profile = with_withheld(after, decided.facts, composed.every, this)
        if composed.undelivered and source is IdentitySource.UNKNOWN and settings.identity_hold_seconds:
            # Written with the claim of the calls.
            profile = _waited_for(profile, event)
        outcome, reason = EventOutcome.MAPPED, _why_nothing(composed)
    unknown = unknown_numbers(decided.facts, event, known) if outcome is EventOutcome.MAPPED else ()
    return Translation(
        outcome,
        profile,
        dedup_key,
        reason,
        composed.undelivered,
        decided.counted,
        composed.claim,
        source,
        unknown,
        lesson.orders,
        lesson.product_names,
        lesson.coupons,
    )


def _held(event: StripeEvent, known: Known, lesson: Lesson, held: Translation) -> Translation:
    """An event that waits for others; they can already use the user and the payment that it names."""
    if held.reason is Reason.WAITING_FOR_IDENTITY:
        return held
    orders = lesson.orders
    if event.customer is None:
        # Which invoice a payment has paid is certain, whoever the customer is.
        joins = event.type == "invoice_payment.paid"
        orders = {payment: order for payment, order in orders.items() if joins and payment != order}
    elif event.type == "invoice.paid":
        # While it waits, what paid it is a guess.
        orders = {payment: order for payment, order in orders.items() if payment == order}
    held = replace(held, orders=orders)
    if known.left_user or known.left_group:
        # The user and the group that the customer leaves get their calls with the event.
        return held
    profile = known.profile if lesson.claimed is None else known.profile.with_payment(*lesson.claimed)
    profile = profile if lesson.attempt is None else profile.with_failed_attempt(lesson.attempt)
    return replace(held, profile=with_person(profile, known.stated, event.created))


def _waits_for(row: Row, event: StripeEvent, known: Known, source: IdentitySource, may_wait: MayWait) -> Reason | None:
    """Why the event waits for others, while it is young: for those of its payment, or those that name its user."""
    if may_wait.payment and row.holds is not None and row.holds(event, known):
        return Reason.WAITING_FOR_PAYMENT
    if may_wait.identity and source is IdentitySource.UNKNOWN and _may_be_named_later(event):
        # The events of one Checkout come within seconds; those of a busy customer go on and on.
        in_vain = event.created - known.profile.as_of.get(WAITED, -IN_VAIN_SECONDS) < IN_VAIN_SECONDS
        return None if in_vain else Reason.WAITING_FOR_IDENTITY
    return None


def _waited_for(profile: Profile, event: StripeEvent) -> Profile:
    """The record after an event whose user did not become known."""
    newer = _may_be_named_later(event) and event.created > profile.as_of.get(WAITED, 0)
    return replace(profile, as_of={**profile.as_of, WAITED: event.created}) if newer else profile


def _may_be_named_later(event: StripeEvent) -> bool:
    """Whether a later event may name the user. A Checkout Session itself names the user, so it does not wait."""
    session = event.type.startswith("checkout.session.")
    return event.customer is not None and event.listing is None and not session


def _why_nothing(composed: Composed) -> Reason | None:
    if composed.undelivered:
        return None
    return Reason.ALREADY_DELIVERED if composed.every else Reason.NOTHING_NEW
