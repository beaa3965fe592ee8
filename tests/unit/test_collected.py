"""The collected and refunded amounts, and the order's id, in unusual payloads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.shapes import NOW, a_charge, a_customer, a_price, a_refund, a_session, an_event, an_invoice
from tests.unit.worlds import World, lifetime_value, names


def paid(**more: Any) -> dict[str, Any]:
    """The properties of the one track call of an invoice.paid."""
    (properties,) = World().tracks(an_event("invoice.paid", an_invoice(**more))).values()
    return properties


@pytest.mark.parametrize(
    ("total", "tax", "collected", "revenue"),
    [(12000, 2000, 15000, 125), (0, 0, 3000, 30), (-5000, -800, 3000, 30)],
)
def test_an_old_debt_collected_with_an_invoice_is_revenue(total: int, tax: int, collected: int, revenue: float) -> None:
    """It shares the invoice's tax, but on an invoice over nothing the debt that was paid was no revenue at all."""
    fact = paid(total=total, amount_due=collected, amount_paid=collected, total_taxes=[{"amount": tax}])
    assert (fact["total"], fact["revenue"]) == (collected / 100, revenue)


def test_a_payment_of_one_cent_is_revenue() -> None:
    """No test had an invoice over one cent, so a limit of one would have gone unnoticed."""
    fact = paid(total=1, amount_due=1, amount_paid=1, total_taxes=[])
    assert (fact["total"], fact["revenue"]) == (0.01, 0.01)


def test_shipping_costs_nothing_where_its_tax_is_said_to_be_all_of_it_and_more() -> None:
    """Stripe's specification allows it, and the call had negative shipping, which the tracking plan does not."""
    cost = {"amount_subtotal": 0, "amount_tax": 300, "amount_total": 200, "shipping_rate": None}
    fact = paid(total=1000, amount_due=1000, amount_paid=1000, total_taxes=[], shipping_cost=cost)
    assert (fact["total"], fact["revenue"], fact["shipping"]) == (10, 10, 0)


def test_a_failed_payment_says_why_it_was_billed() -> None:
    (fact,) = World().tracks(an_event("invoice.payment_failed", an_invoice(status="open"))).values()
    assert fact["billing_reason"] == an_invoice()["billing_reason"]


def test_an_invoice_before_it_had_a_status_may_be_paid_outside_stripe() -> None:
    """Without `status` nothing but what Stripe itself had collected was counted, so the payment was lost."""
    assert paid(status=None, paid=True, amount_paid=0, amount_remaining=2000)["revenue"] == 20


def test_tax_is_what_is_left_where_only_the_total_without_it_is_stated() -> None:
    assert paid(total=2400, total_taxes=None, tax=None, total_tax_amounts=None, total_excluding_tax=2000)["tax"] == 4


def test_before_2020_a_discount_is_what_is_missing_from_the_total() -> None:
    """The invoice had a coupon and no amount for it, which came out as a discount of nothing."""
    coupon = {"id": "di_1", "coupon": {"id": "HALF", "percent_off": 50}}
    fact = paid(subtotal=2000, tax=100, total=1100, discount=coupon, total_discount_amounts=None, total_taxes=None)
    assert (fact["discount"], fact["coupon"], fact["revenue"]) == (10, "HALF", 10)


def test_a_third_of_an_amount_has_no_more_digits_than_a_price_of_stripes() -> None:
    """Ten dollars for three came out at 3.3333333333333335 each."""
    line = {"amount": 1000, "quantity": 3, "price": {"id": "price_1", "unit_amount": None}}
    (product,) = paid(total=1000, lines={"data": [line]})["products"]
    assert product["price"] == 3.33333333333333


def test_shipping_is_read_from_the_sum_where_its_cost_is_not_itemised() -> None:
    """Without `shipping_cost` the shipping was taken for revenue."""
    fact = paid(total=6000, shipping_cost=None, amount_shipping=1000)
    assert (fact["shipping"], fact["revenue"]) == (10, 50)


def test_a_line_without_a_quantity_is_one_thing_of_its_amount() -> None:
    """The invoice item became a product without a price, which purchase events of destinations ignore."""
    lines = {"data": [{"amount": 1500, "description": "Setup", "quantity": None, "price": None}]}
    assert paid(lines=lines)["products"] == [{"name": "Setup", "price": 15, "quantity": 1}]


def test_a_line_that_has_both_shapes_keeps_the_name_of_its_price() -> None:
    """The id beside the whole price hid it, so the plan was called by its id."""
    line = {"amount": 2000, "quantity": 1, "price": a_price(nickname="Gold")}
    line["pricing"] = {"price_details": {"price": "price_basic", "product": "prod_basic"}}
    fact = paid(lines={"data": [line]})
    assert (fact["plan"], fact["price_id"], fact["products"][0]["name"]) == ("Gold", "price_basic", "Gold")


def test_a_line_whose_shapes_disagree_is_read_from_the_newer_one() -> None:
    line = {"amount": 2000, "quantity": 1, "price": a_price(nickname="Gold")}
    line["pricing"] = {"price_details": {"price": "price_new", "product": "prod_new"}}
    assert paid(lines={"data": [line]})["plan"] == "price_new"


