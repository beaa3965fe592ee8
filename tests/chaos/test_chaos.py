"""A small `make chaos` with every fault and every kind of poison event, and tests of its verdict."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.local_stack import stop_on_signals
from stripe_to_segment_tools.local_stack.emulator import Message
from tests.chaos.campaign import run
from tests.chaos.faults import AWS, FAULTS, Act, Dice, When
from tests.chaos.poison import KINDS, poisons
from tests.chaos.verdict import of_circles, of_customers, of_dead_letters, of_message_ids, of_tills
from tests.simulator import laws
from tests.simulator.circles import a_circle
from tests.simulator.history import a_history
from tests.simulator.till import a_till
from tests.simulator.tills import in_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.campaign import Result

EVENTS, SEED = 100, 1
HISTORY = a_history(7)


@pytest.fixture(scope="module")
def outcome() -> Result:
    with stop_on_signals():
        return run(EVENTS, SEED)


@pytest.mark.stack
def test_no_failure_loses_repeats_or_outdates_a_call(outcome: Result) -> None:
    assert outcome.events >= EVENTS
    assert outcome.copies >= 3 * outcome.events
    assert outcome.calls
    assert [str(violation) for violation in outcome.violations] == []


@pytest.mark.stack
def test_every_fault_was_injected(outcome: Result) -> None:
    assert outcome.missing == []
    assert outcome.kills
    assert outcome.answers[503], "receive answered 503, and Stripe sent the event again"
    assert outcome.repeats, "answers were lost, and deliver sent the calls again"
    assert outcome.replaced, "a kept connection was closed, and deliver replaced it at once"
    assert outcome.went_on, "a customer's record was unreadable, and calls of other customers arrived"
    assert outcome.dead_letters >= len(KINDS) - 1


# --- Tests of the verdict: a run without violations proves something only if the verdict detects violations ---


def calls_of_a_customer() -> list[dict[str, Any]]:
    """All calls of one customer, as parsed from JSON."""
    calls: list[dict[str, Any]] = json.loads(json.dumps(laws.in_order(HISTORY).calls, default=float))
    return calls


def found(calls: list[dict[str, Any]]) -> set[str]:
    return {violation.kind for violation in of_customers([HISTORY], calls, laws.SETTINGS)}


def test_the_verdict_detects_a_lifetime_value_that_differs_from_the_balance() -> None:
    till = a_till(Random(1))
    world, _ = in_order(till)
    assert [*of_tills([till], world.calls)] == []
    (*_, newest) = (call for call in world.calls if "lifetime_value_by_currency" in call.get("traits", {}))
    world.calls.remove(newest)
    assert {violation.kind for violation in of_tills([till], world.calls)} == {"stale"}


def first_track(calls: list[dict[str, Any]]) -> dict[str, Any]:
    return next(call for call in calls if "revenue" in call.get("properties", {}))


def without_a_fact(calls: list[dict[str, Any]]) -> None:
    calls.remove(first_track(calls))


def with_an_extra_fact(calls: list[dict[str, Any]]) -> None:
    calls.append(first_track(calls) | {"messageId": "another"})


def with_another_amount(calls: list[dict[str, Any]]) -> None:
    first_track(calls)["properties"]["revenue"] += 1


def with_an_old_identify_last(calls: list[dict[str, Any]]) -> None:
    calls.append(next(call for call in calls if call["type"] == "identify"))


def with_a_call_of_an_unknown_event(calls: list[dict[str, Any]]) -> None:
    calls.append(calls[0] | {"context": {"stripe": {"event_id": "evt_poison1"}}})


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (without_a_fact, "lost"),
        (with_an_extra_fact, "doubled"),
        (with_another_amount, "wrong"),
        (with_an_old_identify_last, "stale"),
        (with_a_call_of_an_unknown_event, "doubled"),
        (list.clear, "lost"),
    ],
)
def test_the_verdict_detects_lost_repeated_wrong_and_outdated_calls(
    spoil: Callable[[list[dict[str, Any]]], None], kind: str
) -> None:
    calls = calls_of_a_customer()
    assert found(calls) == set()
    spoil(calls)
    assert kind in found(calls)


def test_the_verdict_detects_outdated_traits_of_a_user_with_several_customers() -> None:
    circle = a_circle(3)
    ours = laws.Ours(circle.at)
    for event in circle.events:
        ours.deliver([event])
    assert list(of_circles([circle], ours.calls)) == []
    shown = [call for call in ours.calls if call["type"] == "identify" and "userId" in call]
    old = shown[-1] | {"traits": {"lifetime_value": 1}}
    assert {each.kind for each in of_circles([circle], [*ours.calls, old])} == {"stale"}


@pytest.mark.parametrize("other", [{"userId": "another"}, {"properties": {}}, {"context": {}}, {"timestamp": "later"}])
def test_the_verdict_detects_a_message_id_with_two_contents(other: dict[str, Any]) -> None:
    call = first_track(calls_of_a_customer())
    assert [violation.kind for violation in of_message_ids([(call, call | other)])] == ["doubled"]


def test_the_verdict_detects_missing_extra_and_wrong_dead_letters() -> None:
    evil = poisons(len(KINDS), at=1)
    good = [
        Message(f"{number}", each.body.decode(), {"reason": each.reason}, 1, 0.0)
        for number, each in enumerate(evil)
        if each.reason
    ]
    assert list(of_dead_letters(evil, [*good, *good])) == [], "a redelivered event may be dead-lettered twice"
    other = Message("x", good[0].body, {"reason": "worn_out"}, 1, 0.0)
    stranger = Message("x", "{}", {"reason": "http_400"}, 1, 0.0)
    for letters in (good[1:], [other, *good[1:]], [*good, stranger]):
        assert len(list(of_dead_letters(evil, letters))) == 1


def test_the_same_seed_gives_the_same_faults() -> None:
    def drawn(seed: int) -> list[object]:
        dice = Dice(FAULTS, seed)
        return [dice.draw("PutItem") for _ in range(400)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert {*drawn(1)} - {None} == {fault for fault in AWS if fault.place == "PutItem"}


def test_a_fault_that_does_not_fit_a_request_is_kept_for_a_later_one() -> None:
    """The fault for two keys was drawn for a request with one key and then dropped: one run in twenty missed it."""
    lone, several = Dice(FAULTS, 1), {fault for fault in AWS if fault.place == "BatchGetItem"}
    drawn = {lone.draw("BatchGetItem", {When.KEPT}) for _ in range(400)} - {None}
    assert several - drawn == {fault for fault in several if fault.act is Act.SPLIT}
    assert next(filter(None, (lone.draw("BatchGetItem") for _ in range(400)))) not in drawn
