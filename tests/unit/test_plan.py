"""The tracking plan says what is sent: no more, no less, in all its forms, under the names a team gives."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from typer.testing import CliRunner

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.mapping.subscriptions.cancellations import CANCELLED_BY
from stripe_to_segment.mapping.subscriptions.common import BearsMrrChange
from stripe_to_segment.mapping.subscriptions.updates import MRR_BEARERS
from stripe_to_segment.mapping.tracking import EVENTS
from stripe_to_segment.segment_side.calls import Call, encode
from stripe_to_segment.settings import Settings, settings_from
from stripe_to_segment.stripe_side.event import event_from
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.inputs import read_events
from stripe_to_segment_tools.tracking_plan import TrackingPlan, markdown, violations
from stripe_to_segment_tools.tracking_plan.declarations import ADDRESS, EVENT_PLANS, GROUP_TRAITS, PRODUCT, USER_TRAITS
from stripe_to_segment_tools.tracking_plan.findings import FORMATS
from tests.unit.shapes import (
    DAY,
    NOW,
    a_charge,
    a_customer,
    a_price,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
)
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

type Body = dict[str, Any]

PLAN = TrackingPlan(Settings())
MAPPING = Path(__file__).parents[2] / "layers/stripe_to_segment/python/stripe_to_segment/mapping"


def printed(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["plan", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


@pytest.fixture(scope="module")
def calls(project: Path) -> list[Body]:
    return [call for each in explain(read_events([project / "events"]), Settings()) for call in each.calls]


def a_call(**more: Any) -> Body:
    """A track call that keeps to the plan."""
    context = {
        "library": {"name": "stripe-to-segment", "version": "1.0.0"},
        "active": False,
        "stripe": {"event_id": "evt_1", "event_type": "charge.refunded", "identity": "metadata"},
    }
    return {
        "type": "track",
        "messageId": "117f72f5-f8de-5033-b376-b680ba0a237e",
        "timestamp": "2026-11-18T11:06:40.000Z",
        "userId": "user_1",
        "context": context,
        "event": "Order Refunded",
        "properties": {
            "order_id": "pi_1",
            "charge_id": "ch_1",
            "of_known_payment": True,
            "fully_refunded": True,
            "total": 5,
        },
    } | more


def refunded(**more: Any) -> Body:
    return a_call(properties={**a_call()["properties"], **more})


def cancelled(**more: Any) -> Body:
    return a_call(event="Subscription Cancelled", properties={"subscription_id": "sub_1", "status": "canceled", **more})


def identified(**traits: Any) -> Body:
    call = a_call(type="identify", traits=traits)
    return {key: value for key, value in call.items() if key not in {"event", "properties"}}


# --- The source ---


def test_every_event_is_stated_by_a_stripe_event() -> None:
    assert {event for row in CATALOG.values() for event in row.events} == {*EVENTS.values()}


def test_names_are_title_case_and_properties_snake_case() -> None:
    for name in EVENTS:
        assert re.fullmatch(r"[A-Z][a-z]+( [A-Z][a-z]+)+", name)
    properties = {name for plan in EVENT_PLANS.values() for name in plan.properties}
    # Segment reserves createdAt and postalCode in this very form.
    for field in {*properties, *PRODUCT, *USER_TRAITS, *GROUP_TRAITS, *ADDRESS} - {"createdAt", "postalCode"}:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field)


def test_every_property_of_an_event_is_described() -> None:
    for name, declared in EVENTS.items():
        assert EVENT_PLANS[name].properties.keys() == {*declared.names}, name
        assert all(each.meaning for each in EVENT_PLANS[name].properties.values())


def test_a_property_means_the_same_in_every_event() -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for plan in EVENT_PLANS.values():
        for name, each in plan.properties.items():
            meanings[name].add(each.meaning)
    assert {name: said for name, said in meanings.items() if len(said) > 1} == {}


def test_mrr_change_is_a_property_of_exactly_the_events_that_can_bear_it() -> None:
    told_apart = {"Subscription Created", "Subscription Cancelled", "Subscription Imported"}
    told_apart |= {"Subscription Paused", "Subscription Resumed"}
    bearers = {name for name, declared in EVENTS.items() if "mrr_change" in declared.names}
    assert bearers == {declared.event_name for declared in MRR_BEARERS} | told_apart
    assert bearers == {name for name, declared in EVENTS.items() if issubclass(declared, BearsMrrChange)}


def a_discount() -> Body:
    """One with all that a discount can say."""
    coupon = {"id": "FIVE", "object": "coupon", "amount_off": 500, "currency": "usd", "duration": "repeating"}
    coupon |= {"percent_off": 10}
    return {
        "id": "di_1",
        "object": "discount",
        "customer": "cus_basic",
        "end": NOW + DAY,
        "promotion_code": "promo_1",
        "source": {"type": "coupon", "coupon": coupon},
        "subscription": "sub_basic",
    }


A_PART = {
    "id": "inpay_part",
    "object": "invoice_payment",
    "invoice": "in_basic",
    "currency": "usd",
    "amount_paid": 500,
    "amount_requested": 500,
    "is_default": False,
}


def trials() -> Iterator[list[Body]]:
    """Trials that convert, subscriptions that count again, paused collection, parts and late shares of invoices.

    Each in a world of its own.
    """
    for reason in ("manual", "subscription_create", "subscription_cycle"):
        world = World()
        world.deliver(an_event("refund.created", a_refund(amount=500)))
        taxed = {"total_taxes": [{"amount": 500}], "payment_intent": "pi_basic"}
        yield world.deliver(an_event("invoice.paid", an_invoice(billing_reason=reason, **taxed)))
    yield World().deliver(
        an_event("invoice.finalized", an_invoice(status="open", amount_paid=0)),
        an_event("invoice_payment.paid", A_PART),
    )
    kind, trial = "customer.subscription.updated", {"trial_start": NOW - DAY, "trial_end": NOW, "created": NOW - DAY}
    world = World()
    world.deliver(an_event(kind, a_subscription(**trial), previous={"status": "trialing"}))
    world.deliver(an_event("invoice.paid", an_invoice(billing_reason="subscription_cycle", created=NOW)))
    yield world.calls
    world = World()
    world.deliver(an_event("invoice.paid", an_invoice(billing_reason="subscription_cycle", created=NOW)))
    world.deliver(an_event(kind, a_subscription(**trial), previous={"status": "trialing"}))
    yield world.calls
    world = World()
    world.deliver(an_event(kind, a_subscription(status="unpaid"), previous={"status": "active"}, created=NOW - DAY))
    paid = an_event(kind, a_subscription(status="past_due"), previous={"status": "unpaid"})
    yield world.deliver(paid)
    yield World().deliver(an_event(kind, a_subscription(status="past_due", created=NOW), previous={"status": "active"}))
    yield World().deliver(an_event("customer.subscription.resumed", a_subscription()))
    put = a_subscription(status="trialing", trial_start=NOW, trial_end=NOW + DAY)
    world = World()
    world.deliver(an_event("customer.subscription.created", a_subscription(), created=NOW - DAY))
    yield world.deliver(an_event(kind, put, previous={"status": "unpaid"}))
    world, euros = World(), an_item(a_price(currency="eur"))
    team = {"metadata": {"group_id": "team_1"}}
    world.deliver(an_event("customer.subscription.created", a_subscription(id="sub_1", **team)))
    other = a_subscription(euros, id="sub_2", currency="eur", **team)
    yield world.deliver(an_event("customer.subscription.created", other))
    for was, now in ((None, {"behavior": "void"}), ({"behavior": "void"}, None)):
        event = an_event(kind, a_subscription(pause_collection=now), previous={"pause_collection": was})
        yield World().deliver(event)


def variants() -> Iterator[tuple[Body, dict[str, str]]]:
    """Events beside the samples, with settings, for what no sample shows."""
    discount = {"id": "di_1", "source": {"coupon": "SPRING", "type": "coupon"}}
    for each in samples():
        body = json.loads(json.dumps(each.event))
        if body["type"].startswith(("customer.subscription.", "invoice.", "checkout.")):
            body["data"]["object"]["discounts"] = [discount]
            yield body, {}
    trial = a_subscription(status="trialing", trial_start=NOW, trial_end=NOW + DAY)
    kind = "customer.subscription.updated"
    yield an_event(kind, trial, previous={"status": "active"}).body, {}
    yield an_event(kind, a_subscription(status="past_due"), previous={"status": "trialing"}).body, {}
    yield an_event(kind, a_subscription(status="active"), previous={"status": "incomplete"}).body, {}
    yield an_event(kind, a_subscription(status="unpaid"), previous={"status": "past_due"}).body, {}
    yield an_event(kind, a_subscription(status="active"), previous={"status": "unpaid"}).body, {}
    on_trial = {"status": "trialing", "trial_start": NOW - DAY, "trial_end": NOW}
    yield an_event(kind, a_subscription(**on_trial | {"status": "paused"}), previous={"status": "trialing"}).body, {}
    dearer = a_subscription(an_item(a_price(5000, "year")), an_item(quantity=2, id="si_2"))
    yield an_event(kind, dearer, previous={"items": {"data": [an_item(quantity=2)]}}).body, {}
    yield an_event(kind, a_subscription(), previous={"items": dearer["items"]}).body, {}
    moved = a_subscription(an_item(quantity=2), **on_trial)
    yield an_event(kind, moved, previous={"status": "active", "items": {"data": [an_item()]}}).body, {}
    details = {"feedback": "unused", "feedback_option": "cfo_1", "reason": "cancellation_requested"}
    leaving = a_subscription(cancel_at=NOW + DAY, cancel_at_period_end=True, cancellation_details=details)
    yield an_event(kind, leaving, previous={"cancel_at": None, "cancel_at_period_end": False}).body, {}
    yield an_event(kind, leaving, previous={"cancellation_details": {"feedback": None}}).body, {}
    ended = a_subscription(status="canceled", ended_at=NOW, cancellation_details=details)
    yield an_event("customer.subscription.deleted", ended).body, {}
    why = {"paused": {"subscription": {"type": "pause_requested"}, "type": "subscription"}}
    paused = a_subscription(status="paused", status_details=why)
    yield an_event("customer.subscription.paused", paused).body, {}
    for change in ("created", "deleted"):
        yield an_event(f"customer.discount.{change}", a_discount()).body, {}
    yield an_event("invoice.paid", an_invoice(billing_reason="subscription_threshold")).body, {}
    long = {"amount": 1, "description": "x" * 499, "quantity": 1}
    for reason in ("subscription_create", "subscription_cycle", "manual"):
        yield an_event("invoice.paid", an_invoice(billing_reason=reason, lines={"data": [long] * 80})).body, {}
    for step in ("finalized", "sent", "overdue", "voided", "marked_uncollectible"):
        yield an_event(f"invoice.{step}", an_invoice(due_date=NOW)).body, {}
    intent = {"id": "pi_platform", "amount_received": 500, "currency": "usd", "application_fee_amount": 50}
    yield an_event("payment_intent.succeeded", intent).body, {}
    yield an_event("customer.created", a_customer(phone="1", address={"city": "X"})).body, {"HASH_EMAIL": "true"}


def test_every_property_that_the_plan_names_is_sent_by_something(calls: list[Body]) -> None:
    sent: dict[str, set[str]] = defaultdict(set)
    for body, settings in variants():
        chosen = {"PERSONAL_TRAITS": "email,name,phone,address", **settings}
        calls = calls + World(None, None, **chosen).deliver(event_from(body))
    for call in [*calls, *(call for told in trials() for call in told)]:
        sent[call.get("event") or call["type"]] |= (call.get("properties") or call.get("traits") or {}).keys()
    named = {name: {*plan.properties} for name, plan in EVENT_PLANS.items()}
    named |= {"identify": {*USER_TRAITS}, "group": {*GROUP_TRAITS}}
    assert {name: properties - sent[name] for name, properties in named.items() if properties - sent[name]} == {}


# --- Against calls ---


def test_every_call_of_the_samples_keeps_to_the_plan(calls: list[Body]) -> None:
    assert [sentence for call in calls for sentence in violations(call)] == []


def test_an_event_type_states_no_event_that_its_row_does_not_name(calls: list[Body]) -> None:
    for call in calls:
        if call["type"] == "track":
            row = CATALOG[call["context"]["stripe"]["event_type"]]
            assert call["event"] in {event.event_name for event in row.events}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (a_call(type="page"), "type is 'page'; it is one of identify, group, track"),
        (a_call(event="Order Returned"), "track: 'Order Returned' is not an event of the tracking plan"),
        (a_call(event=None), "track: None is not an event of the tracking plan"),
        (a_call(messageId="1"), "Order Refunded: messageId is '1', which does not match the format uuid"),
        (
            {key: value for key, value in a_call().items() if key != "userId"},
            "Order Refunded: neither userId nor anonymousId is there",
        ),
        (a_call(anonymousId=""), "Order Refunded: anonymousId is empty"),
        (a_call(userId=7), "Order Refunded: userId is an integer, not string"),
        (a_call(traits={}), "Order Refunded: traits does not belong in this kind of call"),
        (a_call(sentAt="now"), "Order Refunded: sentAt is not in the tracking plan"),
        (
            a_call(timestamp="2026-13-18T11:06:40.000Z"),
            "Order Refunded: timestamp is '2026-13-18T11:06:40.000Z', which does not match the format date-time",
        ),
        (a_call(context={**a_call()["context"], "active": True}), "Order Refunded: context.active is True, not False"),
        (
            a_call(context={**a_call()["context"], "stripe": {"event_id": "evt_1", "event_type": "x"}}),
            "Order Refunded: context.stripe.identity is missing",
        ),
        (refunded(revenue=5), "Order Refunded: properties.revenue is not in the tracking plan"),
        (refunded(total="5"), "Order Refunded: properties.total is a string, not number"),
        (refunded(total=-5), "Order Refunded: properties.total is -5, less than 0"),
        (refunded(total=None), "Order Refunded: properties.total is null, not number"),
        (refunded(fully_refunded=1), "Order Refunded: properties.fully_refunded is an integer, not boolean"),
        (
            refunded(currency="usd"),
            "Order Refunded: properties.currency is 'usd', which does not match the pattern ^[A-Z]{3}$",
        ),
        (
            a_call(properties={"order_id": "1", "charge_id": "2"}),
            "Order Refunded: properties.of_known_payment is missing",
        ),
        (
            cancelled(cancelled_by="me"),
            "Subscription Cancelled: properties.cancelled_by is 'me', not one of " + ", ".join(CANCELLED_BY.values()),
        ),
        (identified(plans=[None]), "identify: traits.plans[0] is null, not string"),
        (identified(currency=None), "identify: traits.currency is null, not string"),
        (identified(phone="1"), "identify: traits.phone is not in the tracking plan"),
        (identified() | {"groupId": "g"}, "identify: groupId does not belong in this kind of call"),
        (identified() | {"type": "group"}, "group: groupId is missing"),
        (
            a_call(event="Trial Ended", properties={"subscription_id": "1", "status": "2", "converted": "no"}),
            "Trial Ended: properties.converted is a string, not boolean",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "call",
)
def test_a_violation_is_a_sentence_with_its_place(call: Body, sentence: str) -> None:
    assert violations(call) == [sentence]
    assert not Draft202012Validator(PLAN.jsonschema(), format_checker=FORMATS).is_valid(call), "the schema takes it"


def test_each_violation_has_its_own_sentence() -> None:
    assert violations(refunded(total="5", colour="red", size=1)) == [
        "Order Refunded: properties.colour is not in the tracking plan",
        "Order Refunded: properties.size is not in the tracking plan",
        "Order Refunded: properties.total is a string, not number",
    ]


def test_the_world_of_the_tests_checks_each_call_against_the_plan() -> None:
    def send(body: Any) -> None:
        World()._send([Call(body, encode(body))], livemode=False)

    send(a_call())
    with pytest.raises(AssertionError, match=r"properties\.colour is not in the tracking plan"):
        send(refunded(colour="red"))


def test_an_old_sessions_order_without_an_amount_keeps_to_the_plan() -> None:
    """A session could come without amounts until 2020. Unknown amounts are absent, and the plan must allow that."""
    session = a_session(amount_total=None, amount_subtotal=None, currency=None, total_details=None)
    assert "Order Completed" in World().tracks(an_event("checkout.session.completed", session))
    charge = {key: value for key, value in a_charge().items() if key != "currency"}
    assert "total" not in World().tracks(an_event("charge.refunded", charge))["Order Refunded"]


# --- Segment's rules ---


def test_the_rules_are_a_body_that_segments_public_api_takes() -> None:
    body = json.loads(printed())
    rules = body["rules"]
    assert list(body) == ["rules"]
    assert len(rules) <= 200
    assert [rule["type"] for rule in rules] == ["COMMON", "IDENTIFY", "GROUP", *["TRACK"] * len(EVENTS)]
    assert [rule.get("key") for rule in rules] == [None, None, None, *EVENT_PLANS]
    for rule in rules:
        assert list(rule) == [*(["type", "key"] if rule["type"] == "TRACK" else ["type"]), "version", "jsonSchema"]
        assert rule["version"] == 1
        schema = rule["jsonSchema"]
        Draft7Validator.check_schema(schema)
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert schema["type"] == "object"
        assert list(schema["properties"]) == ["context", "traits", "properties"]


def test_the_rules_accept_the_samples_calls(calls: list[Body]) -> None:
    by_key = {rule.get("key", rule["type"]): Draft7Validator(rule["jsonSchema"]) for rule in PLAN.segment()["rules"]}
    for call in calls:
        for rule in ("COMMON", call.get("event", call["type"].upper())):
            by_key[rule].validate(call)


def test_the_rules_mark_what_is_required_and_which_traits_may_be_null() -> None:
    by_key = {rule.get("key", rule["type"]): rule["jsonSchema"]["properties"] for rule in PLAN.segment()["rules"]}
    renewed = by_key["Subscription Renewed"]["properties"]
    assert set(renewed["required"]) == {"order_id", "invoice_id", "total", "revenue", "currency"}
    assert renewed["properties"]["products"]["items"]["properties"]["price"]["type"] == "number"
    assert renewed["properties"]["total"] == {
        "description": "amount collected, or amount of the refund (major units)",
        "type": "number",
        "minimum": 0,
    }
    assert "minimum" not in renewed["properties"]["revenue"]
    assert "minimum" not in by_key["Subscription Cancelled"]["properties"]["properties"]["mrr_change"]
    traits = by_key["IDENTIFY"]["traits"]
    assert "required" not in traits
    assert traits["properties"]["plan"]["type"] == ["string", "null"]
    assert traits["properties"]["trial_ends_at"]["format"] == "date-time"
    assert traits["properties"]["trial_ends_at"]["type"] == ["string", "null"]


def test_a_property_with_stripes_own_values_has_no_closed_list() -> None:
    """Stripe adds statuses and reasons: under a closed list Segment would block the first event with a new one."""
    rules = {rule.get("key"): rule["jsonSchema"]["properties"]["properties"] for rule in PLAN.segment()["rules"]}
    closed = {
        name
        for rule in rules.values()
        for name, value in rule.get("properties", {}).items()
        if "enum" in value or "enum" in value.get("items", {})
    }
    assert closed == {"cancelled_by", "changed", "mrr_movement"}


# --- The schema of a call ---


def test_the_schema_takes_every_call_of_the_samples(calls: list[Body]) -> None:
    schema = json.loads(printed("--format", "jsonschema"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for call in calls:
        validator.validate(call)


def test_the_schema_wants_an_event_and_properties_of_a_track() -> None:
    validator = Draft202012Validator(PLAN.jsonschema())
    assert validator.is_valid(a_call())
    for missing in ("event", "properties", "context", "messageId", "type"):
        assert not validator.is_valid({key: value for key, value in a_call().items() if key != missing}), missing


# --- The document ---


def test_the_document_says_which_stripe_events_state_an_event() -> None:
    text = printed("--format", "markdown")
    assert text == markdown(PLAN)
    assert (
        "Sent when a trial ends; the status shows the result. "
        "Stated by `customer.subscription.updated`, `customer.subscription.deleted`." in text
    )
    assert "| `revenue` | number | yes | major units | amount collected less tax and shipping;" in text
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) >= set(EVENTS)
    anchors = {match.lower().replace(" ", "-") for match in re.findall(r"^### (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= anchors


# --- Settings ---


def test_renamed_and_dropped_events_stand_in_the_plan_as_they_are_sent() -> None:
    settings = ("--set", 'RENAME_EVENTS={"Order Completed": "Purchase"}', "--set", "DROP_EVENTS=Invoice Paid")
    keys = [rule.get("key") for rule in json.loads(printed(*settings))["rules"]]
    assert "Purchase" in keys
    assert not {"Order Completed", "Invoice Paid"} & {*keys}
    text = printed("--format", "markdown", *settings)
    assert "### Purchase\n" in text
    assert "### Invoice Paid\n" not in text
    schema = json.loads(printed("--format", "jsonschema", *settings))
    assert Draft202012Validator(schema).is_valid(a_call())
    assert "Purchase" in schema["properties"]["event"]["enum"]


def test_two_events_with_one_name_are_one_rule_that_both_satisfy() -> None:
    chosen = settings_from({"RENAME_EVENTS": '{"Subscription Renewed": "Payment", "Invoice Paid": "Payment"}'})
    rules = [rule for rule in TrackingPlan(chosen).segment()["rules"] if rule.get("key") == "Payment"]
    (properties,) = (rule["jsonSchema"]["properties"]["properties"] for rule in rules)
    assert set(properties["required"]) == {"order_id", "invoice_id", "total", "revenue", "currency"}
    assert "after_trial" in properties["properties"]
    world = World(RENAME_EVENTS='{"Subscription Renewed": "Payment", "Order Completed": "Payment"}')
    assert "Payment" in world.tracks(an_event("checkout.session.completed", a_session()))


def test_personal_traits_are_in_the_plan_if_the_settings_send_them() -> None:
    def personal(**given: str) -> set[str]:
        return set(TrackingPlan(settings_from(given)).user_traits) & {
            "email", "email_sha256", "name", "phone", "address"
        }  # fmt: skip

    assert personal() == {"email", "name"}
    assert personal(PERSONAL_TRAITS="") == set()
    assert personal(PERSONAL_TRAITS="phone,address") == {"phone", "address"}
    assert personal(HASH_EMAIL="true") == {"email_sha256", "name"}
    assert personal(HASH_EMAIL="true", PERSONAL_TRAITS="name") == {"name"}


def test_a_setting_that_names_no_event_is_reported_and_changes_nothing() -> None:
    result = CliRunner().invoke(app, ["plan", "--set", "DROP_EVENTS=Order Complete"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == PLAN.segment()
    assert (
        result.stderr
        == "note: 'Order Complete' is not an event of the plan, so the setting that names it has no effect\n"
    )


@pytest.mark.parametrize(
    "arguments", [("--format", "xml"), ("--set", "COLOUR=red"), ("--set", "DROP_EVENTS"), ("--set", "RENAME_EVENTS=no")]
)
def test_an_invalid_option_is_refused_with_status_2(arguments: tuple[str, ...]) -> None:
    assert "error" in printed(*arguments, code=2).lower()


def test_the_plan_is_the_same_each_time() -> None:
    for form in ("segment", "jsonschema", "markdown"):
        assert printed("--format", form) == printed("--format", form)


def test_the_type_checker_finds_a_misspelt_property(tmp_path: Path, project: Path) -> None:
    """A property's name stood in the mapper and in the plan, and only a test of that very event saw them differ."""
    slips = tmp_path / "slips.py"
    slips.write_text(
        "from stripe_to_segment.mapping.refunds import OrderRefunded\n"
        "OrderRefunded(order_id='1', charge_id='2', of_known_payment=True, totl=None)\n"
        "OrderRefunded(order_id='1', charge_id='2', of_known_payment=True, total='5')\n"
        "OrderRefunded(order_id='1', charge_id='2')\n",
        "utf-8",
    )
    environment = {**os.environ, "MYPYPATH": str(project / "layers/stripe_to_segment/python")}
    command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", str(slips)]
    said = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True).stdout
    for line, slip in ((2, 'Unexpected keyword argument "totl"'), (3, 'incompatible type "str"'), (4, "Missing named")):
        assert re.search(rf"slips\.py:{line}: error: .*{slip}", said), said


def test_the_type_checker_sees_every_property_that_an_event_is_given() -> None:
    """Disputes were made of a `dict[str, Any]`, others of `**more`, in which it sees no wrong name or type."""
    names = {declared.__name__ for declared in EVENTS.values()} | {"declared"}
    trees = [ast.parse(path.read_text("utf-8")) for path in MAPPING.rglob("*.py")]
    returned = {
        node.name: ast.unparse(node.returns)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns
    }
    unpacked = [
        each.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
        for each in node.keywords
        if each.arg is None
    ]
    untyped = [
        ast.unparse(each)
        for each in unpacked
        if not isinstance(each, ast.Call) or returned[ast.unparse(each.func)].startswith("dict")
    ]
    assert untyped == []
