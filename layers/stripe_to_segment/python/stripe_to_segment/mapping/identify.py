"""Decide whether an event joins the history under a fallback anonymous id to the user, and whether it sends traits."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.identity import IdentitySource
from stripe_to_segment.state.claim import Claim
from stripe_to_segment.state.profile import UNSURE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.blanks import Blanks
    from stripe_to_segment.mapping.identity import Identity
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.state.profile import Profile

__all__ = ["IdentifyPlan"]


@frozen
class IdentifyPlan:
    """How this event joins the history under the fallback id to the user, once for each customer.

    `shows` is the digest of the traits in its identify, None without an identify; `groups` is the digest of its group
    call. `tracks_as` is the identity that the event itself states, `who` is the current user. `everywhere` is false
    where not every destination may get the calls, so that none of them joins for good.
    """

    who: Identity
    profile: Profile
    fallback_id: str
    shows: str | None
    groups: str | None
    tracks_as: Identity
    everywhere: bool = True

    @property
    def _known(self) -> bool:
        return self.who.identity_source is not IdentitySource.UNKNOWN

    @property
    def _to_join(self) -> bool:
        return self._known and not self.profile.joined

    @property
    def joins_apart(self) -> bool:
        """Whether the join needs an extra identify: there is a history, and the event's own identify cannot join it."""
        history = self.profile.fallback_id is not None
        return (
            self.everywhere
            and self._to_join
            and history
            and (not self.shows or self.who.anonymous_id not in {None, self.fallback_id})
        )

    @property
    def anonymous_id(self) -> str | None:
        """The anonymousId of the event's own identify: the browser's, else the fallback id until it is joined."""
        return self.who.anonymous_id or (self.fallback_id if self._to_join else None)

    @property
    def joins(self) -> bool:
        """Whether this event's identify is the one that joins."""
        return self.everywhere and self._to_join and (self.shows is not None or self.joins_apart)

    def claim(self, calls: Iterable[Call], blanks: Blanks) -> Claim:
        """The claim of these calls of the event."""
        tracks = {call.dedup_key: blanks.written(call) for call in calls if call.body["type"] == "track"}
        return Claim(tracks, self.shows is not None, self.joins, self.groups is not None)

    def after(self) -> Profile:
        """The record after the calls are sent."""
        changes: dict[str, Any] = {}
        if self.shows:
            changes["shown"] = self._shown_after(self.profile.shown, self.shows)
        if self.groups:
            changes["shown_group"] = self._shown_after(self.profile.shown_group, self.groups)
        if self.joins:
            changes["joined"] = True
        if not self._known and self.fallback_id in {self.who.anonymous_id, self.who.user_id}:
            changes["fallback_id"] = self.fallback_id
        return replace(self.profile, **changes) if changes else self.profile

    def _shown_after(self, before: str | None, now: str) -> str:
        """The digest of the traits that every destination has; UNSURE where some have only what was shown before."""
        return now if self.everywhere or before in {None, now} else UNSURE
