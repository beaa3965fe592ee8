"""Revenue stands on exactly one call for each payment, and refunds carry their order's id."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.mapping.facts import Known
from stripe_to_segment.mapping.products import products_of
from stripe_to_segment.segment_side.calls import encode
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.stripe_side.event import event_from
from stripe_to_segment.stripe_side.lines import read_line
from stripe_to_segment_tools.samples.files import samples
from tests.unit.shapes import (
    DAY,
    NOW,
    a_charge,
    a_price,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
)
from tests.unit.worlds import World, names

COMPLETED = "checkout.session.completed"


def test_a_paid_one_time_checkout_is_an_order_with_its_revenue() -> None:
    calls = World().deliver(an_event(COMPLETED, a_session()))
    assert names(calls) == ["identify", "Checkout Completed", "Order Completed"]
    assert "revenue" not in calls[1]["properties"]
    order = calls[2]["properties"]
    assert order["order_id"] == "pi_basic"
    assert order["checkout_id"] == "cs_test_basic"
    assert (order["total"], order["revenue"], order["currency"]) == (50, 50, "USD")


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"mode": "subscription", "subscription": "sub_basic", "invoice": "in_basic"}, ["Checkout Completed"]),
        ({"mode": "subscription", "subscription": "sub_basic"}, ["Checkout Completed"]),
        ({"invoice": "in_basic"}, ["Checkout Completed"]),
        ({"payment_status": "unpaid"}, ["Checkout Completed"]),
        ({"payment_status": "no_payment_required", "amount_total": 0}, ["Checkout Completed", "Order Completed"]),
        (
            {
                "mode": "setup",
                "amount_total": None,
                "currency": None,
                "customer": None,
                "payment_intent": None,
                "payment_status": "no_payment_required",
            },
            ["Checkout Completed", "Payment Info Entered"],
        ),
    ],
    ids=[
        "subscription",
        "subscription of an old version",
        "with an invoice",
        "not paid yet",
        "nothing to pay",
        "setup",
    ],
)
def test_a_session_is_an_order_only_if_no_invoice_or_later_payment_is(
    session: dict[str, Any], expected: list[str]
) -> None:
    assert list(World().tracks(an_event(COMPLETED, a_session(**session)))) == expected


def test_revenue_of_a_session_is_its_total_less_tax_and_shipping() -> None:
    session = a_session(
        amount_subtotal=5000,
        amount_total=6588,
        shipping_cost={"amount_subtotal": 600, "amount_tax": 114, "amount_total": 714},
        total_details={"amount_discount": 500, "amount_shipping": 600, "amount_tax": 1488},
    )
    order = World().tracks(an_event(COMPLETED, session))["Order Completed"]
    assert (order["total"], order["tax"], order["shipping"], order["discount"]) == (65.88, 14.88, 6, 5)
    assert order["revenue"] == 45


def test_a_local_currency_shown_to_the_customer_leaves_the_amounts_in_the_sellers() -> None:
    session = a_session(presentment_details={"presentment_amount": 780000, "presentment_currency": "jpy"})
    order = World().tracks(an_event(COMPLETED, session))["Order Completed"]
    assert (order["total"], order["currency"]) == (50, "USD")


def test_yen_are_not_divided() -> None:
    order = World().tracks(an_event(COMPLETED, a_session(currency="jpy")))["Order Completed"]
    assert (order["total"], order["currency"]) == (5000, "JPY")


def test_an_asynchronous_payment_is_one_order_whichever_event_states_it_first() -> None:
    world = World()
    world.deliver(
        an_event(COMPLETED, a_session(payment_status="unpaid")),
        an_event("checkout.session.async_payment_succeeded", a_session()),
        an_event(COMPLETED, a_session()),
    )
    assert names(world.calls).count("Order Completed") == 1


def test_an_asynchronous_payment_may_fail() -> None:
    facts = World().tracks(an_event("checkout.session.async_payment_failed", a_session(payment_status="unpaid")))
    assert facts["Payment Failed"]["value"] == 50
    assert "revenue" not in facts["Payment Failed"]


def test_an_expired_checkout_says_that_it_can_be_recovered_and_keeps_the_url() -> None:
    url = "https://buy.stripe.com/r/live_secret_token"
    session = a_session(status="expired", after_expiration={"recovery": {"enabled": True, "url": url}})
    world = World()
    assert world.tracks(an_event("checkout.session.expired", session))["Checkout Expired"]["recoverable"] is True
    assert "secret_token" not in str(world.calls)


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("subscription_create", "Order Completed"),
        ("subscription_cycle", "Subscription Renewed"),
        ("subscription_update", "Invoice Paid"),
        ("subscription_threshold", "Invoice Paid"),
        ("manual", "Invoice Paid"),
        (None, "Invoice Paid"),
    ],
)
def test_a_paid_invoice_is_named_by_its_billing_reason(reason: str | None, name: str) -> None:
    facts = World().tracks(an_event("invoice.paid", an_invoice(billing_reason=reason)))
    assert list(facts) == [name]
    assert (facts[name]["order_id"], facts[name]["total"], facts[name]["revenue"]) == ("in_basic", 20, 20)


@pytest.mark.parametrize("reason", ["subscription_create", "subscription_update", "manual"])
def test_an_invoice_over_nothing_is_no_revenue_event(reason: str) -> None:
    assert World().deliver(an_event("invoice.paid", an_invoice(billing_reason=reason, total=0))) == []


@pytest.mark.parametrize(
    "tax",
    [
        {"total_taxes": [{"amount": 300}, {"amount": 80}]},
        {"total_taxes": None, "tax": 380},
        {"total_taxes": None, "total_tax_amounts": [{"amount": 380}]},
        {"total_taxes": [{"amount": 380}], "tax": 380, "total_tax_amounts": [{"amount": 380}]},
    ],
    ids=["since 2025", "before 2025", "amounts only", "all at once"],
)
def test_tax_is_read_once_from_wherever_it_stands(tax: dict[str, Any]) -> None:
    invoice = an_invoice(total=2380, **tax)
    fact = World().tracks(an_event("invoice.paid", invoice))["Order Completed"]
    assert (fact["total"], fact["tax"], fact["revenue"]) == (23.8, 3.8, 20)


def test_an_amount_covered_by_the_balance_is_not_collected_and_revenue_is_proportional() -> None:
    invoice = an_invoice(total=2380, amount_paid=1190, total_taxes=[{"amount": 380}])
    fact = World().tracks(an_event("invoice.paid", invoice))["Order Completed"]
    assert (fact["total"], fact["revenue"]) == (11.9, 10)


def test_a_payment_outside_stripe_counts_as_collected() -> None:
    invoice = an_invoice(amount_paid=0, amount_remaining=2000, paid_out_of_band=True)
    fact = World().tracks(an_event("invoice.paid", invoice))["Order Completed"]
    assert (fact["total"], fact["revenue"]) == (20, 20)


def test_the_lines_become_products_in_both_shapes() -> None:
    new = World().tracks(an_event("invoice.paid", an_invoice()))["Order Completed"]
    assert new["products"] == [
        {"product_id": "prod_basic", "name": "1 x Basic (at $20.00 / month)", "price": 20, "quantity": 1}
    ]
    line = {
        "amount": 4000,
        "description": "Seats",
        "price": {"id": "price_seat", "product": "prod_seat", "unit_amount": 2000},
        "quantity": 2,
    }
    old = an_invoice(lines={"data": [line]}, parent=None, subscription="sub_old")
    fact = World().tracks(an_event("invoice.paid", old))["Order Completed"]
    assert fact["products"] == [{"product_id": "prod_seat", "name": "Seats", "price": 20, "quantity": 2}]
    assert fact["subscription_id"] == "sub_old"


def test_a_prorations_credit_is_a_product_of_negative_price_so_that_the_products_add_up() -> None:
    """The credit for unused time came out at the plan's full price, as if it had been bought a second time."""
    pricing = {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}}
    lines = [
        {"amount": -1945, "quantity": 1, "pricing": {**pricing, "unit_amount_decimal": "2900"}},
        {"amount": 5297, "quantity": 1, "pricing": {**pricing, "unit_amount_decimal": "7900"}},
        # A package of 100, where the line's amount decides; a price below a cent, where Stripe rounded it.
        {"amount": 5000, "quantity": 500, "price": {"id": "price_2", "product": "prod_2", "unit_amount": 1000}},
        {"amount": 2, "quantity": 3, "price": {"id": "price_3", "product": "prod_3", "unit_amount_decimal": "0.5"}},
    ]
    invoice = an_invoice(lines={"data": lines}, total=8354)
    products = World().tracks(an_event("invoice.paid", invoice))["Order Completed"]["products"]
    assert [product["price"] for product in products] == [-19.45, 52.97, 0.1, 0.005]


