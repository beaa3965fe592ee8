"""The mrr_change of an event, chosen so that all changes of a subscription sum to its current mrr at any moment.

The record keeps the sum of the changes sent so far. An event's change is the subscription's mrr now less that sum,
which includes changes that were missed, came late or were unknown until now. An event older than the record has no
change, because a newer one has carried it with its own.
"""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.facts import worked_out_once
from stripe_to_segment.mapping.subscriptions.records import record_in, record_of, valued, with_terms
from stripe_to_segment.mapping.subscriptions.state import UNPAID_TRIAL, after_of, before_of
from stripe_to_segment.state.person import over_all
from stripe_to_segment.stripe_side.fields import text
from stripe_to_segment.stripe_side.subscription import created_at, ended_at

if TYPE_CHECKING:
    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.subscription import SubscriptionRecord
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "OPENING",
    "Change",
    "bears_change",
    "change_of",
    "ended_in_trial",
    "growth",
    "has_counted",
    "movement",
    "opens",
    "record_after",
    "record_then",
    "sent_after",
]

# Stripe retries for three days: a subscription that is older, and new to the stack, was created before the stack.
# https://docs.stripe.com/webhooks#automatic-retries
OLDER = 3 * 86_400
# The seconds after a trial's end within which Stripe ends or pauses a subscription that is not paid for.
LATE = 300
# An hour if the trial's outcome is unknown. Daily plans may convert and end within a day.
VERY_LATE = 3_600
# The mrr_movement of what a subscription counted before the stack.
OPENING = "opening"
# Statuses whose begin and end have events of their own, with their own mrr_change.
SEPARATE_FACTS = frozenset({"paused", "canceled"})


@frozen
class Change:
    """The effect of an event on the mrr of its subscription, in minor units.

    `opening` is the mrr before the first event that was ever seen of the subscription, None if unknown; `imported` says
    that the subscription is older than the stack's first event of it. `sent` is the sum sent before the event, with the
    opening; `now` is the mrr after the event, None if unknown. `missed` is a change that a newer event or an import
    found and no call has stated yet; a fact of its own states it.
    """

    sent: int
    now: int | None
    imported: bool = False
    opening: int | None = None
    missed: int = 0

    @property
    def amount(self) -> int | None:
        """The mrr_change."""
        return None if self.now is None else self.now - self.sent


@worked_out_once
def change_of(event: StripeEvent[shapes.Subscription], known: Known) -> Change:
    """The effect of a subscription's event on its mrr."""
    record, new = record_then(event, known), record_of(event, known)
    if record is not None and record.unsent:
        now = record.mrr if record.newer_than(new) else new.mrr
        # The first event states all of it; for another one the opening balance is a fact of its own.
        sent = 0 if event.type.endswith(".created") else record.counted
        return Change(sent, now, imported=not event.type.endswith(".created"), opening=record.mrr)
    if record is not None and record.newer_than(new) and record.mrr is not None:
        # Not by the event's own facts: they may have been sent before, for another event of the same change.
        if record.apart:
            return Change(record.counted, record.counted)
        return Change(record.mrr, record.mrr, missed=record.mrr - record.counted)
    if record is not None:
        return Change(record.counted, record.mrr if record.newer_than(new) else new.mrr)
    made = created_at(event.object)
    if event.type.endswith(".created") or made is None or event.created - made < OLDER:
        return Change(0, new.mrr)
    opening = _opening(event, known)
    return Change(opening or 0, new.mrr, imported=True, opening=opening)


@worked_out_once
def record_then(event: StripeEvent[shapes.Subscription], known: Known) -> SubscriptionRecord | None:
    """The stored record; of a record of the event's second, the newest state of that second that is known by now.

    With the mrr, if it was unknown and an older event states the coupon of a discount that a newer one only names.
    """
    record, new, name = record_in(event, known), record_of(event, known), text(event.object.get("id")) or ""
    if record is None or record.unsent:
        return record
    if record.as_of == new.as_of:
        record = new.settled(record)
    if record.mrr is not None or not record.newer_than(new):
        return record
    taught = with_terms(known.profile, event, known).with_subscription(name, record)
    return valued(taught, known, again=False).subscriptions[name]


def _opening(event: StripeEvent[shapes.Subscription], known: Known) -> int | None:
    """The mrr before the first event that is seen of a subscription.

    An update states it; an end and a pause do not. Then a subscription that was not on trial is assumed to have
    counted, and a pause without a reason to have followed a trial.
    """
    after = after_of(event, known)
    if event.type.endswith(".updated"):
        return before_of(event, known).mrr
    if event.type.endswith(".deleted"):
        return 0 if _with_the_trial(event, known) else after.value.amount
    if event.type.endswith(".paused"):
        unpaid = after.paused_because in {None, UNPAID_TRIAL} and not after.has_counted
        return 0 if _with_the_trial(event, known) or unpaid else after.value.amount
    return 0


