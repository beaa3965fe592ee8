"""One subscription as the customer's record keeps it, as of the newest event seen."""

from __future__ import annotations

import hashlib
from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["EARLY", "LISTED", "SubscriptionRecord", "Watermark"]

# The epoch second of an event, and its rank within that second: listed by an import < created < updated < deleted.
type Watermark = tuple[int, int]
LISTED = -1

# Seconds: Stripe creates the invoice in the second of the trial's end, or a moment before if the trial is ended early.
EARLY = 60

# The fields about the last trial, which not every event of the subscription states.
TRIAL = ("trial_start", "trialed", "moved")

# A status that is newer than this package may mean anything but an end: that has an event of its own.
NOT_LIVE = frozenset({None, "incomplete", "incomplete_expired", "canceled"})
# Of what has no mrr, what is used counts more than what nobody pays for, and a trial more than a free plan.
PLACES = {"trialing": 1, "active": 2, "past_due": 2, "unpaid": 3, "paused": 4}


@frozen
class SubscriptionRecord:
    """One subscription as of the newest event seen. Amounts are in minor units, moments in epoch seconds.

    `came_from` are the digests, with spaces between, of the traits before the event and of all states of its second
    that are known to be older: they order the updates of one second. `beside` is another state of that second that may
    be older or newer, as long as the events between the two have not come. `mrr_sent` is the sum of the `mrr_change`
    sent so far, None in a record of a release that did not keep it. `unsent` says that an import has listed the
    subscription and no call has stated its opening balance yet. `unopened` says that this balance was unknown when a
    call had to state it: the first change is the balance. `apart` says that the change is for the event of a
    pause, a resumption or an end, which is still to come. `trialed` is the end of the last trial seen, `converted` the
    time of the payment whose conversion was sent, or the end of its trial. `moved` is the end of a trial that only
    moves the billing date of a paying customer. `on_trial` is also true for a paid trial, whose status is active.
    `basis` is the payload to work out the mrr from while it counts: a price or a discount of it may become known or
    change without an event of the subscription.
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
    mrr_sent: int | None = None
    unsent: bool = False
    trial_start: int | None = None
    trialed: int | None = None
    converted: int | None = None
    moved: int | None = None
    on_trial: bool = False
    apart: bool = False
    unopened: bool = False
    basis: shapes.Subscription | None = None
    beside: SubscriptionRecord | None = None

    @property
    def may_convert(self) -> bool:
        """Whether a trial was seen, and the first payment after it was not."""
        return self.trialed is not None and not self.pays_after_trial(self.converted)

    def pays_after_trial(self, moment: int | None) -> bool:
        """Whether a payment of this moment comes after the last trial seen."""
        return moment is not None and self.trialed is not None and moment >= self.trialed - EARLY

    def begins_after_trial(self, moment: int) -> bool:
        """Whether an invoice of this moment is the first one after a trial that was over when it was first seen."""
        if self.trialed is not None or None in {self.trial_start, self.trial_end} or self.moved == self.trial_end:
            return False
        return abs(moment - (self.trial_end or 0)) <= EARLY

    def is_of_trial(self, start: int | None, end: int | None, moment: int) -> bool:
        """Whether a trial of this start and end, which runs at this moment, is the last one seen and not another one.

        It is if it began with that one and runs before its known end, or if it contains that end: an event that
        precedes the early end of a trial, or extends it, may come after its end and its payment.
        """
        if start is None or end is None or self.trialed is None:
            return False
        if start == self.trial_start and moment <= self.trialed + EARLY:
            return True
        extends = start < self.trialed < end
        # What is paid from this moment on is no payment before it: the trial may end here.
        ended = replace(self, trialed=min(end, moment))
        return extends and (self.converted is None or ended.pays_after_trial(self.converted))

    def counts_nothing_before(self, moment: int) -> bool:
        """Whether it ran before this moment and was over nothing, as a free plan is: a trial is then a first one."""
        return self._ran_before(moment) and self._for_nothing

    def counts_before(self, moment: int) -> bool:
        """Whether it ran before this moment and was not over nothing: a trial then only moves the billing date."""
        return self._ran_before(moment) and not self._for_nothing and not self.on_trial

    def _ran_before(self, moment: int) -> bool:
        return self.as_of[0] < moment and self.status in {"active", "past_due"}

    @property
    def _for_nothing(self) -> bool:
        # What has no quantity is metered: usage is paid for, although no mrr counts it.
        return self.mrr == 0 and self.quantity is not None

    @property
    def awaits_payment(self) -> bool:
        """Whether the first payment after a trial may still come, also where the trial's start has not been seen."""
        return self.may_convert or (self.trialed is None and self.trial_end is not None)

    @property
    def counted(self) -> int:
        """The sum of the `mrr_change` sent so far, or sent with the next event, in minor units."""
        return (self.mrr or 0) if self.mrr_sent is None else self.mrr_sent

    @property
    def unsent_mrr(self) -> int:
        """The part of the mrr that no `mrr_change` has stated, in minor units; 0 while the mrr is unknown."""
        return 0 if self.mrr is None else self.mrr - (0 if self.unsent else self.counted)

    @property
    def ended_in_silence(self) -> bool:
        """Whether its end took an mrr away that no call has stated, and no event of the subscription will state."""
        return self.status == "canceled" and not self.apart and self.as_of[1] != LISTED and self.unsent_mrr != 0

    @property
    def place(self) -> tuple[int, int]:
        """Its place among the live subscriptions of a person, the largest first."""
        if self.mrr is None:
            return 0, 0
        return -self.mrr, 1 if self.on_trial else PLACES.get(self.status or "", 5)

    @property
    def live(self) -> bool:
        """Whether the customer has the subscription now; not while its first payment is missing."""
        return self.status not in NOT_LIVE

    @property
    def in_trial(self) -> bool:
        """Whether it is in a trial, free or paid, and not in one that only moves the billing date."""
        return (self.on_trial or self.status == "trialing") and (self.moved is None or self.moved != self.trial_end)

    @property
    def paused_in_trial(self) -> bool:
        """Whether a pause interrupts its trial; one that follows a trial begins with the end of it."""
        return self.status == "paused" and self.trialed is not None and self.as_of[0] < self.trialed - EARLY

    def newer_than(self, other: SubscriptionRecord) -> bool:
        """Whether this state is later than the other, by the watermarks, and within one second by `came_from`.

        A change and its reversal within one second (a seat more, a seat less) fit either order; then neither is.
        """
        if self.as_of != other.as_of:
            return self.as_of > other.as_of
        return self.follows(other) and not other.follows(self)

    def follows(self, other: SubscriptionRecord) -> bool:
        """Whether the other state of this second is known to lie before this one."""
        return self.digest != other.digest in self.came_from.split()

    def settled(self, stored: SubscriptionRecord) -> SubscriptionRecord:
        """The newest state of a second: this one, which has just arrived, unless a stored one is known to follow it.

        What was sent is that of the stored record. So is what the newest state does not know of the trial.
        """
        states = [stored] if stored.beside is None else [stored, stored.beside]
        linked = [one for one in states if one.digest == self.digest or self.follows(one) or one.follows(self)]
        newest = next((one for one in linked if one.newer_than(self)), self)
        before = {each for one in (self, *linked) for each in (*one.came_from.split(), one.digest)}
        taught = newest.digest != stored.digest or before != {*stored.came_from.split(), stored.digest}
        trial = {name: getattr(stored, name) for name in TRIAL if getattr(newest, name) is None}
        return replace(
            newest,
            came_from=" ".join(sorted(before - {newest.digest})) if taught else stored.came_from,
            beside=next((replace(one, beside=None) for one in states if one not in linked), None),
            mrr_sent=stored.counted,
            converted=stored.converted,
            unopened=stored.unopened,
            **trial,
        )

    @property
    def digest(self) -> str:
        """A digest of the traits, 12 hex digits."""
        return hashlib.sha256(repr(self.traits).encode()).hexdigest()[:12]

    @property
    def traits(self) -> tuple[object, ...]:
        """The fields that the traits of a user or a group are made of."""
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