def test_a_quantity_keeps_its_decimals() -> None:
    """Hours came out as whole ones: `quantity` cuts the decimals off, so 0.75 hours at 100 were one thing at 75."""
    pricing = {"type": "price_details", "price_details": {"price": "price_hour"}, "unit_amount_decimal": "10000"}
    lines = [
        {"amount": 7500, "quantity": 0, "quantity_decimal": "0.75", "pricing": pricing},
        {"amount": 25000, "quantity": 2, "quantity_decimal": "2.5", "pricing": pricing},
        {"amount": 10000, "quantity": 1, "quantity_decimal": "1", "pricing": pricing},
        {"amount": 20000, "quantity": 2, "pricing": pricing},
    ]
    invoice = an_invoice(billing_reason="manual", parent=None, lines={"data": lines}, total=62500)
    products = World().tracks(an_event("invoice.paid", invoice))["Invoice Paid"]["products"]
    assert [(product["price"], product["quantity"]) for product in products] == [
        (100, 0.75),
        (100, 2.5),
        (100, 1),
        (100, 2),
    ]


def test_the_longest_amount_for_the_smallest_quantity_is_a_payment() -> None:
    """A dead letter: twelve decimals of the price of one unit did not fit into the digits that Python computes with."""
    line = {"amount": 999_999_999_999, "quantity": 0, "quantity_decimal": "0.000000000001"}
    paid = World().tracks(an_event("invoice.paid", an_invoice(billing_reason="manual", lines={"data": [line]})))
    assert paid["Invoice Paid"]["products"][0]["price"] == 9_999_999_999_990_000_000_000


