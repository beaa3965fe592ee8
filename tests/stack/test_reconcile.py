"""Stripe's list of events is compared with the delivered events, and only missing events are queued."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.local_stack import Secret
from stripe_to_segment_tools.samples.files import freshen, sample
from tests.unit.stripe_list import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack.conftest import Local
    from tests.unit.stripe_list import StripeList

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]

STORY = (
    "product.created",
    "customer.created",
    "checkout.session.completed.subscription",
    "customer.subscription.created.active",
    "invoice.paid.subscription_create",
    "customer.subscription.updated.renewal",
)


@pytest.fixture
def stripe(local: Local, stripe_list: StripeList) -> Iterator[StripeList]:
    """Stripe's list, empty, with its key in the stack's secret."""
    stripe_list.clear()
    local.stack.put_secret(Secret(stripe_api_key=KEY))
    AT[:] = ["--stripe-api-base", stripe_list.url]
    yield stripe_list
    local.stack.put_secret(Secret())


# The address of Stripe's imitation: the stack's setting alone does not allow to send a key there.
AT: list[str] = []


def backfill(*words: str) -> Any:
    result = CliRunner().invoke(app, ["backfill", "--since", "30d", "--local", "--json", *words, *AT])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def reconcile(local: Local) -> Any:
    """Run the deployed function like its schedule does."""
    function = local.stack.deployment.output("ReconcileFunctionName")
    answer = local.stack.clients.functions.invoke(FunctionName=f"{function}:live", Payload=b"{}")
    return json.load(answer["Payload"])


def scenario(hours_ago: float) -> list[dict[str, Any]]:
    """The events of a scenario with new ids, all at that time."""
    moment = int(time.time() - hours_ago * 3600)
    events = freshen([sample(name).event for name in STORY], moment, seed=f"{time.time()}")
    return [event | {"created": moment - len(STORY) + number} for number, event in enumerate(events)]


def test_a_backfill_over_a_delivered_window_queues_nothing(local: Local, stripe: StripeList) -> None:
    stripe.happened(*(local.post(name).event for name in STORY))
    local.wait_until_idle()
    before = list(local.calls())
    found = backfill()
    assert (found["listed"], found["missing"]) == (len(STORY), 0)
    assert local.stack.queued().nothing
    assert local.calls() == before


def test_a_backfill_over_a_gap_delivers_exactly_what_is_missing(local: Local, stripe: StripeList) -> None:
    missed = scenario(hours_ago=30)
    posted = local.post("customer.created")
    local.wait_until_idle()
    stripe.happened(posted.event, *missed)
    delivered = len(local.calls())
    looked = backfill("--dry-run")
    assert looked["queued"] == 0
    assert local.stack.queued().nothing
    found = backfill()
    assert found["missing"] == looked["missing"] > 0
    local.wait_until_idle()
    local.wait(
        lambda: {"Subscription Created", "Order Completed"} <= set(local.calls()[delivered:]),
        "the gap is filled",
    )
    assert local.segment.record.violations == []
    calls = local.calls()
    assert backfill()["missing"] == 0
    assert local.calls() == calls


def test_the_scheduled_function_queues_missing_events(local: Local, stripe: StripeList) -> None:
    """The function runs under its own role, with IAM enforced."""
    stripe.happened(*scenario(hours_ago=90))
    fresh = reconcile(local)
    assert (fresh["outcome"], fresh["listed"]) == ("done", 0), "events from before the stack are not missing"
    # As if the stack had existed for three days.
    store = DynamoStore(local.stack.clients.dynamodb, local.stack.state_table)
    store.delete("bookmark", "own:test")
    store.put_bookmark("own:test", int(time.time()) - 3 * 86_400, time.time())
    missed = [*scenario(hours_ago=30), *scenario(hours_ago=20)]
    stripe.happened(*missed[:3], delivered=False)
    stripe.happened(*missed[3:])
    stripe.failures = [429, 500]
    first = reconcile(local)
    assert first["outcome"] == "done", first
    assert (first["scope"], first["listed"]) == ("own:test", len(missed))
    assert first["queued"] > 0
    local.wait(lambda: {"Subscription Created", "Order Completed"} <= set(local.calls()), "the gap is filled")
    local.wait_until_idle()
    again = reconcile(local)
    assert (again["outcome"], again["queued"]) == ("done", 0)
    assert again["since"] == first["until"]


def test_the_scheduled_function_names_the_missing_key(local: Local) -> None:
    function = local.stack.deployment.output("ReconcileFunctionName")
    local.stack.publish(function)
    assert reconcile(local) == {"outcome": "not_ready"}
    assert any("stripe_api_key" in line for line in local.stack.output(function))
    local.stack.publish(function)
