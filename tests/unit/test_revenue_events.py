"""`RevenueEvents=orders` sends each call that states revenue as an Order Completed, under the messageId that it has."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from stripe_to_segment.settings import Settings, settings_from
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.page.meaning import meaning_of
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.inputs import Input
from stripe_to_segment_tools.tracking_plan import TrackingPlan, markdown, violations
from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS
from stripe_to_segment_tools.tracking_plan.primer import primer_calls
from tests.unit.shapes import a_session, an_event, an_intent, an_invoice
from tests.unit.test_money_back import an_invoice_payment
from tests.unit.worlds import World, names

type Body = dict[str, Any]

NAMED, ORDERS = Settings(), Settings(revenue_events="orders")
PAYING = {name for name, plan in EVENT_PLANS.items() if "revenue" in plan.properties}


def calls_of(settings: Settings) -> dict[str, Body]:
    """The calls of all samples by messageId."""
    inputs = (Input(each.name, each.body, each.event) for each in samples())
    return {call["messageId"]: call for line in explain(inputs, settings) for call in line.calls}


@pytest.fixture(scope="module")
def named() -> dict[str, Body]:
    return calls_of(NAMED)


@pytest.fixture(scope="module")
def orders() -> dict[str, Body]:
    return calls_of(ORDERS)


def revenue_of(call: Body) -> float:
    return float(call.get("properties", {}).get("revenue", 0))


def test_every_payment_is_an_order_completed(named: dict[str, Body], orders: dict[str, Body]) -> None:
    paid = {key for key, call in orders.items() if revenue_of(call)}
    assert {orders[key]["event"] for key in paid} == {"Order Completed"}
    assert {named[key]["event"] for key in paid} == PAYING, "and by default each has its own name"


def test_renaming_an_event_changes_nothing_but_its_name(named: dict[str, Body], orders: dict[str, Body]) -> None:
    assert {key: {**call, "event": None} for key, call in named.items()} == {
        key: {**call, "event": None} for key, call in orders.items()
    }
    assert sum(map(revenue_of, named.values())) == sum(map(revenue_of, orders.values())) > 0


def test_the_calls_are_those_of_the_tracking_plan_under_the_setting(orders: dict[str, Body]) -> None:
    assert [flaw for call in orders.values() for flaw in violations(call, ORDERS)] == []
    (renewed,) = [call for call in orders.values() if call.get("properties", {}).get("after_trial")]
    assert renewed["event"] == "Order Completed"
    assert violations(renewed, NAMED), "which has no after_trial in an Order Completed by default"


def test_the_page_says_of_such_an_order_what_it_may_be(orders: dict[str, Body]) -> None:
    (renewed,) = [call for call in orders.values() if call.get("properties", {}).get("after_trial")]
    assert "a period's invoice is paid" in meaning_of(renewed, ORDERS)


def test_a_renewal_over_nothing_is_no_order() -> None:
    """A destination would count a purchase of 0."""
    world = World(REVENUE_EVENTS="orders")
    world.deliver(an_event("invoice.paid", an_invoice(billing_reason="subscription_cycle", total=0)))
    assert names(world.calls) == ["Subscription Renewed"]


def test_a_renewal_that_pays_for_shipping_alone_is_an_order_without_revenue() -> None:
    """It stayed a Subscription Renewed, for its revenue is 0; but money was collected, and a first one is an order."""
    world = World(REVENUE_EVENTS="orders")
    shipped = an_invoice(total=300, amount_paid=300, shipping_cost={"amount_total": 300, "amount_subtotal": 300})
    world.deliver(an_event("invoice.paid", shipped | {"billing_reason": "subscription_cycle"}))
    (order,) = [call for call in world.calls if call["type"] == "track"]
    assert (order["event"], order["properties"]["total"], order["properties"]["revenue"]) == ("Order Completed", 3, 0)


@pytest.mark.parametrize("setting", ["named", "orders"])
@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_an_invoice_of_a_payment_that_a_session_stated_states_no_amount_again(
    order: tuple[int, ...], setting: str
) -> None:
    """A session was the order, and the invoice to which its payment was attached repeated the total beside it."""
    world = World(REVENUE_EVENTS=setting)
    invoice = an_invoice(total=4000, amount_paid=4000, payment_intent="pi_basic", billing_reason="subscription_cycle")
    session = a_session(amount_total=4000, payment_intent="pi_basic", currency="usd", customer="cus_basic")
    events = [
        an_event("payment_intent.succeeded", an_intent(amount=4000, amount_received=4000)),
        an_event("invoice.paid", invoice),
        an_event("checkout.session.completed", session),
        an_event("invoice_payment.paid", an_invoice_payment()),
    ]
    world.deliver(*(events[place] for place in order))
    stated = [call["properties"] for call in world.calls if "revenue" in call.get("properties", {})]
    assert max((each["total"], each["revenue"]) for each in stated) == (40, 40)
    assert (sum(each["total"] for each in stated), sum(each["revenue"] for each in stated)) == (40, 40)


def test_a_part_of_an_invoice_is_an_order_with_its_share(orders: dict[str, Body]) -> None:
    parts = [call for call in orders.values() if "invoice_payment_id" in call.get("properties", {})]
    assert {call["event"] for call in parts} == {"Order Completed"}
    invoice = parts[0]["properties"]["order_id"]
    of_it = [call for call in orders.values() if call.get("properties", {}).get("order_id") == invoice]
    assert len([call for call in of_it if revenue_of(call)]) > 1, "the part and the rest, each with its own revenue"


def test_a_switch_of_the_setting_sends_no_payment_again() -> None:
    world = World()
    renewed = an_event("invoice.paid", an_invoice(billing_reason="subscription_cycle"))
    world.batch(renewed)
    world.settings = replace(world.settings, revenue_events="orders")
    world.batch(renewed)
    assert names(world.calls) == ["identify", "Subscription Renewed"]


@pytest.mark.parametrize(
    ("given", "first", "renewal"),
    [
        ({}, "Order Completed", "Order Completed"),
        ({"RENAME_EVENTS": '{"Order Completed": "Purchase"}'}, "Purchase", "Purchase"),
        ({"RENAME_EVENTS": '{"Subscription Renewed": "Renewal"}'}, "Order Completed", "Renewal"),
        ({"DROP_EVENTS": "Subscription Renewed"}, "Order Completed", None),
        ({"DROP_EVENTS": "Order Completed"}, None, "Order Completed"),
    ],
)
def test_renaming_and_dropping_go_by_the_catalogs_names(
    given: dict[str, str], first: str | None, renewal: str | None
) -> None:
    chosen = settings_from({"REVENUE_EVENTS": "orders", **given})
    assert chosen.wire_name("Order Completed", pays=True) == first
    assert chosen.wire_name("Subscription Renewed", pays=True) == renewal


def test_integrations_still_tell_renewals_from_first_payments() -> None:
    """So an advertising platform can be left out of renewals that a product's analytics count."""
    world = World(REVENUE_EVENTS="orders", INTEGRATIONS='{"Subscription Renewed": {"Facebook": false}, "*": {}}')
    for reason in ("subscription_create", "subscription_cycle"):
        world.deliver(an_event("invoice.paid", an_invoice(id=f"in_{reason}", billing_reason=reason)))
    told = [call.get("integrations") for call in world.calls if call.get("event") == "Order Completed"]
    assert told == [None, {"Facebook": False}]


def test_the_plan_and_the_primer_have_each_name_that_is_sent_with_its_properties() -> None:
    events = TrackingPlan(ORDERS).events
    assert {*events} == {*EVENT_PLANS}
    assert {*events["Order Completed"].properties} == {
        name for paying in PAYING for name in EVENT_PLANS[paying].properties
    }
    assert events["Order Completed"].required == ("order_id",)
    primed = {call.body["event"]: call.body["properties"] for call in primer_calls(ORDERS, "") if "event" in call.body}
    assert {*primed["Order Completed"]} == {*events["Order Completed"].properties}
    text = markdown(TrackingPlan(ORDERS))
    assert "Sent when a purchase is paid:" in text
    assert "or a period's invoice is paid" in text
