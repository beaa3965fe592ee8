"""customer.subscription.updated: all facts in its `previous_attributes`, one of which carries the mrr_change.

The facts are in a fixed order. Exactly one carries `mrr_change`, so that the sum over a subscription is its current
mrr; if none can, a Subscription Changed is added.
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
from stripe_to_segment.mapping.subscriptions.lifecycle import SubscriptionActivated, beginning_facts, imported
from stripe_to_segment.mapping.subscriptions.mrr_changes import bears_change, change_of
from stripe_to_segment.mapping.subscriptions.plan_changes import (
    SubscriptionChanged,
    SubscriptionDowngraded,
    SubscriptionUpgraded,
    changed_otherwise,
    plan_facts,
)
from stripe_to_segment.mapping.subscriptions.records import moves_billing_date, record_in
from stripe_to_segment.mapping.subscriptions.state import after_of, before_of
from stripe_to_segment.mapping.subscriptions.trials import TrialEnded, TrialStarted, conversion, trial_facts
from stripe_to_segment.mapping.worth import was_sent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["MRR_BEARERS", "updated"]

# The facts that may carry an update's mrr_change: the first that the update states does. The start of a trial does only
# if a running subscription gets the trial.
MRR_BEARERS = (
    SubscriptionActivated,
    TrialEnded,
    SubscriptionUpgraded,
    SubscriptionDowngraded,
    SubscriptionUnpaid,
    SubscriptionRecovered,
    SubscriptionChanged,
    TrialStarted,
    SubscriptionPastDue,
)
FALLBACK_BEARERS = (TrialStarted, SubscriptionPastDue)


def updated(event: StripeEvent[shapes.Subscription], known: Known) -> Iterator[Fact]:
    """customer.subscription.updated."""
    yield from imported(event, known)
    before, after = before_of(event, known), after_of(event, known)
    facts = [
        *beginning_facts(event, before, after, known),
        *trial_facts(event, before, after, known),
        *conversion(event, known),
        *plan_facts(event, before, after, known),
        *cancellation_facts(event, before, after, known),
        *dunning_facts(event, before, after, known),
        *collection_facts(event, before, after, known),
    ]
    amount = change_of(event, known).amount if bears_change(event, known) else None
    bearers = [fact for kind in MRR_BEARERS for fact in facts if type(fact.event) is kind]
    if amount:
        # What is stated once, as the end of a trial, states no second change.
        bearers = [fact for fact in bearers if not was_sent((fact.name,), fact.key, event, known, known.settings)]
    bearer = next(iter(bearers), None)
    moved = before.on_trial is not after.on_trial and moves_billing_date(event, before, after, record_in(event, known))
    if bearer is None and (amount or moved):
        bearer = changed_otherwise(event, before, after, known)
        facts.append(bearer)
    idle = bearer is not None and isinstance(bearer.event, FALLBACK_BEARERS) and not amount
    for fact in facts:
        yield bearing(fact, event, known) if fact is bearer and amount is not None and not idle else fact
