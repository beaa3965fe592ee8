"""Trials: their beginning, their end and what came of them."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, cast

from stripe_to_segment.mapping.facts import Fact, plan_name
from stripe_to_segment.mapping.subscriptions.common import BearsMrrChange, Subscribed, key_of, told_of
from stripe_to_segment.mapping.subscriptions.state import after_of
from stripe_to_segment.mapping.tracking import always, properties, track
from stripe_to_segment.stripe_side.fields import iso_time
from stripe_to_segment.stripe_side.subscription import trial_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import Converted, TrialEndDate, TrialPlanName, TrialStartDate
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "TrialConverted",
    "TrialEnded",
    "TrialEndingSoon",
    "TrialStarted",
    "trial_ended",
    "trial_facts",
    "trial_started",
    "trial_will_end",
]


@properties
class OnTrial(Subscribed):
    """Segment's own properties of a trial. https://segment.com/docs/connections/spec/b2b-saas/#trial-started."""

    trial_start_date: TrialStartDate = None
    trial_end_date: TrialEndDate = None
    trial_plan_name: TrialPlanName = None


@track("Trial Started", when="a trial begins")
class TrialStarted(BearsMrrChange, OnTrial):
    """It bears a change only where a running subscription is put on trial."""


@track("Trial Converted", when="a trial becomes a paid subscription")
class TrialConverted(BearsMrrChange, OnTrial):
    """With the trial's mrr from then on."""


@track("Trial Ended", when="a trial is over, converted or not")
class TrialEnded(OnTrial):
    """Beside Trial Converted where it did."""

    converted: Converted = always()


@track("Trial Ending Soon", when="a trial ends in three days, or at once where it is shorter")
class TrialEndingSoon(OnTrial):
    """Stripe's reminder."""


def trial_facts(event: StripeEvent, before: State, after: State, known: Known) -> Iterator[Fact]:
    """What an update's change of status says of a trial."""
    was, now = before.status, after.status
    if was == now:
        return
    if now == "trialing":
        yield trial_started(event, after, known)
    if was == "trialing":
        if now == "active":
            yield _fact(TrialConverted, event, after, known)
        yield trial_ended(event, after, known, converted=now == "active")


def trial_will_end(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.trial_will_end, three days before the end (or at once for a shorter trial)."""
    yield _fact(TrialEndingSoon, event, after_of(event), known)


def trial_ended(event: StripeEvent, state: State, known: Known, *, converted: bool) -> Fact:
    """The end of a trial, and whether it converted."""
    fact = _fact(TrialEnded, event, state, known)
    return replace(fact, event=replace(fact.event, converted=converted))


def trial_started(event: StripeEvent, state: State, known: Known) -> Fact:
    """The beginning of a trial."""
    return _fact(TrialStarted, event, state, known)


def _fact[E: OnTrial](declared: type[E], event: StripeEvent, state: State, known: Known) -> Fact[E]:
    start, end = trial_of(event.object)
    told = replace(
        told_of(declared, event, state, known),
        trial_start_date=iso_time(start),
        trial_end_date=iso_time(end),
        trial_plan_name=None if state.main is None else plan_name(state.main.price, known),
    )
    # By its end too: a trial may be extended, and later ones may keep the first one's start.
    return Fact(cast("E", told), key_of(event, f"{start or ''}:{end or ''}"))
