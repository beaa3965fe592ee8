"""Traits are the person's and the group's: the last call of each says what a recount of everything delivered says."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator import laws, weather
from tests.simulator.circles import Circle, a_circle, faults_of

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = range(40)


def faults(circle: Circle, ours: laws.Ours) -> list[str]:
    return [*faults_of(circle, ours.calls), *ours.faults]


def one_by_one(circle: Circle) -> laws.Ours:
    ours = laws.Ours(circle.at)
    for event in circle.events:
        ours.deliver([event])
    return ours


def in_any_order(circle: Circle, seed: int) -> laws.Ours:
    """Every event twice, in any order, in batches of any size."""
    rng = Random(f"order {seed}")
    ours, events = laws.Ours(circle.at), [*circle.events] * 2
    rng.shuffle(events)
    while events:
        size = rng.choice((1, 1, 2, 5, 10))
        ours.deliver(events[:size])
        del events[:size]
    return ours


@settings(max_examples=settings().max_examples * 3 // 5)
@given(seed=st.integers(0, 10**9), steps=st.integers(1, 25), order=st.integers(0, 10**9))
def test_after_merges_and_moves_in_any_order_traits_equal_a_recount(seed: int, steps: int, order: int) -> None:
    """Users with one to five customers and guests' payments, groups with several customers."""
    circle = a_circle(seed, steps)
    assert faults(circle, one_by_one(circle)) == []
    assert faults(circle, in_any_order(circle, order)) == []


@pytest.mark.parametrize("mixed", [False, True], ids=["in order", "shuffled and tripled"])
@pytest.mark.parametrize(
    "through",
    [weather.through_outages, weather.through_lost_records, weather.through_refusals],
    ids=lambda it: it.__name__,
)
def test_traits_equal_a_recount_after_outages_kills_and_concurrent_batches(
    through: Callable[..., laws.Ours], *, mixed: bool
) -> None:
    """Two batches with two customers of one user each missed what the other learnt, and the last identify was wrong."""
    circles = {seed: a_circle(seed) for seed in SEEDS[: settings().max_examples * 2 // 5]}
    found = {seed: faults(circle, through(circle, seed, mixed=mixed)) for seed, circle in circles.items()}
    assert {seed: said for seed, said in found.items() if said} == {}


def test_the_simulation_contains_merges_moves_and_refunds() -> None:
    circles = [a_circle(seed) for seed in SEEDS]
    kinds = {event["type"] for circle in circles for event in circle.events}
    assert kinds >= {
        "customer.updated",
        "customer.subscription.deleted",
        "checkout.session.completed",
        "charge.refunded",
    }
    assert any(len([each for each in one.customers if each.user == user]) > 2 for one in circles for user in one.users)
    assert any(
        len([each for each in one.customers if each.group == group]) > 2 for one in circles for group in one.groups
    )
    assert any(guest.user == each.user for one in circles for guest in one.guests for each in one.customers)


def test_the_recount_detects_an_outdated_identify() -> None:
    circle = next(one for one in map(a_circle, SEEDS) if any(each["mrr"] for each in one.of_users().values()))
    ours = one_by_one(circle)
    shown = [
        call for call in ours.calls if call["type"] == "identify" and call["traits"].get("mrr") and "userId" in call
    ]
    last = shown[-1]
    ours.calls.append({**last, "traits": {**last["traits"], "mrr": last["traits"]["mrr"] + 1}})
    assert faults_of(circle, ours.calls)
