"""What simulated customers found: events late, doubled or within one second, and sums that were wrong by them.

Each of these was a customer of `make truth` before it was a test.
"""

from __future__ import annotations

from collections import Counter
from copy import replace
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.load import recall
from stripe_to_segment.state.profile import LEDGER_DAYS
from stripe_to_segment.state.prune import pruned
from stripe_to_segment.state.subscription import SubscriptionRecord
from tests.simulator import laws, weather
from tests.unit.shapes import DAY, NOW, a_subscription, an_event, an_invoice, an_item
from tests.unit.worlds import World, changes, names, shown

if TYPE_CHECKING:
    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call

CREATED, UPDATED, DELETED = (f"customer.subscription.{kind}" for kind in ("created", "updated", "deleted"))


def seats(quantity: int, before: int, at: int, **more: Any) -> Any:
    previous = {"items": {"data": [an_item(quantity=before)]}, "quantity": before}
    return an_event(UPDATED, a_subscription(an_item(quantity=quantity), **more), previous=previous, created=at)


def ended(at: int, **more: Any) -> Any:
    return an_event(DELETED, a_subscription(**{"status": "canceled", "ended_at": at} | more), created=at)


def test_two_upgrades_within_a_second_are_two() -> None:
    """Both had the same key, subscription and second, so the second one was dropped as a repeat of the first."""
    world = World()
    world.deliver(seats(3, 1, NOW), seats(8, 3, NOW))
    assert changes(world) == [20, 40, 100]


def test_one_upgrade_in_two_event_objects_is_one() -> None:
    world = World()
    world.deliver(seats(3, 1, NOW), seats(3, 1, NOW))
    assert changes(world) == [20, 40]


@pytest.mark.parametrize(("was", "now", "own"), [("active", "paused", "paused"), ("paused", "active", "resumed")])
def test_an_old_event_between_an_update_and_its_pause_leaves_the_change_to_the_pause(
    was: str, now: str, own: str
) -> None:
    """Retried in that second, it took the change: a churn at the old event's time, and a pause that changed nothing."""
    world = World()
    old = an_event(UPDATED, a_subscription(), previous={"metadata": {"note": None}}, created=NOW + 1)
    world.deliver(an_event(CREATED, a_subscription(status=was), created=NOW))
    before = changes(world)
    world.deliver(
        an_event(UPDATED, a_subscription(status=now), previous={"status": was}, created=NOW + DAY),
        old,
        an_event(f"customer.subscription.{own}", a_subscription(status=now), created=NOW + DAY),
    )
    change = {"paused": -20, "resumed": 20}[own]
    assert [each for each in changes(world) if each] == [*filter(None, before), change]
    assert world.calls[-1]["properties"]["mrr_change"] == change


def test_a_pause_whose_own_event_never_comes_is_stated_by_the_next_one() -> None:
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(UPDATED, a_subscription(status="paused"), previous={"status": "active"}, created=NOW + DAY),
        an_event(
            UPDATED, a_subscription(status="paused"), previous={"metadata": {"note": None}}, created=NOW + 2 * DAY
        ),
    )
    assert changes(world) == [20, -20]


def test_a_twin_of_a_sent_event_leaves_no_change_out() -> None:
    """The update left its change to the pause.

    The copy, whose fact had been sent, stored the change and sent nothing.
    """
    world, subscription = World(), a_subscription()
    paused = {**subscription, "status": "paused"}
    for _ in range(2):
        world.deliver(an_event(CREATED, subscription, created=NOW))
        world.deliver(an_event(UPDATED, paused, created=NOW + DAY, previous={"status": "active"}))
    world.deliver(an_event("customer.subscription.paused", paused, created=NOW + DAY))
    assert changes(world) == [20, -20]


@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_four_changes_within_a_second_end_with_the_last_one_in_any_order(order: tuple[int, ...]) -> None:
    """Of three changes of one second in reverse, the mrr stayed at that of the first one, for good."""
    world, steps = World(), [(4, 2), (7, 4), (5, 7), (9, 5)]
    world.deliver(an_event(CREATED, a_subscription(an_item(quantity=2)), created=NOW))
    events = [seats(*step, NOW) for step in steps]
    world.deliver(*(events[number] for number in order), *events)
    shown = [call["traits"]["mrr"] for call in world.calls if call["type"] == "identify"]
    assert (shown[-1], sum(changes(world))) == (180, 180)
    world.deliver(ended(NOW + DAY))
    assert sum(changes(world)) == 0


def test_a_pause_that_arrives_before_older_changes_of_its_second_is_stated_by_its_own_event() -> None:
    """The last of the older changes stated it, and the pause itself changed nothing."""
    world, paused = World(), a_subscription(status="paused")
    world.deliver(an_event(CREATED, a_subscription(an_item(quantity=3)), created=NOW - DAY))
    world.deliver(an_event(UPDATED, paused, previous={"status": "active"}, created=NOW), seats(2, 3, NOW))
    world.deliver(seats(1, 2, NOW), an_event("customer.subscription.paused", paused, created=NOW))
    assert changes(world) == [60, -20, 0, -40]


