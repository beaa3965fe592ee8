"""Compose the calls of one event, whose identify, group and track calls share ids, time and context."""

from __future__ import annotations

from copy import replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, cast

from stripe_to_segment import __version__
from stripe_to_segment.errors import EnrichError
from stripe_to_segment.mapping.attribution import attribution_of
from stripe_to_segment.mapping.blanks import Blanks
from stripe_to_segment.mapping.identity import Identity, own_id
from stripe_to_segment.mapping.tracking import EVENTS
from stripe_to_segment.mapping.traits import (
    carried_personal,
    context_traits,
    group_left_behind,
    group_traits,
    left_behind,
    user_traits,
)
from stripe_to_segment.mapping.worth import kinds_of
from stripe_to_segment.segment_side.calls import dedup_key_of, encode, fitting, message_id, wire
from stripe_to_segment.stripe_side.fields import dig, iso_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Any

    from stripe_to_segment.mapping.attribution import Attribution
    from stripe_to_segment.mapping.decide import EventToMap
    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.mapping.identify import IdentifyPlan
    from stripe_to_segment.mapping.properties import UserTraits
    from stripe_to_segment.segment_side.calls import Call, CallBody, Context, Kind
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.claim import Claim
    from stripe_to_segment.state.person import Others
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

    # The team's own code, which may take and return any dict.
    type Enrich = Callable[[Any, JsonObject], object]

__all__ = ["NO_CALLS", "Composed", "compose"]

CHANGE = ("mrr_change", "mrr_movement")
LIBRARY = {"name": "stripe-to-segment", "version": __version__}


class Composed(NamedTuple):
    """All calls of an event, those that were not delivered yet, and the claim of these, None if all were delivered."""

    every: tuple[Call, ...]
    undelivered: tuple[Call, ...]
    claim: Claim | None


NO_CALLS = Composed((), (), None)


def compose(this: EventToMap, facts: Collection[Fact], plan: IdentifyPlan, enrich: Enrich) -> Composed:
    """Compose the calls of the event. Raises EnrichError."""
    event, known, settings, claim = this.event, this.known, this.settings, this.claim
    attribution = attribution_of(event, settings)
    personal = carried_personal(event, settings) if settings.context_traits != "none" else {}
    blanks = Blanks(attribution, personal)
    bodies: Iterable[CallBody] = Composer(event, plan, settings, attribution, personal).bodies(facts)
    if known.profile.claims:
        bodies = _with_the_claimed_change(bodies, claim, known.profile, blanks)
    if known.left_user or known.left_group:
        farewells = Farewells(event, plan, settings, attribution, personal)
        bodies = chain(bodies, farewells.left(known.profile, known.left_user, known.left_group))
    composed = _finished(bodies, event, enrich)
    if known.profile.claims:
        composed = _repeated_byte_for_byte(composed, known.profile, blanks)
    calls = (*composed, *_still_claimed(claim, blanks))
    undelivered = tuple([call for call in calls if call.dedup_key not in known.profile.ledger])
    if not undelivered:
        return Composed(calls, (), None)
    kinds = kinds_of(undelivered, facts, event, known, settings)
    return Composed(calls, undelivered, _leaving(plan.claim(undelivered, blanks, kinds), known))


def _leaving(claim: Claim, known: Known) -> Claim:
    """The claim with the user and the group that the customer leaves, so that a retry sends their calls again."""
    left = {name: one.id for name in ("left_user", "left_group") if (one := getattr(known, name)) is not None}
    return replace(claim, **left) if left else claim


