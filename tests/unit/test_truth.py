"""Our calls, summed up, are the truth: over simulated customers, in whatever shape, order and number events arrive."""

from __future__ import annotations

import ast
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_to_segment.identity import profile_key
from stripe_to_segment.profile import LEDGER_DAYS
from stripe_to_segment.recalling import recall
from tests.chaos.verdict import of_customers
from tests.simulator import __main__ as truth_report
from tests.simulator import laws, weather
from tests.simulator.history import History, a_history
from tests.simulator.shapes import SHAPES
from tests.simulator.worth import in_major
from tests.unit.shapes import DAY, NOW, a_subscription, an_event, an_invoice, an_item
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from pathlib import Path

    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call

CREATED, UPDATED, DELETED = (f"customer.subscription.{kind}" for kind in ("created", "updated", "deleted"))
SEEDS = range(6)


def faults_in_order(history: History) -> list[str]:
    ours = laws.in_order(history)
    return [*laws.judged(history, ours, ordered=True), *laws.replayed(history, ours)]


def faults_shuffled(history: History, seed: int) -> list[str]:
    return laws.judged(history, laws.shuffled_and_tripled(history, seed), ordered=False)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_order_every_number_is_the_truth_after_every_event_and_a_replay_sends_nothing(shape: str) -> None:
    assert {seed: faults for seed in SEEDS if (faults := faults_in_order(a_history(seed, shape=shape)))} == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_shuffled_and_tripled_every_sum_is_the_truth(shape: str) -> None:
    assert {seed: faults for seed in SEEDS if (faults := faults_shuffled(a_history(seed, shape=shape), seed))} == {}


@pytest.mark.parametrize("mixed", [False, True], ids=["in order", "shuffled and tripled"])
def test_outages_lose_nothing_and_double_nothing(*, mixed: bool) -> None:
    """Requests refused, answers lost after Segment took the calls, records that come back late."""
    runs = {seed: a_history(seed) for seed in range(1, 61)}
    faults = {
        seed: laws.judged(run, weather.through_outages(run, seed, mixed=mixed), ordered=not mixed)
        for seed, run in runs.items()
    }
    assert {seed: found for seed, found in faults.items() if found} == {}


@pytest.mark.parametrize("mixed", [False, True], ids=["in order", "shuffled and tripled"])
@pytest.mark.parametrize("through", [weather.through_lost_records, weather.through_refusals])
def test_each_fact_is_told_once_and_in_one_wording(through: Callable[..., laws.Ours], *, mixed: bool) -> None:
    """Writes fail, functions die after sending, others come by; calls are picked out, refused and redriven."""
    faults = {}
    for seed in range(1, 101):
        run = a_history(seed)
        ours = through(run, seed, mixed=mixed)
        told = [*ours.faults, *map(str, of_customers([run], ours.calls, laws.SETTINGS))]
        faults[seed] = [*told, *laws.replayed(run, ours)] if not mixed else told
    assert {seed: found for seed, found in faults.items() if found} == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_forgotten_in_time_is_not_missed(shape: str) -> None:
    histories = [a_history(seed, shape=shape) for seed in SEEDS]
    faults = {one.seed: laws.judged(one, laws.with_the_clock(one), ordered=True) for one in histories}
    assert {seed: found for seed, found in faults.items() if found} == {}


@given(seed=st.integers(0, 10**9), order=st.integers(0, 10**9))
@settings(max_examples=25)
def test_any_customer_in_any_order_sums_up_to_the_truth(seed: int, order: int) -> None:
    history = a_history(seed)
    assert [*faults_in_order(history), *faults_shuffled(history, order)] == []


@pytest.mark.parametrize("shape", SHAPES)
def test_what_no_payload_tells_is_absent_and_never_zero(shape: str) -> None:
    histories = [a_history(seed, shape=shape, unknown=True) for seed in range(100, 100 + len(SEEDS))]
    faults = {one.seed: [*faults_in_order(one), *faults_shuffled(one, one.seed)] for one in histories}
    assert {seed: found for seed, found in faults.items() if found} == {}


def test_many_customers_in_one_table_do_not_mix() -> None:
    histories = [a_history(seed) for seed in range(50, 80)]
    ours = laws.Ours(frozen_at=0)
    events = [event for history in histories for event in history.events]
    Random(1).shuffle(events)  # noqa: S311 - any order, but the same one each time
    for start in range(0, len(events), 100):
        ours.deliver(events[start : start + 100])
    expected: dict[tuple[str, str], Decimal] = {}
    for key, amount in (entry for history in histories for entry in history.truth.sums().items()):
        expected[key] = expected.get(key, 0) + amount
    # What is nowhere is 0.
    assert {key: amount for key, amount in ours.sums().items() if amount} == {k: v for k, v in expected.items() if v}
    assert ours.faults == []


