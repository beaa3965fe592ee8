"""customer.subscription.updated: every fact that its `previous_attributes` state, and which bears the mrr_change.

All that hold are given, in one order. `mrr_change` stands on exactly one of them, so that its running sum over a
subscription is the subscription's current mrr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.subscriptions.cancellations import cancellation_facts
from stripe_to_segment.mapping.subscriptions.collection import collection_facts
from stripe_to_segment.mapping.subscriptions.common import bearing
from stripe_to_segment.mapping.subscriptions.dunning import (
    SubscriptionPastDue,
    SubscriptionRecovered,
    SubscriptionUnpaid,
    dunning_facts,
)
from stripe_to_segment.mapping.subscriptions.lifecycle import SubscriptionActivated, beginning_facts
from stripe_to_segment.mapping.subscriptions.mrr_changes import change_of, counted_by_update
from stripe_to_segment.mapping.subscriptions.plan_changes import (
    SubscriptionChanged,
    SubscriptionDowngraded,
    SubscriptionUpgraded,
    plan_facts,
)
from stripe_to_segment.mapping.subscriptions.state import after_of, before_of
from stripe_to_segment.mapping.subscriptions.trials import TrialConverted, TrialStarted, trial_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["MRR_BEARERS", "bearer_of", "update_facts", "updated"]

# The facts that may bear an update's mrr_change: the first of them that holds does. The last two do so only where
# nothing else tells of a change: a running subscription put on trial, a trial that ends unpaid.
MRR_BEARERS = (
    SubscriptionActivated,
    TrialConverted,
    SubscriptionUpgraded,
    SubscriptionDowngraded,
    SubscriptionUnpaid,
    SubscriptionRecovered,
    SubscriptionChanged,
    TrialStarted,
    SubscriptionPastDue,
)
FALLBACK_BEARERS = (TrialStarted, SubscriptionPastDue)


def updated(event: StripeEvent, known: Known) -> Iterator[Fact]:
    """customer.subscription.updated."""
    before, after = before_of(event), after_of(event)
    facts = update_facts(event, before, after, known)
    change = change_of(event, known, *counted_by_update(before, after))
    bearer = bearer_of(facts, change)
    for fact in facts:
        yield bearing(fact, change, after) if fact is bearer else fact


def update_facts(event: StripeEvent, before: State, after: State, known: Known) -> list[Fact]:
    """The facts an update states, in the catalog's order, before one of them is given the mrr_change."""
    return [
        *beginning_facts(event, before, after, known),
        *trial_facts(event, before, after, known),
        *plan_facts(event, before, after, known),
        *cancellation_facts(event, before, after, known),
        *dunning_facts(event, before, after, known),
        *collection_facts(event, before, after, known),
    ]


def bearer_of(facts: list[Fact], change: int | None) -> Fact | None:
    """The fact that bears an update's mrr_change."""
    bearer = next((fact for kind in MRR_BEARERS for fact in facts if type(fact.event) is kind), None)
    idle = bearer is not None and isinstance(bearer.event, FALLBACK_BEARERS) and not change
    return None if change is None or idle else bearer
