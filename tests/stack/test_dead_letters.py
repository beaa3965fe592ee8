"""Undeliverable events become dead letters with a reason and can be redriven; customers can be forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.receiver import Behaviour, Mode

if TYPE_CHECKING:
    from tests.stack.conftest import Local

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]

# The destination refuses this call only, as if it had a bug.
REFUSING = Behaviour(Mode.STATUS, status=400, event="Order Completed")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--local"])


def counted() -> Any:
    result = run("dlq", "list", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_undeliverable_event_is_listed_with_its_reason_and_delivered_once_the_cause_is_gone(local: Local) -> None:
    local.segment.record.behaviour = REFUSING
    poison = local.post("checkout.session.completed.payment")
    local.wait(lambda: local.stack.queued().dead_letters, "the event becomes a dead letter")
    found = counted()
    assert found["by_reason"] == {"http_400": 1}
    assert found["groups"][0]["type"] == "checkout.session.completed"

    shown = json.loads(run("dlq", "show", poison.event["id"], "--body", "--json").stdout)
    assert shown["body"] == poison.body
    assert (shown["reason"], shown["detail"]) == ("http_400", "")

    assert run("dlq", "redrive", "--all", "--dry-run").stdout == "would be redriven: 1\n"
    assert len(local.stack.queued().dead_letters) == 1
    local.segment.record.behaviour = Behaviour()
    redriven = run("dlq", "redrive", "--reason", "http_400", "--yes")
    assert (redriven.exit_code, redriven.stdout) == (0, "redriven: 1\n")
    local.wait(lambda: "Order Completed" in local.calls(), "the call arrives")
    local.wait_until_idle()
    assert sorted(local.calls()) == ["Checkout Completed", "Order Completed", "identify"], "each call once"
    assert local.stack.queued().nothing
    assert counted()["count"] == 0


def test_a_redriven_event_that_fails_again_is_a_dead_letter_again(local: Local) -> None:
    local.segment.record.behaviour = REFUSING
    local.post("checkout.session.completed.payment")
    local.wait(lambda: local.stack.queued().dead_letters, "the event becomes a dead letter")
    assert run("dlq", "redrive", "--all", "--yes").stdout == "redriven: 1\n"
    local.wait_until_idle()
    local.wait(lambda: local.stack.queued().dead_letters, "it comes back")
    assert counted()["by_reason"] == {"http_400": 1}
    assert sorted(local.calls()) == ["Checkout Completed", "identify"]


def test_purged_dead_letters_are_gone_and_the_others_stay(local: Local) -> None:
    local.segment.record.behaviour = REFUSING
    local.post("checkout.session.completed.payment")
    local.stack.clients.sqs.send_message(QueueUrl=local.stack.events_queue_url, MessageBody="no event")
    local.wait(lambda: len(local.stack.queued().dead_letters) == 2, "both become dead letters")
    assert counted()["by_reason"] == {"http_400": 1, "not_json": 1}
    assert run("dlq", "purge", "--reason", "not_json", "--yes").stdout == "deleted: 1\n"
    (left,) = local.stack.queued().dead_letters
    assert left.attributes["reason"] == "http_400"
    assert left.visible_in == 0


def test_a_customer_can_be_forgotten(local: Local) -> None:
    posted = local.post("customer.created")
    local.wait(local.calls, "the event is delivered")
    local.wait_until_idle()
    customer = posted.event["data"]["object"]["id"]
    kept = json.loads(run("forget", customer, "--dry-run", "--json").stdout)["records"]
    mode = "live" if posted.event["livemode"] else "test"
    assert list(kept) == [f"{mode}:{customer}"]
    assert run("forget", customer).exit_code == 0
    left = local.stack.clients.dynamodb.scan(TableName=local.stack.state_table)["Items"]
    assert not [item for item in left if customer in item["pk"]["S"]]
    assert run("forget", customer).stdout == "no record is kept\n"