def test_credits_without_tax_may_leave_less_than_the_tax() -> None:
    """100 and a tax of 20, less a credit of 110, on which there is no tax: the plan allowed no revenue below 0."""
    more = {"billing_reason": "manual", "total": 1000, "subtotal": -1000, "amount_due": 1000, "amount_paid": 1000}
    invoice = an_invoice(**more, total_taxes=[{"amount": 2000}], total_discount_amounts=[])
    paid = World().tracks(an_event("invoice.paid", invoice))["Invoice Paid"]
    assert (paid["total"], paid["tax"], paid["revenue"]) == (10, 20, -10)


@given(
    thousandths=st.integers(1, 10_000_000),
    unit=st.integers(0, 10_000_000),
)
def test_price_times_quantity_is_the_lines_amount(thousandths: int, unit: int) -> None:
    """Whatever the decimals of a quantity, a product is worth what Stripe charged for the line, to the minor unit."""
    quantity = Decimal(thousandths).scaleb(-3)
    amount = int((quantity * unit).to_integral_value())
    pricing = {"type": "price_details", "price_details": {"price": "price_hour"}, "unit_amount_decimal": f"{unit}"}
    line: Any = {"amount": amount, "quantity": int(quantity), "quantity_decimal": f"{quantity}", "pricing": pricing}
    (product,) = products_of([read_line(line)], "usd", Known(Profile("cus_basic"))) or []
    assert abs(product["price"] * product["quantity"] * 100 - amount) < 1


