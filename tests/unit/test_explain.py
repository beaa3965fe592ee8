"""`explain` keeps its contract: one JSON line for each event, in input order, and an exit status."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stripe_to_segment_tools.commands.cli import app
from tests.unit.shapes import a_session, a_subscription, an_event, an_invoice

PROJECT = Path(__file__).resolve().parents[2]
CORPUS = os.environ.get("STRIPE_EVENTS_DIR")


def explain(*arguments: str, given: str | None = None) -> tuple[int, list[dict[str, Any]]]:
    result = CliRunner().invoke(app, ["explain", *arguments], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def lines(*events: Any) -> str:
    return "\n".join(json.dumps(event.body) for event in events)


def test_each_event_is_one_line_with_the_five_fields() -> None:
    code, (line,) = explain("-", given=lines(an_event("customer.subscription.created", a_subscription())))
    assert code == 0
    assert list(line) == ["id", "type", "outcome", "reason", "calls"]
    assert (line["outcome"], line["reason"]) == ("mapped", None)
    assert [call["type"] for call in line["calls"]] == ["identify", "track"]


@pytest.mark.parametrize(
    ("given", "count"),
    [("{}", 1), ("[{}, {}]", 2), ("{}\n{}\n{}\n", 3), ("[]", 0)],
    ids=["one", "array", "lines", "none"],
)
def test_an_event_an_array_and_json_lines_are_read(given: str, count: int) -> None:
    event = json.dumps(an_event("invoice.paid", an_invoice()).body)
    assert len(explain("-", given=given.replace("{}", event))[1]) == count


def test_identity_from_one_event_is_used_for_the_next() -> None:
    session = a_session(mode="subscription", subscription="sub_basic", client_reference_id="u1")
    _, (created, completed, paid) = explain(
        "-",
        given=lines(
            an_event("customer.subscription.created", a_subscription()),
            an_event("checkout.session.completed", session),
            an_event("invoice.paid", an_invoice()),
        ),
    )
    assert {call.get("anonymousId") for call in created["calls"]} == {"cus_basic"}
    assert (completed["calls"][0]["userId"], completed["calls"][0]["anonymousId"]) == ("u1", "cus_basic")
    assert [call["userId"] for call in paid["calls"]] == ["u1", "u1"]


def test_an_invalid_event_is_reported_in_its_place_with_exit_status_1() -> None:
    event = json.dumps(an_event("invoice.paid", an_invoice()).body)
    code, found = explain("-", given=f'{event}\n{{"object": "charge"}}\nnonsense\n{event}')
    assert code == 1
    assert [line["outcome"] for line in found] == ["mapped", "invalid", "invalid", "ignored"]
    assert all(line["reason"] for line in found if line["outcome"] == "invalid")


def test_an_invalid_event_is_named_on_standard_error_too() -> None:
    """`explain … | jq` showed nothing but the null of its calls."""
    event = json.dumps(an_event("payout.paid", {"id": "po_1"}).body)
    result = CliRunner().invoke(app, ["explain", "-"], input=f"{event}\nnonsense")
    assert [json.loads(line)["outcome"] for line in result.stdout.splitlines()] == ["ignored", "invalid"]
    assert result.stderr == "error: -#2: not JSON: Expecting value (line 1, column 1)\n"


SUBSCRIPTION = a_subscription()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"object": SUBSCRIPTION, "previous_attributes": {"quantity": 1}}, "the data of an event (subscription)"),
        ({"object": SUBSCRIPTION}, "the data of an event (subscription)"),
        ({"object": {}}, "the data of an event (no object of Stripe)"),
        (SUBSCRIPTION, "an object of Stripe (subscription)"),
        ({"id": "pm_1", "object": "payment_method", "type": "card"}, "an object of Stripe (payment_method)"),
        ([SUBSCRIPTION], "an object of Stripe (subscription)"),
    ],
)
def test_the_error_of_a_partly_copied_event_names_what_is_missing(given: Any, what: str) -> None:
    """A copied `data` ended in a traceback: a hash was looked up in a set."""
    code, (line,) = explain("-", given=json.dumps(given))
    assert (code, line["outcome"], line["calls"]) == (1, "invalid", [])
    assert f"this is {what}" in line["reason"]
    assert "with its id, type and created, is missing" in line["reason"]
    assert "stripe events retrieve evt_…" in line["reason"]


def test_the_error_of_a_thin_event_says_that_it_has_no_object() -> None:
    related = {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"}
    thin = {"id": "evt_test_1", "object": "v2.core.event", "type": "v1.invoice.paid", "livemode": False}
    thin |= {"created": "2026-11-01T00:00:00.000Z", "related_object": related}
    code, (line,) = explain("-", given=json.dumps(thin))
    assert (code, line["outcome"]) == (1, "invalid")
    assert "this is a thin event, which only names its object" in line["reason"]


def test_the_error_for_a_line_of_a_log_says_how_to_get_its_event() -> None:
    """What `stripe listen` prints was taken for numbers."""
    said = "2026-11-01 12:00:00   --> invoice.paid [evt_1Abc]\n2026-11-01 12:00:01  <--  [200] POST http://localhost\n"
    code, (line,) = explain("-", given=said)
    assert (code, line["outcome"]) == (1, "invalid")
    assert line["reason"] == "-: not JSON: it only names events; print one with `stripe events retrieve evt_1Abc`"


@pytest.mark.parametrize("given", [{"object": []}, {"object": 7}, {"object": None}, {"data": {"object": SUBSCRIPTION}}])
def test_what_is_no_event_at_all_is_invalid(given: Any) -> None:
    assert [line["outcome"] for line in explain("-", given=json.dumps(given))[1]] == ["invalid"]


def test_pretty_prints_each_call_as_a_headline_with_its_main_properties() -> None:
    events = [
        an_event("customer.subscription.created", a_subscription(metadata={"user_id": "user_42"})),
        an_event("payout.paid", {"id": "po_1"}),
    ]
    result = CliRunner().invoke(app, ["explain", "--pretty", "-"], input=lines(*events) + "\nnonsense")
    shown = result.stdout.splitlines()
    assert shown[0] == f"customer.subscription.created  {events[0].id}"
    assert shown[1].startswith("  identify user_42: plan ")
    (created,) = [line for line in shown if line.startswith("  Subscription Created")]
    assert re.fullmatch(r"  Subscription Created  \+\$[\d.]+ MRR  user_42", created)
    properties = " ".join(shown[shown.index(created) :])
    assert "status active · plan " in properties
    assert "price_id" not in properties
    assert f"payout.paid  {events[1].id}" in shown
    assert any(line.startswith("  no calls: ") for line in shown)
    assert shown[-2:] == ["no Stripe event", "  invalid"]
    assert result.stderr.startswith("error: -#3: not JSON")
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout, "colours are for terminals"
    assert all(len(line) <= 120 for line in shown)


def test_pretty_has_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = lines(an_event("customer.subscription.created", a_subscription()))
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32mSubscription Created" in CliRunner().invoke(app, ["explain", "--pretty", "-"], input=given).stdout
    assert "\x1b" not in CliRunner().invoke(app, ["explain", "-"], input=given).stdout


def test_an_unmapped_type_is_ignored_with_the_reason() -> None:
    code, (line,) = explain("-", given=lines(an_event("payout.paid", {"id": "po_1"})))
    assert (code, line["outcome"], line["calls"]) == (0, "ignored", [])
    assert "payout.paid" in line["reason"]


def test_any_setting_can_be_overridden() -> None:
    event = lines(an_event("customer.subscription.created", a_subscription()))
    _, (line,) = explain(
        "-", "--set", "UNKNOWN_USER_POLICY=customer_id", "--set", "DropEvents=Subscription Created", given=event
    )
    assert [(call["type"], call["userId"]) for call in line["calls"]] == [("identify", "cus_basic")]


@pytest.mark.parametrize("setting", ["NONSENSE=1", "STRIPE_MODE=prod", "STRIPE_MODE"])
def test_a_setting_that_cannot_be_used_is_a_usage_error(setting: str) -> None:
    assert explain("-", "--set", setting, given="[]") == (2, [])


def test_explain_holds_no_event_back() -> None:
    event = lines(an_event("customer.subscription.created", a_subscription()))
    _, (line,) = explain("-", "--set", "IDENTITY_HOLD_SECONDS=3600", given=event)
    assert line["outcome"] == "mapped"


def test_the_same_events_give_the_same_calls() -> None:
    assert explain(str(PROJECT / "events")) == explain(str(PROJECT / "events"))


def test_every_sample_is_valid_and_no_message_id_comes_twice() -> None:
    code, found = explain(str(PROJECT / "events"))
    assert code == 0
    assert {line["outcome"] for line in found} == {"mapped"}
    ids = [call["messageId"] for line in found for call in line["calls"]]
    assert ids
    assert len(ids) == len(set(ids))


@pytest.mark.skipif(not CORPUS, reason="STRIPE_EVENTS_DIR names no folder of recorded Stripe events")
def test_every_recorded_event_is_valid() -> None:
    files = sorted(
        str(path) for path in Path(CORPUS or "").rglob("*.json") if "objects-by-api-version" not in path.parts
    )
    code, found = explain(*files)
    assert code == 0
    assert len(found) == len(files) > 0
    assert {line["outcome"] for line in found} == {"mapped", "ignored"}
