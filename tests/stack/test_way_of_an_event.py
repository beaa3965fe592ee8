"""The promises about an event, from Stripe's request to Segment's answer."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest

from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.local_stack import Secret
from stripe_to_segment_tools.receiver import Behaviour, Mode
from stripe_to_segment_tools.samples.inputs import Input

if TYPE_CHECKING:
    from tests.stack.conftest import Local

pytestmark = pytest.mark.stack


def test_a_signed_event_becomes_exactly_the_calls_of_explain(local: Local) -> None:
    posted = local.post("checkout.session.completed.payment")
    assert (posted.status, posted.answer) == (200, {"received": True})
    settings = settings_from(local.stack.environment(local.stack.deliver_function))
    (expected,) = explain([Input("posted", posted.body.encode(), posted.event)], settings)
    assert expected.calls
    local.wait(lambda: len(local.calls()) >= len(expected.calls), "all calls arrive")
    local.wait_until_idle()
    assert [kept.call for kept in local.segment.record.calls] == expected.calls
    assert local.segment.record.violations == []


def test_a_test_mode_event_never_reaches_the_live_source(local: Local) -> None:
    posted = local.post("customer.created")
    local.wait(local.calls, "a call arrives")
    expected = "live" if posted.event["livemode"] else "test"
    assert {kept.source for kept in local.segment.record.calls} == {expected}


def test_a_forged_event_is_refused_and_nothing_is_queued(local: Local) -> None:
    forged = local.post("checkout.session.completed.payment", secret="whsec_somebody_else")
    assert forged.status == 400
    assert "signature" in str(forged.answer)
    assert local.stack.queued().nothing
    # If the forged event were queued, it would be delivered before this one.
    local.post("customer.created")
    local.wait(local.calls, "the genuine event arrives")
    local.wait_until_idle()
    assert local.calls() == ["identify"]
    said = "\n".join(local.stack.output(local.stack.receive_function))
    assert forged.event["data"]["object"]["id"] not in said, "unsigned content is not logged"


def test_an_old_signing_secret_is_valid_together_with_the_new_one(local: Local) -> None:
    old, new = "whsec_old", "whsec_new"
    local.stack.put_secret(Secret(stripe_signing_secrets=(new, old)))
    local.stack.publish(local.stack.receive_function)
    try:
        assert [local.post("customer.created", secret=secret).status for secret in (old, new)] == [200, 200]
    finally:
        local.stack.put_secret(Secret())
        local.stack.publish(local.stack.receive_function)
    local.wait(lambda: local.calls() == ["identify", "identify"], "both events arrive")


def test_an_unmapped_event_type_is_acknowledged_and_not_queued(local: Local) -> None:
    posted = local.post("customer.created", type="radar.early_fraud_warning.created")
    assert posted.status == 200
    assert "ignored" in posted.answer
    assert local.stack.queued().nothing


def test_events_are_refused_but_not_lost_while_no_signing_secret_is_configured(local: Local) -> None:
    local.stack.put_secret(Secret(stripe_signing_secrets=()))
    local.stack.publish(local.stack.receive_function)
    try:
        assert local.post("customer.created").status == 503, "Stripe retries for three days"
    finally:
        local.stack.put_secret(Secret())
        local.stack.publish(local.stack.receive_function)


def test_an_event_is_delivered_once_when_segment_fails_once(local: Local) -> None:
    local.segment.record.behaviour = Behaviour(Mode.STATUS, status=500, times=1)
    local.post("customer.created")
    local.wait(local.calls, "the event arrives in the end")
    local.wait_until_idle()
    assert local.statuses() == [500, 200]
    assert local.calls() == ["identify"]
    assert local.stack.queued().nothing


def test_an_event_is_delivered_once_when_segment_sends_half_an_answer(local: Local) -> None:
    local.segment.record.behaviour = Behaviour(Mode.PARTIAL, times=1)
    local.post("customer.created")
    local.wait(lambda: len(local.statuses()) == 2, "it is sent again")
    local.wait_until_idle()
    assert local.calls() == ["identify"], "the repeat has the same messageId, so Segment drops it"
    assert local.segment.record.violations == []


def test_a_retry_waits_as_long_as_segments_retry_after(local: Local) -> None:
    local.segment.record.behaviour = Behaviour(Mode.STATUS, status=429, retry_after=3, times=1)
    local.post("customer.created")
    local.wait(local.calls, "the event arrives in the end")
    times = [request.received_at for request in local.segment.record.requests]
    assert local.statuses() == [429, 200]
    assert [(later - earlier).total_seconds() >= 3 for earlier, later in pairwise(times)] == [True]


def test_one_bad_call_is_a_dead_letter_and_the_others_are_delivered(local: Local) -> None:
    local.segment.record.behaviour = Behaviour(Mode.STATUS, status=400, event="Order Completed")
    bad = local.post("checkout.session.completed.payment")
    local.post("customer.created")
    local.wait(lambda: local.stack.queued().dead_letters, "the event becomes a dead letter")
    local.wait(lambda: local.calls().count("identify") == 2, "the other calls arrive")
    local.wait_until_idle()
    assert sorted(local.calls()) == ["Checkout Completed", "identify", "identify"]
    (letter,) = local.stack.queued().dead_letters
    assert letter.body == bad.body, "the raw event, byte for byte"
    assert letter.attributes["reason"] == "http_400"
    assert letter.attributes["event_id"] == bad.event["id"]
    assert letter.attributes["event_type"] == "checkout.session.completed"
    assert letter.attributes["source_message_id"]
    assert "detail" not in letter.attributes, "no part of the endpoint's answer is kept"


def test_stripe_does_not_notice_that_segment_is_down(local: Local) -> None:
    local.segment.record.behaviour = Behaviour(Mode.DOWN)
    assert local.post("customer.created").status == 200
    local.wait(lambda: len(local.statuses()) >= 2, "delivery is tried again")
    waiting = local.stack.queued()
    assert len(waiting.events) == 1
    assert not waiting.dead_letters, "an outage never fills the dead-letter queue"
    local.segment.record.behaviour = Behaviour()
    local.wait(local.calls, "the event is delivered after Segment is back")
    local.wait_until_idle()
    assert local.calls() == ["identify"]


def test_events_wait_while_there_is_no_write_key(local: Local) -> None:
    local.stack.put_secret(Secret(segment_write_key="", segment_test_write_key=""))
    local.stack.publish(local.stack.deliver_function)
    try:
        assert local.post("customer.created").status == 200
        local.wait(lambda: any(message.receive_count for message in local.stack.queued().events), "it is tried")
        local.wait(
            lambda: any("write_key" in line for line in local.stack.output(local.stack.deliver_function)),
            "the log names the missing key",
        )
        assert local.statuses() == [], "nothing is sent without a key: Segment would answer 200 and drop it"
        assert not local.stack.queued().dead_letters
    finally:
        local.stack.put_secret(Secret())
        local.stack.publish(local.stack.deliver_function)
    local.wait(local.calls, "the event is delivered once there is a key")
    assert local.calls() == ["identify"]


@pytest.mark.parametrize("apply_on", ["PublishedVersions", "None"])
def test_an_event_is_delivered_with_snapshots_and_without(
    local: Local, apply_on: Literal["PublishedVersions", "None"]
) -> None:
    functions = local.stack.clients.functions
    names = (local.stack.receive_function, local.stack.deliver_function)

    def started() -> bool:
        live = [functions.get_function_configuration(FunctionName=name, Qualifier="live") for name in names]
        return all((each["SnapStart"]["ApplyOn"], each["State"]) == (apply_on, "Active") for each in live)

    for name in names:
        functions.update_function_configuration(FunctionName=name, SnapStart={"ApplyOn": apply_on})
        local.stack.publish(name)
    local.wait(started, "the functions are there")
    local.post("customer.created")
    local.wait(local.calls, "the event arrives")
    local.wait_until_idle()
    assert local.calls() == ["identify"]