def bears_change(event: StripeEvent[shapes.Subscription], known: Known) -> bool:
    """Whether this event carries the change: a pause, a resumption and an end have events of their own."""
    if not event.type.endswith(".updated"):
        return True
    was, now = before_of(event, known).status, after_of(event, known).status
    return was == now or not SEPARATE_FACTS & {was, now}


def sent_after(event: StripeEvent[shapes.Subscription], known: Known) -> int:
    """The sum of all changes of a subscription after this event is sent, in minor units."""
    change = change_of(event, known)
    return change.sent if change.now is None or not bears_change(event, known) else change.now


def record_after(event: StripeEvent[shapes.Subscription], known: Known) -> tuple[SubscriptionRecord, bool]:
    """The subscription's record after an event, and whether the traits change with it.

    An event that is older than the record only adds a trial's start, and data that no other event has stated.
    """
    remembered, new, sent = record_then(event, known), record_of(event, known), sent_after(event, known)
    change, stored = change_of(event, known), record_in(event, known)
    unopened = change.now is None and opens(event, known)
    if remembered is not None and remembered.newer_than(new):
        ends = before_of(event, known).on_trial and not after_of(event, known).on_trial
        if remembered.trialed is None or (ends and remembered.converted is None):
            remembered = replace(remembered, trialed=new.trialed, trial_start=new.trial_start)
        return (
            replace(remembered, mrr_sent=sent, unsent=False, unopened=unopened),
            stored is None or remembered.digest != stored.digest,
        )
    # Without a record, or for the same event on a second attempt, the payload states the previous state.
    was = new.came_from if remembered is None or remembered.as_of == new.as_of else remembered.digest
    new = replace(new, mrr_sent=sent, apart=change.now is not None and sent != change.now, unopened=unopened)
    if remembered is not None and remembered is not stored:
        new = replace(new, came_from=remembered.came_from, beside=remembered.beside)
    return new, was != new.digest or change.imported


def ended_in_trial(event: StripeEvent[shapes.Subscription], known: Known) -> bool:
    """Whether the subscription ended in its trial or, without a payment method for instance, with the trial.

    The trial's end decides, because the record may still have the state of a trial that converted a year ago. One that
    only moved the billing date of a paying customer is no trial.
    """
    record, (start, end) = record_in(event, known), after_of(event, known).trial
    moved = record is not None and record.moved is not None and record.moved == end
    # The event that moves the date may still come.
    if moved or (record is not None and start is not None and record.counts_before(start)):
        return False
    # One that was paused in its trial and never resumed was not paid for.
    if record is not None and record.paused_in_trial and record.trialed == end:
        return True
    return _with_the_trial(event, known, late=VERY_LATE if record is not None and record.in_trial else LATE)


def _with_the_trial(event: StripeEvent[shapes.Subscription], known: Known, *, late: int = LATE) -> bool:
    trial_end = after_of(event, known).trial[1]
    return trial_end is not None and trial_end + late >= (ended_at(event.object) or event.created)


def opens(event: StripeEvent[shapes.Subscription], known: Known) -> bool:
    """Whether the subscription is older than the stack, and its opening balance was unknown so far."""
    change, stored = change_of(event, known), record_in(event, known)
    return (change.imported and change.opening is None) or (stored is not None and stored.unopened)


def movement(event: StripeEvent[shapes.Subscription], known: Known) -> str | None:
    """The mrr_movement of the event's change."""
    change = change_of(event, known)
    if change.amount and opens(event, known):
        return OPENING
    person = over_all(known.profile, known.others)
    if has_counted(event, known):
        person = replace(person, subscribed=True)
    return growth(person, text(event.object.get("id")) or "", change.sent, change.amount or 0)


def has_counted(event: StripeEvent[shapes.Subscription], known: Known) -> bool:
    """Whether the first event that is seen of a subscription shows that it had an mrr, which no event has stated."""
    if record_in(event, known) is not None:
        # It may have been over nothing while it counted.
        return False
    after = after_of(event, known)
    resumed = event.type.endswith(".resumed") and after.trial[1] is None and after.value.amount != 0
    return resumed or after.has_counted or before_of(event, known).has_counted


def growth(profile: Profile, subscription: str, sent: int, change: int) -> str | None:
    """The mrr_movement of a change of one subscription, by the mrr that the person had before.

    A subscriber is new once, and churns with the last subscription.
    https://docs.stripe.com/billing/subscriptions/analytics/glossary
    """
    if not change:
        return None
    before = sent + sum(one.counted for name, one in profile.subscriptions.items() if name != subscription)
    if before <= 0:
        return "reactivation" if profile.subscribed else "new"
    if before + change <= 0:
        return "churn"
    return "expansion" if change > 0 else "contraction"