def test_an_order_too_large_for_segment_leaves_out_its_last_products_and_says_how_many() -> None:
    line = {"amount": 100, "description": "x" * 490, "price": {"id": "price_1", "unit_amount": 100}, "quantity": 1}
    invoice = an_invoice(lines={"data": [line] * 80})
    world = World()
    order = world.tracks(an_event("invoice.paid", invoice))["Order Completed"]
    assert len(encode(world.calls[0])) <= 32_100
    assert 0 < len(order["products"]) < 80
    assert order["products_omitted"] == 80 - len(order["products"])
    assert order["total"] == 20


def test_bought_products_are_also_in_properties_that_a_warehouse_does_not_cut() -> None:
    """A warehouse makes text of `products` and cuts it at 512 characters, in the middle of the third line."""
    lines = [
        {
            "amount": 100,
            "description": f"Line {number}",
            "quantity": 1,
            "price": {"id": f"price_{number}", "product": of},
        }
        for number, of in enumerate([f"prod_{number:014}" for number in (1, 1, *range(2, 60))])
    ]
    order = World().tracks(an_event("invoice.paid", an_invoice(lines={"data": lines})))["Order Completed"]
    assert (order["line_count"], order["first_product"]) == (60, "Line 0")
    assert order["product_ids"] == [f"prod_{number:014}" for number in range(1, 23)]
    assert len(json.dumps(order["product_ids"])) <= 512 < len(json.dumps([*order["product_ids"], "prod_" + "0" * 14]))


def test_the_line_count_is_absent_if_the_event_does_not_have_all_lines() -> None:
    lines = an_invoice()["lines"] | {"has_more": True}
    order = World().tracks(an_event("invoice.paid", an_invoice(lines=lines)))["Order Completed"]
    assert "line_count" not in order
    assert order["product_ids"] == ["prod_basic"]


def test_an_invoice_names_the_plan_as_its_subscription_does() -> None:
    world = World()
    price = a_price(lookup_key="basic_monthly")
    world.deliver(an_event("customer.subscription.created", a_subscription(an_item(price))))
    assert world.tracks(an_event("invoice.paid", an_invoice()))["Order Completed"]["plan"] == "basic_monthly"


SETUP_FEE = {
    "parent": {"type": "invoice_item_details", "invoice_item_details": {"invoice_item": "ii_1", "proration": False}},
    "pricing": {"type": "price_details", "price_details": {"price": "price_setup", "product": "prod_setup"}},
}
USAGE = {
    "period": {"start": NOW - 30 * DAY, "end": NOW},
    "pricing": {"type": "price_details", "price_details": {"price": "price_calls", "product": "prod_calls"}},
}
GIFT = {
    "pricing": {
        "type": "price_details",
        "price_details": {"price": "price_gift", "product": "prod_gift"},
        "unit_amount_decimal": "0",
    }
}
PERIOD = an_invoice()["lines"]["data"][0] | {"period": {"start": NOW, "end": NOW + 30 * DAY}}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "line",
    [
        PERIOD | SETUP_FEE,
        PERIOD | USAGE,
        PERIOD | GIFT,
        {"type": "invoiceitem", "price": {"id": "price_setup", "product": "prod_setup"}},
        PERIOD
        | {"type": "subscription", "pricing": None}
        | {"price": a_price(id="price_calls", recurring={"usage_type": "metered"})},
    ],
    ids=["a setup fee", "usage", "a gift", "a setup fee before 2025", "usage of the same period before 2025"],
)
def test_the_first_line_of_an_invoice_is_not_always_its_plan(line: dict[str, Any], *, known: bool) -> None:
    """Stripe lists a setup fee and usage before the plan, and the order named them as its plan."""
    world, price = World(), a_price(lookup_key="price_basic")
    if known:
        world.deliver(an_event("customer.subscription.created", a_subscription(an_item(price))))
    lines = {"data": [line | {"id": "il_0", "amount": 9900, "quantity": 3}, PERIOD]}
    order = world.tracks(an_event("invoice.paid", an_invoice(lines=lines)))["Order Completed"]
    assert (order["plan"], order["price_id"], order["product_id"]) == ("price_basic", "price_basic", "prod_basic")
    assert (order["quantity"], order["line_count"]) == (1, 2)


