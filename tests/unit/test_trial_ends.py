"""To the second: which end and which pause belong to a trial, and which invoice is the first after one.

Mutants of `mrr_changes.LATE`, `VERY_LATE` and `invoices._follows_trial` survived every test: all of them stood well on
one side of these limits.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.shapes import DAY, NOW, a_subscription, an_event, an_invoice
from tests.unit.worlds import World

CREATED, DELETED, PAUSED = (f"customer.subscription.{kind}" for kind in ("created", "deleted", "paused"))
# A trial that ends now, of a plan of 20 a month.
TRIAL = {"trial_start": NOW - 14 * DAY, "trial_end": NOW}


def ended(after: int, **more: Any) -> Any:
    """The end of the subscription, so many seconds after its trial's."""
    body = {"status": "canceled", "ended_at": NOW + after, **TRIAL} | more
    return an_event(DELETED, a_subscription(**body), created=NOW + after)


def paused(after: int) -> Any:
    return an_event(PAUSED, a_subscription(status="paused", **TRIAL), created=NOW + after)


def begun(status: str, **more: Any) -> Any:
    return an_event(CREATED, a_subscription(status=status, **{**TRIAL, **more}), created=NOW - 14 * DAY)


def lost_its_trial(world: World, end: Any) -> bool:
    """Whether an end reports its trial as lost."""
    told = world.tracks(end)
    assert "Subscription Cancelled" in told
    assert told.get("Trial Ended", {"converted": False})["converted"] is False
    return "Trial Ended" in told


@pytest.mark.parametrize(("after", "lost"), [(-1, True), (0, True), (300, True), (301, False)])
def test_for_an_unknown_subscription_an_end_within_five_minutes_of_the_trials_end_is_a_lost_trial(
    after: int, *, lost: bool
) -> None:
    assert lost_its_trial(World(), ended(after)) is lost


@pytest.mark.parametrize(("after", "change"), [(300, 0), (301, -20)])
def test_a_subscription_lost_with_its_trial_had_no_mrr_and_one_that_ended_later_had(after: int, change: int) -> None:
    assert World().tracks(ended(after))["Subscription Cancelled"]["mrr_change"] == change


@pytest.mark.parametrize(("after", "lost"), [(301, True), (3_600, True), (3_601, False)])
def test_if_the_trial_was_the_last_known_state_an_end_within_the_hour_is_a_lost_trial(
    after: int, *, lost: bool
) -> None:
    world = World()
    world.deliver(begun("trialing"))
    assert lost_its_trial(world, ended(after)) is lost


@pytest.mark.parametrize(("after", "lost"), [(300, True), (301, False)])
def test_if_the_trial_is_known_to_have_ended_the_limit_is_five_minutes(after: int, *, lost: bool) -> None:
    world = World()
    world.deliver(begun("active"))
    assert lost_its_trial(world, ended(after)) is lost


def test_the_end_counts_by_its_own_time_not_by_when_its_event_was_made() -> None:
    late = an_event(DELETED, ended(300).object, created=NOW + DAY)
    assert lost_its_trial(World(), late)


def test_without_a_time_of_its_own_an_end_counts_by_its_event() -> None:
    assert lost_its_trial(World(), ended(300, ended_at=None))
    assert not lost_its_trial(World(), ended(301, ended_at=None))


def test_a_subscription_without_a_trial_has_no_lost_trial() -> None:
    assert not lost_its_trial(World(), ended(0, trial_start=None, trial_end=None))


@pytest.mark.parametrize("after", [0, 300, 301])
def test_a_pause_subtracts_the_mrr_that_was_sent(after: int) -> None:
    world = World()
    world.deliver(begun("active"))
    assert world.tracks(paused(after))["Subscription Paused"]["mrr_change"] == -20


@pytest.mark.parametrize("after", [0, 300, 301])
def test_a_pause_of_an_unknown_subscription_subtracts_nothing(after: int) -> None:
    assert World().tracks(paused(after))["Subscription Paused"]["mrr_change"] == 0


@pytest.mark.parametrize(("after", "first"), [(-61, False), (-1, True), (0, True), (DAY, True), (30 * DAY, True)])
def test_the_first_renewal_after_a_trial_says_so_whenever_it_is_made(after: int, *, first: bool) -> None:
    assert after_trial(begun("trialing"), created=NOW + after) is (True if first else None)


@pytest.mark.parametrize(("after", "first"), [(-1, False), (0, True), (DAY - 1, True), (DAY, False)])
def test_a_renewal_made_within_a_day_of_the_trials_end_says_so_also_where_another_came_first(
    after: int, *, first: bool
) -> None:
    other = an_event("invoice.paid", an_invoice(id="in_2", created=NOW + 30 * DAY), created=NOW + 30 * DAY)
    assert after_trial(begun("trialing"), other, created=NOW + after) is (True if first else None)


@pytest.mark.parametrize(
    ("known", "invoice"),
    [
        ([], {}),
        ([begun("active", trial_start=None, trial_end=None)], {}),
        ([begun("trialing")], {"created": None}),
        ([begun("trialing")], {"parent": None, "lines": {"object": "list", "data": []}}),
        ([begun("trialing", id="sub_another")], {}),
    ],
    ids=["nothing known", "no trial", "an invoice without a time", "of no subscription", "another one's trial"],
)
def test_if_the_trial_is_unknown_the_property_is_absent(known: list[Any], invoice: dict[str, Any]) -> None:
    assert after_trial(*known, **{"created": NOW, **invoice}) is None


def after_trial(*known: Any, **invoice: Any) -> object:
    """What the renewal says of a trial, None where it says nothing."""
    world = World()
    world.deliver(*known)
    paid = an_event("invoice.paid", an_invoice(billing_reason="subscription_cycle", **invoice))
    return world.tracks(paid)["Subscription Renewed"].get("after_trial")
