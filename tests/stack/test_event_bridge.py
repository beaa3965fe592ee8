"""Events through EventBridge, on a bus of the emulator: `deliver` handles them like webhooks."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.local_stack.deployment import client_maker
from stripe_to_segment_tools.samples.files import freshen, sample
from stripe_to_segment_tools.samples.inputs import Input
from tests.stack.conftest import BUS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.local_stack import LocalStack
    from tests.stack.conftest import Local

pytestmark = pytest.mark.stack

# Like AWS, the emulator lets only a partner send events with a partner's source.
STAND_IN = "stand-in/stripe.com"


@pytest.fixture(scope="module")
def events(stack: LocalStack) -> Any:
    return client_maker(stack.access)("events")


@pytest.fixture(scope="module")
def rule(stack: LocalStack, events: Any) -> Iterator[dict[str, Any]]:
    """The template's rule, changed to match a stand-in for Stripe; its target and all else stay as deployed."""
    events.create_event_bus(Name=BUS)
    name = stack.deployment.resource("StripeEventsRule")
    found: dict[str, Any] = events.describe_rule(Name=name, EventBusName=BUS)
    pattern = json.loads(found["EventPattern"]) | {"source": [STAND_IN]}
    events.put_rule(Name=name, EventBusName=BUS, EventPattern=json.dumps(pattern))
    yield found
    events.put_rule(Name=name, EventBusName=BUS, EventPattern=found["EventPattern"])


def a_sample(name: str) -> dict[str, Any]:
    return dict(freshen([sample(name).event], int(time.time()), seed=f"bus {time.time()}")[0])


def put(events: Any, event: dict[str, Any], kind: str | None = None) -> None:
    entry = {"Source": STAND_IN, "DetailType": kind or event["type"], "Detail": json.dumps(event), "EventBusName": BUS}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_an_event_on_the_bus_becomes_the_calls_of_explain(local: Local, events: Any, rule: dict[str, Any]) -> None:
    assert rule["State"] == "ENABLED"
    event = a_sample("checkout.session.completed.payment")
    put(events, event)
    settings = settings_from(local.stack.environment(local.stack.deliver_function))
    (expected,) = explain([Input("bus", json.dumps(event).encode(), event)], settings)
    local.wait(lambda: len(local.calls()) >= len(expected.calls), "all calls arrive")
    local.wait_until_idle()
    assert [kept.call for kept in local.segment.record.calls] == expected.calls
    assert local.segment.record.violations == []


@pytest.mark.usefixtures("rule")
def test_an_event_that_comes_both_ways_is_delivered_once(local: Local, events: Any) -> None:
    posted = local.post("customer.created")
    put(events, dict(posted.event))
    local.wait(local.calls, "the event arrives")
    local.wait_until_idle()
    assert local.calls() == ["identify"]


@pytest.mark.usefixtures("rule")
def test_an_unmapped_event_type_on_the_bus_is_not_queued(local: Local, events: Any) -> None:
    put(events, a_sample("customer.created"), kind="radar.early_fraud_warning.created")
    assert local.stack.queued().nothing


def test_the_deployed_rule_matches_stripes_events_and_no_others(events: Any, rule: dict[str, Any]) -> None:
    def matches(source: str, kind: str) -> bool:
        envelope = {
            "version": "0",
            "id": "1",
            "source": source,
            "detail-type": kind,
            "account": "000000000000",
            "time": "2026-11-18T11:06:40Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {},
        }
        answer = events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(envelope))
        return bool(answer["Result"])

    assert all(matches("aws.partner/stripe.com/ed_test_61TXyz", kind) for kind in CATALOG)
    assert not matches("aws.partner/stripe.com/ed_test_61TXyz", "radar.early_fraud_warning.created")
    assert not matches("aws.partner/shopify.com/ed_test_61TXyz", "invoice.paid")
    assert not matches("com.example", "invoice.paid")