# What a trial changes in one second: seats, its end, and seats once more. Each step: seats, the trial's end, status.
WEEK = NOW + 7 * DAY
TRIALS = {
    "ended early": [(3, WEEK, "trialing"), (2, WEEK, "trialing"), (2, NOW, "active"), (4, NOW, "active")],
    "changed afterwards": [(1, NOW, "active"), (3, NOW, "active"), (2, NOW, "active"), (4, NOW, "active")],
}


@pytest.mark.parametrize(("trial", "created"), [("ended early", True), ("changed afterwards", False)])
def test_a_trial_ends_and_converts_once_in_whatever_order_its_last_second_and_its_payment_arrive(
    trial: str, created: bool
) -> None:
    """If the newest state had come first, the conversion was never told, or told again with the next payment."""

    def state(quantity: int, end: int, status: str) -> dict[str, Any]:
        begun = {"created": NOW - 7 * DAY, "trial_start": NOW - 7 * DAY, "trial_end": end}
        return a_subscription(an_item(quantity=quantity), status=status, quantity=quantity, **begun)

    def payment(at: int) -> Any:
        paid = {"status_transitions": {"paid_at": at}, "billing_reason": "subscription_cycle"}
        return an_event("invoice.paid", an_invoice(id=f"in_{at}", **paid), created=at)

    states = [state(1, WEEK, "trialing"), *(state(*step) for step in TRIALS[trial])]
    events = [payment(NOW)]
    for before, after in pairwise(states):
        previous = {name: before[name] for name in ("items", "quantity", "status", "trial_end")}
        changed = {name: old for name, old in previous.items() if after[name] != old}
        events.append(an_event(UPDATED, after, previous=changed, created=NOW))
    for order in permutations(events):
        world = World()
        if created:
            world.deliver(an_event(CREATED, states[0], created=NOW - 7 * DAY))
        world.deliver(*order)
        world.deliver(payment(NOW + 30 * DAY))
        found = Counter(names(world.calls))
        assert (found["Trial Ended"], found["Trial Converted"]) == (1, 1), [each.id for each in order]
        assert (shown(world), sum(changes(world))) == (80, 80), [each.id for each in order]


def test_the_newest_state_of_a_second_keeps_what_another_one_knows_of_the_trial() -> None:
    """It had come before the trial's end and the payment."""
    second, begun = (NOW, 1), NOW - 7 * DAY
    first = SubscriptionRecord(second, quantity=1, mrr_sent=20, trial_start=begun, trialed=NOW, converted=NOW)
    between = SubscriptionRecord(second, quantity=2, came_from=first.digest)
    last = SubscriptionRecord(second, quantity=3, came_from=between.digest)
    settled = between.settled(replace(first, beside=last))
    assert (settled.quantity, settled.mrr_sent, settled.beside) == (3, 20, None)
    assert (settled.trial_start, settled.trialed, settled.converted) == (begun, NOW, NOW)


def test_up_and_down_again_within_a_second_ends_where_it_began() -> None:
    """Each of the two states leads to the other, and the first one was taken for the newer."""
    world = World()
    world.deliver(seats(5, 2, NOW), seats(2, 5, NOW))
    shown = [call["traits"]["mrr"] for call in world.calls if call["type"] == "identify"]
    assert shown == [100, 40]


def test_before_2018_an_invoice_collects_what_was_due() -> None:
    """Without `amount_paid` the whole total was taken for collected, also what the customer's balance covered."""
    invoice = an_invoice(paid=True, amount_due=1500, starting_balance=-500, tax=None)
    for later in ("status", "amount_paid", "total_taxes"):
        del invoice[later]
    fact = World().tracks(an_event("invoice.paid", invoice))["Order Completed"]
    assert (fact["total"], fact["revenue"]) == (15, 15)


def test_a_pause_that_arrives_late_takes_nothing_away() -> None:
    """The pause after a trial took away the mrr of what came later, which the record already held."""
    world = World()
    world.deliver(
        an_event("customer.subscription.resumed", a_subscription(), created=NOW + 9),
        an_event("customer.subscription.paused", a_subscription(status="paused"), created=NOW),
    )
    assert changes(world) == [0, 20, 0], "the resumed subscription is imported first"


