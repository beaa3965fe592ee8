"""The local stack is registered with an imitation of Stripe, and then accepts the events that it signs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.local_stack import Secret
from tests.unit.stripe_list import KEY

if TYPE_CHECKING:
    from tests.stack.conftest import Local
    from tests.unit.stripe_list import StripeList

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]


def test_a_registered_endpoints_events_are_accepted(
    local: Local, stripe_list: StripeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    stripe_list.clear()
    try:
        base = ["--stripe-api-base", stripe_list.url]
        registered = CliRunner().invoke(app, ["register", "--local", "--json", *base])
        assert registered.exit_code == 0, registered.output
        (endpoint,) = stripe_list.webhooks.endpoints.values()
        assert endpoint["url"] == local.stack.webhook_url
        assert endpoint["enabled_events"] == list(CATALOG)
        assert [step["action"] for step in json.loads(registered.stdout)["steps"]] == ["create"]
        local.stack.publish(local.stack.receive_function)
        signed = local.post("customer.created", stripe_list.webhooks.secrets[endpoint["id"]])
        assert (signed.status, signed.answer) == (200, {"received": True})
        local.wait(local.calls, "the event is delivered")
        local.wait_until_idle()
        assert local.post("customer.created").status == 200, "the previous secret is still valid"
        again = CliRunner().invoke(app, ["register", "--local", *base])
        assert again.stdout.startswith(f"nothing to do: {endpoint['id']}"), again.output
    finally:
        local.wait_until_idle()
        local.stack.put_secret(Secret())
        local.stack.publish(local.stack.receive_function)
