"""The audit of the real template in the emulator: what was posted is in the table, and every cent is explained."""

from __future__ import annotations

import json
import os
import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from stripe_to_segment.enqueuing import waiting
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.importing.drain import wait_until_empty
from stripe_to_segment_tools.commands.send.command import send
from stripe_to_segment_tools.local_stack import Secret
from stripe_to_segment_tools.local_stack.audit_rehearsal import audited
from stripe_to_segment_tools.local_stack.deployment import client_maker
from stripe_to_segment_tools.samples.files import body_of, freshen, samples
from stripe_to_segment_tools.samples.stripe_lists import objects_after
from tests.stack.conftest import SECRET
from tests.unit.stripe_list import KEY

if TYPE_CHECKING:
    from tests.stack.conftest import Local
    from tests.unit.stripe_list import StripeList

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]


def test_all_samples_audit_clean_and_what_is_lost_is_named(
    local: Local, stripe_list: StripeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    events = freshen([sample.event for sample in samples()], int(time.time()), seed=os.urandom(8).hex())
    for event in events:
        # One after the other: they are of months, and a record forgets an end that is older than its ledger.
        (sent,) = send([body_of(event)], local.stack.webhook_url, SECRET.stripe_signing_secrets[0])
        assert sent.status == 200
        local.wait_until_idle()
    sqs: Any = client_maker(local.stack.access)("sqs")
    wait_until_empty(lambda: waiting(sqs, local.stack.events_queue_url), lambda _: None, 0.5)
    stripe_list.clear()
    stripe_list.objects = objects_after(events)
    words = ["audit", "--local", "--stripe-api-base", stripe_list.url]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "0.00 unexplained", result.stdout
    # What `make demo` prints of it, also where Stripe lists a cent more than the invoice had when it was paid.
    told = audited(local.stack, (), events)
    assert (told.planned.reason, told.problems) == (result.stdout.splitlines()[-1], [])
    paid = next(event for event in events if event["type"] == "invoice.paid" and event["data"]["object"]["amount_paid"])
    more = deepcopy(paid)
    more["data"]["object"]["amount_paid"] += 1
    (problem,) = audited(local.stack, (), [more if event is paid else event for event in events]).problems
    assert problem.startswith(f"unexplained: payments of {paid['data']['object']['id']}, 1 ")
    lost = next(one for one in stripe_list.objects if one["object"] == "invoice" and one["amount_paid"])
    stripe_list.objects.append({**lost, "id": "in_never_came", "payments": None})
    said = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert said["explained"]
    assert [(one["id"], one["kind"]) for one in said["differences"]] == [("in_never_came", "payments")]

    # The function that a schedule runs sees the same, under its own role, with IAM enforced.
    local.stack.put_secret(Secret(stripe_api_key=KEY))
    clean = scheduled(local)
    assert (clean["outcome"], clean["unexplained"]) == ("done", 0), clean
    # The samples were paid before these two months; a subscription counts as it is now.
    subscriptions = [one for one in stripe_list.objects if one["object"] == "subscription"]
    gone = next(one for one in subscriptions if (one["currency"], one["status"]) == ("usd", "active"))
    stripe_list.objects.remove(gone)
    found = scheduled(local)
    assert {*found["differences"]} == {f"mrr {gone['id']} -29.00 USD", f"live subscriptions {gone['id']} -1 USD"}, found
    local.stack.put_secret(Secret())


def scheduled(local: Local) -> Any:
    """Run the deployed function like its schedule does."""
    function = local.stack.deployment.output("AuditFunctionName")
    answer = local.stack.clients.functions.invoke(FunctionName=f"{function}:live", Payload=b"{}")
    return json.load(answer["Payload"])
