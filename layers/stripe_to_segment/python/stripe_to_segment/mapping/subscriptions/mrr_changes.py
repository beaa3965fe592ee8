"""By how much an event changes a subscription's mrr, so that the running sum is its current mrr at any moment.

The record notes how much was told. An event tells the difference between that and what the subscription counts now:
whatever was missed, came late or was unknown until now is in it. An event that is older than the record changes
nothing any more, for a newer one has told its change along with its own.
"""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import worked_out_once
from stripe_to_segment.mapping.subscriptions.records import record_in, record_of
from stripe_to_segment.mapping.subscriptions.state import after_of, before_of
from stripe_to_segment.stripe_side.fields import dig, text
from stripe_to_segment.stripe_side.subscription import created_at, ended_at, trial_of

if TYPE_CHECKING:
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.subscription import SubscriptionRecord
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Change", "bears_change", "change_of", "ended_in_trial", "growth", "movement", "record_after", "told_after"]

# Stripe retries for three days: a subscription that was made earlier and is new here began before the stack did.
# https://docs.stripe.com/webhooks#automatic-retries
OLDER = 3 * 86_400
# So many seconds after a trial's end Stripe may get round to ending or pausing what nobody paid for.
LATE = 300
# And an hour where nothing is known to have come of the trial. Daily plans may convert and end within a day.
VERY_LATE = 3_600
# Statuses whose coming and going an event of its own tells, with its own mrr_change.
TOLD_APART = frozenset({"paused", "canceled"})


@dataclass(frozen=True, slots=True)
class Change:
    """What an event does to the mrr of its subscription, in minor units.

    `opening` is what a subscription counted before the first event that was ever seen of it, None where that is not
    known; `imported` says that it is older than what is remembered. `told` was told before the event, the opening
    included; `now` is what it counts after it, None where nothing tells.
    """

    told: int
    now: int | None
    imported: bool = False
    opening: int | None = None

    @property
    def amount(self) -> int | None:
        """By how much the mrr changed."""
        return None if self.now is None else self.now - self.told


@worked_out_once
def change_of(event: StripeEvent, known: Known) -> Change:
    """What an event of a subscription does to its mrr."""
    record, new = record_in(event, known), record_of(event, known)
    if record is not None:
        return Change(record.counted, record.mrr if record.newer_than(new) else new.mrr)
    made = created_at(event.object)
    if event.type.endswith(".created") or made is None or event.created - made < OLDER:
        return Change(0, new.mrr)
    opening = _opening(event, known)
    return Change(opening or 0, new.mrr, imported=True, opening=opening)


def _opening(event: StripeEvent, known: Known) -> int | None:
    """What counted before the first event that is seen of a subscription.

    An update tells; an end and a pause do not. A subscription that was not in trial is taken to have counted, and a
    pause without a reason to have followed a trial.
    """
    after = after_of(event, known)
    if event.type.endswith(".updated"):
        return before_of(event, known).mrr
    if event.type.endswith(".deleted"):
        return 0 if _with_the_trial(event) else after.value.amount
    if event.type.endswith(".paused"):
        reason = dig(event.object, "status_details", "paused", "subscription", "type")
        began_on_trial = _with_the_trial(event) or reason in {None, "trial_end_without_payment_method"}
        return 0 if began_on_trial else after.value.amount
    return 0


def bears_change(event: StripeEvent, known: Known) -> bool:
    """Whether the change is this event's to tell: the pause, the resumption and the end tell of themselves."""
    if not event.type.endswith(".updated"):
        return True
    was, now = before_of(event, known).status, after_of(event, known).status
    return was == now or not TOLD_APART & {was, now}


def told_after(event: StripeEvent, known: Known) -> int:
    """The sum of all changes that are told of a subscription once this event is out, in minor units."""
    change = change_of(event, known)
    return change.told if change.now is None or not bears_change(event, known) else change.now


def record_after(event: StripeEvent, known: Known) -> tuple[SubscriptionRecord, bool]:
    """What is remembered of the subscription after an event, and whether that shows in the traits.

    An older event than the newest known only tells of a trial's beginning, and of what it was first to tell.
    """
    remembered, new, told = record_in(event, known), record_of(event, known), told_after(event, known)
    if remembered is not None and remembered.newer_than(new):
        ends = before_of(event, known).on_trial and not after_of(event, known).on_trial
        if remembered.trialed is None or (ends and remembered.converted is None):
            remembered = replace(remembered, trialed=new.trialed, trial_start=new.trial_start)
        return replace(remembered, told=told), False
    # Unknown so far, or this very event on a second attempt: the payload says what it was before.
    was = new.came_from if remembered is None or remembered.as_of == new.as_of else remembered.digest
    return replace(new, told=told), was != new.digest or change_of(event, known).imported


def ended_in_trial(event: StripeEvent, record: SubscriptionRecord | None) -> bool:
    """Whether the end came in a trial or, as where no payment method was given, with the end of it.

    A record may still be of the trial although it converted, a year ago: what tells is the trial's end.
    """
    in_trial = record is not None and record.status == "trialing"
    return _with_the_trial(event, late=VERY_LATE if in_trial else LATE)


def _with_the_trial(event: StripeEvent, *, late: int = LATE) -> bool:
    trial_end = trial_of(event.object)[1]
    return trial_end is not None and trial_end + late >= (ended_at(event.object) or event.created)


def movement(event: StripeEvent, known: Known) -> str | None:
    """What the event's change is in the growth of the MRR."""
    change = change_of(event, known)
    return growth(known.profile, text(event.object.get("id")) or "", change.told, change.amount or 0)


def growth(profile: Profile, subscription: str, told: int, change: int) -> str | None:
    """What a change of one subscription is in the growth of the MRR, by what the customer counted before.

    A subscriber is new once, and is lost with the last subscription.
    https://docs.stripe.com/billing/subscriptions/analytics/glossary
    """
    if not change:
        return None
    before = told + sum(one.counted for name, one in profile.subscriptions.items() if name != subscription)
    if before <= 0:
        return "reactivation" if profile.subscribed else "new"
    if before + change <= 0:
        return "churn"
    return "expansion" if change > 0 else "contraction"
