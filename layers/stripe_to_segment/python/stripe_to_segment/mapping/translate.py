"""From one Stripe event and what is known of its customer to the Segment calls it becomes. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.catalog import CATALOG, Identify
from stripe_to_segment.mapping.compose import Composer, finished
from stripe_to_segment.mapping.gaps import gaps
from stripe_to_segment.mapping.identity import IdentitySource, fallback_anonymous_id, own_id, resolve, with_person
from stripe_to_segment.mapping.learning import Lesson
from stripe_to_segment.mapping.traits import shown_digest
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.calls import call_from, dedup_key_of, identifier
from stripe_to_segment.state.profile import Claim
from stripe_to_segment.stripe_side.fields import dig, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.mapping.identity import Identity
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["EventOutcome", "Translation", "event_dedup_key", "refusal", "translate"]


class EventOutcome(StrEnum):
    """What became of an event."""

    MAPPED = "mapped"
    IGNORED = "ignored"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Translation:
    """The calls of one event, and what is known after it.

    `calls` leaves out what the ledger says was delivered. The profile takes them for done, which is why `claim` is
    written down with it. The event's own `dedup_key` joins the ledger once all of them are delivered; `counted`, that
    of its payment, joins it with the profile. `unknown` names the numbers that the payload left open.
    """

    outcome: EventOutcome
    profile: Profile
    dedup_key: str
    reason: str | None = None
    calls: tuple[Call, ...] = ()
    counted: str | None = None
    claim: Claim | None = None
    identity_source: IdentitySource | None = None
    unknown: tuple[str, ...] = ()
    orders: Mapping[str, str] = field(default_factory=dict)
    product_names: Mapping[str, str] = field(default_factory=dict)


def refusal(event: StripeEvent, settings: Settings) -> str | None:
    """Why this event is not for this stack at all, or None where it is."""
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
    event: StripeEvent, known: Known, settings: Settings, *, enrich: Enrich, hold_after: int | None = None
) -> Translation:
    """Map one event of a type that the catalog has.

    Parameters
    ----------
    event
        The event.
    known
        Its customer's record, product names and orders, and what it says of the person.
    settings
        What the user chose.
    enrich
        The team's own last word on each call.
    hold_after
        Epoch seconds: an event created later than this, whose user is unknown, is held back for its identity to
        arrive. None never holds.

    Raises
    ------
    EnrichError
        where `enrich` fails on one of the calls.
    """
    row, dedup_key = CATALOG[event.type], event_dedup_key(event)
    if dedup_key in known.profile.ledger:
        return Translation(EventOutcome.IGNORED, known.profile, dedup_key, Reason.ALREADY_DELIVERED)
    stated, claim = known.stated, known.profile.claims.get(dedup_key, Claim())
    facts = [] if claim.tracks and not claim.given_up else list(row.facts(event, known))
    if claim.tracks:
        # All that it teaches was written down with them.
        lesson = Lesson(known.profile)
    else:
        person = with_person(known.profile, stated, event.created)
        lesson = row.learns(event, known if person is known.profile else replace(known, profile=person), row.rank)
    profile, counted = _with_payment(event, lesson)
    fallback_id = own_id(profile.fallback_id or fallback_anonymous_id(event), event, settings)
    who = resolve(stated, profile, fallback_id, event, settings)
    identity_source = IdentitySource.UNKNOWN if who is None else who.identity_source
    learnt = partial(
        Translation,
        dedup_key=dedup_key,
        counted=counted,
        identity_source=identity_source,
        orders=lesson.orders,
        product_names=lesson.product_names,
    )

    if profile.opted_out:
        return learnt(EventOutcome.IGNORED, profile, reason=Reason.OPTED_OUT)
    may_wait = hold_after is not None and event.created > hold_after and not claim.tracks
    if may_wait and identity_source is IdentitySource.UNKNOWN and _may_be_named_later(event):
        return Translation(
            EventOutcome.HELD,
            known.profile,
            dedup_key,
            Reason.WAITING_FOR_IDENTITY,
            identity_source=identity_source,
        )
    if who is None:
        return learnt(EventOutcome.IGNORED, profile, reason=Reason.UNKNOWN_USER)

    digest = None if row.identify is Identify.NEVER else shown_digest(profile)
    changed = lesson.changed or profile.shown not in {None, digest}
    shows = row.identify is Identify.ALWAYS or (row.identify is Identify.IF_CHANGED and changed)
    plan = _IdentifyPlan(
        who,
        profile,
        fallback_id,
        shows=digest if shows else None,
        groups=profile.group_id != known.profile.group_id or claim.groups,
    )
    bodies = _bodies(event, plan, facts, settings)
    if claim.given_up:
        bodies = _with_the_change_said_before(bodies, claim)
    calls = tuple(_in_words_said_before(finished(bodies, event, enrich), known.profile))
    if not claim.given_up:
        calls += tuple(map(call_from, claim.tracks.values()))
    fresh = tuple(call for call in calls if call.dedup_key not in known.profile.ledger)
    return learnt(
        EventOutcome.MAPPED,
        plan.after() if calls else profile,
        calls=fresh,
        claim=plan.claim(fresh) if fresh else None,
        unknown=gaps(facts, event),
        reason=_why_nothing(calls, fresh),
    )


def _in_words_said_before(calls: Iterable[Call], profile: Profile) -> Iterator[Call]:
    """A fact that another event has told, and nobody knows to have arrived, is told in that one's words."""
    said = {
        dedup_key: encoded
        for claim in profile.claims.values()
        if not claim.given_up
        for dedup_key, encoded in claim.tracks.items()
    }
    for call in calls:
        yield call_from(said[call.dedup_key]) if said and call.dedup_key in said else call


