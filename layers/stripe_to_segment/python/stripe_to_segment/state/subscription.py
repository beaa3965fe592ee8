"""What is remembered of one subscription, as of the newest event seen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["SubscriptionRecord", "Watermark"]

# When an event was created, and its rank within that second: created < updated < deleted.
type Watermark = tuple[int, int]

LIVE = frozenset({"trialing", "active", "past_due", "unpaid", "paused"})


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """One subscription as of the newest event seen. Amounts are in minor units, moments in epoch seconds.

    `came_from` is the digest of the traits before, which tells two updates of one second apart. `told` is the sum of
    the `mrr_change` that went out, None in a record of a release that did not note it. `trialed` is the end of the last
    trial that was seen, and `converted` that of the trial whose conversion was told. `moved` is the end of a trial that
    only moves the billing date of somebody who pays. `on_trial` is true of a paid trial too, whose status is active.
    `unvalued` is what the mrr is worked out from, where something of it is not known yet.
    """

    as_of: Watermark
    status: str | None = None
    plan: str | None = None
    price_id: str | None = None
    mrr: int | None = None
    currency: str | None = None
    period: str | None = None
    quantity: int | None = None
    trial_end: int | None = None
    cancels_at: int | None = None
    came_from: str = ""
    told: int | None = None
    trial_start: int | None = None
    trialed: int | None = None
    converted: int | None = None
    moved: int | None = None
    on_trial: bool = False
    unvalued: JsonObject | None = None

    @property
    def may_convert(self) -> bool:
        """Whether a trial of it was seen whose first payment was not."""
        return self.trialed is not None and self.converted != self.trialed

    @property
    def awaits_payment(self) -> bool:
        """Whether the first payment after a trial may still come, or one whose beginning comes late."""
        return self.may_convert or (self.trialed is None and self.trial_end is not None)

    @property
    def counted(self) -> int:
        """The sum of the `mrr_change` that went out, in minor units."""
        return (self.mrr or 0) if self.told is None else self.told

    @property
    def live(self) -> bool:
        """Whether the customer has it now (a first payment still missing is not having it)."""
        return self.status in LIVE

    def newer_than(self, other: SubscriptionRecord) -> bool:
        """Whether this state came after the other: by its watermark, and of one second by what led to it."""
        if self.as_of != other.as_of:
            return self.as_of > other.as_of
        # There and back within a second (up a seat, down a seat) leads either way; then the later arrival counts.
        return self.came_from == other.digest != self.digest != other.came_from

    @property
    def digest(self) -> str:
        """The traits in short."""
        return hashlib.sha256(repr(self.traits).encode()).hexdigest()[:12]

    @property
    def traits(self) -> tuple[object, ...]:
        """What of it shows in anybody's traits."""
        return (
            self.status,
            self.plan,
            self.mrr,
            self.currency,
            self.period,
            self.quantity,
            self.trial_end if self.status == "trialing" or self.on_trial else None,
            self.cancels_at,
        )
