"""Map one Stripe event, with the knowledge about its customer, to Segment calls. Pure: no I/O, no clock."""

from __future__ import annotations

from copy import replace
from dataclasses import field
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.blanks import Blanks
from stripe_to_segment.mapping.catalog import CATALOG, Identify
from stripe_to_segment.mapping.compose import (
    Composer,
    Farewells,
    finished,
    in_words_said_before,
    still_claimed,
    with_the_change_said_before,
)
from stripe_to_segment.mapping.gaps import gaps
from stripe_to_segment.mapping.identify import IdentifyPlan
from stripe_to_segment.mapping.identity import (
    SILENT,
    IdentitySource,
    fallback_anonymous_id,
    own_id,
    resolve,
    with_person,
)
from stripe_to_segment.mapping.imports import enrich_for, row_of
from stripe_to_segment.mapping.learning import Lesson
from stripe_to_segment.mapping.payments import Paid
from stripe_to_segment.mapping.traits import group_digest, shown_digest, with_personal
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.calls import dedup_key_of, identifier
from stripe_to_segment.state.claim import NO_CLAIM
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.state.person import over_all
from stripe_to_segment.state.profile import OUTDATED, UNSURE
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.fields import text
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.mapping.catalog import Row
    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.claim import Claim
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import EventHead, StripeEvent

__all__ = ["EventOutcome", "HoldAfter", "Translation", "event_dedup_key", "refusal", "translate"]


class EventOutcome(StrEnum):
    """The outcome of mapping an event."""

    MAPPED = "mapped"
    IGNORED = "ignored"
    HELD = "held"


class HoldAfter(NamedTuple):
    """Events created after these epoch seconds are held; None holds none.

    `identity` holds events with an unknown user, until one that names the user arrives. `payment` holds events with an
    unknown payment, until one that names the payment's customer or order arrives.
    """

    identity: int | None = None
    payment: int | None = None


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
    reason: str | None = None
    calls: tuple[Call, ...] = ()
    counted: tuple[str, ...] = ()
    claim: Claim | None = None
    identity_source: IdentitySource | None = None
    unknown: tuple[str, ...] = ()
    orders: Mapping[str, str] = field(default_factory=dict)
    product_names: Mapping[str, str] = field(default_factory=dict)
    coupons: Mapping[str, str] = field(default_factory=dict)


def refusal(event: EventHead, settings: Settings) -> str | None:
    """The reason why this stack does not take the event at all, or None if it does."""
    if event.type not in CATALOG:
        return f"no mapping for {event.type}"
    if event.account is not None and not settings.takes_connect:
        return "event of a connected account; CONNECT_EVENTS is refuse"
    if not settings.accepts(livemode=event.livemode):
        return f"{'live' if event.livemode else 'test'} mode event; STRIPE_MODE is {settings.stripe_mode}"
    return None


def event_dedup_key(event: StripeEvent) -> str:
    """The ledger's deduplication key for an event delivered as a whole."""
    about = text(event.object.get("id")) or ""
    return dedup_key_of(identifier(event.scope, event.id, event.type, str(event.created), about))