def test_the_simulation_has_lived_through_everything() -> None:
    """A truth over dull customers proves little."""
    histories = [a_history(seed) for seed in range(150)]
    events = [event for history in histories for event in history.events]
    seen = {event["type"] for event in events}
    assert seen >= {
        *("customer.created", CREATED, UPDATED, DELETED),
        *(f"customer.subscription.{kind}" for kind in ("paused", "resumed", "trial_will_end")),
        *(f"checkout.session.{kind}" for kind in ("completed", "async_payment_succeeded", "async_payment_failed")),
        *("checkout.session.expired", "charge.refunded", "invoice_payment.paid"),
        *("invoice.paid", "invoice.payment_failed", "invoice.payment_action_required"),
    }
    updates = [event["data"] for event in events if event["type"] == UPDATED]
    turns = {(data["previous_attributes"].get("status"), data["object"]["status"]) for data in updates}
    assert turns >= {
        *(("incomplete", status) for status in ("active", "trialing", "incomplete_expired")),
        *(("trialing", status) for status in ("active", "past_due", "paused")),
        *(("active", status) for status in ("past_due", "trialing")),
        *(("past_due", status) for status in ("active", "unpaid")),
        *(("unpaid", "active"), ("paused", "active")),
    }
    payments = [payment for history in histories for payment in history.truth.payments.values()]
    assert {payment.currency for payment in payments} == {"usd", "eur", "jpy", "kwd", "isk", "ugx", "clp"}
    assert any(payment.guest for payment in payments)
    assert {history.shape for history in histories} == {*SHAPES}
    assert any(refund.order is None for history in histories for refund in history.truth.refunds.values())


def test_the_laws_notice_what_is_missing_doubled_or_wrong() -> None:
    history = a_history(7)
    assert history.truth.payments, "a customer who pays"
    for spoil in (list.pop, lambda calls: calls.append(calls[-1]), _one_cent_more):
        ours = laws.in_order(history)
        revenue = [call for call in ours.calls if "revenue" in call.get("properties", {})]
        others = [call for call in ours.calls if "revenue" not in call.get("properties", {})]
        spoil(revenue)
        ours.calls = [*revenue, *others]
        assert laws.judged(history, ours, ordered=True)


def _one_cent_more(calls: list[dict[str, Any]]) -> None:
    calls[0]["properties"]["revenue"] += in_major(1, calls[0]["properties"]["currency"].lower())


def test_the_truth_borrows_nothing_from_the_code_it_judges(project: Path) -> None:
    borrowers = set()
    for file in (project / "tests" / "simulator").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and f"{node.module}".startswith("stripe_to_segment"):
                borrowers.add(file.name)
    assert borrowers == {"laws.py", "weather.py"}


def test_the_report_names_the_customer_whose_numbers_differ() -> None:
    result = truth_report.examine(3)
    assert list(truth_report.report([result]))[-1].startswith("Every payment")
    result.faults = [("in order", "order in_1: revenue None, not 20")]
    told = "\n".join(truth_report.report([result]))
    assert "make truth SEED=3 CUSTOMERS=1" in told
    assert "customer-3.jsonl" in told


# --- What the simulation found ---


def changes(world: World) -> list[Any]:
    tracks = [call["properties"] for call in world.calls if call["type"] == "track"]
    return [each["mrr_change"] for each in tracks if "mrr_change" in each]


def seats(quantity: int, before: int, at: int, **more: Any) -> Any:
    previous = {"items": {"data": [an_item(quantity=before)]}, "quantity": before}
    return an_event(UPDATED, a_subscription(an_item(quantity=quantity), **more), previous=previous, created=at)


def ended(at: int, **more: Any) -> Any:
    return an_event(DELETED, a_subscription(**{"status": "canceled", "ended_at": at} | more), created=at)


def test_two_upgrades_within_a_second_are_two() -> None:
    """Both had the same key, subscription and second, so the second one was dropped as a repeat of the first."""
    world = World()
    world.deliver(seats(3, 1, NOW), seats(8, 3, NOW))
    assert changes(world) == [40, 100]


def test_one_upgrade_in_two_event_objects_is_one() -> None:
    world = World()
    world.deliver(seats(3, 1, NOW), seats(3, 1, NOW))
    assert changes(world) == [40]


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
    assert changes(world) == [20, 0]