def test_a_pause_that_arrives_before_its_trial_subtracts_only_what_was_sent() -> None:
    """The subscription had run before that trial, whose beginning was still to come and took it away once more."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + DAY}
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW - DAY),
        an_event("customer.subscription.paused", a_subscription(status="paused", **trial), created=NOW + DAY),
        an_event(UPDATED, a_subscription(status="trialing", **trial), previous={"status": "active"}, created=NOW),
    )
    assert changes(world) == [20, -20, 0]


@pytest.mark.parametrize("late", [{"metadata": {"note": None}}, {"default_payment_method": None}])
def test_a_late_update_without_a_fact_sends_no_correction(late: dict[str, Any]) -> None:
    """An end that came first was corrected by an update without a fact, so that no call ever stated the correction."""
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        ended(NOW + 9),
        an_event(UPDATED, a_subscription(an_item(quantity=3)), previous=late, created=NOW + 2),
        seats(3, 1, NOW + 1),
    )
    assert changes(world) == [20, -20, 0], "the end took 20 away, so three seats of 20 add nothing any more"


def test_an_end_that_is_twice_in_a_batch_counts_as_one() -> None:
    """The second time it took its own record for what was known before it, and late upgrades were not corrected."""
    world = World()
    world.deliver(an_event(CREATED, a_subscription(), created=NOW))
    end = ended(NOW + 9, items={"data": [an_item(quantity=3)]})
    world.batch(end, end)
    world.deliver(seats(3, 1, NOW + 5))
    assert changes(world) == [20, -20, 0]


def test_an_end_that_is_sent_again_has_the_same_mrr_change() -> None:
    """A late event corrected an end that was refused, and the end then stated the corrected sum as well."""
    world, end = World(), ended(NOW + 9)
    world.answer = lambda _: weather.DOWN
    world.batch(end)
    world.answer = lambda _: laws.ACCEPTED
    world.deliver(an_event(CREATED, a_subscription(status="incomplete"), created=NOW), end)
    assert sum(changes(world)) == 0


def test_a_correction_without_an_answer_is_sent_again_unchanged() -> None:
    """It was taken back with the failed attempt; if it had arrived, the next correction stated it a second time."""
    world, heard = World(), []
    world.deliver(an_event(CREATED, a_subscription(), created=NOW), ended(NOW + 9))

    def lost(call: Call) -> Answer:
        heard.append(call.body.get("properties", {}).get("mrr_change"))
        return weather.DOWN

    third, fifth = seats(3, 1, NOW + 1), seats(5, 3, NOW + 2)
    world.answer = lost
    world.batch(third)
    world.answer = lambda _: laws.ACCEPTED
    world.deliver(fifth, third)
    assert [change for change in heard if change is not None] == [0], "three seats, taken away by the end already"
    assert changes(world) == [20, -20, 0, 0]


def test_a_claim_is_deleted_when_it_is_settled_or_its_event_can_no_longer_arrive() -> None:
    world = World()
    world.answer = lambda _: weather.DOWN
    upgrade = seats(3, 1, NOW)
    world.batch(upgrade)
    (profile,) = world.store.load([("profile", upgrade.profile_key)]).profiles.values()
    (claim,) = profile.claims.values()
    assert ['"mrr_change":40' in encoded for encoded in claim.tracks.values()] == [False, True]
    assert pruned(profile, NOW // DAY + LEDGER_DAYS + 1).claims == {}
    world.answer = lambda _: laws.ACCEPTED
    world.deliver(upgrade)
    memory = recall([upgrade], world.store)
    assert memory.profiles[upgrade.profile_key].claims == {}


@pytest.mark.parametrize("after", [365, 2], ids=["a year", "a day"])
def test_a_converted_trial_does_not_end_with_the_subscription_later(after: int) -> None:
    """The update that converted it came late, so the record still had the trial, and the end reported it as lost."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + DAY}
    world.deliver(
        an_event(CREATED, a_subscription(status="trialing", **trial), created=NOW),
        ended(NOW + after * DAY, **trial),
        an_event(UPDATED, a_subscription(**trial), previous={"status": "trialing"}, created=NOW + DAY),
    )
    told = [call["properties"].get("converted") for call in world.calls if call.get("event") == "Trial Ended"]
    assert told == [None]


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the end first"])
@pytest.mark.parametrize("lag", [0, 4])
def test_a_subscription_that_ends_with_its_trial_was_a_trial(lag: int, *, late: bool) -> None:
    """Only an end before the trial's end was one in trial; without a payment method both are the same second."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + DAY}
    events = [
        an_event(CREATED, a_subscription(status="trialing", **trial), created=NOW),
        ended(NOW + DAY + lag, **trial),
    ]
    world.deliver(*(reversed(events) if late else events))
    assert sum(changes(world)) == 0
    told = [call["properties"].get("converted") for call in world.calls if call.get("event") == "Trial Ended"]
    assert told == [False]


def test_a_second_trial_that_keeps_the_start_of_the_first_is_another() -> None:
    """Trials were distinguished by their start alone, and the second one's mrr was dropped with its fact."""
    world = World()
    for end in (NOW + DAY, NOW + 40 * DAY):
        trial = {"trial_start": NOW, "trial_end": end}
        world.deliver(
            an_event(
                UPDATED, a_subscription(status="trialing", **trial), previous={"status": "unpaid"}, created=end - 9
            ),
            an_event(UPDATED, a_subscription(**trial), previous={"status": "trialing"}, created=end),
        )
    assert changes(world) == [0, 20, -20, 20]


def test_an_extended_trial_is_announced_to_end_again() -> None:
    world, kind = World(), "customer.subscription.trial_will_end"
    for end in (NOW + 3 * DAY, NOW + 10 * DAY):
        body = a_subscription(status="trialing", trial_start=NOW - DAY, trial_end=end)
        world.deliver(an_event(kind, body, created=end - 3 * DAY))
    assert [call["event"] for call in world.calls] == ["Trial Ending Soon"] * 2