def test_a_checkout_whose_invoice_is_still_to_come_leaves_the_revenue_to_it() -> None:
    """With `invoice_creation` the session and the invoice that followed it both stated the payment."""
    session = a_session(invoice=None, invoice_creation={"enabled": True})
    invoice = an_invoice(id="in_late", billing_reason="manual", parent=None, lines={"data": []}, total=5000)
    world = World()
    calls = world.deliver(an_event("checkout.session.completed", session), an_event("invoice.paid", invoice))
    assert names(calls) == ["identify", "Checkout Completed", "identify", "Invoice Paid"]
    assert "order_id" not in calls[1]["properties"]
    (call,) = world.deliver(an_event("customer.created", a_customer()))
    assert call["traits"]["lifetime_value"] == 50


def test_each_attempt_of_the_customer_to_pay_is_sent() -> None:
    """Stripe counts its own retries only: a second card that failed on the payment page was taken for the first."""
    world = World()
    invoice = an_invoice(attempt_count=1, amount_paid=0, status="open")
    first, second = (an_event("invoice.payment_failed", invoice, created=NOW + late) for late in (0, 40))
    assert names(world.deliver(first, second, first)) == ["Payment Failed", "Payment Failed"]


@pytest.mark.parametrize("captured", [0, None])
def test_a_cancelled_authorisation_is_no_refund(captured: int | None) -> None:
    """A cancelled hold comes as charge.refunded: money that never came in was taken off the lifetime value."""
    charge = a_charge(captured=False, amount_captured=captured)
    world = World()
    assert world.deliver(an_event("charge.refunded", charge, previous={"amount_refunded": 0})) == []
    (call,) = world.deliver(an_event("customer.created", a_customer()))
    assert "lifetime_value" not in call["traits"]


def test_a_failed_refund_is_no_refund_with_a_negative_amount() -> None:
    """The running total goes down again where a refund fails; that came out as a refund of a negative amount."""
    charge = a_charge(amount_refunded=500, refunded=False)
    assert World().deliver(an_event("charge.refunded", charge, previous={"amount_refunded": 1500})) == []


@pytest.mark.parametrize(
    "joins",
    [
        an_event("invoice.paid", an_invoice(id="in_1", payment_intent="pi_basic")),
        an_event("invoice.paid", an_invoice(id="in_1", charge="ch_basic")),
        an_event("invoice_payment.paid", {"id": "inpay_1", "invoice": "in_1", "payment": {"charge": "ch_basic"}}),
    ],
)
def test_a_refund_finds_the_invoice_that_named_its_payment(joins: Any) -> None:
    """After an upgrade of the API version the charge no longer names the invoice that still named its payment."""
    intent = "pi_basic" if joins.object.get("payment_intent") else None
    world = World()
    world.deliver(joins)
    fact = world.tracks(an_event("charge.refunded", a_charge(payment_intent=intent)))["Order Refunded"]
    assert fact["order_id"] == "in_1"


@pytest.mark.parametrize(
    ("collected", "shares"),
    [(18_000, (150, 20, 10)), (9000, (75, 10, 5)), (1, (0.01, 0, 0)), (21_600, (180, 24, 12)), (0, (0, 0, 0))],
)
def test_total_is_revenue_tax_and_shipping_whatever_part_a_balance_pays(
    collected: int, shares: tuple[float, float, float]
) -> None:
    """Revenue counted pro rata and tax in full: 1.00 collected of 6.00 was revenue of 0.83 and tax of 1.00."""
    money = {"total": 18_000, "amount_due": collected, "amount_paid": collected, "total_taxes": [{"amount": 2000}]}
    fact = paid(**money, shipping_cost={"amount_total": 1000, "amount_tax": 0}, billing_reason="subscription_cycle")
    assert (fact["total"], (fact["revenue"], fact["tax"], fact["shipping"])) == (collected / 100, shares)


def test_a_refund_of_what_a_balance_left_to_pay_has_its_share_of_the_tax() -> None:
    """A payment of less than its invoice's total had no tax, so neither had its refunds."""
    world = World()
    bill = an_invoice(total=12_000, amount_due=6000, amount_paid=6000, total_taxes=[{"amount": 2000}])
    refund = a_refund(amount=3000, payment_intent="pi_basic")
    world.deliver(an_event("invoice.paid", {**bill, "payment_intent": "pi_basic"}))
    (told,) = world.tracks(an_event("refund.created", refund)).values()
    assert (told["total"], told["revenue_refunded"], told["tax_refunded"]) == (30, 25, 5)


@pytest.mark.parametrize("paid_at_stripe", [4000, 5000])
def test_what_a_customer_pays_beyond_the_amount_due_is_collected(paid_at_stripe: int) -> None:
    """Stripe keeps it as the customer's credit, which makes a later invoice cheaper: it never was revenue.

    Whether `amount_paid` includes it, Stripe does not say.
    """
    money = {"total": 4000, "amount_due": 4000, "amount_paid": paid_at_stripe, "amount_overpaid": 1000}
    world = World()
    (fact,) = world.tracks(an_event("invoice.paid", an_invoice(**money, total_taxes=[{"amount": 800}]))).values()
    assert (fact["total"], fact["revenue"], fact["tax"]) == (50, 40, 10)
    assert lifetime_value(world) == 50


def test_what_is_still_to_be_paid_was_not_overpaid() -> None:
    """Stripe's own example of an invoice has both, and nothing of it was paid."""
    money = {"total": 1000, "amount_due": 1000, "amount_paid": 0, "amount_remaining": 1000, "amount_overpaid": 500}
    assert World().tracks(an_event("invoice.paid", an_invoice(**money, status="draft"))) == {}
