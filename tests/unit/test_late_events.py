"""Events that arrive late, because Stripe could not reach the endpoint: the hold for a payment counts from then."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.delivery.record import Status
from tests.unit.shapes import (
    DAY,
    NOW,
    a_customer,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)
from tests.unit.worlds import World, names

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

SUCCEEDED, COMPLETED = "payment_intent.succeeded", "checkout.session.completed"
PAID = an_invoice(total=4000, total_taxes=[{"amount": 640}], parent=None, billing_reason="manual")
OF_AN_INVOICE = (
    an_event(SUCCEEDED, an_intent(amount=4000, amount_received=4000), created=NOW),
    an_event("invoice.paid", PAID, created=NOW),
    an_event("refund.created", a_refund(amount=4000), created=NOW + DAY),
)


def arrive(world: World, *events: StripeEvent, apart: int = 5) -> None:
    """One event after the other, some seconds apart and long after they were created; what waits comes again."""
    arrived, waits = NOW + 3 * DAY, []
    for event in events:
        world.now = world.queued_at = arrived = arrived + apart
        if still_waits(world, event):
            waits.append((arrived, event))
    for after in (60, 301, 451):
        for one in [*waits]:
            world.queued_at, world.now = one[0], one[0] + after
            if not still_waits(world, one[1]):
                waits.remove(one)
    assert waits == [], "nothing waits longer than the hold, and half of it for what goes back"


def still_waits(world: World, event: StripeEvent) -> bool:
    return world.batch(event)[0].status is Status.WAITING


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_after_an_outage_an_intent_waits_for_its_invoice_however_old_it_is(order: tuple[int, ...]) -> None:
    """The hold was counted from the event's creation: after an outage of some minutes the intent of an invoice was an
    order with the invoice's tax in its revenue, and its refund a refund of nothing that is known."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    arrive(world, *(OF_AN_INVOICE[place] for place in order))
    told = {call["event"]: call["properties"] for call in world.calls if call["type"] == "track"}
    assert told.keys() == {"Invoice Paid", "Order Refunded"}
    assert told["Invoice Paid"]["revenue"] == told["Order Refunded"]["revenue_refunded"] == 33.6


@pytest.mark.parametrize("first", ["sale", "refund"])
def test_after_an_outage_a_refund_that_comes_with_its_payment_is_one_of_a_known_payment(first: str) -> None:
    """Both waited the same time, and if the refund came back first, it was one of a payment that was never counted."""
    world, sale = World(PAYMENT_HOLD_SECONDS="300"), an_event(SUCCEEDED, an_intent(), created=NOW)
    both = [an_event("refund.created", a_refund(amount=5000, customer="cus_basic"), created=NOW + DAY), sale]
    arrive(world, *(both if first == "refund" else both[::-1]), apart=100)
    (refund,) = [call["properties"] for call in world.calls if call.get("event") == "Order Refunded"]
    assert (refund["of_known_payment"], refund["revenue_refunded"]) == (True, 50)


def test_after_an_outage_an_event_does_not_wait_for_its_user() -> None:
    """Each event of a large backlog would be received again and again; the session's identify joins what was sent."""
    world = World(IDENTITY_HOLD_SECONDS="30")
    world.now = world.queued_at = NOW + DAY
    (told,) = world.deliver(an_event("customer.created", a_customer(), created=NOW))
    (joins, *_) = world.deliver(
        an_event(COMPLETED, a_session(client_reference_id="user_1"), created=NOW + 1),
    )
    assert told["anonymousId"] == joins["anonymousId"]
    assert joins["userId"] == "user_1"


def test_after_one_that_waited_in_vain_the_next_of_a_busy_customer_do_not_wait() -> None:
    """Each of thousands of events waited for its user by itself: four receives an event, and the last came too late."""
    world = World(IDENTITY_HOLD_SECONDS="30")
    events = [an_event("invoice.paid", an_invoice(id=f"in_{one}"), created=NOW + 4 * one) for one in range(9)]
    world.now = NOW + 20
    assert all(still_waits(world, event) for event in events[:5])
    world.now = NOW + 31
    assert [still_waits(world, event) for event in events] == [False] * 9, "each came soon after the one before it"


@pytest.mark.parametrize("first", ["customer.created", "invoice.paid"])
def test_a_checkout_soon_after_an_event_that_waited_in_vain_still_names_its_user(first: str) -> None:
    """A server creates the Customer, and the visitor pays a minute later."""
    world = World(IDENTITY_HOLD_SECONDS="30")
    world.now = NOW + 31
    assert not still_waits(world, an_event(first, {"customer.created": a_customer()}.get(first, an_invoice(id="in_0"))))
    world.now = NOW + 61
    paid = an_event("invoice.paid", an_invoice(), created=NOW + 60)
    assert still_waits(world, paid)
    world.deliver(an_event(COMPLETED, a_session(client_reference_id="user_1", invoice="in_basic"), created=NOW + 61))
    world.now = NOW + 66
    (order,) = (call for call in world.deliver(paid) if call["type"] == "track")
    assert order["userId"] == "user_1"


def test_what_waited_in_the_queue_for_a_long_time_waits_no_longer() -> None:
    """A backlog: its records were queued when they came, and those that name the payment with them."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now, world.queued_at = NOW + DAY, NOW + 2
    assert names(world.deliver(an_event(SUCCEEDED, an_intent(), created=NOW))) == ["identify", "Order Completed"]


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_a_history_that_comes_a_year_late_and_in_any_order_is_the_same(order: tuple[int, ...]) -> None:
    """What had ended or failed was forgotten by the clock: the subscription lived on, the failure was told twice."""
    world = World()
    world.now = NOW + 400 * DAY
    ended = a_subscription(created=NOW, status="canceled", ended_at=NOW + DAY)
    events = [
        an_event("customer.subscription.created", a_subscription(created=NOW), created=NOW),
        an_event("customer.subscription.deleted", ended, created=NOW + DAY),
        an_event("customer.updated", a_customer(), created=NOW + 2 * DAY),
    ]
    world.deliver(*(events[place] for place in order))
    assert sum(call.get("properties", {}).get("mrr_change", 0) for call in world.calls) == 0
    assert [call["traits"] for call in world.calls if call["type"] == "identify"][-1]["mrr"] == 0
    failed = {"status": "requires_payment_method", "invoice": "in_basic"}
    world.deliver(
        an_event("payment_intent.payment_failed", an_intent(**failed)),
        an_event("customer.updated", a_customer(), created=NOW + 3 * DAY),
        an_event("invoice.payment_failed", an_invoice(status="open", payment_intent="pi_basic")),
    )
    assert names(world.calls).count("Payment Failed") == 1
