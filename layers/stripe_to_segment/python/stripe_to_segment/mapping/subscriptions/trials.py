"""Trials: their start, their end and their conversion."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, cast

from stripe_to_segment.mapping.facts import Fact, plan_name
from stripe_to_segment.mapping.subscriptions.common import BearsMrrChange, Subscribed, event_with, key_of
from stripe_to_segment.mapping.subscriptions.mrr_changes import record_after
from stripe_to_segment.mapping.subscriptions.records import moves_billing_date, record_in
from stripe_to_segment.mapping.subscriptions.state import ON_REQUEST, after_of
from stripe_to_segment.mapping.tracking import properties, track
from stripe_to_segment.state.subscription import EARLY
from stripe_to_segment.stripe_side.fields import iso_time, text
from stripe_to_segment.stripe_side.money import major
from stripe_to_segment.stripe_side.mrr import COUNTING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import Converted, TrialEndDate, TrialPlanName, TrialStartDate
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.state.subscription import SubscriptionRecord
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

    # Start and end in epoch seconds.
    type Trial = tuple[int | None, int | None]

__all__ = [
    "TrialConverted",
    "TrialEnded",
    "TrialEndingSoon",
    "TrialStarted",
    "conversion",
    "converts",
    "trial_converted",
    "trial_ended",
    "trial_facts",
    "trial_started",
    "trial_will_end",
]

# The statuses of a subscription that was not paid for.
OVER = frozenset({"canceled", "paused", "incomplete_expired"})


@properties
class OnTrial(Subscribed):
    """Segment's own properties of a trial. https://segment.com/docs/connections/spec/b2b-saas/#trial-started."""

    trial_start_date: TrialStartDate = None
    trial_end_date: TrialEndDate = None
    trial_plan_name: TrialPlanName = None


@track("Trial Started", when="a trial begins, free or paid")
class TrialStarted(BearsMrrChange, OnTrial):
    """It carries a change only if a running subscription gets a trial."""


@track("Trial Converted", when="the first invoice after a trial is paid")
class TrialConverted(OnTrial):
    """Also with a payment of 0, if a coupon or a balance covers it."""


@track("Trial Ended", when="a trial ends; the status shows the result")
class TrialEnded(BearsMrrChange, OnTrial):
    """With a card on file the status is active at once, and the first charge may still fail."""

    converted: Converted = None


@track("Trial Ending Soon", when="a trial ends in three days, or at its start if the trial is shorter")
class TrialEndingSoon(OnTrial):
    """Stripe's reminder."""


def trial_facts(event: StripeEvent[shapes.Subscription], before: State, after: State, known: Known) -> Iterator[Fact]:
    """The facts of an update about a trial."""
    if before.on_trial == after.on_trial:
        if _ended_while_paused(event, before, after, record_in(event, known)):
            yield trial_ended(event, after, known, trial=after.trial)
        return
    if moves_billing_date(event, before, after, record_in(event, known)):
        return
    trial = after.trial if after.trial[1] is not None else before.trial
    if after.on_trial:
        # A trial that a pause interrupted goes on, whatever its end is now.
        if not (before.status == "paused" and (after.trial[0] or event.created) < event.created):
            yield trial_started(event, after, known)
    elif not (after.status == "paused" and (trial[1] or 0) > event.created):
        # A pause on request interrupts a trial. Its end is stated once, when it has come.
        yield trial_ended(event, after, known, trial=trial)


def _ended_while_paused(
    event: StripeEvent[shapes.Subscription], before: State, after: State, record: SubscriptionRecord | None
) -> bool:
    """Whether a trial that a pause on request interrupted was over when the subscription was resumed."""
    end = after.trial[1]
    if before.status != "paused" or after.status not in COUNTING or record is None or end is None:
        return False
    # The payment with which it is resumed may come first, and so may the event of the resumption.
    paid_before = record.converted is not None and record.converted + EARLY < event.created
    on_request = before.paused_because == ON_REQUEST or record.paused_in_trial
    return on_request and record.trialed == end <= event.created and not paid_before


def conversion(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """The conversion of a trial whose first payment arrived before this event about the trial's end."""
    subscription_id = text(event.object.get("id")) or event.id
    record, _ = record_after(event, known)
    if converts(record, known.profile.invoiced.get(subscription_id)):
        fact = trial_converted(subscription_id, record)
        stated = event_with(Subscribed, event, after_of(event, known), known)
        yield replace(
            fact, event=replace(fact.event, product_id=stated.product_id, amount=stated.amount, mrr=stated.mrr)
        )


def trial_will_end(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """customer.subscription.trial_will_end, three days before the end (or at once for a shorter trial)."""
    after, record = after_of(event, known), record_in(event, known)
    if record is None or not moves_billing_date(event, after, after, record):
        yield _fact(TrialEndingSoon, event, after, known, after.trial)


def trial_ended(event: StripeEvent[shapes.Subscription], state: State, known: Known, *, trial: Trial) -> Fact:
    """The end of a trial; `converted` is known at once only if the subscription does not continue."""
    fact = _fact(TrialEnded, event, state, known, trial)
    return replace(fact, event=replace(fact.event, converted=False if state.status in OVER else None))


def trial_started(event: StripeEvent[shapes.Subscription], state: State, known: Known) -> Fact:
    """The beginning of a trial."""
    return _fact(TrialStarted, event, state, known, state.trial)


def converts(record: SubscriptionRecord | None, invoiced: int | None) -> bool:
    """Whether a trial has had its first payment, by the time of the newest paid invoice."""
    return record is not None and record.may_convert and record.pays_after_trial(invoiced)


def trial_converted(subscription_id: str, record: SubscriptionRecord) -> Fact[TrialConverted]:
    """The conversion of a trial, by the subscription's record."""
    active = "active" if record.status in {"trialing", None} else record.status
    mrr = None if record.on_trial or record.status not in COUNTING else record.mrr
    stated = TrialConverted(
        subscription_id=subscription_id,
        status=active,
        plan=record.plan,
        price_id=record.price_id,
        quantity=record.quantity,
        billing_period=record.period,
        currency=record.currency and record.currency.upper(),
        mrr=major(mrr, record.currency),
        trial_start_date=iso_time(record.trial_start),
        trial_end_date=iso_time(record.trialed),
        trial_plan_name=record.plan,
    )
    return Fact(stated, f"{subscription_id}:{record.trialed}")


def _fact[E: OnTrial](
    declared: type[E], event: StripeEvent[shapes.Subscription], state: State, known: Known, trial: Trial
) -> Fact[E]:
    start, end = trial
    stated = replace(
        event_with(declared, event, state, known),
        trial_start_date=iso_time(start),
        trial_end_date=iso_time(end),
        trial_plan_name=None if state.main is None else plan_name(state.main.price, known),
    )
    # The key includes the end: a trial may be extended, and later ones may keep the first one's start.
    return Fact(cast("E", stated), key_of(event, f"{start or ''}:{end or ''}"))