def test_an_invoice_of_items_alone_bills_no_plan() -> None:
    """The item was named as the plan of the subscription to whose invoice it was added."""
    invoice = an_invoice(billing_reason="manual", lines={"data": [PERIOD | SETUP_FEE]})
    paid = World().tracks(an_event("invoice.paid", invoice))["Invoice Paid"]
    assert paid.keys().isdisjoint({"plan", "price_id", "product_id", "quantity"})
    assert paid["product_ids"] == ["prod_setup"]


def test_each_failed_attempt_is_sent_once() -> None:
    world = World()
    for attempt in (1, 1, 2):
        invoice = an_invoice(attempt_count=attempt, amount_paid=0, next_payment_attempt=NOW + DAY, status="open")
        world.deliver(an_event("invoice.payment_failed", invoice))
    assert names(world.calls) == ["Payment Failed", "Payment Failed"]
    assert world.calls[0]["properties"]["value"] == 20
    assert world.calls[0]["properties"]["next_payment_attempt"] == "2026-11-19T11:06:40.000Z"


def test_a_payment_that_needs_the_customer_is_sent() -> None:
    facts = World().tracks(an_event("invoice.payment_action_required", an_invoice(status="open")))
    assert facts["Payment Action Required"]["invoice_id"] == "in_basic"


def test_a_refund_is_the_difference_to_the_running_total() -> None:
    world = World()
    first = an_event("charge.refunded", a_charge(amount_refunded=2000, refunded=False), previous={"amount_refunded": 0})
    second = an_event("charge.refunded", a_charge(), previous={"amount_refunded": 2000, "refunded": False})
    facts = [call["properties"] for call in world.deliver(first, second)]
    assert [fact["total"] for fact in facts] == [20, 30]
    assert [fact["fully_refunded"] for fact in facts] == [False, True]
    assert "revenue" not in str(facts)


def test_a_refund_of_an_old_version_is_read_from_its_list() -> None:
    refunds = {"data": [{"amount": 3000, "created": NOW}, {"amount": 2000, "created": NOW - DAY}]}
    facts = World().tracks(an_event("charge.refunded", a_charge(refunds=refunds)))
    assert facts["Order Refunded"]["total"] == 30


def test_a_refund_carries_the_order_id_of_its_checkout() -> None:
    world = World()
    order = world.tracks(an_event(COMPLETED, a_session()))["Order Completed"]
    refund = world.tracks(an_event("charge.refunded", a_charge()))["Order Refunded"]
    assert refund["order_id"] == order["order_id"]


@pytest.mark.parametrize(
    "joined",
    [
        an_event(
            "invoice_payment.paid",
            {
                "id": "inpay_basic",
                "object": "invoice_payment",
                "invoice": "in_basic",
                "payment": {"type": "payment_intent", "payment_intent": "pi_basic"},
            },
        ),
        an_event(COMPLETED, a_session(invoice="in_basic")),
    ],
    ids=["by invoice_payment.paid", "by its checkout"],
)
def test_a_refund_carries_the_order_id_of_its_invoice(joined: Any) -> None:
    world = World()
    world.deliver(joined)
    assert world.tracks(an_event("charge.refunded", a_charge()))["Order Refunded"]["order_id"] == "in_basic"


def test_a_refund_before_2025_names_its_invoice_itself() -> None:
    facts = World().tracks(an_event("charge.refunded", a_charge(invoice="in_basic")))
    assert facts["Order Refunded"]["order_id"] == "in_basic"


def test_a_refund_of_a_guest_has_the_payments_anonymous_id() -> None:
    world = World()
    world.deliver(an_event(COMPLETED, a_session(customer=None)))
    (refund,) = world.deliver(an_event("charge.refunded", a_charge(customer=None)))
    assert refund["anonymousId"] == "cs_test_basic"