class Composer:
    """Makes the calls of one event, all under the same ids, time and context."""

    def __init__(
        self, event: StripeEvent, plan: IdentifyPlan, settings: Settings, attribution: Attribution, personal: UserTraits
    ) -> None:
        self._event = event
        self._attribution = attribution
        # The personal traits that the event itself carries.
        self._personal = personal
        self._plan = plan
        self._who = plan.who
        self._profile = plan.profile
        self._settings = settings
        # Without a timestamp (the event has no time) Segment uses the time of arrival.
        self._timestamp = iso_time(event.created) if event.created else None

    def bodies(self, facts: Iterable[Fact]) -> Iterator[CallBody]:
        """The calls in the order in which they should arrive: identify, group, track."""
        plan, profile = self._plan, self._profile
        if plan.joins_apart:
            yield self.join(plan.fallback_id)
        if plan.shows:
            yield self.identify(plan.anonymous_id)
        if profile.group_id and plan.groups:
            yield self.group(profile.group_id)
        for fact in facts:
            if (name := self._settings.wire_name(fact.name, pays=fact.pays)) is not None:
                yield self.track(fact, name)

    def identify(self, anonymous_id: str | None) -> CallBody:
        """An identify with all traits; `anonymous_id` beside a known user joins the two histories."""
        traits = user_traits(self._event, self._plan.person, self._settings)
        return self._stateful("identify", {"traits": wire(traits)}, anonymous_id)

    def join(self, anonymous_id: str) -> CallBody:
        """An identify that only joins the history under the fallback id to the user."""
        customer = self._event.customer
        traits: dict[str, object] = {"stripe_customer_id": self._own(customer)} if customer else {}
        return self._stateful("identify", {"traits": traits}, anonymous_id)

    def group(self, group_id: str) -> CallBody:
        """A group call with the account's traits."""
        traits = group_traits(self._event, self._plan.group, self._settings)
        return self._stateful("group", {"groupId": self._own(group_id), "traits": wire(traits)}, self._who.anonymous_id)

    def track(self, fact: Fact, name: str) -> CallBody:
        """A track call under this name on the wire; unknown values are left out, never null."""
        # The messageId uses the catalog's name: renaming an event must not send it a second time.
        who = self._plan.tracks_as
        message = self._message_id("track", f"{fact.name}|{fact.key}")
        body = self._envelope({"type": "track", "messageId": message}, who.anonymous_id, who, fact.name)
        traits = wire(self._context_traits)
        if traits:
            body["context"]["traits"] = traits
        properties = {**self._attribution.properties, **fact.event.known_properties()}
        body["event"], body["properties"] = name, wire(properties)
        if (at := iso_time(fact.at)) is not None:
            body["timestamp"] = at
        return body

    @cached_property
    def _context_traits(self) -> dict[str, Any]:
        if self._plan.tracks_as != self._plan.who:
            # A late event is about the user of its time; the stored data is about the present user.
            return {**self._personal}
        return context_traits(self._profile, self._plan.person, self._settings, self._personal)

    def _stateful(self, kind: Kind, content: CallBody, anonymous_id: str | None) -> CallBody:
        """A call with a state. Its messageId covers all content, or Segment would drop the return to an old state."""
        event = self._event
        body: CallBody = {**self._envelope({"type": kind}, anonymous_id, self._who), **content}
        shown = encode(body).decode()
        message = self._message_id(kind, f"{event.id}|{event.created}|{shown}")
        return {"type": kind, "messageId": message, **body}

    def _message_id(self, kind: Kind, fact: str) -> str:
        return message_id(self._settings.source, self._event.scope, kind, fact)

    def _envelope(self, body: CallBody, anonymous_id: str | None, who: Identity, name: str = "") -> CallBody:
        """The call, with what all calls of the event have; `name` is that of a track in the catalog."""
        if self._timestamp:
            body["timestamp"] = self._timestamp
        if who.user_id:
            body["userId"] = who.user_id
        if anonymous_id:
            body["anonymousId"] = anonymous_id
        body["context"] = self._context(who)
        integrations = self._integrations(name)
        if integrations:
            body["integrations"] = integrations
        return body

    def _context(self, who: Identity) -> Context:
        event, listing = self._event, self._event.listing
        brought = {"event_id": event.id, "event_type": event.type}
        stripe = brought if listing is None else {"import": str(listing.level)}
        if event.account is not None:
            stripe["account"] = event.account
        stripe["identity"] = str(who.identity_source)
        # An event of a server must not change the user's last-seen time.
        context: Context = {"library": LIBRARY, "active": False, "stripe": stripe, **self._attribution.context}
        if self._profile.group_id and self._settings.group_id_keys:
            context["groupId"] = self._own(self._profile.group_id)
        if self._profile.consent:
            context["consent"] = {"categoryPreferences": dict(self._profile.consent)}
        if event.customer:
            customer = self._own(event.customer)
            external = {"id": customer, "type": "stripe_customer_id", "collection": "users", "encoding": "none"}
            context["externalIds"] = [external]
        return context

    def _own(self, identifier: str) -> str:
        return own_id(identifier, self._event, self._settings)

    def _integrations(self, name: str) -> dict[str, object]:
        """The `integrations` of a call: one object for all calls, or one for each event name with `*` for the rest."""
        if self._event.listing is not None:
            return dict(self._event.listing.integrations)
        chosen = self._settings.integrations
        if chosen and all(key == "*" or key in EVENTS for key in chosen):
            chosen = chosen.get(name, chosen.get("*", {}))
        return self._attribution.allowed(chosen) if name else dict(chosen)


