"""Our calls, summed up, are the truth: over simulated customers, in whatever shape, order and number events arrive."""

from __future__ import annotations

import ast
import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator import __main__ as truth_report
from tests.simulator import laws, weather
from tests.simulator.history import History, a_history
from tests.simulator.restored import gone_back, lost
from tests.simulator.shapes import SHAPES
from tests.simulator.worth import in_major

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call

CREATED, UPDATED, DELETED = (f"customer.subscription.{kind}" for kind in ("created", "updated", "deleted"))
# A sample of 10, and 2 in the fast profile; `make truth` takes 500 customers through the same, or as many as you like.
CUSTOMERS = range(1, settings().max_examples // 5 + 1)
# Two of each shape, and forty with `make laws`.
SEEDS = range(max(settings().max_examples // 25, 2))


def faults_in_order(history: History) -> list[str]:
    ours = laws.in_order(history)
    return [*laws.judged(history, ours, ordered=True), *laws.replayed(history, ours)]


def faults_shuffled(history: History, seed: int) -> list[str]:
    return laws.judged(history, laws.shuffled_and_tripled(history, seed), ordered=False)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_order_every_number_is_right_after_every_event_and_a_replay_sends_nothing(shape: str) -> None:
    assert {seed: faults for seed in SEEDS if (faults := faults_in_order(a_history(seed, shape=shape)))} == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_out_of_order_and_repeated_every_sum_is_right(shape: str) -> None:
    assert {seed: faults for seed in SEEDS if (faults := faults_shuffled(a_history(seed, shape=shape), seed))} == {}


@pytest.mark.parametrize("mixed", [False, True], ids=["in order", "shuffled and tripled"])
def test_outages_lose_and_repeat_nothing(*, mixed: bool) -> None:
    """Requests refused, answers lost after Segment took the calls, records that come back late."""
    runs = {seed: a_history(seed) for seed in CUSTOMERS}
    faults = {
        seed: laws.judged(run, weather.through_outages(run, seed, mixed=mixed), ordered=not mixed)
        for seed, run in runs.items()
    }
    assert {seed: found for seed, found in faults.items() if found} == {}


@pytest.mark.parametrize("mixed", [False, True], ids=["in order", "shuffled and tripled"])
@pytest.mark.parametrize("through", [weather.through_lost_records, weather.through_refusals])
def test_each_fact_is_sent_once_with_one_content(through: Callable[..., laws.Ours], *, mixed: bool) -> None:
    """Writes fail, functions die after sending, others come by; calls are picked out, refused and redriven."""
    faults = {}
    for seed in CUSTOMERS:
        run = a_history(seed)
        faults[seed] = weather.faults_of_one_wording(run, through(run, seed, mixed=mixed), mixed=mixed)
    assert {seed: found for seed, found in faults.items() if found} == {}


@pytest.mark.parametrize("happened", [gone_back, lost])
def test_a_table_that_is_restored_or_lost_is_made_good_as_the_guide_says(
    happened: Callable[[History, int], list[str]],
) -> None:
    """Nobody had said how. An import alone told the mrr of each subscription a second time, as its opening balance."""
    faults = {seed: happened(a_history(seed), seed) for seed in CUSTOMERS}
    assert {seed: found for seed, found in faults.items() if found} == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_expired_items_are_not_needed(shape: str) -> None:
    histories = [a_history(seed, shape=shape) for seed in SEEDS]
    faults = {one.seed: laws.judged(one, laws.with_the_clock(one), ordered=True) for one in histories}
    assert {seed: found for seed, found in faults.items() if found} == {}


@given(seed=st.integers(0, 10**9), order=st.integers(0, 10**9))
@settings(max_examples=settings().max_examples // 4)
def test_any_customer_in_any_order_has_the_right_sums(seed: int, order: int) -> None:
    history = a_history(seed)
    assert [*faults_in_order(history), *faults_shuffled(history, order)] == []


@given(seed=st.integers(0, 10**9))
@settings(max_examples=settings().max_examples * 3 // 5)
def test_month_by_month_movements_sum_to_the_growth_of_the_mrr(seed: int) -> None:
    history = a_history(seed)
    known = all(one.mrr is not None for one in history.happenings if one.subscription)
    assert not known or [*laws.movements_of(history, laws.in_order(history))] == []


@given(seed=st.integers(0, 10**9), data=st.data())
def test_whenever_the_stack_begins_the_changes_of_a_subscription_sum_to_its_mrr(seed: int, data: st.DataObject) -> None:
    """Also if its first event of a subscription is a change, a pause, or its end."""
    history = a_history(seed)
    assert laws.since(history, data.draw(st.integers(0, len(history.happenings) - 1))) == []


def test_the_law_of_beginnings_notices_an_opening_balance_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unimported(ours: laws.Ours, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
        assert not livemode
        taken = [call for call in calls if call.body.get("event") != "Subscription Imported"]
        ours.calls += [json.loads(call.encoded, parse_float=Decimal, parse_int=Decimal) for call in taken]
        return {call.message_id: laws.ACCEPTED for call in calls}

    monkeypatch.setattr(laws.Ours, "take", unimported)
    assert any(laws.since(history, len(history.happenings) // 2) for history in map(a_history, range(10)))


UPGRADES = st.lists(st.sampled_from([*SHAPES]), min_size=2, max_size=4, unique=True).map(
    lambda names: sorted(names, key=[*SHAPES].index)
)


@given(seed=st.integers(0, 10**9), shapes=UPGRADES, days=st.integers(5, 120))
@settings(max_examples=settings().max_examples // 2)
def test_across_api_versions_in_the_middle_of_a_life_every_sum_is_the_truth(
    seed: int, shapes: list[str], days: int
) -> None:
    """Old shapes, then newer ones, and retries of the old ones among them."""
    history = a_history(seed, shape=shapes[0], then=shapes[1:], after=days * 86_400)
    retried = laws.judged(history, laws.with_late_retries(history, seed), ordered=True)
    ours = laws.in_order(history)
    known = all(one.mrr is not None for one in history.happenings if one.subscription)
    movements = [*laws.movements_of(history, ours)] if known else []
    assert [*laws.judged(history, ours, ordered=True), *movements, *retried, *faults_shuffled(history, seed)] == []


@given(seed=st.integers(0, 10**9))
@settings(max_examples=settings().max_examples // 4)
def test_an_event_that_two_endpoints_send_in_two_versions_is_sent_once(seed: int) -> None:
    """While `register` replaces an endpoint both send: in the overlap each event comes in the old and the new shape."""
    early, late = (a_history(seed, shape="basil", then=["clover"], after=days * 86_400) for days in (10, 60))
    assert [each["id"] for each in early.events] == [each["id"] for each in late.events]
    both = [body for pair in zip(early.events, late.events, strict=True) for body in pair]
    ours = laws.Ours(both[0]["created"])
    for body in both:
        ours.deliver([body])
    ours.deliver([early.last])
    assert laws.judged(early, ours, ordered=True) == []


def test_those_who_upgrade_see_scheduled_pauses_and_both_shapes() -> None:
    histories = [a_history(seed, shape="before basil", then=["endive"]) for seed in range(60)]
    events = [event for history in histories for event in history.events]
    assert {event["api_version"] for event in events} == {SHAPES[name].version for name in ("before basil", "endive")}
    paused = [event["data"]["object"] for event in events if event["type"] == "customer.subscription.paused"]
    reasons = {each["status_details"]["paused"]["subscription"]["type"] for each in paused if "status_details" in each}
    assert reasons == {"pause_requested", "trial_end_without_payment_method"}


def test_the_law_of_movements_detects_missing_and_misnamed_movements() -> None:
    def changed(ours: laws.Ours) -> list[dict[str, Any]]:
        return [each for _, each in ours.tracks() if each.get("mrr_movement") not in {None, "new"}]

    history = next(one for one in map(a_history, range(50)) if changed(laws.in_order(one)))
    for spoiled in ({"mrr_movement": "new"}, {"mrr_change": 1}, {"mrr_movement": None}):
        ours = laws.in_order(history)
        changed(ours)[-1].update(spoiled)
        assert [*laws.movements_of(history, ours)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_number_in_no_payload_is_absent_and_never_zero(shape: str) -> None:
    histories = [a_history(seed, shape=shape, unknown=True) for seed in range(100, 100 + len(SEEDS))]
    faults = {one.seed: [*faults_in_order(one), *faults_shuffled(one, one.seed)] for one in histories}
    assert {seed: found for seed, found in faults.items() if found} == {}


def test_many_customers_in_one_table_do_not_mix() -> None:
    histories = [a_history(seed) for seed in range(50, 80)]
    ours = laws.Ours(frozen_at=0)
    events = [event for history in histories for event in history.events]
    Random(1).shuffle(events)
    for start in range(0, len(events), 100):
        ours.deliver(events[start : start + 100])
    assert [fault for history in histories for fault in laws.changes_of(history, ours)] == []
    expected: dict[tuple[str, str], Decimal] = {}
    for key, amount in (entry for history in histories for entry in history.truth.sums().items()):
        expected[key] = expected.get(key, 0) + amount
    # A missing mrr is 0. No payload states the mrr of some subscriptions, so each is compared by itself.
    expected = {key: amount for key, amount in expected.items() if amount and key[0] != "mrr"}
    assert {key: amount for key, amount in ours.sums().items() if amount and key[0] != "mrr"} == expected
    assert ours.faults == []


def test_the_simulation_contains_every_case() -> None:
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
        "payment_intent.payment_failed",
        *(f"payment_method.{kind}" for kind in ("attached", "automatically_updated", "detached")),
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


def test_the_laws_detect_missing_repeated_and_wrong_calls() -> None:
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


def test_the_truth_imports_nothing_from_the_package(project: Path) -> None:
    borrowers = set()
    for file in {*(project / "tests" / "simulator").glob("*.py")} - {*Path(__file__).parent.glob("test_*.py")}:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and f"{node.module}".startswith("stripe_to_segment"):
                borrowers.add(file.name)
    # What runs the package or its deliver function, and what puts objects into its queue as the command does.
    assert borrowers == {
        *("at_once.py", "conftest.py", "function_in_time.py", "imported.py", "laws.py", "restored.py", "tills.py"),
        "weather.py",
    }


def test_the_report_names_the_customer_whose_numbers_differ() -> None:
    result = truth_report.examine(3)
    assert list(truth_report.report([result]))[-2].startswith("Every payment")
    result.faults = [("in order", "order in_1: revenue None, not 20")]
    told = "\n".join(truth_report.report([result]))
    assert "make truth SEED=3 CUSTOMERS=1" in told
    assert "customer-3.jsonl" in told


@pytest.mark.parametrize("weather_of", ["through_outages", "through_lost_records", "through_refusals"])
def test_the_report_names_the_laws_that_fail_under_faults(
    weather_of: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def losing(history: History, _seed: int, *, mixed: bool) -> laws.Ours:
        ours = laws.in_order(history) if not mixed else laws.shuffled_and_tripled(history, 1)
        ours.calls = [call for call in ours.calls if "revenue" not in call.get("properties", {})]
        return ours

    monkeypatch.setattr(truth_report, weather_of, losing)
    monkeypatch.setattr(truth_report, "STREAMS", tmp_path)
    result = truth_report.examine(7)
    assert {order for order, _ in result.faults} == {
        "through bad weather, in order",
        "through bad weather, shuffled, tripled",
    }
    assert (tmp_path / "customer-7.jsonl").exists()
