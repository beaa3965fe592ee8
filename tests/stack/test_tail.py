"""`tail` shows the outcomes of the deployed functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.receiver import Behaviour, Mode

if TYPE_CHECKING:
    from tests.stack.conftest import Local

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]


def tail(*words: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["tail", "--local", "--no-follow", "--json", *words])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_logs_show_the_path_of_an_event_and_nothing_personal(local: Local) -> None:
    posted = local.post("checkout.session.completed.payment")
    local.wait_until_idle()
    local.wait(lambda: len(tail("--event", posted.event["id"])) == 2, "both functions have said what they did")
    queued, delivered = tail("--event", posted.event["id"])
    assert (queued["function"], queued["outcome"]) == ("receive", "queued")
    assert delivered["function"] == "deliver"
    assert delivered["outcome"] == "delivered"
    assert delivered["calls"] == ["identify", "Checkout Completed", "Order Completed"]
    assert delivered["event_type"] == "checkout.session.completed"
    email = posted.event["data"]["object"]["customer_details"]["email"]
    assert email not in json.dumps(tail())


def test_refused_requests_and_dead_letters_are_distinguished(local: Local) -> None:
    local.segment.record.behaviour = Behaviour(Mode.STATUS, status=400, event="Order Completed")
    poison = local.post("checkout.session.completed.payment")
    local.post("customer.created", "whsec_forged")
    local.wait(lambda: local.stack.queued().dead_letters, "the event becomes a dead letter")
    local.wait(lambda: tail("--event", poison.event["id"], "--outcome", "dead"), "it is said")
    (dead,) = tail("--event", poison.event["id"], "--outcome", "dead")
    assert (dead["reason"], dead["received"]) == ("http_400", 1)
    assert tail("--outcome", "refused")[-1]["reason"] == "wrong"