def translate(
    event: StripeEvent,
    known: Known,
    settings: Settings,
    *,
    enrich: Enrich,
    hold_after: HoldAfter = HoldAfter(),  # noqa: B008 - a constant
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
    hold_after
        The time after which events are young enough to be held; by default none is held.

    Raises
    ------
    EnrichError
        where `enrich` fails on one of the calls.
    """
    row, dedup_key = row_of(event), event_dedup_key(event)
    if dedup_key in known.profile.ledger:
        return Translation(EventOutcome.IGNORED, known.profile, dedup_key, Reason.ALREADY_DELIVERED)
    claim = known.profile.claims.get(dedup_key, NO_CLAIM)

    # The facts of the event, and the knowledge after it.
    facts = [] if claim.tracks and not claim.given_up else list(row.facts(event, known))
    # Once its calls are claimed, what it teaches was written down with them.
    lesson = Lesson(known.profile) if claim.tracks else row.learns(event, known, row.rank)
    profile, counted = _with_payment(event, lesson)
    if counted and lesson.counted is not None:
        profile, facts = _with_late_shares(profile, facts, lesson.counted.order)
    if not claim.tracks:
        profile = with_personal(with_person(profile, known.stated, event.created), event, settings)

    # The user of the event.
    fallback_id = own_id(profile.fallback_id or fallback_anonymous_id(event), event, settings)
    who = resolve(known.stated, profile, fallback_id, event, settings)
    source = IdentitySource.UNKNOWN if who is None else who.identity_source
    learnt = partial(
        Translation,
        dedup_key=dedup_key,
        counted=counted,
        identity_source=source,
        orders=lesson.orders,
        product_names=lesson.product_names,
        coupons=lesson.coupons,
    )
    if profile.opted_out or event.silent:
        why = Reason.OPTED_OUT if profile.opted_out else Reason.LISTED
        return learnt(EventOutcome.IGNORED, profile, reason=why)
    if not claim.tracks and (waits := _waits_for(row, event, known, source, hold_after)):
        held = Translation(EventOutcome.HELD, known.profile, dedup_key, waits, identity_source=source)
        return _held(event, known, lesson, held)
    if who is None:
        return learnt(EventOutcome.IGNORED, profile, reason=Reason.UNKNOWN_USER)

    # Compose: the calls that say so.
    # An old event that comes late speaks of the user of its time; the traits are those of the user of now.
    outdated = known.stated.user_id not in {None, profile.user_id}
    now = (resolve(SILENT, profile, fallback_id, event, settings) or who) if outdated else who
    person, group = over_all(profile, known.others), over_all(profile, known.group_others)
    changed = lesson.changed or _moved_money(event, known.profile, profile)
    digest = _digest_to_show(row, event, person, changed=changed)
    if digest is None and _must_show(known.profile, profile, retried=dedup_key in known.profile.claims):
        digest = shown_digest(event, person)
    beside = digest is not None and event.type.startswith("customer.subscription.")
    groups = _group_to_show(event, known.profile, group, settings, anyway=claim.groups or beside)
    plan = IdentifyPlan(
        now, profile, fallback_id, shows=digest, groups=groups, tracks_as=who, everywhere=event.listing is None
    )
    blanks = Blanks(event, settings)
    bodies = Composer(event, plan, settings, person, group).bodies(facts)
    bodies = with_the_change_said_before(bodies, claim, known.profile, blanks)
    if known.left_user or known.left_group:
        farewells = Farewells(event, plan, settings, person, group)
        bodies = chain(bodies, farewells.left(known.profile, known.left_user, known.left_group))
    told = in_words_said_before(finished(bodies, event, enrich_for(event, enrich)), known.profile, blanks)
    calls = (*told, *still_claimed(claim, blanks))
    fresh = tuple(call for call in calls if call.dedup_key not in known.profile.ledger)
    return learnt(
        EventOutcome.MAPPED,
        plan.after() if calls else profile,
        calls=fresh,
        claim=_leaving(plan.claim(fresh, blanks), known) if fresh else None,
        unknown=gaps(facts, event, known),
        reason=_why_nothing(calls, fresh),
    )


def _held(event: StripeEvent, known: Known, lesson: Lesson, held: Translation) -> Translation:
    """An event that waits for others: who it is and whose payment it is serves those meanwhile."""
    if held.reason is Reason.WAITING_FOR_IDENTITY:
        return held
    held = replace(held, orders=lesson.orders if event.customer is not None else {})
    if known.left_user or known.left_group:
        # Whom the customer leaves is told with the event.
        return held
    return replace(held, profile=with_person(known.profile, known.stated, event.created))


def _leaving(claim: Claim, known: Known) -> Claim:
    """The claim with those whom the customer leaves: told again, they are told again what is left of them."""
    left = {name: one.id for name in ("left_user", "left_group") if (one := getattr(known, name)) is not None}
    return replace(claim, **left) if left else claim


def _must_show(before: Profile, after: Profile, *, retried: bool) -> bool:
    """Whether the event shows the traits although its type brings no identify, or changed none of them.

    The user is another one than before, of whom this customer's part was not told yet; a try that did so failed; or a
    stranger's payments were taken over.
    """
    part = bool(after.subscriptions or any(after.paid.values()) or after.cards)
    return (
        (after.user_id != before.user_id and part) or before.shown == OUTDATED or (retried and before.shown == UNSURE)
    )


def _group_to_show(
    event: StripeEvent, before: Profile, group: Profile, settings: Settings, *, anyway: bool
) -> str | None:
    """The digest of the traits that a group call is to show, None where the event brings none.

    It brings one where the group is new or its traits are, and `anyway` beside the identify of a subscription's event.
    An object of an import brings one where the group is new, or where it is listed for its traits.
    """
    if not group.group_id:
        return None
    digest = group_digest(event, group, settings)
    if event.listing is None:
        changed = before.shown_group not in {None, digest}
    else:
        changed = event.listing.level is Level.TRAITS and event.customer is not None and before.shown_group != digest
    return digest if changed or before.group_id != group.group_id or anyway else None


def _waits_for(
    row: Row, event: StripeEvent, known: Known, source: IdentitySource, hold_after: HoldAfter
) -> Reason | None:
    """Why the event waits for others, while it is young: for those of its payment, or those that name its user."""
    young = hold_after.payment is not None and event.created > hold_after.payment
    if young and row.holds is not None and row.holds(event, known):
        return Reason.WAITING_FOR_PAYMENT
    young = event.listing is None and hold_after.identity is not None and event.created > hold_after.identity
    if young and source is IdentitySource.UNKNOWN and _may_be_named_later(event):
        return Reason.WAITING_FOR_IDENTITY
    return None


def _digest_to_show(row: Row, event: StripeEvent, profile: Profile, *, changed: bool) -> str | None:
    """The digest of the traits in the event's identify, None without an identify."""
    if row.identify is Identify.NEVER:
        return None
    digest = shown_digest(event, profile)
    if event.listing is not None:
        if event.customer is None and profile.user_id is None:
            return None
        shown_to_another = profile.user_id is not None and profile.fallback_id is not None and not profile.joined
        return None if profile.shown == digest and not shown_to_another else digest
    changed = changed or profile.shown not in {None, digest}
    return digest if row.identify is Identify.ALWAYS or changed else None


def _with_payment(event: StripeEvent, lesson: Lesson) -> tuple[Profile, tuple[str, ...]]:
    """The record with the event's payment, which counts once even if several events state it, and its keys."""
    profile = lesson.profile
    if lesson.moved is not None:
        profile = profile.with_payment(*lesson.moved)
    if lesson.counted is None:
        return profile, ()
    order, payment = lesson.counted.order, lesson.counted.payment
    profile = profile.regained(order, payment.intent) if payment.intent else profile
    keys = tuple(dedup_key_of(identifier(event.scope, "counted", key)) for key in lesson.counted.keys)
    listed = profile.payment(order)
    begun = listed is not None and listed.parts and not listed.complete
    if not begun and (any(key in profile.ledger for key in keys) or (listed is not None and listed.complete)):
        return profile, keys
    if listed is None and not payment.total:
        # A payment of 0 cannot be refunded, so it is not listed.
        return replace(profile, paid={payment.currency: 0, **profile.paid}), keys
    return profile.with_payment(order, payment if listed is None else payment.completing(listed)), keys


def _with_late_shares(profile: Profile, facts: list[Fact], order: str) -> tuple[Profile, list[Fact]]:
    """The payment tells how much of the refunds that came before it was revenue and tax: nobody knew it then."""
    written = profile.payments.get(order, {})
    if "refunds" not in written:
        return profile, facts
    payment, revenue, tax = Payment.read(written).with_late_shares()
    if revenue is None and tax is None:
        return profile, facts
    told: list[Fact] = []
    for fact in facts:
        event = fact.event
        if isinstance(event, Paid) and event.order_id == order:
            shares = major(revenue, payment.currency), major(tax, payment.currency)
            event = replace(event, revenue_refunded=shares[0], tax_refunded=shares[1])
        told.append(replace(fact, event=event))
    return profile.with_payment(order, payment), told


def _moved_money(event: StripeEvent, before: Profile, after: Profile) -> bool:
    """Whether the lifetime value changed; a guest whom nobody knows has none."""
    has_one = event.customer is not None or after.user_id is not None
    codes = after.paid.keys() if has_one and after.paid != before.paid else ()
    return any(after.paid[code] != before.paid.get(code, 0) for code in codes)


def _may_be_named_later(event: StripeEvent) -> bool:
    """Whether a later event may name the user. A Checkout Session itself names the user, so it does not wait."""
    return event.customer is not None and not event.type.startswith("checkout.session.")


def _why_nothing(calls: tuple[Call, ...], fresh: tuple[Call, ...]) -> str | None:
    if fresh:
        return None
    return Reason.ALREADY_DELIVERED if calls else Reason.NOTHING_TO_SEND