def test_lifetime_value_counts_each_payment_and_refund_once() -> None:
    world = World()
    events = [
        an_event("invoice.paid", an_invoice()),
        an_event("invoice.paid", an_invoice()),
        an_event("charge.refunded", a_charge(amount_refunded=500), previous={"amount_refunded": 0}),
        an_event(COMPLETED, a_session()),
    ]
    for event in (*events, *events):
        world.deliver(event)
    shown = [call["traits"]["lifetime_value"] for call in world.calls if call["type"] == "identify"]
    assert shown == [20, 65], "each change of it once, and the refund with the payment it is of"


PAYMENT = {
    "one-time": [
        an_event(COMPLETED, a_session()),
        an_event("checkout.session.async_payment_succeeded", a_session()),
    ],
    "one-time with an invoice": [
        an_event(COMPLETED, a_session(invoice="in_basic")),
        an_event("invoice.paid", an_invoice(billing_reason="manual", total=5000)),
    ],
    "first of a subscription": [
        an_event(COMPLETED, a_session(mode="subscription", subscription="sub_basic", payment_intent=None)),
        an_event("checkout.session.async_payment_succeeded", a_session(mode="subscription", subscription="sub_basic")),
        an_event("invoice.paid", an_invoice(total=5000)),
    ],
}


@pytest.mark.parametrize("events", PAYMENT.values(), ids=PAYMENT)
@given(data=st.data())
def test_revenue_is_stated_once_in_any_order_and_with_repeats(events: list[Any], data: st.DataObject) -> None:
    order = data.draw(st.lists(st.sampled_from(events), max_size=6).map(lambda more: [*events, *more]))
    shuffled = data.draw(st.permutations(order))
    cuts = data.draw(st.integers(1, len(shuffled)))
    world = World()
    for batch in itertools.batched(shuffled, cuts, strict=False):
        world.batch(*batch)
    stated = [call["properties"]["revenue"] for call in world.calls if "revenue" in call.get("properties", {})]
    assert stated == [50]


# --- Free text ---


def test_free_text_of_lines_may_be_left_out() -> None:
    """Line descriptions are free text: those of a clinic sent the treatments of its patients to Segment."""
    invoice = an_invoice()
    invoice["lines"]["data"][0]["description"] = "Psychotherapy, 12 May"
    world = World(LINE_DESCRIPTIONS="omit")
    world.deliver(an_event("product.created", {"id": "prod_basic", "object": "product", "name": "Basic Plan"}))
    (product,) = world.tracks(an_event("invoice.paid", invoice))["Order Completed"]["products"]
    assert product["name"] == "Basic Plan"
    assert "Psychotherapy" not in str(world.calls)


DESCRIBING = {"description", "statement_descriptor", "footer", "comment", "memo"}


def described(value: Any, within: str = "") -> Any:
    """A Stripe event with the same free text wherever one may stand."""
    if isinstance(value, dict):
        return {key: described(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [described(each, within) for each in value]
    return "pr1vat3" if within in DESCRIBING else value


def test_no_description_of_any_sample_is_sent_if_they_are_switched_off() -> None:
    events = [event_from(described(each.event)) for each in samples()]
    omitting, sending = World(LINE_DESCRIPTIONS="omit"), World()
    omitting.deliver(*events)
    sending.deliver(*events)
    assert "pr1vat3" not in str(omitting.calls)
    assert "pr1vat3" in str(sending.calls), "it would be found"


def test_a_line_without_a_price_then_has_no_name() -> None:
    invoice = an_invoice()
    invoice["lines"]["data"] = [{"id": "il_1", "amount": 2000, "description": "Session with Jo", "quantity": 1}]
    world = World(LINE_DESCRIPTIONS="omit")
    (product,) = world.tracks(an_event("invoice.paid", invoice))["Order Completed"]["products"]
    assert product == {"price": 20, "quantity": 1}