def test_a_pause_after_a_trial_takes_nothing_away_whatever_an_older_record_says() -> None:
    """The subscription had run before that trial, whose beginning was still to come: the pause took the mrr away."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + DAY}
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW - DAY),
        an_event("customer.subscription.paused", a_subscription(status="paused", **trial), created=NOW + DAY),
        an_event(UPDATED, a_subscription(status="trialing", **trial), previous={"status": "active"}, created=NOW),
    )
    assert changes(world) == [20, 0, -20]


@pytest.mark.parametrize("late", [{"metadata": {"note": None}}, {"default_payment_method": None}])
def test_a_late_update_that_tells_nothing_corrects_nothing(late: dict[str, Any]) -> None:
    """An end that came first was corrected by an update without a fact, so that no call ever told the correction."""
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        ended(NOW + 9),
        an_event(UPDATED, a_subscription(an_item(quantity=3)), previous=late, created=NOW + 2),
        seats(3, 1, NOW + 1),
    )
    assert changes(world) == [20, -20, 0], "the end took 20 away, so three seats of 20 add nothing any more"


def test_an_end_that_is_seen_twice_in_a_batch_knows_no_more_than_once() -> None:
    """The second time it took its own record for what was known before it, and late upgrades were not corrected."""
    world = World()
    world.deliver(an_event(CREATED, a_subscription(), created=NOW))
    end = ended(NOW + 9, items={"data": [an_item(quantity=3)]})
    world.batch(end, end)
    world.deliver(seats(3, 1, NOW + 5))
    assert changes(world) == [20, -20, 0]


def test_an_end_that_has_to_be_sent_again_says_what_it_said_first() -> None:
    """What came late corrected an end that was refused, and the end then told the corrected sum as well."""
    world, end = World(), ended(NOW + 9)
    world.answer = lambda _: weather.DOWN
    world.batch(end)
    world.answer = lambda _: laws.ACCEPTED
    world.deliver(an_event(CREATED, a_subscription(status="incomplete"), created=NOW), end)
    assert changes(world) == [20, -20]


def test_a_correction_without_an_answer_is_said_again_whatever_is_known_by_then() -> None:
    """It was taken back with the failed attempt; if it had arrived, the next correction told it a second time."""
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


def test_a_claim_is_forgotten_when_it_is_settled_or_when_nobody_can_ask_for_it_any_more() -> None:
    world = World()
    world.answer = lambda _: weather.DOWN
    upgrade = seats(3, 1, NOW)
    world.batch(upgrade)
    (profile,) = world.store.load([profile_key(upgrade)], [], []).profiles.values()
    (claim,) = profile.claims.values()
    assert ['"mrr_change":40' in encoded for encoded in claim.tracks.values()] == [True]
    assert profile.pruned(NOW // DAY + LEDGER_DAYS + 1).claims == {}
    world.answer = lambda _: laws.ACCEPTED
    world.deliver(upgrade)
    memory = recall([upgrade], world.store)
    assert memory.profiles[profile_key(upgrade)].claims == {}


@pytest.mark.parametrize("after", [365, 2], ids=["a year", "a day"])
def test_a_trial_that_converted_did_not_end_with_the_subscription_long_after(after: int) -> None:
    """The update that converted it came late, so the record was still of the trial, and the end told of its loss."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + DAY}
    world.deliver(
        an_event(CREATED, a_subscription(status="trialing", **trial), created=NOW),
        ended(NOW + after * DAY, **trial),
        an_event(UPDATED, a_subscription(**trial), previous={"status": "trialing"}, created=NOW + DAY),
    )
    told = [call["properties"]["converted"] for call in world.calls if call.get("event") == "Trial Ended"]
    assert told == [True]


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the end first"])
@pytest.mark.parametrize("lag", [0, 4])
def test_a_trial_that_is_lost_at_its_end_was_a_trial(lag: int, *, late: bool) -> None:
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
    """Trials were told apart by their start alone, and the second conversion's mrr was dropped with its fact."""
    world = World()
    for end in (NOW + DAY, NOW + 40 * DAY):
        trial = {"trial_start": NOW, "trial_end": end}
        world.deliver(
            an_event(
                UPDATED, a_subscription(status="trialing", **trial), previous={"status": "active"}, created=end - 9
            ),
            an_event(UPDATED, a_subscription(**trial), previous={"status": "trialing"}, created=end),
        )
    assert changes(world) == [-20, 20, -20, 20]


def test_an_extended_trial_is_announced_to_end_again() -> None:
    world, kind = World(), "customer.subscription.trial_will_end"
    for end in (NOW + 3 * DAY, NOW + 10 * DAY):
        body = a_subscription(status="trialing", trial_start=NOW - DAY, trial_end=end)
        world.deliver(an_event(kind, body, created=end - 3 * DAY))
    assert [call["event"] for call in world.calls] == ["Trial Ending Soon"] * 2
