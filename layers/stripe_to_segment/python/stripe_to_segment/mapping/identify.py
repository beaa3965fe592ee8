"""Identify the person: how an event joins the history under a fallback id to the user, and which traits it shows."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.catalog import Identify
from stripe_to_segment.mapping.identity import SILENT, IdentitySource, resolve
from stripe_to_segment.mapping.traits import group_digest, shown_digest
from stripe_to_segment.state.claim import NO_CLAIM, Claim
from stripe_to_segment.state.person import over_all
from stripe_to_segment.state.profile import OUTDATED, PARTLY, UNSURE
from stripe_to_segment.stripe_side.event import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.blanks import Blanks
    from stripe_to_segment.mapping.catalog import Row
    from stripe_to_segment.mapping.decide import Decided, EventToMap
    from stripe_to_segment.mapping.identity import Identity
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["IdentifyPlan", "identify", "named_without_calls"]


@frozen
class IdentifyPlan:
    """How this event joins the history under the fallback id to the user, once for each customer.

    `profile` is the customer's record after the event, `person` the same over all customers of the user, `group` over
    all of the group. `shows` is the digest of the record's part of the traits in its identify, None without one;
    `groups` is that of its group call. `tracks_as` is the identity that the event itself states, `who` is the current
    user.
    `to_join` says that the user is known and the history under the fallback id is not joined to it yet.
    `everywhere` is false where not every destination may get the calls, so that none of them joins for good.
    """

    who: Identity
    profile: Profile
    person: Profile
    group: Profile
    fallback_id: str
    shows: str | None
    groups: str | None
    tracks_as: Identity
    to_join: bool
    everywhere: bool

    @property
    def joins_apart(self) -> bool:
        """Whether the join needs an extra identify: there is a history, and the event's own identify cannot join it."""
        return (
            self.to_join
            and self.everywhere
            and self.profile.fallback_id is not None
            and (not self.shows or self.who.anonymous_id not in {None, self.fallback_id})
        )

    @property
    def anonymous_id(self) -> str | None:
        """The anonymousId of the event's own identify: the browser's, else the fallback id until it is joined."""
        return self.who.anonymous_id or (self.fallback_id if self.to_join else None)

    @property
    def joins(self) -> bool:
        """Whether this event's identify is the one that joins."""
        return self.to_join and self.everywhere and (self.shows is not None or self.joins_apart)

    def claim(self, calls: Iterable[Call], blanks: Blanks, kinds: str) -> Claim:
        """The claim of these calls of the event; `kinds` are those of the tracks."""
        tracks = {call.dedup_key: blanks.written(call) for call in calls if call.body["type"] == "track"}
        return Claim(tracks, self.shows is not None, self.joins, self.groups is not None, kinds=kinds)

    def after(self) -> Profile:
        """The record after the calls are sent."""
        changes: dict[str, Any] = {}
        if self.shows:
            changes["shown"] = self._shown_after(self.shows)
        if self.groups:
            changes["shown_group"] = self._shown_after(self.groups)
        if self.joins:
            changes["joined"] = True
        unknown = self.who.identity_source is IdentitySource.UNKNOWN
        if unknown and self.fallback_id in {self.who.anonymous_id, self.who.user_id}:
            changes["fallback_id"] = self.fallback_id
        return replace(self.profile, **changes) if changes else self.profile

    def _shown_after(self, now: str) -> str:
        """The digest of the traits that were sent, marked as PARTLY where not every destination got them."""
        return now if self.everywhere else PARTLY + now


def identify(this: EventToMap, decided: Decided, who: Identity, fallback_id: str) -> IdentifyPlan:
    """Which ids the calls of the event have, and whether they show the traits of the user and the group."""
    event, known, settings, profile = this.event, this.known, this.settings, decided.profile
    # An old event that comes late is about the user of its time; the traits are those of the present user.
    outdated = known.stated.user_id not in {None, profile.user_id}
    now = (resolve(SILENT, profile, fallback_id, event, settings) or who) if outdated else who
    person, group = over_all(profile, known.others), over_all(profile, known.group_others)
    changed = decided.lesson.changed or _moved_money(event, known.profile, profile)
    shows = _digest_to_show(this.row, event, profile, person, changed=changed)
    if shows is None and _must_show(known.profile, profile, retried=this.claim is not NO_CLAIM):
        shows = shown_digest(event, profile)
    beside, retried = shows is not None, this.claim.groups
    groups = _group_to_show(event, known.profile, profile, settings, beside=beside, retried=retried)
    to_join = now.identity_source is not IdentitySource.UNKNOWN and not profile.joined
    return IdentifyPlan(now, profile, person, group, fallback_id, shows, groups, who, to_join, event.listing is None)


def named_without_calls(before: Profile, after: Profile) -> Profile:
    """The record; traits that were shown to an unknown user are to be shown to the user who was named since."""
    named = after.user_id != before.user_id and after.shown is not None
    return replace(after, shown=OUTDATED) if named else after


def _must_show(before: Profile, after: Profile, *, retried: bool) -> bool:
    """Whether the event shows the traits although its type brings no identify, or changed none of them.

    The customer has another user than before, whose traits must now include the customer; an attempt to send them
    failed; or the record took over payments of an unknown customer.
    """
    part = bool(after.subscriptions or any(after.paid.values()) or after.cards)
    return (
        (after.user_id != before.user_id and part) or before.shown == OUTDATED or (retried and before.shown == UNSURE)
    )


def _digest_to_show(row: Row, event: StripeEvent, profile: Profile, person: Profile, *, changed: bool) -> str | None:
    """The digest of the record's part of the traits in the event's identify, None without an identify.

    The part of another record of the person is shown when that record changes.
    """
    never_shown = person.shown is None and event.listing is None
    if row.identify is Identify.NEVER or (row.identify is not Identify.ALWAYS and never_shown and not changed):
        return None
    digest = shown_digest(event, profile)
    if event.listing is not None:
        if event.customer is None and person.user_id is None:
            return None
        shown_to_another = person.user_id is not None and person.fallback_id is not None and not person.joined
        return None if person.shown in {digest, PARTLY + digest} and not shown_to_another else digest
    changed = changed or person.shown not in {None, digest}
    return digest if row.identify is Identify.ALWAYS or changed else None


def _group_to_show(  # noqa: PLR0913 - all that decides on it
    event: StripeEvent, before: Profile, after: Profile, settings: Settings, *, beside: bool, retried: bool
) -> str | None:
    """The digest of the record's part of the group's traits in the event's group call, None if it has none.

    It has one if the group or its traits are new, and `beside` an identify if none was sent yet (the group was only
    remembered) or the event is a subscription's. An object of an import has one if the group is new, or at a level that
    sends traits.
    """
    if not (after.group_id and settings.group_id_keys):
        return None
    digest = group_digest(event, after, settings)
    if event.listing is None:
        due = before.shown_group is None or event.type.startswith("customer.subscription.")
        shows = (beside and due) or before.shown_group not in {None, digest}
    else:
        new = before.shown_group not in {digest, PARTLY + digest}
        shows = event.listing.level is Level.TRAITS and event.customer is not None and new
    return digest if shows or before.group_id != after.group_id or retried else None


def _moved_money(event: StripeEvent, before: Profile, after: Profile) -> bool:
    """Whether the lifetime value changed; an unknown guest has none."""
    if after.paid == before.paid or (event.customer is None and after.user_id is None):
        return False
    # A payment that was refunded before it came changes nothing, but is the first of its currency.
    return any(
        amount != before.paid.get(code, 0) or (code not in before.paid and after.has_payments_in(code))
        for code, amount in after.paid.items()
    )
