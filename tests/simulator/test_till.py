"""The lifetime value is what the balance transactions sum to, before fees: for every customer, in every currency."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.segment_side.answers import Answer, Meaning
from tests.simulator.till import a_till, balance_of
from tests.unit.worlds import ACCEPTED, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.stripe_side.event import StripeEvent

HOLD = 300


def shown(world: World) -> dict[tuple[str, str], Decimal]:
    """What the last identify of each user shows, by user and lower-case currency, without zeros."""
    last: dict[str, Mapping[str, Any]] = {}
    for call in world.calls:
        if call["type"] == "identify":
            stranger = call.get("anonymousId", "")
            who = call.get("userId", stranger)
            if who != stranger:
                # From now on this is the user's history.
                last.pop(stranger, None)
            last[who] = call["traits"].get("lifetime_value_by_currency") or last.get(who, {})
    return {
        (user, code.lower()): Decimal(str(amount))
        for user, amounts in last.items()
        for code, amount in amounts.items()
        if amount
    }


def true[Key](balance: Mapping[Key, int]) -> dict[Key, Decimal]:
    return {key: Decimal(minor) / 100 for key, minor in balance.items() if minor}


def summed(world: World, name: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for call in world.calls:
        told = call.get("properties", {})
        if name in told:
            sums[told["currency"].lower()] += Decimal(str(told[name]))
    return {currency: amount for currency, amount in sums.items() if amount}


def deliver(world: World, events: list[StripeEvent]) -> list[StripeEvent]:
    """Deliver a batch; gives what has to come again."""
    again = {Status.WAITING, Status.RETRY}
    return [event for event, done in zip(events, world.batch(*events), strict=True) if done.status in again]


@pytest.mark.parametrize("seed", range(40))
def test_in_order_it_is_so_after_every_moment(seed: int) -> None:
    """Within a moment the events come in any order, and what waits for others comes again."""
    till = a_till(Random(seed))  # noqa: S311 - a simulation has to be reproducible
    world = World(PAYMENT_HOLD_SECONDS=str(HOLD))
    balance: dict[tuple[str, str], int] = defaultdict(int)
    for moment in till.moments:
        for key, minor in moment.moved.items():
            balance[key] += minor
        world.now = moment.at + 1
        held = [event for one in moment.events for event in deliver(world, [one])]
        world.now = moment.at + HOLD + 1
        assert deliver(world, held) == []
        assert shown(world) == true(balance), f"after {[event.type for event in moment.events]}"
    assert summed(world, "revenue") == true(till.revenue)
    assert summed(world, "revenue_refunded") == true(till.returned)
    strangers = {call["anonymousId"] for call in world.calls if "userId" not in call}
    assert all(stranger.startswith("cs_") for stranger in strangers), "who is no guest has an account"


@given(seed=st.integers(0, 10**9), order=st.randoms(use_true_random=False))
def test_shuffled_tripled_and_through_outages_it_is_so_at_the_end(seed: int, order: Random) -> None:
    """Where payloads join payments and invoices; else what comes too late to be held is matched by amount and time."""
    till = a_till(Random(seed), payments=4)  # noqa: S311 - a simulation has to be reproducible
    assume(till.joined and till.referenced)
    world = World(PAYMENT_HOLD_SECONDS=str(HOLD))
    events = till.events * 3
    order.shuffle(events)
    world.now = till.moments[-1].at + 1_000
    world.answer = lambda _: ACCEPTED if order.random() < 0.8 else Answer(Meaning.RETRY, "no_answer")
    while events:
        size = order.choice((1, 2, 5, 20))
        events = [*events[size:], *deliver(world, events[:size])]
    world.answer = lambda _: ACCEPTED
    assert shown(world) == true(balance_of(till))
