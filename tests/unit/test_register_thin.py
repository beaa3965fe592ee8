"""`register --thin` makes an endpoint of thin events, in the same order and with the same care as one of snapshots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from stripe import HTTPClient
from typer.testing import CliRunner, Result

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.register.steps import QUIET_TYPE, ROLE
from stripe_to_segment_tools.commands.register.webhook_endpoints import API_VERSION
from tests.unit.a_stack import WEBHOOK_URL, Deployed, deployed
from tests.unit.stripe_list import KEY, StripeList

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = [f"v1.{kind}" for kind in CATALOG]
AT: list[str] = []


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, api: StripeList) -> Iterator[Deployed]:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    # The library waits before it tries again.
    monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0.0)
    with deployed() as stack:
        stack.functions.variables = {"STRIPE_API_BASE": api.url}
        AT[:] = ["--stripe-api-base", api.url]
        stack.put_signing()
        stack.put_keys(stripe_api_key=KEY)
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["register", "--thin", *words, *AT])


def test_a_destination_of_thin_events_is_made_and_its_secret_is_kept(here: Deployed, api: StripeList) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    (made,) = api.destinations.destinations.values()
    assert (made["event_payload"], made["enabled_events"], made["events_from"]) == ("thin", TYPES, ["@self"])
    assert (made["webhook_endpoint"], made["metadata"]) == ({"url": WEBHOOK_URL}, {ROLE: "account"})
    assert here.signing["stripe_test_signing_secrets"] == [api.destinations.secrets[made["id"]]]
    assert [what for what, _ in api.destinations.log] == ["POST", f"POST {made['id']}"]
    assert api.destinations.log[0][1]["enabled_events"] == [f"v1.{QUIET_TYPE}"], "it listens once its secret is kept"
    assert api.webhooks.log == []
    assert "thin events wait" not in result.stderr


def test_a_second_run_changes_nothing(api: StripeList) -> None:
    assert run().exit_code == 0
    api.destinations.log.clear()
    result = run()
    assert f"sends the {len(CATALOG)} mapped event types as thin events" in result.stdout
    assert api.destinations.log == []


def test_what_differs_is_changed_and_other_destinations_are_left_alone(here: Deployed, api: StripeList) -> None:
    assert run().exit_code == 0
    (made,) = api.destinations.destinations.values()
    made |= {"status": "disabled", "enabled_events": TYPES[:3]}
    others = [
        api.destinations.add(WEBHOOK_URL, ["invoice.paid"], event_payload="snapshot"),
        api.destinations.add("https://elsewhere.example", ["v1.invoice.paid"]),
        api.destinations.add("", ["v1.invoice.paid"], type="amazon_eventbridge", webhook_endpoint=None),
    ]
    before = json.dumps(others)
    assert run().exit_code == 0
    assert (made["status"], made["enabled_events"]) == ("enabled", TYPES)
    assert json.dumps(others) == before
    assert len(here.signing["stripe_test_signing_secrets"]) == 1


def test_a_rotated_destination_is_replaced_by_a_new_one(here: Deployed, api: StripeList) -> None:
    assert run().exit_code == 0
    (old,) = api.destinations.destinations
    assert run("--rotate", "--yes").exit_code == 0
    (new,) = api.destinations.destinations
    assert new != old
    assert here.signing["stripe_test_signing_secrets"][0] == api.destinations.secrets[new]


def test_connected_accounts_have_a_destination_of_their_own(here: Deployed, api: StripeList) -> None:
    here.functions.variables["CONNECT_EVENTS"] = "accept"
    assert run().exit_code == 0
    assert [each["events_from"] for each in api.destinations.destinations.values()] == [["@self"], ["@accounts"]]


def test_it_says_that_thin_events_need_a_key_and_that_snapshots_come_too(here: Deployed, api: StripeList) -> None:
    here.put_keys()
    snapshots = api.webhooks.add(WEBHOOK_URL, list(CATALOG), api_version=API_VERSION)
    told: dict[str, Any] = json.loads(run("--json").stdout)
    assert told["api_version"] is None
    assert [note for note in told["notes"] if "stripe_api_key of test mode" in note]
    assert [note for note in told["notes"] if f"{snapshots['id']} sends snapshots" in note]


def test_the_error_names_the_permission_that_a_key_lacks(api: StripeList) -> None:
    api.destinations.allowed = False
    result = run()
    assert result.exit_code == 2
    assert "write access to event destinations (rak_of_these_write)" in " ".join(result.stderr.split())
    assert "acct_1" not in result.stderr
