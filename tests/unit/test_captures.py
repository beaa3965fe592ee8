"""Payments that the merchant captures: in part, and in several captures that each bring money."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import listed_event, record_of
from tests.unit.shapes import DAY, NOW, a_charge, a_refund, a_session, an_event, an_intent, an_invoice
from tests.unit.test_money_back import summed
from tests.unit.worlds import World, lifetime_value, names, told

CAPTURABLE, SUCCEEDED = "payment_intent.amount_capturable_updated", "payment_intent.succeeded"


def captured(received: int, at: int = 0, **more: Any) -> Any:
    """The event of an intent over 100.00 of which so much was captured, which more captures may follow."""
    status = {"capture_method": "manual", "status": "requires_capture", "amount_capturable": 10_000 - received}
    intent = an_intent(amount=10_000, amount_received=received, **status)
    return an_event(CAPTURABLE, intent | more, created=NOW + at)


def over(received: int, **more: Any) -> Any:
    """The event of the last capture, after which so much was received."""
    return an_event(SUCCEEDED, an_intent(amount=10_000, amount_received=received, capture_method="manual") | more)


# --- A Checkout Session that is captured later ---


@pytest.mark.parametrize(
    ("received", "revenue", "tax", "shipping"), [(3600, 25, 6, 5), (1800, 12.5, 3, 2.5), (4000, 29, 6, 5)]
)
@pytest.mark.parametrize("customer", ["cus_basic", None])
def test_the_tax_and_shipping_of_a_session_that_is_captured_later_are_no_revenue(
    received: int, revenue: float, tax: int | None, shipping: int | None, customer: str | None
) -> None:
    """Only the session states them, and only the payment intent the payment: all of it was sent as revenue."""
    world, details = World(), {"amount_discount": 0, "amount_shipping": 500, "amount_tax": 600}
    session = a_session(customer=customer, payment_status="unpaid", amount_total=3600, total_details=details)
    of_session = {"customer": customer, "amount": 3600, "payment_details": {"order_reference": "cs_test_basic"}}
    world.deliver(
        an_event("checkout.session.completed", session),
        over(received, **of_session),
        an_event("refund.created", a_refund(amount=received)),
    )
    (order,) = told(world, "Order Completed")
    assert (order["total"], order["revenue"]) == (received / 100, revenue)
    assert (order.get("tax"), order.get("shipping")) == (tax, shipping)
    assert summed(world, "revenue") == summed(world, "revenue_refunded")


@pytest.mark.parametrize("told", ["by the session", "by the intent"])
@pytest.mark.parametrize("refunded", [False, True])
def test_a_session_that_is_captured_later_has_paid_no_invoice_of_its_amount(told: str, *, refunded: bool) -> None:
    """A renewal of its amount in the same minutes took it, or took a refund of it that came first, and its money."""
    world, session = World(), an_event("checkout.session.completed", a_session(payment_status="unpaid"))
    named = {"payment_details": {"order_reference": "cs_test_basic"}} if told == "by the intent" else {}
    world.deliver(an_event("invoice.paid", an_invoice(total=5000)), *([] if named else [session]))
    if refunded:
        world.deliver(an_event("charge.refunded", a_charge(), previous={"amount_refunded": 0}, created=NOW + DAY))
    world.deliver(over(5000, amount=5000, **named), session)
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 50 if refunded else 100)


def test_what_the_intent_states_of_its_tax_outranks_the_session_that_is_captured_later() -> None:
    world, details = World(), {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 600}
    world.deliver(
        an_event("checkout.session.completed", a_session(payment_status="unpaid", total_details=details)),
        over(10_000, amount_details={"tax": {"total_tax_amount": 1000}}),
    )
    assert summed(world, "revenue") == 90


def test_the_last_of_several_captures_waits_for_the_session_that_states_its_tax() -> None:
    """The captures before it had counted the payment, so it waited for nothing, and its tax was sent as revenue."""
    world, details = World(PAYMENT_HOLD_SECONDS="300"), {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 600}
    session = a_session(payment_status="unpaid", amount_total=3600, total_details=details)
    last = over(3600, amount=3600)
    world.deliver(captured(1000))
    assert [one.status.value for one in world.batch(last)] == ["waiting"]
    world.batch(an_event("checkout.session.completed", session))
    assert [one.status.value for one in world.batch(last)] == ["delivered"], "its session is known: it waits no more"
    (order,) = told(world, "Order Completed")
    assert (order["revenue"], order["tax"]) == (30, 6)


# --- Captured in part ---


def of_partial_capture(total: int, before: int | None, **more: Any) -> Any:
    """charge.refunded, of a charge over 100.00 of which 60.00 were captured."""
    charge = a_charge(amount=10_000, amount_captured=6000, amount_refunded=total, refunded=total in {6000, 10_000})
    previous = {} if before is None else {"previous": {"amount_refunded": before}}
    return an_event("charge.refunded", charge | more, **previous)


@pytest.mark.parametrize(
    ("refunds", "amounts", "total"),
    [
        ([(10_000, 4000)], [60], 60),
        ([(5500, 4000), (10_000, 5500)], [15, 45], 60),
        ([(4000, 0), (10_000, 4000)], [60], 60),
        ([(10_000, None)], [60], 60),
        ([(4000, None)], [], 0),
        ([(1500, 0), (6000, 1500)], [15, 45], 60),
        ([(1500, None)], [15], 15),
    ],
    ids=["all", "in two", "with the release", "all, unsaid", "the release, unsaid", "of a sum without it", "unsaid"],
)
def test_what_a_partial_capture_releases_is_no_refund(
    refunds: list[tuple[int, int | None]], amounts: list[int], total: int
) -> None:
    """Stripe counts the released rest of an authorisation as refunded: the lifetime value fell below zero."""
    world = World()
    world.deliver(over(6000), *(of_partial_capture(*each, invoice=None) for each in refunds))
    assert [each["total"] for each in told(world, "Order Refunded")] == amounts
    assert [each["refunded_total"] for each in told(world, "Order Refunded")][-1:] == ([total] if total else [])
    assert (summed(world, "revenue_refunded"), lifetime_value(world)) == (total, 60 - total)


@pytest.mark.parametrize(
    "refunds", [[(4000, 0), (6000, 4000)], [(4000, None)], [(5000, None)], [(1000, 0), (5000, 1000), (6000, 5000)]]
)
def test_of_as_much_as_a_partial_capture_has_released_a_refund_is_one(refunds: list[tuple[int, int | None]]) -> None:
    """Since 2025-03-31 Stripe does not count as refunded what is released: such a refund was lost, or was too small."""
    world = World()
    world.deliver(over(6000), *(of_partial_capture(*each) for each in refunds))
    back = refunds[-1][0] / 100
    assert (summed(world, "revenue_refunded"), lifetime_value(world)) == (back, 60 - back)


def test_a_refund_between_two_captures_is_a_refund() -> None:
    world = World()
    charge = a_charge(amount=10_000, amount_captured=3000, captured=False, amount_refunded=1000, refunded=False)
    world.deliver(captured(3000), an_event("charge.refunded", charge, previous={"amount_refunded": 0}))
    assert lifetime_value(world) == 20


@pytest.mark.parametrize("captures", [(), (captured(2300),)], ids=["one capture", "the last of two"])
def test_the_tax_and_shipping_that_a_partial_capture_states_are_no_revenue(captures: tuple[Any, ...]) -> None:
    """They were left out as those of the whole amount, and the revenue was all that was received.

    Each capture states its own, and those of several are summed.
    https://docs.stripe.com/payments/payment-line-items/flexible-payment-scenarios
    """
    world = World()
    details = {"discount_amount": 100, "tax": {"total_tax_amount": 230}, "shipping": {"amount": 170}}
    refund = an_event("refund.created", a_refund(amount=4600), created=NOW + DAY)
    world.deliver(*captures, over(4600, amount_details=details), refund)
    (order,) = told(world, "Order Completed")
    assert [order[name] for name in ("total", "revenue", "tax", "shipping")] == [46, 42, 2.3, 1.7]
    assert (summed(world, "revenue_refunded"), summed(world, "tax_refunded")) == (42, Decimal("2.3"))
    assert lifetime_value(world) == 0


# --- In several captures ---


def test_each_capture_raises_the_lifetime_value_and_the_last_one_is_the_order() -> None:
    """The lifetime value stayed 0 until the last of several captures, although each brings its money."""
    world = World()
    assert world.deliver(captured(0)) == [], "authorised, and nothing captured"
    for received in (3000, 5000):
        assert names(world.deliver(captured(received, received))) == ["identify"]
        assert lifetime_value(world) == received / 100
    assert names(world.deliver(over(8000))) == ["identify", "Order Completed"]
    assert world.deliver(captured(8000, status="succeeded")) == [], "the last capture sends both events"
    assert (summed(world, "revenue"), lifetime_value(world)) == (80, 80)


EVENTS = [captured(3000, 1), captured(5000, 2), over(8000), an_event("refund.created", a_refund(amount=2000))]


@pytest.mark.parametrize("order", [*permutations(range(4))])
@pytest.mark.parametrize("customer", ["cus_basic", None], ids=["a customer", "a guest"])
def test_captures_in_any_order_count_once(order: tuple[int, ...], customer: str | None) -> None:
    world = World()
    metadata = {"user_id": "user_1"}
    for place in order:
        event = EVENTS[place]
        body = event.object | (
            {"customer": customer, "metadata": metadata} if "amount_received" in event.object else {}
        )
        world.deliver(an_event(event.type, body, id=event.id, created=event.created))
    assert (summed(world, "revenue"), summed(world, "revenue_refunded"), lifetime_value(world)) == (80, 20, 60)


def test_a_refund_before_the_last_capture_has_its_share_in_the_order() -> None:
    """What of a capture is tax nobody knows before the last one."""
    world = World()
    world.deliver(captured(6000), an_event("refund.created", a_refund(amount=3000)))
    (refund,) = told(world, "Order Refunded")
    assert (refund["of_known_payment"], "revenue_refunded" in refund) == (True, False)
    world.deliver(over(10_000, amount_details={"tax": {"total_tax_amount": 1000}}))
    (order,) = told(world, "Order Completed")
    assert (order["revenue"], order["revenue_refunded"], order["tax_refunded"]) == (90, 27, 3)
    assert lifetime_value(world) == 70


@pytest.mark.parametrize("claim", [{"invoice": "in_1"}, {"payment_details": {"order_reference": "in_1"}}])
def test_an_intent_of_an_invoice_has_no_captures_of_its_own(claim: dict[str, Any]) -> None:
    world = World()
    assert world.deliver(captured(3000, **claim)) == []


def test_an_import_counts_the_captures_so_far() -> None:
    world = World()
    intent = an_intent(amount=10_000, amount_received=3000, capture_method="manual", status="requires_capture")
    listed = listed_event(record_of(intent, Level.STATE, NOW, livemode=False))
    assert listed is not None
    assert listed.type == CAPTURABLE
    world.deliver(listed)
    world.deliver(an_event("customer.updated", {"id": "cus_basic", "object": "customer"}, created=NOW + DAY))
    assert lifetime_value(world) == 30
    world.deliver(over(8000))
    assert (summed(world, "revenue"), lifetime_value(world)) == (80, 80)


def test_an_intent_that_is_only_authorised_is_on_no_list() -> None:
    intent = an_intent(amount_received=0, capture_method="manual", status="requires_capture")
    assert listed_event(record_of(intent, Level.STATE, NOW, livemode=False)) is None
