"""Stripe's enums are open: each value that Stripe's library knows has a meaning here, and what has one is a value.

When this fails after an upgrade of the library, Stripe has added a value: give it a meaning, or leave it unknown here.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest

from stripe_to_segment.mapping.failures import DELAYED
from stripe_to_segment.mapping.subscriptions.cancellations import CANCELLED_BY
from stripe_to_segment.mapping.subscriptions.state import FAILED, ON_REQUEST, UNPAID_TRIAL
from stripe_to_segment.state.subscription import NOT_LIVE
from stripe_to_segment.stripe_side.discount import PASSING
from stripe_to_segment.stripe_side.invoice import UNPAID
from stripe_to_segment.stripe_side.listing import DISPUTE_ENDS
from stripe_to_segment.stripe_side.mrr import COUNTING, NOT_COUNTING, PERIODS_A_MONTH
from tests.unit.stripe_fields import hints_of, inside

# All values, where one that is missing makes a number unknown.
WHOLE: dict[str, set[Any]] = {
    "subscription.status": {*COUNTING, *NOT_COUNTING},
    "subscription.cancellation_details.reason": {*CANCELLED_BY},
    "coupon.duration": {*PASSING, "forever"},
    "price.billing_scheme": {"per_unit", "tiered"},
    "price.tiers_mode": {"graduated", "volume"},
    "price.recurring.interval": {*PERIODS_A_MONTH},
    "price.recurring.usage_type": {"licensed", "metered"},
    "price.transform_quantity.round": {"up", "down"},
    "checkout.session.mode": {"payment", "setup", "subscription"},
    "checkout.session.payment_status": {"no_payment_required", "paid", "unpaid"},
    "credit_note.status": {"issued", "void"},
    "invoice.status": {"draft", "paid", "void", *UNPAID},
}
# Those that mean something of their own.
PART: dict[str, set[Any]] = {
    "dispute.status": {*DISPUTE_ENDS},
    "invoice.billing_reason": {"subscription_create", "subscription_cycle"},
    "payment_intent.capture_method": {"manual"},
    "payment_method.type": {*DELAYED},
    "subscription.status": {*NOT_LIVE} - {None},
    "subscription.status_details.paused.subscription.type": {*FAILED, ON_REQUEST, UNPAID_TRIAL},
}


def values_of(place: str) -> set[Any]:
    """The values of a field that Stripe's library knows."""
    kind = next(name for name in ("checkout.session", place.partition(".")[0]) if place.startswith(f"{name}."))
    *hashes, field = place.removeprefix(f"{kind}.").split(".")
    fields = hints_of(kind)
    for each in hashes:
        fields = inside(fields[each])
    return set(_literals(fields[field]))


def _literals(hint: object) -> list[str]:
    return [hint] if isinstance(hint, str) else [one for each in get_args(hint) for one in _literals(each)]


@pytest.mark.parametrize("place", WHOLE)
def test_every_value_that_stripes_library_knows_is_known_here(place: str) -> None:
    assert WHOLE[place] == values_of(place)


@pytest.mark.parametrize("place", PART)
def test_a_value_with_a_meaning_of_its_own_is_one_of_stripes(place: str) -> None:
    assert PART[place] < values_of(place)