class Farewells(Composer):
    """Makes the calls with the remaining traits of a user and a group that a customer has left."""

    def left(self, moved: Profile, user: Others | None, group: Others | None) -> Iterator[CallBody]:
        """An identify of the user and a group call; `moved` is the record before the move."""
        if group is not None:
            traits = wire(group_left_behind(self._event, moved, group, self._settings))
            yield self._stateful("group", {"groupId": self._own(group.id), "traits": traits}, self._who.anonymous_id)
        if user is not None:
            self._who = Identity(self._own(user.id), None, self._who.identity_source)
            yield self._stateful("identify", {"traits": wire(left_behind(moved, user))}, None)

    def _context(self, who: Identity) -> Context:
        """The context without the customer, which now belongs to another user."""
        context = super()._context(who)
        return {"library": context["library"], "active": context["active"], "stripe": context["stripe"]}


def _repeated_byte_for_byte(calls: Iterable[Call], profile: Profile, blanks: Blanks) -> Iterator[Call]:
    """The calls; one whose fact another event has claimed already is replaced by that event's claimed call.

    It is left to that event, which comes again until the call arrives, where it has personal data of that event.
    """
    said = {
        dedup_key: encoded
        for claim in profile.claims.values()
        if not claim.given_up
        for dedup_key, encoded in claim.tracks.items()
    }
    for call in calls:
        if call.dedup_key not in said:
            yield call
        elif blanks.has_all_of(said[call.dedup_key]):
            yield blanks.read(said[call.dedup_key])


def _with_the_claimed_change(
    bodies: Iterable[CallBody], claim: Claim, profile: Profile, blanks: Blanks
) -> Iterator[CallBody]:
    """The calls, with the old `mrr_change` where Segment refused the fact before: the record has counted that one.

    Another event may have claimed the refused fact: Stripe states some changes twice.
    """
    refused = {
        dedup_key: encoded
        for each in profile.claims.values()
        if each.given_up
        for dedup_key, encoded in each.tracks.items()
    }
    if not refused:
        yield from bodies
        return
    left = set(claim.tracks) if claim.given_up else set()
    for body in bodies:
        dedup_key = dedup_key_of(body["messageId"])
        left.discard(dedup_key)
        if "properties" in body and (claim.given_up or dedup_key in refused):
            before = blanks.read(refused[dedup_key]).body if dedup_key in refused else None
            change = {name: value for name in CHANGE if (value := dig(before, "properties", name)) is not None}
            properties = {name: value for name, value in body["properties"].items() if name not in CHANGE}
            yield {**body, "properties": {**properties, **change}}
        else:
            yield body
    # No new call has these changes, but the record has counted them.
    unsaid = (blanks.read(refused[dedup_key]).body for dedup_key in claim.tracks if dedup_key in left)
    yield from (body for body in unsaid if dig(body, "properties", "mrr_change"))


def _still_claimed(claim: Claim, blanks: Blanks) -> list[Call]:
    """The track calls that an event claimed before, byte for byte."""
    return [] if claim.given_up else [blanks.read(encoded) for encoded in claim.tracks.values()]


def _finished(bodies: Iterable[CallBody], event: StripeEvent, enrich: Enrich) -> Iterator[Call]:
    """Each call after the team's `enrich`, encoded.

    Raises
    ------
    EnrichError
        if `enrich` raises an error, or returns something that is not a call of the same kind and messageId.
    """
    for body in bodies:
        kept = (body["type"], body["messageId"])
        try:
            enriched = enrich(body, event.body)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a team's code raises must not stop the batch
            message = f"enrich raised {type(error).__name__} on {kept[0]}"
            raise EnrichError(message) from None
        if enriched is None:
            continue
        if not isinstance(enriched, dict) or (enriched.get("type"), enriched.get("messageId")) != kept:
            message = f"enrich must return the {kept[0]} call it was given, changed or not, or None"
            raise EnrichError(message)
        try:
            yield fitting(cast("CallBody", enriched))
        except (TypeError, ValueError, RecursionError):
            message = f"enrich put a value into the {kept[0]} call that JSON cannot hold"
            raise EnrichError(message) from None