def _with_the_change_said_before(bodies: Iterable[dict[str, Any]], claim: Claim) -> Iterator[dict[str, Any]]:
    """The record has gone on from what the event said of the mrr, so that stays; all the rest is said anew."""
    for body in bodies:
        properties = {name: value for name, value in body.get("properties", {}).items() if name != "mrr_change"}
        said = claim.tracks.get(dedup_key_of(body["messageId"]))
        change = dig(call_from(said).body, "properties", "mrr_change") if said else None
        if change is not None:
            properties["mrr_change"] = change
        yield {**body, "properties": properties} if "properties" in body else body


def _bodies(event: StripeEvent, plan: _IdentifyPlan, facts: list[Fact], settings: Settings) -> Iterator[dict[str, Any]]:
    """The calls in the order in which they should arrive: who it is, what it belongs to, what happened."""
    profile, composer = plan.profile, Composer(event, plan.who, plan.profile, settings)
    if plan.joins_apart:
        yield composer.join(plan.fallback_id)
    if plan.shows:
        yield composer.identify(plan.anonymous_id)
    if profile.group_id and (plan.groups or (plan.shows and event.type.startswith("customer.subscription."))):
        yield composer.group(profile.group_id)
    for fact in facts:
        if (name := settings.wire_name(fact.name)) is not None:
            yield composer.track(fact, name)


@dataclass(frozen=True, slots=True)
class _IdentifyPlan:
    """How this event joins the history under the fallback id to the user, once for each customer.

    `shows` is the digest of the traits that its identify shows, None where it has none; `groups` says that the user
    came into another group.
    """

    who: Identity
    profile: Profile
    fallback_id: str
    shows: str | None
    groups: bool

    @property
    def _known(self) -> bool:
        return self.who.identity_source is not IdentitySource.UNKNOWN

    @property
    def _to_join(self) -> bool:
        return self._known and not self.profile.joined

    @property
    def joins_apart(self) -> bool:
        """Whether joining takes an identify of its own: history exists, and the event's own identify cannot do it."""
        history = self.profile.fallback_id is not None
        return self._to_join and history and (not self.shows or self.who.anonymous_id not in {None, self.fallback_id})

    @property
    def anonymous_id(self) -> str | None:
        """The anonymousId of the event's own identify: the browser's, else the fallback id until it is joined."""
        return self.who.anonymous_id or (self.fallback_id if self._to_join else None)

    @property
    def joins(self) -> bool:
        """Whether this event's identify is the one that joins."""
        return self._to_join and (self.shows is not None or self.joins_apart)

    def claim(self, calls: Iterable[Call]) -> Claim:
        """What these calls of the event tell."""
        tracks = {call.dedup_key: call.encoded.decode() for call in calls if call.body["type"] == "track"}
        return Claim(tracks, self.shows is not None, self.joins, self.groups)

    def after(self) -> Profile:
        """The record once the calls are out."""
        changes: dict[str, Any] = {"shown": self.shows} if self.shows else {}
        if self.joins:
            changes["joined"] = True
        if not self._known and self.fallback_id in {self.who.anonymous_id, self.who.user_id}:
            changes["fallback_id"] = self.fallback_id
        return replace(self.profile, **changes) if changes else self.profile


def _with_payment(event: StripeEvent, lesson: Lesson) -> tuple[Profile, str | None]:
    """The record with the event's payment, counted once however many events state it, and its deduplication key."""
    if lesson.payment is None:
        return lesson.profile, None
    key, currency, minor = lesson.payment
    counted = dedup_key_of(identifier(event.scope, "counted", key))
    if counted in lesson.profile.ledger:
        return lesson.profile, counted
    return lesson.profile.with_payment(currency, minor), counted


def _may_be_named_later(event: StripeEvent) -> bool:
    """A Checkout Session is what names the user; there is nothing to wait for."""
    return event.customer is not None and not event.type.startswith("checkout.session.")


def _why_nothing(calls: tuple[Call, ...], fresh: tuple[Call, ...]) -> str | None:
    if fresh:
        return None
    return Reason.ALREADY_DELIVERED if calls else Reason.NOTHING_TO_TELL
