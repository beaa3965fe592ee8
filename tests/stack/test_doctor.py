"""`doctor` examines a deployed stack, also with a signed test event that leaves nothing behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.local_stack import Secret
from tests.unit.stripe_list import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack.conftest import Local
    from tests.unit.stripe_list import StripeList

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]
# The address of Stripe's imitation: the stack's setting alone does not allow to send a key there.
AT: list[str] = []


@pytest.fixture
def registered(local: Local, stripe_list: StripeList, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """The local stack, registered with the imitation of Stripe."""
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    stripe_list.clear()
    AT[:] = ["--stripe-api-base", stripe_list.url]
    assert run("register").exit_code == 0
    functions, receive = local.stack.clients.functions, local.stack.receive_function
    # Another test may have published the function a moment ago.
    local.wait(
        lambda: functions.get_function_configuration(FunctionName=receive, Qualifier="live").get("State") == "Active",
        "receive is ready",
    )
    yield local
    local.wait_until_idle()
    local.stack.put_secret(Secret())
    local.stack.publish(local.stack.receive_function)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--local", *AT])


def states(result: Result) -> dict[str, Any]:
    return {check["name"]: (check["state"], check["said"]) for check in json.loads(result.stdout)["checks"]}


def test_a_registered_stack_is_in_order_and_the_test_event_leaves_nothing_behind(registered: Local) -> None:
    stack = registered.stack
    before = stack.clients.dynamodb.scan(TableName=stack.state_table)["Items"]
    result = run("doctor", "--json")
    found = states(result)
    assert [name for name, (state, _) in found.items() if state == "failed"] == [], found
    assert result.exit_code == 0
    assert [name for name, (state, _) in found.items() if state == "not checked"] == ["endpoint, live mode"], found
    assert found["unsigned request"] == ("ok", "refused with 400")
    assert "processed" in found["queue to deliver"][1]
    assert registered.calls() == []
    assert stack.clients.dynamodb.scan(TableName=stack.state_table)["Items"] == before
    assert stack.queued().nothing
    refused = json.loads(
        CliRunner()
        .invoke(app, ["tail", "--local", "--no-follow", "--json", "--outcome", "refused"])
        .stdout.splitlines()[-1]
    )
    assert refused["reason"] == "malformed", "a reason without an alarm"


def test_each_problem_is_reported_with_its_solution(registered: Local, stripe_list: StripeList) -> None:
    stack = registered.stack
    (endpoint,) = stripe_list.webhooks.endpoints.values()
    endpoint["enabled_events"] = ["invoice.paid"]
    stack.clients.sqs.send_message(QueueUrl=stack.events_queue_url, MessageBody="no event")
    registered.wait(lambda: stack.queued().dead_letters, "it becomes a dead letter")
    result = run("doctor", "--no-event")
    assert result.exit_code == 1
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert "→ stripe-to-segment dlq list --local" in lines
    assert "→ stripe-to-segment register --local" in lines
    assert not any(secret in result.output for secret in (KEY, *stripe_list.webhooks.secrets.values()))
