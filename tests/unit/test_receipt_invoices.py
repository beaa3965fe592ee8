"""Checkout may make an invoice as a receipt of what was paid: session, intent and invoice are one payment then.

https://docs.stripe.com/payments/checkout/receipts
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.shapes import NOW, a_refund, a_session, an_event, an_intent, an_invoice
from tests.unit.worlds import World

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

COMPLETED, SUCCEEDED = "checkout.session.completed", "payment_intent.succeeded"
TO_COME = {"invoice_creation": {"enabled": True}}
INTENTS: dict[str, Any] = {"named": "pi_basic", "expanded": {"id": "pi_basic"}, "absent": None}
SESSIONS: dict[str, dict[str, Any]] = {
    "to be invoiced": TO_COME,
    "invoiced": TO_COME | {"invoice": "in_basic"},
    "invoiced, of a version without the wish": {"invoice": "in_basic"},
}
NAMED: tuple[dict[str, Any], ...] = ({}, {"payment_intent": "pi_basic"})
REFERENCES: tuple[dict[str, Any], ...] = (
    {},
    {"invoice": "in_basic"},
    {"payment_details": {"order_reference": "cs_test_basic"}},
    {"payment_details": {"order_reference": "in_basic"}},
    {"payment_details": {"order_reference": "order of the merchant's"}},
)
JOIN = {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_basic", "is_default": True} | {
    "payment": {"type": "payment_intent", "payment_intent": "pi_basic"}
}


def a_receipt(**more: Any) -> dict[str, Any]:
    return an_invoice(billing_reason="manual", total=5000, amount_paid=5000, amount_due=5000, parent=None, **more)


def deliver(world: World, *events: StripeEvent) -> None:
    for event in events:
        world.batch(event)


def stated(world: World) -> tuple[float, object]:
    """All revenue, and the last lifetime value."""
    revenue = sum(call["properties"].get("revenue") or 0 for call in world.calls if call["type"] == "track")
    shown = [call["traits"].get("lifetime_value") for call in world.calls if call["type"] == "identify"]
    return revenue, shown[-1]


@pytest.mark.parametrize("shape", SESSIONS)
@given(data=st.data())
def test_it_is_counted_once_in_any_order_and_however_often(shape: str, data: st.DataObject) -> None:
    """In whatever way the payloads join the three, and also where they do not."""
    session = a_session(**SESSIONS[shape], payment_intent=INTENTS[data.draw(st.sampled_from([*INTENTS]))])
    later = data.draw(st.booleans(), label="paid later")
    events = [an_event(COMPLETED, session | ({"payment_status": "unpaid"} if later else {}))]
    events += [an_event("checkout.session.async_payment_succeeded", session)] if later else []
    events += [an_event("invoice.paid", a_receipt(**data.draw(st.sampled_from(NAMED))))]
    references = data.draw(st.sampled_from((None, *REFERENCES)), label="intent")
    events += [an_event(SUCCEEDED, an_intent(**references))] if references is not None else []
    events += data.draw(st.sampled_from(([], [an_event("invoice_payment.paid", JOIN)])), label="join")
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = NOW + 10
    times = data.draw(st.integers(1, 2), label="times")
    deliver(world, *data.draw(st.permutations(events * times), label="order"))
    world.now = NOW + 400
    deliver(world, *data.draw(st.permutations(events), label="late"))
    assert stated(world) == (50, 50)
    back = an_event("refund.created", a_refund(amount=5000), created=NOW + 500)
    world.now = NOW + 900
    deliver(world, back)
    if session["payment_intent"]:
        assert stated(world)[1] == 0, "and the refund of the intent is that of the invoice"


@pytest.mark.parametrize("first", [COMPLETED, "invoice.paid"])
def test_a_session_of_an_old_shape_does_not_count_beside_the_invoice_of_its_intent(first: str) -> None:
    """It says nothing of an invoice; the invoice names the intent, and the revenue stood on both."""
    events = [an_event(COMPLETED, a_session()), an_event("invoice.paid", a_receipt(payment_intent="pi_basic"))]
    world = World()
    deliver(world, *sorted(events, key=lambda event: event.type != first))
    assert stated(world) == (50, 50)


def test_an_intent_is_no_order_while_the_invoice_of_its_session_is_to_come() -> None:
    """After the hold it was sent as one, with the tax in its revenue."""
    world = World()
    deliver(world, an_event(COMPLETED, a_session(**TO_COME)), an_event(SUCCEEDED, an_intent()))
    assert stated(world)[0] == 0
    deliver(world, an_event("invoice.paid", a_receipt(total_taxes=[{"amount": 800}]), created=NOW + 1000))
    assert stated(world) == (42, 50)


def test_a_session_that_names_its_invoice_says_that_no_sale_of_its_amount_has_paid_it() -> None:
    """A sale of the second before was taken for what had paid it, and the money of the session was lost."""
    world = World()
    sale = an_event(SUCCEEDED, an_intent(id="pi_sale"), created=NOW - 1)
    deliver(world, sale, an_event(COMPLETED, a_session(invoice="in_basic")), an_event("invoice.paid", a_receipt()))
    assert stated(world) == (100, 100)
