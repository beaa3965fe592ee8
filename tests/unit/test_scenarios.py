"""The scenarios hang together: one customer each, in order, through to calls."""

from __future__ import annotations

import pytest

from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.samples.files import body_of
from stripe_to_segment_tools.samples.inputs import Input
from stripe_to_segment_tools.samples.scenarios import SCENARIOS, Scenario, scenario

NOW = 1_800_000_000

every_scenario = pytest.mark.parametrize("each", SCENARIOS.values(), ids=SCENARIOS)


@every_scenario
def test_a_scenario_is_played_in_the_order_in_which_it_happened(each: Scenario) -> None:
    created = [event["created"] for event in each.events(NOW, "a")]
    assert created == sorted(created)
    assert created[-1] == NOW


@every_scenario
def test_every_event_of_a_scenario_can_be_mapped(each: Scenario) -> None:
    events = each.events(NOW, "a")
    inputs = [Input(event["id"], body_of(event), event) for event in events]
    assert {result.outcome for result in explain(inputs, Settings())} == {"mapped"}


@every_scenario
def test_a_scenario_can_be_played_again_with_other_ids(each: Scenario) -> None:
    one, other = (({event["id"] for event in each.events(NOW, seed)}) for seed in "ab")
    assert not one & other
    assert len(one) == len(each.steps)


def test_the_guest_becomes_one_user_with_both_ids() -> None:
    events = scenario("guest").events(NOW, "a")
    inputs = [Input(event["id"], body_of(event), event) for event in events]
    calls = [call for result in explain(inputs, Settings()) for call in result.calls]
    (customer,) = {event["data"]["object"].get("customer") or event["data"]["object"]["id"] for event in events}
    assert calls[0].get("userId") is None
    assert any(call.get("userId") == "user_4902" and call.get("anonymousId") == customer for call in calls)
    assert calls[-1]["userId"] == "user_4902"


def test_an_unknown_scenario_names_those_there_are() -> None:
    with pytest.raises(LookupError, match="subscription, guest"):
        scenario("of an hour")
