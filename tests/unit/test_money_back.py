"""Payments without invoice or session, refunds and disputes: each is sent once, for the paying customer, to the
cent."""

from __future__ import annotations

import json
from copy import replace
from decimal import Decimal
from itertools import permutations
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Status
from stripe_to_segment.errors import StoreUnavailableError
from stripe_to_segment.mapping.orders import orders_needed
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.settings import Settings
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.state.prune import PAYMENTS, pruned
from stripe_to_segment.state.refund import Dispute, Refund
from stripe_to_segment.state.store import Learnt
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.samples.inputs import read_text
from tests.unit.shapes import (
    DAY,
    NOW,
    a_charge,
    a_customer,
    a_dispute,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)
from tests.unit.worlds import ACCEPTED, World, lifetime_value, names, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.objects import Lookup

COMPLETED, SUCCEEDED = "checkout.session.completed", "payment_intent.succeeded"


def an_invoice_payment(**more: Any) -> dict[str, Any]:
    return {
        "id": "inpay_1",
        "object": "invoice_payment",
        "invoice": "in_basic",
        "payment": {"type": "payment_intent", "payment_intent": "pi_basic"},
    } | more


def summed(world: World, name: str) -> Any:
    """The sum of a property over all calls."""
    return sum((Decimal(str(call.get("properties", {}).get(name) or 0)) for call in world.calls), Decimal(0))


def played(*events: StripeEvent) -> list[list[str]]:
    """What `explain` makes of each event, with its holds."""
    given = "\n".join(json.dumps(event.body) for event in events)
    return [names(each.calls) for each in explain(read_text(given.encode(), "-"), Settings())]


# --- Payment intents ---


def test_a_payment_intent_without_invoice_and_session_is_an_order() -> None:
    """The Payment Element's sales were no revenue at all, and their refunds made the lifetime value negative."""
    world = World()
    world.deliver(an_event(SUCCEEDED, an_intent(application_fee_amount=150)))
    (order,) = told(world, "Order Completed")
    assert (order["order_id"], order["revenue"], order["total"], order["application_fee"]) == ("pi_basic", 50, 50, 1.5)
    assert lifetime_value(world) == 50


def test_the_received_amount_counts_with_tips_and_less_tax_and_shipping() -> None:
    tip = an_intent(amount=5000, amount_received=6000, amount_details={"tip": {"amount": 1000}})
    assert World().tracks(an_event(SUCCEEDED, tip))["Order Completed"]["revenue"] == 60
    taxed = an_intent(amount_details={"tax": {"total_tax_amount": 800}, "shipping": {"amount": 200}})
    assert World().tracks(an_event(SUCCEEDED, taxed))["Order Completed"]["revenue"] == 40


def test_parts_that_are_larger_than_the_whole_are_not_taken_off() -> None:
    """A merchant who has Stripe not check `amount_details` may state them in major units, and the revenue was negative.

    https://docs.stripe.com/api/payment_intents/object#payment_intent_object-amount_details-error
    """
    error = {"code": "amount_details_tax_shipping_discount_greater_than_amount", "message": "…"}
    wrong = {"tax": {"total_tax_amount": 80000}, "shipping": {"amount": 0}, "error": error}
    order = World().tracks(an_event(SUCCEEDED, an_intent(amount_details=wrong)))["Order Completed"]
    assert (order["total"], order["revenue"]) == (50, 50)
    assert not {"tax", "shipping"} & order.keys()


@pytest.mark.parametrize(
    "claim",
    [
        {"invoice": "in_basic"},
        {"payment_details": {"order_reference": "in_basic"}},
        {"payment_details": {"order_reference": "cs_test_basic"}},
    ],
)
def test_a_payment_intent_of_an_invoice_or_session_is_stated_by_that(claim: dict[str, Any]) -> None:
    assert World().deliver(an_event(SUCCEEDED, an_intent(**claim))) == []


def test_a_merchants_own_reference_is_no_invoice_or_session() -> None:
    event = an_event(SUCCEEDED, an_intent(payment_details={"order_reference": "order-17"}))
    assert names(World().deliver(event)) == ["identify", "Order Completed"]


@pytest.mark.parametrize("first", [SUCCEEDED, COMPLETED])
def test_a_session_and_its_intent_are_one_order_whichever_comes_first(first: str) -> None:
    world = World()
    events = [an_event(SUCCEEDED, an_intent()), an_event(COMPLETED, a_session())]
    for event in sorted(events, key=lambda event: event.type != first):
        world.deliver(event)
    assert (summed(world, "revenue"), lifetime_value(world)) == (50, 50)
    assert len(told(world, "Order Completed")) == 1


@pytest.mark.parametrize("joined", ["before", "after", "never"])
def test_an_intent_sent_as_an_order_and_its_late_invoice_are_one_payment(joined: str) -> None:
    world = World()
    join = an_event("invoice_payment.paid", an_invoice_payment())
    world.deliver(an_event(SUCCEEDED, an_intent()))
    world.deliver(*([join] if joined == "before" else []))
    world.deliver(an_event("invoice.paid", an_invoice(total=5000, amount_paid=5000, amount_due=5000)))
    world.deliver(*([join] if joined == "after" else []))
    assert (summed(world, "revenue"), lifetime_value(world)) == (50, 50)


def test_a_session_captured_later_is_stated_by_its_intent() -> None:
    """Checkout completes such a session unpaid and sends no later event, so the sale was lost."""
    world = World()
    world.deliver(an_event(COMPLETED, a_session(payment_status="unpaid")))
    captured = an_intent(capture_method="manual", payment_details={"order_reference": "cs_test_basic"})
    world.deliver(an_event(SUCCEEDED, captured | {"amount_received": 3000}))
    assert (summed(world, "revenue"), lifetime_value(world)) == (30, 30)


def test_an_intent_without_an_order_waits_for_an_invoice_or_session() -> None:
    world = World(PAYMENT_HOLD_SECONDS="300")
    intent = an_event(SUCCEEDED, an_intent(), created=NOW)
    world.now = NOW + 10
    assert world.deliver(intent) == []
    world.deliver(an_event("invoice_payment.paid", an_invoice_payment()))
    world.now = NOW + 301
    assert world.deliver(intent) == [], "its invoice states the revenue"
    alone = an_event(SUCCEEDED, an_intent(id="pi_alone"), created=NOW)
    assert names(world.deliver(alone)) == ["identify", "Order Completed"]


def test_an_intent_belongs_to_an_invoice_of_the_same_amount_and_time() -> None:
    """An endpoint without invoice_payment.paid: neither names the other, and the payment counted twice."""
    world = World()
    world.deliver(an_event("invoice.paid", an_invoice(total=5000, amount_paid=5000, amount_due=5000)))
    world.deliver(an_event(SUCCEEDED, an_intent()))
    assert (summed(world, "revenue"), lifetime_value(world)) == (50, 50)


RENEWED = an_event("invoice.paid", an_invoice(total=5000, amount_paid=5000, amount_due=5000), created=NOW)
OF_THE_RENEWAL = an_event(
    SUCCEEDED, an_intent(id="pi_renewal", payment_details={"order_reference": "in_basic"}), created=NOW
)
JOINED = an_invoice_payment(
    amount_paid=5000, amount_requested=5000, payment={"type": "payment_intent", "payment_intent": "pi_renewal"}
)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_the_record_of_a_payment_outside_of_stripe_is_what_paid_its_invoice(order: tuple[int, ...]) -> None:
    """Events do not say what was paid outside of Stripe, only invoice_payment.paid does.

    A sale of the same amount in the same minute was taken for it, and its money was lost.
    """
    record = {"type": "payment_record", "payment_record": "pr_1"}
    link = an_invoice_payment(amount_paid=5000, amount_requested=5000, is_default=False, payment=record)
    paid = an_invoice(total=5000, billing_reason="manual", parent=None)
    events = an_event(SUCCEEDED, an_intent()), an_event("invoice.paid", paid), an_event("invoice_payment.paid", link)
    world = World(PAYMENT_HOLD_SECONDS="300")
    for later in (0, 1, 300):
        world.now = NOW + later
        for place in order:
            world.batch(events[place])
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


@pytest.mark.parametrize("payment", [{"payment_record": "pr_1"}, {"payment_intent": "pi_other"}])
@pytest.mark.parametrize("first", ["sale", "invoice"])
def test_what_joins_an_invoice_late_with_another_payment_gives_a_sale_its_money_back(
    payment: dict[str, str], first: str
) -> None:
    """The sale was taken for it by amount and time, and its money stayed away though its event came again."""
    world, link = World(), an_invoice_payment(amount_paid=5000, amount_requested=5000, payment=payment)
    sale, paid = an_event(SUCCEEDED, an_intent()), an_event("invoice.paid", an_invoice(total=5000, parent=None))
    world.deliver(*((sale, paid) if first == "sale" else (paid, sale)))
    assert lifetime_value(world) == 50
    world.deliver(an_event("invoice_payment.paid", link))
    assert lifetime_value(world) == 100
    world.deliver(sale, paid)
    assert (lifetime_value(world), len(told(world, "Order Completed"))) == (100, 2)
    world.deliver(an_event("refund.created", a_refund(amount=1000)))
    assert (told(world, "Order Refunded")[0]["order_id"], lifetime_value(world)) == ("pi_basic", 90)


@pytest.mark.parametrize("naming", [OF_THE_RENEWAL, an_event("invoice_payment.paid", JOINED)], ids=["intent", "part"])
@pytest.mark.parametrize("first", ["sale", "invoice"])
@pytest.mark.parametrize("refunded", ["before both", "between", "after both"])
def test_what_names_the_payment_of_an_invoice_late_gives_a_sale_its_money_and_its_refund_back(
    naming: StripeEvent, first: str, refunded: str
) -> None:
    """Where something had gone back, nobody knew of which of the two, and the sale's money stayed away.

    Only invoice_payment.paid gave it back at all, an intent that names its invoice did not.
    """
    world, sale = World(), an_event(SUCCEEDED, an_intent(), created=NOW + 30)
    refund = an_event("refund.created", a_refund(amount=1000, customer="cus_basic"), created=NOW + DAY)
    events = [sale, RENEWED] if first == "sale" else [RENEWED, sale]
    events.insert(("before both", "between", "after both").index(refunded), refund)
    world.deliver(*events)
    assert lifetime_value(world) == 40, "the sale was taken for what paid the renewal"
    world.deliver(naming)
    assert lifetime_value(world) == 90
    world.deliver(an_event("refund.created", a_refund(id="re_2", amount=500), created=NOW + 2 * DAY))
    assert (told(world, "Order Refunded")[-1]["order_id"], lifetime_value(world)) == ("pi_basic", 85)


def test_of_two_intents_beside_an_invoice_of_their_amount_one_has_paid_it() -> None:
    """A refund had named one of them, and both were taken for its payment; then the first came again, as an order."""
    world, later = World(), {"created": NOW + 30}
    refund = an_event("refund.created", a_refund(amount=1000, customer="cus_basic"), created=NOW + DAY)
    intents = [an_event(SUCCEEDED, an_intent(id=one), **later) for one in ("pi_basic", "pi_other")]
    world.deliver(RENEWED, refund, *intents)
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 90)
    assert world.deliver(*intents, refund) == []


@pytest.mark.parametrize("first", ["sale", "invoice"])
def test_a_sale_has_not_paid_an_invoice_with_another_tax(first: str) -> None:
    """Of the same amount and minute, and nothing names either: the two were one payment."""
    taxed = an_invoice(total=5000, total_taxes=[{"amount": 800}], billing_reason="manual", parent=None)
    sale = an_event(SUCCEEDED, an_intent(amount_details={"tax": {"total_tax_amount": 500}}))
    world, both = World(), [sale, an_event("invoice.paid", taxed)]
    world.deliver(*(both if first == "sale" else both[::-1]))
    assert (summed(world, "revenue"), summed(world, "tax"), lifetime_value(world)) == (87, 13, 100)


@pytest.mark.parametrize("naming", [OF_THE_RENEWAL, an_event("invoice_payment.paid", JOINED)], ids=["intent", "part"])
def test_a_sale_of_the_amount_of_an_invoice_in_the_same_minute_is_an_order(naming: StripeEvent) -> None:
    """The intent of a sale was taken for that of a renewal of the same amount, before the renewal's own came."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = NOW + 10
    sale = an_event(SUCCEEDED, an_intent(), created=NOW)
    of_the_renewal = an_event(SUCCEEDED, an_intent(id="pi_renewal"), created=NOW)
    world.deliver(RENEWED, sale, naming, of_the_renewal, sale)
    assert summed(world, "revenue") == 50, "the sale waits, although an invoice matches it"
    world.now = NOW + 301
    world.deliver(sale)
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_in_any_order_of_its_events_an_invoice_leaves_a_sale_of_its_amount_alone(order: tuple[int, ...]) -> None:
    """Where the intent or the link came before the invoice, nothing noted what had paid that, and it took the sale."""
    of_the_renewal = (OF_THE_RENEWAL, an_event("invoice_payment.paid", JOINED), RENEWED)
    world = World()
    world.deliver(*(of_the_renewal[place] for place in order), an_event(SUCCEEDED, an_intent(), created=NOW + 30))
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


def test_the_link_alone_says_which_payment_an_invoice_leaves_alone() -> None:
    """It was stored, and the customer's record did not learn of it."""
    world = World()
    world.deliver(RENEWED, an_event("invoice_payment.paid", JOINED), an_event(SUCCEEDED, an_intent(), created=NOW + 30))
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


@pytest.mark.parametrize(
    "outside",
    [
        {"amount_paid": 0, "amount_remaining": 5000},
        {"amount_paid": 5000, "amount_paid_off_stripe": 5000},
        {"amount_paid": 5000, "paid_out_of_band": True, "payment_intent": None},
    ],
)
@pytest.mark.parametrize("first", ["sale", "invoice"])
def test_a_sale_has_not_paid_an_invoice_that_was_paid_outside_of_stripe(outside: dict[str, Any], first: str) -> None:
    """Of the same amount and minute, the two were one payment, and the money of one was lost."""
    paid = an_invoice(total=5000, amount_due=5000, billing_reason="manual", parent=None, **outside)
    world, both = World(), [an_event(SUCCEEDED, an_intent()), an_event("invoice.paid", paid)]
    world.deliver(*(both if first == "sale" else both[::-1]))
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


@pytest.mark.parametrize(
    ("back", "name"),
    [
        (an_event("refund.created", a_refund(amount=1000, customer="cus_basic"), created=NOW + DAY), "Order Refunded"),
        (an_event("charge.dispute.created", a_dispute(customer="cus_basic"), created=NOW + DAY), "Payment Disputed"),
    ],
    ids=["refund", "dispute"],
)
def test_what_goes_back_waits_for_its_payment_though_an_invoice_may_have_been_paid_by_it(
    back: StripeEvent, name: str
) -> None:
    """After an outage it named the invoice as its order at once, and a refund had that one's share of tax."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = world.queued_at = NOW + 2 * DAY
    taxed = an_invoice(total=6000, amount_paid=6000, amount_due=6000, total_taxes=[{"amount": 1000}])
    world.deliver(an_event("invoice.paid", taxed, created=NOW - DAY))
    assert [one.status for one in world.batch(back)] == [Status.WAITING]
    world.now += 301
    world.batch(an_event(SUCCEEDED, an_intent(invoice=None), created=NOW), back)
    (told_once,) = told(world, name)
    assert (told_once["order_id"], told_once.get("revenue_refunded", 10)) == ("pi_basic", 10)


def test_what_goes_back_of_an_intent_that_came_waits_for_nothing_though_its_invoice_is_a_guess() -> None:
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now, world.queued_at = NOW + 301, NOW
    world.deliver(RENEWED, an_event(SUCCEEDED, an_intent(), created=NOW))
    world.now = world.queued_at = NOW + DAY
    (done,) = world.batch(an_event("refund.created", a_refund(amount=1000), created=NOW + DAY))
    assert (done.status, told(world, "Order Refunded")[0]["order_id"]) == (Status.DELIVERED, "in_basic")


@pytest.mark.parametrize("naming", [OF_THE_RENEWAL, an_event("invoice_payment.paid", JOINED)], ids=["intent", "part"])
def test_a_sale_whose_refund_was_taken_for_a_renewals_is_an_order(naming: StripeEvent) -> None:
    """The refund came before its sale and matched the renewal, which hid that another intent had paid that."""
    world = World()
    refund = an_event("refund.created", a_refund(customer="cus_basic"), created=NOW + DAY)
    of_the_renewal = an_event(SUCCEEDED, an_intent(id="pi_renewal"), created=NOW)
    world.deliver(RENEWED, refund, naming, of_the_renewal, an_event(SUCCEEDED, an_intent(), created=NOW))
    assert summed(world, "revenue") == 100
    assert (summed(world, "revenue_refunded"), lifetime_value(world)) == (50, 50)


class NoInvoices:
    """Stripe's API, which knows of no invoice that an intent has paid."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, wanted: Iterable[Lookup]) -> dict[Lookup, dict[str, Any]]:
        about = [one for one in wanted if one.kind == "invoice_payments"]
        self.asked += len(about)
        return {one: {"object": "list", "data": []} for one in about}


def test_an_intent_of_which_stripe_knows_no_invoice_is_an_order() -> None:
    """With an API key nothing has to be guessed."""
    world = World(reader=NoInvoices())
    world.deliver(RENEWED, an_event(SUCCEEDED, an_intent()))
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


class OfTheRenewal(NoInvoices):
    """Stripe's API, which says that another intent has paid the invoice."""

    def read(self, wanted: Iterable[Lookup]) -> dict[Lookup, dict[str, Any]]:
        about = {one: {"data": [JOINED]} for one in wanted if one.kind == "invoice_paid_by"}
        return super().read(wanted) | about


@pytest.mark.parametrize("key", [False, True])
def test_an_invoice_that_is_paid_after_a_sale_of_its_amount_was_sent_waits_for_what_paid_it(*, key: bool) -> None:
    """The sale was taken for the invoice's payment, also where Stripe had said that the sale had no invoice."""
    world = World(reader=OfTheRenewal() if key else None, PAYMENT_HOLD_SECONDS="300")
    world.now = NOW + 301
    world.deliver(an_event(SUCCEEDED, an_intent(), created=NOW))
    world.now = world.queued_at = NOW + 1000
    world.deliver(RENEWED)
    assert summed(world, "revenue") == 50, "the invoice waits"
    if not key:
        world.deliver(an_event("invoice_payment.paid", JOINED), an_event(SUCCEEDED, an_intent(id="pi_renewal")))
    world.now += 301
    world.deliver(RENEWED)
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


SESSION = a_session(total_details={"amount_tax": 800, "amount_discount": 0, "amount_shipping": 0})
BY_HAND = {"capture_method": "manual", "payment_details": {"order_reference": "cs_test_basic"}}


class OfASession:
    """Stripe's API, which knows the session that an intent has paid."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def read(self, wanted: Iterable[Lookup]) -> dict[Lookup, dict[str, Any]]:
        asked = [one for one in wanted if one.kind in {"invoice_payments", "paid_session"}]
        self.kinds += [one.kind for one in asked]
        return {one: {"data": [SESSION] if one.kind == "paid_session" else []} for one in asked}


@pytest.mark.parametrize("shape", [{"invoice": None}, {"customer": None}, BY_HAND], ids=["old", "guest", "by hand"])
def test_of_an_intent_that_pays_no_invoice_stripe_says_which_tax_its_session_asked_for(shape: dict[str, Any]) -> None:
    """It was asked for an invoice, which cannot be, and the tax was revenue where the session came late."""
    api = OfASession()
    world = World(reader=api)
    world.deliver(an_event(SUCCEEDED, an_intent(**shape)))
    world.deliver(an_event(COMPLETED, SESSION | {"customer": shape.get("customer", "cus_basic")}))
    assert (summed(world, "revenue"), summed(world, "total")) == (42, 50)
    assert told(world, "Order Completed")[0]["tax"] == 8
    assert api.kinds[0] == "paid_session"


def test_an_intent_that_would_name_its_invoice_is_not_taken_for_that_of_an_invoice() -> None:
    """Until 2025-03-31 an intent has its invoice, so one that has none is a sale, whatever was paid in its minute."""
    world = World()
    world.deliver(RENEWED, an_event(SUCCEEDED, an_intent(invoice=None), created=NOW))
    assert (summed(world, "revenue"), lifetime_value(world)) == (100, 100)


def test_stripe_is_asked_once_about_an_intent_and_only_if_nothing_has_claimed_it() -> None:
    """Each time that the intent came again Stripe was asked again, also where the invoice came a second later."""
    api = NoInvoices()
    world = World(None, api, PAYMENT_HOLD_SECONDS="300")
    sale, renewal = an_event(SUCCEEDED, an_intent(), created=NOW), an_intent(id="pi_renewal")
    world.deliver(RENEWED)
    for world.now in (NOW + 5, NOW + 100, NOW + 301):
        world.deliver(sale, an_event(SUCCEEDED, renewal, created=NOW), an_event("invoice_payment.paid", JOINED))
    assert (api.asked, summed(world, "revenue")) == (1, 100)


def test_explain_plays_the_hold_by_the_times_of_what_follows() -> None:
    intent, session = an_event(SUCCEEDED, an_intent(), created=NOW), an_event(COMPLETED, a_session(), created=NOW + 2)
    assert played(intent, session) == [[], ["identify", "Checkout Completed", "Order Completed"]]
    late = an_event(COMPLETED, a_session(), created=NOW + 900)
    assert played(intent, late) == [["identify", "Order Completed"], ["identify", "Checkout Completed"]]
    # Mixed up: what is older than the event before it has come late, and waits from then on.
    earlier = an_event("customer.updated", {"id": "cus_other", "object": "customer"}, created=NOW + 2000)
    assert played(earlier, intent, session)[1:] == [[], ["identify", "Checkout Completed", "Order Completed"]]


def test_explain_lets_an_event_of_a_mixed_up_file_wait_while_one_as_old_is_to_come() -> None:
    """A refund of the next day ended the intent's wait, so the tax of the session after it was revenue."""
    intent, session = an_event(SUCCEEDED, an_intent(), created=NOW), an_event(COMPLETED, SESSION, created=NOW + 2)
    refund = an_event("refund.created", a_refund(), created=NOW + 86_400)
    first, _, third = played(intent, refund, session)
    assert (first, third[:3]) == ([], ["identify", "Checkout Completed", "Order Completed"])
    # What comes again is nothing that could say more.
    assert played(intent, refund, intent)[0] == ["identify", "Order Completed"]


def test_explain_does_not_try_each_waiting_event_again_after_events_of_other_customers() -> None:
    """A mixed-up file of 1,600 events took a minute, and with each further event all that waited."""
    intents = [
        an_event(SUCCEEDED, an_intent(id=f"pi_{one}", latest_charge=f"ch_{one}", customer=f"cus_{one}"), created=NOW)
        for one in range(20)
    ]
    with patch.object(Delivery, "deliver", autospec=True, side_effect=Delivery.deliver) as deliver:
        assert played(*intents) == [["identify", "Order Completed"]] * 20
    assert deliver.call_count == 40


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_explain_joins_the_events_of_a_guests_payment_in_any_order(order: tuple[int, ...]) -> None:
    """No customer does, and the refund of the next day came first."""
    events = [
        an_event(SUCCEEDED, an_intent(customer=None), created=NOW),
        an_event(COMPLETED, SESSION | {"customer": None}, created=NOW + 2),
        an_event("refund.created", a_refund(), created=NOW + DAY),
    ]
    given = "\n".join(json.dumps(events[place].body) for place in order)
    calls = [call for each in explain(read_text(given.encode(), "-"), Settings()) for call in each.calls]
    stated = [call["properties"] for call in calls if call["type"] == "track"]
    assert [one["revenue"] for one in stated if "revenue" in one] == [42]
    assert [one["revenue_refunded"] for one in stated if "refund_id" in one or "revenue_refunded" in one] == [42]


def test_explain_shows_the_traits_of_an_event_that_waited_after_those_that_were_sent_meanwhile() -> None:
    """Read line after line, a payment's lifetime value overwrote that of the refund before it, which was sent later."""
    refund = an_event("refund.created", a_refund(amount=2000), created=NOW)
    session = an_event(COMPLETED, a_session(client_reference_id="u1"), created=NOW + 1)
    given = "\n".join(json.dumps(event.body) for event in (refund, session))
    lines = [each.calls for each in explain(read_text(given.encode(), "-"), Settings())]
    assert [names(calls) for calls in lines] == [
        ["Order Refunded"],
        ["identify", "Checkout Completed", "Order Completed", "identify"],
    ]
    assert [call["traits"]["lifetime_value"] for call in lines[1] if call["type"] == "identify"] == [50, 30]


# --- Refunds ---


def paid_and(*events: StripeEvent, session: dict[str, Any] | None = None, **given: str) -> World:
    world = World(None, None, **given)
    world.deliver(an_event(COMPLETED, a_session(client_reference_id="u1", **(session or {}))), *events)
    return world


def test_a_refund_without_a_customer_is_its_payers() -> None:
    world = paid_and(an_event("refund.created", a_refund(amount=2000)))
    assert world.calls[-1]["userId"] == "u1"
    (refund,) = told(world, "Order Refunded")
    assert (refund["order_id"], refund["refund_id"], refund["reason"]) == ("pi_basic", "re_1", "requested_by_customer")
    assert lifetime_value(world) == 30


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_a_refund_is_sent_once_for_all_its_events(order: tuple[int, ...]) -> None:
    events = [
        an_event("refund.created", a_refund(amount=2000)),
        an_event("refund.updated", a_refund(amount=2000), previous={"status": "pending"}),
        an_event("charge.refunded", a_charge(amount_refunded=2000, refunded=False), previous={"amount_refunded": 0}),
    ]
    world = paid_and(*(events[number] for number in order), *events)
    assert len(told(world, "Order Refunded")) == 1
    assert lifetime_value(world) == 30


def test_a_refund_without_a_charge_keeps_to_the_plan() -> None:
    """Stripe's `charge` is nullable, and the plan demanded a charge_id."""
    world = World()
    world.deliver(an_event("refund.created", a_refund(charge=None)))
    (refunded,) = told(world, "Order Refunded")
    assert refunded["order_id"] == "pi_basic"
    assert "charge_id" not in refunded


def test_two_refunds_of_one_amount_are_two() -> None:
    world = paid_and(
        an_event("refund.created", a_refund(amount=2000)),
        an_event("charge.refunded", a_charge(amount_refunded=2000), previous={"amount_refunded": 0}),
        an_event("charge.refunded", a_charge(amount_refunded=4000), previous={"amount_refunded": 2000}),
        an_event("refund.created", a_refund(id="re_2", amount=2000)),
    )
    assert (len(told(world, "Order Refunded")), lifetime_value(world)) == (2, 10)


def test_charge_refunded_waits_for_the_refund_that_names_itself() -> None:
    charge = an_event("charge.refunded", a_charge(), previous={"amount_refunded": 0}, created=NOW)
    world = paid_and(charge, PAYMENT_HOLD_SECONDS="300")
    assert told(world, "Order Refunded") == []
    world.deliver(an_event("refund.created", a_refund(), created=NOW), charge)
    assert [each["refund_id"] for each in told(world, "Order Refunded")] == ["re_1"]
    world.now = NOW + 301
    world.deliver(charge)
    assert len(told(world, "Order Refunded")) == 1


@pytest.mark.parametrize("first", ["refund.created", "charge.refunded"])
def test_a_failed_refund_restores_the_lifetime_value(first: str) -> None:
    """The money was not returned, but the lifetime value stayed lower."""
    body = a_refund() if first == "refund.created" else a_charge()
    failed = a_refund(status="failed", failure_reason="lost_or_stolen_card")
    tax = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 800}
    world = paid_and(
        an_event(first, body),
        an_event("refund.failed", failed),
        an_event("refund.updated", failed, previous={"status": "pending"}),
        session={"total_details": tax},
    )
    (back,) = told(world, "Refund Failed")
    assert (back["reason"], back["total"], back["revenue_refunded"], back["tax_refunded"]) == (
        "lost_or_stolen_card",
        50,
        -42,
        -8,
    )
    assert (lifetime_value(world), summed(world, "revenue_refunded")) == (50, 0)


def test_a_refund_that_failed_before_it_was_sent_is_never_sent() -> None:
    world = paid_and(an_event("refund.failed", a_refund(status="failed")), an_event("refund.created", a_refund()))
    assert (told(world, "Order Refunded"), told(world, "Refund Failed")) == ([], [])
    assert lifetime_value(world) == 50


def test_a_refund_of_an_uncounted_payment_is_sent_but_lowers_no_sum() -> None:
    world = World()
    world.deliver(an_event("charge.refunded", a_charge(payment_intent="pi_old"), previous={"amount_refunded": 0}))
    (refund,) = told(world, "Order Refunded")
    assert (refund["of_known_payment"], "revenue_refunded" in refund) == (False, False)
    assert all("lifetime_value" not in call.get("traits", {}) for call in world.calls)


def test_a_payment_that_arrives_after_its_refund_gets_the_refund() -> None:
    """A refund without a customer was kept under the payment's id, where the customer's payment never found it."""
    world = World()
    world.deliver(an_event("refund.created", a_refund(amount=2000)), an_event(SUCCEEDED, an_intent()))
    assert lifetime_value(world) == 30
    world.deliver(an_event("refund.failed", a_refund(amount=2000, status="failed")))
    assert lifetime_value(world) == 50


def test_refunds_lower_the_sum_of_a_record_of_the_former_release() -> None:
    """It has sums and no list of payments; a refund of what it counted is taken off."""
    world = World()
    key = "own:test:cus_basic"
    world.store.save([Profile(key, paid={"usd": 5000})], [], NOW)
    world.deliver(an_event("charge.refunded", a_charge(amount_refunded=2000), previous={"amount_refunded": 0}))
    assert lifetime_value(world) == 30
    world.deliver(an_event("charge.refunded", a_charge(id="ch_2", payment_intent="pi_2", amount_refunded=4000)))
    assert lifetime_value(world) == 30, "no more than was counted"


@given(st.integers(1, 10**6), st.integers(0, 10**5), st.lists(st.integers(1, 10**5), min_size=1, max_size=8))
def test_the_shares_of_a_full_refund_are_what_the_payment_stated(revenue: int, tax: int, parts: list[int]) -> None:
    total = revenue + tax
    payment, left = Payment("usd", counted=True, total=total, revenue=revenue, tax=tax), total
    for number, part in enumerate([*(part for part in parts if part < total), total]):
        amount = min(part, left)
        share, taxes = payment.shares(amount)
        payment = payment.with_refund(f"re_{number}", Refund(amount, revenue=share, tax=taxes))
        left -= amount
    assert left == payment.left == 0
    assert sum(refund.revenue or 0 for refund in payment.refunds.values()) == revenue
    assert sum(refund.tax or 0 for refund in payment.refunds.values()) == tax


def test_payments_that_are_no_longer_listed_stay_in_the_sum() -> None:
    profile = Profile("own:test:cus_basic")
    for number in range(PAYMENTS + 3):
        profile = profile.with_payment(f"in_{number}", Payment("usd", counted=True, total=100))
    kept = pruned(profile, NOW // 86_400)
    assert (len(kept.payments), kept.paid, kept.unlisted("usd")) == (PAYMENTS, profile.paid, 300)


@pytest.mark.parametrize("back", [a_refund(), a_dispute(), a_charge(customer=None)], ids=lambda body: body["object"])
def test_what_went_back_before_its_payment_came_is_of_the_same_stranger(back: dict[str, Any]) -> None:
    """The guest had the id of the refund then, and kept it as the one who had paid."""
    kinds = {"refund": "refund.created", "dispute": "charge.dispute.created", "charge": "charge.refunded"}
    world = World()
    world.deliver(an_event(kinds[back["object"]], back), an_event(SUCCEEDED, an_intent(customer=None)))
    assert {call["anonymousId"] for call in world.calls} == {"pi_basic"}


def test_a_payment_that_is_no_longer_listed_counts_once_where_an_import_lists_it_again() -> None:
    """A record lists so many payments, and a second import lists all of them."""
    world, key = World(), "own:test:cus_basic"
    world.deliver(an_event("invoice.paid", an_invoice()))
    profile = world.store.load({("profile", key)}).profiles[key]
    world.store.save([replace(profile, payments={})], [], NOW)
    assert world.deliver(an_event("invoice.paid", an_invoice(), id="evt_again")) == []
    assert world.store.load({("profile", key)}).profiles[key].paid == profile.paid == {"usd": 2000}


# --- Disputes ---


def test_of_two_states_of_a_dispute_in_one_second_the_one_that_arrives_last_counts() -> None:
    withdrawn, reinstated = Dispute(5000, as_of=NOW), Dispute(0, as_of=NOW)
    payment = Payment("usd", counted=True, total=5000)
    assert payment.with_dispute("dp_1", withdrawn).with_dispute("dp_1", reinstated).left == 5000
    assert payment.with_dispute("dp_1", reinstated).with_dispute("dp_1", withdrawn).left == 0


@pytest.mark.parametrize("due", [0, None])
def test_a_dispute_against_which_the_bank_takes_no_evidence_has_no_deadline(due: int | None) -> None:
    """As of a bank debit that fails late. Stripe writes 0, and the deadline was in 1970."""
    dispute = a_dispute(status="lost", reason="insufficient_funds", evidence_details={"due_by": due})
    assert "evidence_due_by" not in World().tracks(an_event("charge.dispute.created", dispute))["Payment Disputed"]


def test_a_lost_dispute_lowers_the_lifetime_value() -> None:
    """It stayed in the lifetime value."""
    world = paid_and(
        an_event("charge.dispute.created", a_dispute()),
        an_event("charge.dispute.funds_withdrawn", a_dispute()),
        an_event("charge.dispute.closed", a_dispute(status="lost")),
    )
    (disputed,) = told(world, "Payment Disputed")
    assert (disputed["order_id"], disputed["value"], disputed["reason"]) == ("pi_basic", 50, "fraudulent")
    assert (disputed["network_reason_code"], disputed["evidence_due_by"]) == ("10.4", "2026-11-30T00:53:20.000Z")
    assert len(told(world, "Dispute Lost")) == 1
    assert (lifetime_value(world), world.calls[-1]["userId"]) == (0, "u1")


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_an_inquiry_that_becomes_a_dispute_states_so_and_lowers_the_lifetime_value(order: tuple[int, ...]) -> None:
    """No call stated that the money was withdrawn: sums over calls had it until the dispute was lost."""
    asked, taken, late = NOW, {"amount": -5000, "currency": "usd", "created": NOW + 9 * DAY}, NOW + 9 * DAY
    inquiry = a_dispute(status="warning_needs_response", created=asked, balance_transactions=[])
    dispute = a_dispute(created=asked, balance_transactions=[taken])
    events = [
        an_event("charge.dispute.created", inquiry, created=asked),
        an_event("charge.dispute.funds_withdrawn", dispute, created=late),
        an_event("charge.dispute.closed", dispute | {"status": "lost"}, created=late + 30 * DAY),
    ]
    world = paid_and(*(events[each] for each in order), *events)
    stated = {name: len(told(world, name)) for name in ("Payment Disputed", "Dispute Escalated", "Dispute Lost")}
    assert stated == {"Payment Disputed": 1, "Dispute Escalated": 1, "Dispute Lost": 1}
    (escalated,) = told(world, "Dispute Escalated")
    assert (escalated["status"], escalated["value"]) == ("needs_response", 50)
    assert lifetime_value(world) == 0


@pytest.mark.parametrize("moments", [[], [NOW]], ids=["nothing says when", "at once"])
def test_a_dispute_that_was_no_inquiry_does_not_escalate(moments: list[int]) -> None:
    taken = [{"amount": -5000, "currency": "usd", "created": moment} for moment in moments]
    world = paid_and(
        an_event("charge.dispute.created", a_dispute(created=NOW), created=NOW),
        an_event("charge.dispute.funds_withdrawn", a_dispute(created=NOW, balance_transactions=taken), created=NOW + 2),
    )
    assert told(world, "Dispute Escalated") == []


@pytest.mark.parametrize("mixed", [False, True])
def test_a_won_dispute_restores_the_lifetime_value(*, mixed: bool) -> None:
    events = [
        an_event("charge.dispute.funds_withdrawn", a_dispute(), created=NOW),
        an_event("charge.dispute.funds_reinstated", a_dispute(status="won"), created=NOW + 9),
        an_event("charge.dispute.closed", a_dispute(status="won"), created=NOW + 10),
    ]
    world = paid_and(*(reversed(events) if mixed else events))
    assert (len(told(world, "Dispute Won")), lifetime_value(world)) == (1, 50)


@pytest.mark.parametrize("kind", ["charge.dispute.closed", "charge.dispute.funds_withdrawn"])
def test_the_return_of_funds_is_the_last_state_of_its_second_whichever_event_comes_last(kind: str) -> None:
    """The other event of that second was made before the return, and took the funds away again."""
    there = {"amount": -5000, "currency": "usd"}
    back = {"balance_transactions": [there, there | {"amount": 5000}]}
    world = paid_and(
        an_event("charge.dispute.funds_reinstated", a_dispute(status="won", **back), created=NOW + DAY),
        an_event(kind, a_dispute(status="won", balance_transactions=[there]), created=NOW + DAY),
    )
    assert lifetime_value(world) == 50


def test_an_inquiry_changes_no_sum() -> None:
    inquiry = a_dispute(status="warning_needs_response")
    closed = an_event("charge.dispute.closed", a_dispute(status="warning_closed"))
    world = paid_and(an_event("charge.dispute.created", inquiry), closed)
    assert names(world.calls)[-1] == "Payment Disputed"
    assert lifetime_value(world) == 50


def test_an_inquiry_about_a_payment_that_is_not_stated_yet_takes_no_invoice_for_it() -> None:
    """A function died after it had written whose the payment is. Its inquiry matched it to an invoice by the amount.

    Nothing says of an inquiry's payment that it is a guess, so the payment came again and was never stated.
    """
    world = World()
    invoice = an_invoice(id="in_larger", total=9000, amount_due=9000, amount_paid=9000, charge=None)
    world.deliver(an_event("invoice.paid", invoice))
    world.store.save([], [Learnt("order", "own:test:pi_basic", "pi_basic", NOW, "own:test:cus_basic")], NOW)
    world.deliver(
        an_event("charge.dispute.created", a_dispute(status="warning_needs_response"), created=NOW + DAY),
        an_event(SUCCEEDED, an_intent()),
    )
    assert [order["order_id"] for order in told(world, "Order Completed")] == ["in_larger", "pi_basic"]
    assert lifetime_value(world) == 90 + 50


def test_a_dispute_finds_its_customer_through_the_invoice() -> None:
    """Neither the dispute nor what joins payment and invoice names the customer."""
    world = World()
    world.deliver(
        an_event("invoice_payment.paid", an_invoice_payment()),
        an_event("invoice.paid", an_invoice()),
        an_event("charge.dispute.funds_withdrawn", a_dispute(amount=2000)),
    )
    assert lifetime_value(world) == 0
    assert [call["anonymousId"] for call in world.calls] == ["cus_basic"] * len(world.calls)


def test_a_dispute_in_one_batch_with_its_payment_is_its_payers() -> None:
    world = World()
    world.batch(an_event("charge.dispute.created", a_dispute()), an_event(COMPLETED, a_session()))
    assert {call["anonymousId"] for call in world.calls} == {"cus_basic"}
    assert told(world, "Payment Disputed")[0]["of_known_payment"] is True


# --- Credit notes ---


def a_credit_note(**more: Any) -> dict[str, Any]:
    return {
        "id": "cn_1",
        "object": "credit_note",
        "invoice": "in_basic",
        "customer": "cus_basic",
        "currency": "usd",
        "total": 800,
        "out_of_band_amount": 500,
        "status": "issued",
        "reason": "order_change",
    } | more


def test_credit_outside_of_stripe_lowers_the_lifetime_value_until_it_is_voided() -> None:
    world = World()
    issued = an_event("credit_note.created", a_credit_note())
    voided = an_event("credit_note.voided", a_credit_note(status="void"))
    world.deliver(an_event("invoice.paid", an_invoice()), issued)
    (note,) = told(world, "Credit Note Issued")
    assert (note["value"], note["out_of_band"], note["order_id"], lifetime_value(world)) == (
        8,
        5,
        "in_basic",
        15,
    )
    world.deliver(voided, issued)
    assert (len(told(world, "Credit Note Voided")), lifetime_value(world)) == (1, 20)


def test_a_credit_note_with_a_refund_counts_once() -> None:
    world = World()
    note = a_credit_note(out_of_band_amount=None, refunds=[{"amount_refunded": 800, "refund": "re_1"}])
    world.deliver(
        an_event("invoice.paid", an_invoice(payment_intent="pi_basic")),
        an_event("credit_note.created", note),
        an_event("refund.created", a_refund(amount=800)),
    )
    assert lifetime_value(world) == 12


@pytest.mark.parametrize("out_of_band", [None, 200])
def test_a_refund_outside_of_stripe_that_a_credit_note_reports_lowers_the_lifetime_value(
    out_of_band: int | None,
) -> None:
    """No event but the credit note's states a refund of a payment record."""
    world = World()
    reported = {"amount_refunded": 600, "refund": None, "type": "payment_record_refund"}
    note = a_credit_note(out_of_band_amount=out_of_band, refunds=[reported, {"amount_refunded": 100, "refund": "re_1"}])
    invoice = an_invoice(payment_intent="pi_basic")
    world.deliver(an_event("invoice.paid", invoice), an_event("credit_note.created", note))
    (issued,) = told(world, "Credit Note Issued")
    assert issued["out_of_band"] == (8 if out_of_band else 6)
    assert lifetime_value(world) == 20 - issued["out_of_band"]
    world.deliver(an_event("credit_note.voided", {**note, "status": "void"}))
    assert lifetime_value(world) == 20


@pytest.mark.parametrize("owner", [{}, {"customer": "cus_basic"}])
def test_money_returned_from_a_customers_cash_balance_is_taken_off_no_payment(owner: dict[str, str]) -> None:
    """Such a refund names no payment; with a customer, it was taken for one of an invoice, and its failure was lost."""
    world = World()
    returned = a_refund(charge=None, payment_intent=None, amount=800, **owner)
    world.deliver(
        an_event("invoice.paid", an_invoice()),
        an_event("refund.created", {**returned, "status": "pending"}),
        an_event("refund.updated", returned),
    )
    (refund,) = told(world, "Order Refunded")
    assert (refund["total"], refund["order_id"], refund["of_known_payment"]) == (8, "re_1", False)
    assert "revenue_refunded" not in refund
    world.deliver(an_event("refund.failed", {**returned, "status": "failed"}))
    assert [one["total"] for one in told(world, "Refund Failed")] == [8]
    world.deliver(an_event("customer.updated", a_customer(name="Jo Other"), previous={"name": "Jo"}))
    assert lifetime_value(world) == 20


def test_a_session_without_a_payment_needs_no_order() -> None:
    """Only a refund of no payment is looked for by its own id."""
    session = a_session(mode="subscription", payment_intent=None, subscription="sub_basic")
    assert orders_needed(an_event(COMPLETED, session)) == []
    assert orders_needed(an_event("refund.created", a_refund(charge=None, payment_intent=None))) == ["re_1"]


def test_an_invoice_waits_for_no_money_returned_from_a_cash_balance() -> None:
    """It waited to see whether that was a refund of it, and what joined it with its payment was stated without it."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = NOW + 1000
    returned = a_refund(charge=None, payment_intent=None, amount=800, customer="cus_basic")
    world.batch(an_event("refund.created", returned))
    world.now = NOW + 10
    assert world.batch(an_event("invoice.paid", an_invoice()))[0].status is Status.DELIVERED


def test_an_expired_authorisation_is_no_refund() -> None:
    """Until 2025-03-31 Stripe made a refund of what was held and never captured."""
    world = World()
    held = an_intent(amount_received=0, status="requires_capture", capture_method="manual")
    world.deliver(
        an_event("payment_intent.amount_capturable_updated", held),
        an_event("refund.created", a_refund(reason="expired_uncaptured_charge")),
    )
    assert told(world, "Order Refunded") == []


@given(st.integers(1, 3000), st.integers(0, 600), st.data())
def test_a_failure_that_comes_after_the_refunds_in_its_place_leaves_no_rest(revenue: int, tax: int, data: Any) -> None:
    """The refunds had shares that were rounded with those of the failed one, and a cent was missing from their sum."""
    total, world = revenue + tax, World()
    first = data.draw(st.integers(1, total))
    parts = [("re_1", first), ("re_2", first), ("re_3", total - first)]
    refunds = [a_refund(id=name, amount=amount) for name, amount in parts if amount]
    intent = an_intent(amount=total, amount_received=total, amount_details={"tax": {"total_tax_amount": tax}})
    world.deliver(
        an_event("payment_intent.succeeded", intent),
        *(an_event("refund.created", refund) for refund in refunds),
        *[an_event("refund.failed", {**refunds[0], "status": "failed"})] * 2,
    )
    returned = [*told(world, "Order Refunded"), *told(world, "Refund Failed")]
    for name, whole in (("revenue_refunded", revenue), ("tax_refunded", tax)):
        assert sum(Decimal(str(one[name])) for one in returned) == Decimal(whole) / 100


# --- Currencies ---


def test_the_lifetime_value_has_every_currency() -> None:
    """The trait showed the leading currency alone: what was paid in another was nowhere."""
    world = paid_and(an_event("invoice.paid", an_invoice(currency="eur", total=3000, amount_paid=3000)))
    shown = [call["traits"] for call in world.calls if call["type"] == "identify"][-1]
    assert shown["lifetime_value_by_currency"] == {"USD": 50, "EUR": 30}
    world.deliver(an_event("refund.created", a_refund()))
    shown = [call["traits"] for call in world.calls if call["type"] == "identify"][-1]
    assert shown["lifetime_value_by_currency"] == {"USD": 0, "EUR": 30}


def test_the_lifetime_value_in_a_new_currency_is_not_that_of_the_old_one() -> None:
    """The trait was left out until the first payment in the new currency, and Segment kept 50, as if it were euros."""
    world = paid_and(an_event("customer.subscription.created", a_subscription(currency="eur")))
    shown = [call["traits"] for call in world.calls if call["type"] == "identify"][-1]
    assert (shown["currency"], shown["lifetime_value"]) == ("EUR", 0)
    assert shown["lifetime_value_by_currency"] == {"USD": 50}


# --- In any order, twice, and through failed writes ---


def test_a_refund_in_two_events_before_its_payment_is_subtracted_once() -> None:
    """The one that names no customer was kept under the payment's id, the other under the invoice's: minus 50 for a
    customer who paid 50 and got it back.
    """
    world = World()
    world.deliver(
        an_event("refund.created", a_refund()),
        an_event("invoice_payment.paid", an_invoice_payment()),
        an_event("charge.refunded", a_charge(), previous={"amount_refunded": 0}),
        an_event("payment_intent.succeeded", an_intent()),
        an_event("invoice.paid", an_invoice(amount_paid=5000, total=5000)),
    )
    assert [*world.profiles["own:test:cus_basic"].paid.values()] == [0]
    assert len(told(world, "Order Refunded")) == 1


def test_the_failure_of_a_refund_that_came_before_its_payment_reaches_the_customer() -> None:
    """Once the payment had named its customer, the failure went on being kept under the payment's id."""
    world = World()
    world.deliver(
        an_event("refund.created", a_refund()),
        an_event("payment_intent.succeeded", an_intent(payment_details={"order_reference": "cs_basic"})),
        an_event("refund.failed", a_refund(status="failed")),
        an_event(COMPLETED, a_session(payment_intent="pi_basic", amount_total=5000)),
    )
    assert lifetime_value(world) == 50
    assert len(told(world, "Refund Failed")) == 1


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_late_charge_refunded_of_a_failed_refund_subtracts_nothing(times: int) -> None:
    """Its repeat, or its next try after Segment was down, was taken for another refund."""
    world = World()
    refunded = an_event("charge.refunded", a_charge(), previous={"amount_refunded": 0})
    world.deliver(
        an_event("payment_intent.succeeded", an_intent()),
        an_event("refund.failed", a_refund(status="failed")),
        *[refunded] * times,
    )
    assert lifetime_value(world) == 50
    assert told(world, "Order Refunded") == []


def test_a_refund_of_another_invoice_of_the_same_amount_is_left_to_that_one() -> None:
    """It came before its own invoice and was given to the next one with its amount."""
    world = World()
    world.deliver(
        an_event("charge.refunded", a_charge(invoice="in_1", payment_intent=None), previous={"amount_refunded": 0}),
        an_event("invoice.paid", an_invoice(id="in_2", amount_paid=5000, total=5000)),
    )
    assert lifetime_value(world) == 50
    world.deliver(an_event("invoice.paid", an_invoice(id="in_1", amount_paid=5000, total=5000)))
    assert lifetime_value(world) == 50


def test_funds_that_moved_before_the_customer_was_known_are_sent_with_the_payment() -> None:
    """The sum was right in the end, but no identify showed it, because it had changed while the record was read."""
    world = World()
    won = a_dispute(status="won")
    world.deliver(
        an_event("charge.dispute.funds_reinstated", won, created=NOW + 20),
        an_event("invoice_payment.paid", an_invoice_payment()),
        an_event("charge.dispute.funds_withdrawn", a_dispute(), created=NOW + 10),
        an_event("charge.dispute.closed", won, created=NOW + 20),
        an_event("invoice.paid", an_invoice(amount_paid=5000, total=5000)),
        an_event("payment_intent.succeeded", an_intent()),
    )
    assert lifetime_value(world) == 50


def test_a_payment_is_joined_with_its_invoice_though_the_record_could_not_be_written() -> None:
    """The link was written and the record was not; the next try found the link and took all for done."""

    class Failing(MemoryStore):
        fails = False

        def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
            failed: dict[str, Exception] = {each.key: StoreUnavailableError() for each in profiles if self.fails}
            return super().save([each for each in profiles if each.key not in failed], learnt, now) | failed

    store = Failing()
    world = World(store)
    # Asked for too long ago to be matched by amount and time.
    charge = a_charge(created=NOW - 40 * DAY)
    world.deliver(
        an_event("charge.refunded", charge, previous={"amount_refunded": 0}),
        an_event("invoice.paid", an_invoice(amount_paid=5000, total=5000)),
    )
    assert lifetime_value(world) == 50
    paid = an_event("invoice_payment.paid", an_invoice_payment())
    store.fails = True
    assert [done.status for done in world.batch(paid)] == [Status.RETRY]
    store.fails = False
    world.deliver(paid)
    profile = store.profiles["own:test:cus_basic"]
    assert ([*profile.payments], profile.paid) == (["in_basic"], {"usd": 0})


def test_an_invoice_that_names_its_payment_is_found_by_that_alone() -> None:
    """It had a second item, under its own id, that nothing ever asked for."""
    store = MemoryStore()
    world = World(store)
    world.batch(an_event("invoice.paid", an_invoice(payment_intent="pi_basic", total=5000)))
    assert [key for kind, key in store.learnt if kind == "order"] == ["own:test:pi_basic"]
    world.batch(an_event("refund.created", a_refund(), created=NOW + 1))
    assert [each["order_id"] for each in told(world, "Order Refunded")] == ["in_basic"]
    assert lifetime_value(world) == 0


def test_an_invoice_over_nothing_keeps_no_order() -> None:
    store = MemoryStore()
    world = World(store)
    world.batch(an_event("invoice.paid", an_invoice(total=0)))
    assert [key for kind, key in store.learnt if kind == "order"] == []


def test_a_refund_of_a_known_payment_writes_no_order() -> None:
    """Each wrote two items anew."""
    store = MemoryStore()
    world = World(store)
    world.batch(an_event("invoice.paid", an_invoice(payment_intent="pi_basic", total=5000)))
    store.learnt.clear()
    known = Learnt("order", "own:test:pi_basic", "in_basic", NOW, "own:test:cus_basic")
    store.save([], [known], NOW)
    refunded = a_charge(invoice="in_basic", amount_refunded=1000, refunded=False)
    world.batch(an_event("charge.refunded", refunded, previous={"amount_refunded": 0}, created=NOW + 5))
    assert store.learnt == {("order", known.key): known}
    assert [each["order_id"] for each in told(world, "Order Refunded")] == ["in_basic"]


def test_a_dispute_of_an_unknown_payment_is_not_that_of_whoever_paid_in_the_same_batch() -> None:
    """An invoice names no payment, and a dispute names no invoice, so two absent ids counted as equal."""
    world = World()
    dispute = an_event("charge.dispute.created", a_dispute(payment_intent="pi_unheard", charge="ch_unheard"))
    world.batch(an_event("invoice.paid", an_invoice(customer="cus_other")), dispute)
    (disputed,) = (call for call in world.calls if call.get("event") == "Payment Disputed")
    assert disputed["anonymousId"] != "cus_other"


@pytest.mark.parametrize("failed", [False, True])
def test_a_refund_assigned_to_an_invoice_moves_to_its_session_when_that_arrives(*, failed: bool) -> None:
    """A shuffle after the hold: the refund of a session's intent was guessed to be an invoice's, and stayed there.

    The failure of that refund and the dispute of the session were the invoice's too, and charge.refunded counted twice.
    """
    world = World()
    world.deliver(an_event("invoice.paid", an_invoice(customer="cus_basic", total=8000)))
    # It names the customer, as refunds do since 2026-10-28, and nothing says which order its payment paid.
    refund = a_refund(amount=1000, customer="cus_basic")
    dispute = a_dispute(amount=4000, customer="cus_basic")
    world.deliver(an_event("refund.created", refund), an_event("charge.dispute.funds_withdrawn", dispute))
    if failed:
        world.deliver(an_event("refund.failed", refund | {"status": "failed"}))
    world.deliver(an_event(COMPLETED, a_session()))
    charge = a_charge(customer="cus_basic", amount=5000, amount_refunded=1000)
    world.deliver(an_event("charge.refunded", charge, previous={"amount_refunded": 0}))
    listed = world.profiles["own:test:cus_basic"].payments
    assert "refunds" not in listed["in_basic"]
    assert lifetime_value(world) == (90 if failed else 80)


PAID_WITH_TAX = [
    an_event(SUCCEEDED, an_intent(amount_details={"tax": {"total_tax_amount": 800}})),
    an_event(COMPLETED, a_session(total_details={"amount_tax": 800, "amount_discount": 0, "amount_shipping": 0})),
    an_event(
        "invoice.paid",
        an_invoice(total=5000, amount_paid=5000, total_taxes=[{"amount": 800}], payment_intent="pi_basic"),
    ),
]


@pytest.mark.parametrize("paid", PAID_WITH_TAX, ids=lambda event: event.type)
@pytest.mark.parametrize("fails", [False, True])
def test_a_payment_sends_the_shares_of_the_refunds_that_arrived_before_it(paid: StripeEvent, *, fails: bool) -> None:
    """They were sent without shares, and net revenue stayed too high until another refund."""
    world = World()
    first, second = (an_event("refund.created", a_refund(id=f"re_{one}", amount=2500)) for one in (1, 2))
    world.deliver(first, second)
    assert "revenue_refunded" not in told(world, "Order Refunded")[0]
    world.deliver(paid, paid)
    assert (summed(world, "revenue"), summed(world, "revenue_refunded"), summed(world, "tax_refunded")) == (42, 42, 8)
    if fails:
        world.deliver(an_event("refund.failed", a_refund(id="re_2", amount=2500, status="failed")))
        assert (summed(world, "revenue_refunded"), summed(world, "tax_refunded")) == (21, 4)
        assert lifetime_value(world) == 25
    assert world.profiles["own:test:cus_basic"].paid == {"usd": 2500 if fails else 0}


def test_an_invoice_sends_the_shares_of_refunds_that_came_before_it_and_before_what_joins_them() -> None:
    """The link named the payment and the invoice, and the invoice did not find what had gone back: the lifetime value
    was right once the intent came, and no call ever had the refunds' revenue."""
    world = World()
    world.deliver(an_event("refund.created", a_refund(amount=1000)))
    world.deliver(an_event("invoice_payment.paid", an_invoice_payment()))
    world.deliver(an_event("invoice.paid", an_invoice(total=4000, total_taxes=[{"amount": 640}])))
    assert (summed(world, "revenue"), summed(world, "revenue_refunded")) == (Decimal("33.6"), Decimal("8.4"))
    assert lifetime_value(world) == 30


@pytest.mark.parametrize("key", [False, True])
def test_an_invoice_waits_for_what_joins_it_with_the_refund_that_came_before_it(*, key: bool) -> None:
    """After an outage the refund came first and the link last: no call ever had the refund's share of the revenue."""
    world = World(reader=OfTheRenewal() if key else None, PAYMENT_HOLD_SECONDS="300")
    world.now = NOW + DAY
    refund = a_refund(amount=5000, payment_intent="pi_renewal", customer="cus_basic")
    world.deliver(an_event("refund.created", refund, created=NOW + 3600))
    world.queued_at = world.now
    world.deliver(RENEWED)
    assert summed(world, "revenue") == 0, "the invoice waits"
    if key:
        world.now += 301
    else:
        world.deliver(an_event("invoice_payment.paid", JOINED))
    world.deliver(RENEWED)
    assert summed(world, "revenue") == summed(world, "revenue_refunded") == 50
    assert lifetime_value(world) == 0


def test_a_refund_of_an_older_payment_holds_no_renewal() -> None:
    """Which was paid before the stack, so nothing will ever join the two."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = NOW - 1000
    world.deliver(an_event("refund.created", a_refund(customer="cus_basic"), created=NOW - 3600))
    world.now = NOW
    world.deliver(RENEWED)
    assert (summed(world, "revenue"), lifetime_value(world)) == (50, 50)


def test_a_charge_that_names_its_invoice_finds_the_refund_that_came_before_it() -> None:
    """Before 2025-03-31: a refund that came before its charge was stored under the payment, and the charge told it once
    more under the invoice, so the lifetime value fell below zero."""
    world = World()
    world.deliver(an_event("refund.created", a_refund()))
    world.deliver(an_event("charge.refunded", a_charge(invoice="in_basic"), previous={"amount_refunded": 0}))
    world.deliver(an_event("invoice.paid", an_invoice(total=5000, payment_intent="pi_basic")))
    assert len(told(world, "Order Refunded")) == 1
    assert summed(world, "revenue") == summed(world, "revenue_refunded") == 50
    customer = an_event("customer.updated", {"id": "cus_basic", "object": "customer"}, created=NOW + DAY)
    world.deliver(customer)
    assert lifetime_value(world) == 0


def test_half_a_cent_of_a_refunds_share_is_rounded_to_even() -> None:
    """Five sixths of 114.33 are 95.275; the quotient was rounded before it was multiplied, which made 95.27 of it."""
    paid = Payment("usd", counted=True, total=16806, revenue=14005, tax=2801)
    assert paid.shares(11433) == (9528, 1906)


NAMELESS = [
    an_event("refund.created", a_refund(amount=2000)),
    an_event("charge.dispute.created", a_dispute(status="warning_needs_response")),
]


@pytest.mark.parametrize("back", NAMELESS, ids=lambda event: event.type)
def test_claimed_calls_of_an_unknown_payer_are_sent_again_unchanged_once_the_payer_is_known(
    back: StripeEvent,
) -> None:
    """The answer was lost, the payment came, and Segment received one messageId with two contents."""
    world = World()
    heard: dict[str, set[bytes]] = {}

    def lost(call: Call) -> Answer:
        heard.setdefault(call.message_id, set()).add(call.encoded)
        return Answer(Meaning.RETRY, "no_answer") if not world.calls else ACCEPTED

    world.answer = lost
    world.batch(back)
    world.answer = lambda _: ACCEPTED
    world.batch(an_event(SUCCEEDED, an_intent()))
    world.answer = lost
    world.batch(back)
    (event_with,) = (call for call in world.calls if "of_known_payment" in call.get("properties", {}))
    assert "cus_basic" not in str(event_with["anonymousId"])
    assert all(len(words) == 1 for words in heard.values())
    assert lifetime_value(world) == (30 if back.type == "refund.created" else 50)


def test_an_invoice_with_a_wrongly_assigned_refund_still_matches_its_own_intent() -> None:
    """Nothing joins invoices and intents here. The refund was a wrong guess, and the invoice's intent counted again."""
    world = World()
    world.deliver(an_event("invoice.paid", an_invoice(customer="cus_basic", total=8000)))
    refund = a_refund(amount=1000, customer="cus_basic", payment_intent="pi_other")
    own = an_intent(id="pi_own", amount=8000, amount_received=8000)
    world.deliver(an_event("refund.created", refund), an_event(SUCCEEDED, own))
    assert lifetime_value(world) == 70
    world.deliver(an_event(SUCCEEDED, an_intent(id="pi_other")))
    assert (summed(world, "revenue"), lifetime_value(world)) == (130, 120)


def test_a_refund_of_an_order_without_tax_has_a_tax_refunded_of_0() -> None:
    """An order's tax of 0 was forgotten, and its refund said nothing of tax."""
    world = World()
    session = a_session(amount_total=5000, amount_subtotal=5000, total_details={"amount_tax": 0, "amount_shipping": 0})
    world.batch(an_event(COMPLETED, session))
    world.batch(an_event("refund.created", a_refund(), created=NOW + 1))
    (refunded,) = told(world, "Order Refunded")
    assert (refunded["revenue_refunded"], refunded["tax_refunded"]) == (50, 0)


def renewed(number: int, at: int) -> StripeEvent:
    return an_event("invoice.paid", an_invoice(id=f"in_{number}", total=5000, created=at), created=at)


def test_a_charge_that_was_made_after_an_invoice_was_paid_is_not_taken_for_its_payment() -> None:
    """The refund of a later week's renewal came first, and was sent as that of an earlier week with the same amount."""
    world, later = World(), NOW + 14 * DAY
    early = an_event("charge.refunded", a_charge(created=later), previous={"amount_refunded": 0}, created=later + DAY)
    world.deliver(early, renewed(1, NOW))
    assert lifetime_value(world) == 50
    world.deliver(renewed(2, later))
    assert (summed(world, "revenue"), summed(world, "revenue_refunded"), lifetime_value(world)) == (
        100,
        50,
        50,
    )


def test_a_refund_that_was_taken_for_another_renewals_goes_back_to_its_own() -> None:
    """A bank debit's charge is days older than its payment, so the week before it could have been its payment too.

    Its refunds then were listed with those of the other week, and one of them counted as sent already.
    """
    world, second = World(), NOW + 7 * DAY
    charge = a_charge(id="ch_2", payment_intent="pi_2", created=NOW)
    joined = [
        an_invoice_payment(invoice=f"in_{one}", payment={"type": "payment_intent", "payment_intent": f"pi_{one}"})
        for one in (1, 2)
    ]
    world.deliver(
        an_event("charge.refunded", charge, previous={"amount_refunded": 0}, created=second + DAY),
        renewed(1, NOW),
        an_event("invoice_payment.paid", joined[0] | {"customer": "cus_basic"}),
    )
    assert lifetime_value(world) == 50
    first = a_charge(id="ch_1", payment_intent="pi_1", created=NOW)
    for before, total in ((0, 3000), (3000, 5000)):
        part = first | {"amount_refunded": total, "refunded": total == 5000}
        world.deliver(an_event("charge.refunded", part, previous={"amount_refunded": before}, created=second + total))
    assert lifetime_value(world) == 0
    world.deliver(renewed(2, second), an_event("invoice_payment.paid", joined[1] | {"customer": "cus_basic"}))
    assert [each["total"] for each in told(world, "Order Refunded")] == [50, 30, 20]
    assert lifetime_value(world) == 0


def test_a_renewal_whose_payment_is_known_takes_no_refund_of_an_older_one() -> None:
    """That of the week before, which was paid before the stack, was taken off it: the amount is the same."""
    world, week = World(), NOW + 7 * DAY
    charge = a_charge(id="ch_1", payment_intent="pi_1", created=NOW)
    link = an_invoice_payment(invoice="in_2", payment={"type": "payment_intent", "payment_intent": "pi_2"})
    world.deliver(
        an_event("charge.refunded", charge, previous={"amount_refunded": 0}, created=NOW + DAY),
        an_event("invoice_payment.paid", link, created=week),
        an_event(SUCCEEDED, an_intent(id="pi_2"), created=week),
        renewed(2, week),
    )
    assert lifetime_value(world) == 50


def charge_refunded(number: int, made: int) -> StripeEvent:
    """The refund of renewal `number`, whose charge was made at the moment at which its invoice was paid."""
    charge = a_charge(id=f"ch_{number}", payment_intent=f"pi_{number}", created=made)
    return an_event("charge.refunded", charge, previous={"amount_refunded": 0}, created=made + 40 * DAY)


WEEKS = [renewed(1, NOW), renewed(2, NOW + 7 * DAY), renewed(3, NOW + 14 * DAY)]
GIVEN_BACK = [charge_refunded(1, NOW), charge_refunded(3, NOW + 14 * DAY)]


@given(st.permutations([*WEEKS, *GIVEN_BACK]))
def test_refunds_of_renewals_of_one_amount_all_count_in_any_order(events: list[StripeEvent]) -> None:
    """One stood for the payment of a later week, and that week's own refund then found no payment to be taken off."""
    world = World()
    for event in events:
        world.deliver(event)
    assert (summed(world, "revenue"), lifetime_value(world)) == (150, 50)


@pytest.mark.parametrize("order", sorted(set(permutations((1, 1, 2, 2)))))
def test_renewals_of_one_amount_in_one_second_all_have_their_refunds(order: tuple[int, ...]) -> None:
    """Two intents took the one invoice, though the other one was free, and a repetition was sure of that.

    What went back of the first of them was then taken off no payment.
    """
    world = World()
    for number, renewal, amount in ((2, 1, 2500), (1, 2, 5000)):
        refund = a_refund(id=f"re_{number}", charge=f"ch_{number}", payment_intent=f"pi_{number}", amount=amount)
        world.deliver(renewed(renewal, NOW), an_event("refund.created", refund | {"customer": "cus_basic"}))
    paid = {one: an_event(SUCCEEDED, an_intent(id=f"pi_{one}")) for one in order}
    world.deliver(*(paid[number] for number in order))
    assert (summed(world, "revenue"), summed(world, "revenue_refunded"), lifetime_value(world)) == (100, 75, 25)


def test_a_session_that_waits_is_not_taken_for_the_payment_of_a_renewal_of_its_amount() -> None:
    """It was taken for one of which only a refund is known, and its money was lost."""
    world, week = World(PAYMENT_HOLD_SECONDS="300"), NOW + 7 * DAY
    paid = an_event("invoice.paid", an_invoice(id="in_1", total=1000), created=week)
    renewal, session = renewed(2, NOW + DAY), an_event(COMPLETED, a_session())
    world.queued_at = week
    for later in (0, 301):
        world.now = week + later
        world.deliver(paid, session, renewal)
    assert (summed(world, "revenue"), lifetime_value(world)) == (110, 110)


def test_of_two_charges_within_minutes_of_an_invoice_the_nearer_one_has_paid_it() -> None:
    """The distance had a sign, so a charge of some minutes later came before that of the same second."""
    world = World()
    for number, made, refunded in ((1, NOW + 200, 1000), (2, NOW, 2000)):
        charge = a_charge(id=f"ch_{number}", payment_intent=f"pi_{number}", created=made)
        part = charge | {"amount_refunded": refunded, "refunded": False}
        world.deliver(an_event("charge.refunded", part, previous={"amount_refunded": 0}, created=made + DAY))
    world.deliver(renewed(1, NOW))
    assert lifetime_value(world) == 30


def test_a_session_of_an_invoice_to_come_takes_back_the_refunds_of_its_payment() -> None:
    """One was sent twice: under the invoice that it was matched to first, and under the session's payment."""
    world = World()
    world.deliver(renewed(1, NOW - DAY))
    refund = a_refund(amount=1000, customer="cus_basic")
    world.deliver(an_event("refund.created", refund, created=NOW + DAY))
    session = a_session(invoice_creation={"enabled": True}, invoice=None)
    world.deliver(an_event(COMPLETED, session))
    charge = a_charge(amount_refunded=1000, refunded=False)
    world.deliver(an_event("charge.refunded", charge, previous={"amount_refunded": 0}, created=NOW + DAY))
    assert len(told(world, "Order Refunded")) == 1
    assert lifetime_value(world) == 50


class Overtaken(MemoryStore):
    """Another batch delivers an event after this one has read, and before it writes."""

    overtaking: StripeEvent | None = None

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        if self.overtaking is not None:
            event, self.overtaking = self.overtaking, None
            World(self).deliver(event)
        return super().save(profiles, learnt, now)


@pytest.mark.parametrize("first", ["the link", "the refund", "the link is overtaken", "the refund is overtaken"])
def test_a_refund_and_the_link_to_its_invoice_find_each_other_in_two_batches(first: str) -> None:
    """The link names no customer, so it was written without the record, and the refund stayed the payment's alone.

    The next refund was the invoice's, which then knew of one of the two.
    """
    store = Overtaken()
    world = World(store)
    link = an_event("invoice_payment.paid", an_invoice_payment())
    refunds = [
        an_event("charge.refunded", a_charge(amount_refunded=total, refunded=False), previous={"amount_refunded": old})
        for old, total in ((0, 1000), (1000, 3000))
    ]
    begun = [link, refunds[0]] if first.startswith("the link") else [refunds[0], link]
    if first.endswith("overtaken"):
        store.overtaking = begun.pop()
    world.deliver(*begun)
    world.deliver(refunds[1], an_event("invoice.paid", an_invoice(amount_paid=5000, total=5000)))
    assert lifetime_value(world) == 20
    listed = world.profiles["own:test:cus_basic"].payments
    assert [*listed] == ["in_basic"]


def owner_of(store: MemoryStore) -> str:
    return store.load([("order", "own:test:pi_basic")]).owners["own:test:pi_basic"]


@pytest.mark.parametrize("first", ["the payment", "the refund"])
def test_a_strangers_refund_and_its_payment_find_each_other_in_two_batches(first: str) -> None:
    """The refund names no customer, and was stored by itself, where no later event looked for it."""
    store = Overtaken()
    world = World(store)
    events = [an_event(SUCCEEDED, an_intent()), an_event("refund.created", a_refund(amount=2000))]
    begun, store.overtaking = events if first == "the payment" else events[::-1]
    world.deliver(begun)
    assert owner_of(store) == "own:test:cus_basic"
    world.deliver(an_event("refund.created", a_refund(id="re_2", amount=500)))
    assert lifetime_value(world) == 25


class Refusing(MemoryStore):
    """It writes neither the record of the customer nor, where there is no record to write, who owns a payment."""

    refuses = ""

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        refused = [each.key for each in profiles if self.refuses == "record" and each.key.endswith("cus_basic")]
        if self.refuses == "owner" and not profiles:
            refused, learnt = [each.key for each in learnt], []
        written = [each for each in profiles if each.key not in refused]
        return super().save(written, learnt, now) | {key: StoreUnavailableError() for key in refused}


TAKES_OVER = [
    an_event(SUCCEEDED, an_intent()),
    an_event("invoice.paid", an_invoice(total=5000, payment_intent="pi_basic")),
    an_event(SUCCEEDED, an_intent(customer=None, customer_account="acct_buyer")),
]


@pytest.mark.parametrize("paid", TAKES_OVER, ids=["intent", "invoice", "account"])
def test_a_strangers_refunds_are_taken_over_again_where_the_customers_record_was_not_written(paid: StripeEvent) -> None:
    """The payment's owner had been written first, and the refund before it was lost."""
    store = Refusing()
    world = World(store)
    world.deliver(an_event("refund.created", a_refund(amount=2000)))
    if paid.customer == "cus_basic":
        store.refuses = "record"
        assert [done.status for done in world.batch(paid)] == ["retry"]
        store.refuses = ""
    world.deliver(paid, an_event("refund.created", a_refund(id="re_2", amount=500)))
    assert lifetime_value(world) == 25
    assert owner_of(store) == f"own:test:{paid.customer}"


def test_a_payment_whose_owner_was_not_written_is_found_by_the_record_that_was_taken_over() -> None:
    """The second refund had an unknown customer until the customer's next event took it over."""
    store = Refusing()
    world = World(store)
    world.deliver(an_event("refund.created", a_refund(amount=2000)))
    store.refuses = "owner"
    world.deliver(TAKES_OVER[0])
    store.refuses = ""
    assert owner_of(store) == "own:test:pi_basic"
    world.deliver(an_event("refund.created", a_refund(id="re_2", amount=500)))
    assert lifetime_value(world) == 25


@pytest.mark.parametrize("kind", ["finalized", "sent", "overdue"])
def test_an_invoice_takes_over_the_part_that_was_paid_before_its_customer_was_known(kind: str) -> None:
    """The part's record became the owner of the invoice, and the invoice waited for good for an owner unknown to it."""
    world = World()
    part = an_invoice_payment(amount_paid=2000, currency="usd", is_default=False, status="paid")
    world.deliver(an_event("invoice_payment.paid", part))
    bill = an_invoice(total=5000, status="open", amount_paid=0, amount_remaining=5000)
    (billed,) = world.batch(an_event(f"invoice.{kind}", bill))
    assert lifetime_value(world) == 20, "though such an event brings no identify of its own"
    (paid,) = world.batch(an_event("invoice.paid", an_invoice(total=5000)))
    assert (billed.status, paid.status) == ("delivered", "delivered")
    assert (summed(world, "revenue"), lifetime_value(world)) == (50, 50)


@pytest.mark.parametrize("customer", ["cus_basic", None], ids=["a customer", "a guest"])
def test_a_payment_that_was_refunded_before_it_came_shows_a_lifetime_value_of_0(customer: str | None) -> None:
    """A user whose refund arrived before the payment had no lifetime value at all."""
    world = World()
    paid = an_intent(customer=customer, metadata={"user_id": "user_1"})
    world.deliver(an_event("refund.created", a_refund(), created=NOW + 60), an_event(SUCCEEDED, paid))
    assert lifetime_value(world) == 0
    assert summed(world, "revenue") == summed(world, "revenue_refunded") == 50


def test_a_refund_after_one_of_the_same_total_that_failed_is_sent() -> None:
    """Without refund.created, both had the same messageId: the second was taken off and never told."""
    world = World()
    refunded = [an_event("charge.refunded", a_charge(), previous={"amount_refunded": 0}) for _ in range(2)]
    failed = an_event("refund.failed", a_refund(status="failed"))
    world.deliver(an_event(SUCCEEDED, an_intent()), refunded[0], failed, refunded[1], refunded[0], refunded[1])
    assert names(world.calls).count("Order Refunded") == 2
    assert (summed(world, "revenue_refunded"), lifetime_value(world)) == (50, 0)


@pytest.mark.parametrize("order", [*permutations(range(3))])
@pytest.mark.parametrize("key", [True, False], ids=["with a key", "without one"])
def test_without_a_hold_the_intent_of_an_invoice_counts_once(order: tuple[int, ...], *, key: bool) -> None:
    """Stripe is asked at once; where it cannot be, the intent is an order with its tax, and the invoice states 0."""

    class Api:
        def read(self, wanted: Iterable[Lookup]) -> dict[Lookup, dict[str, Any]]:
            joined = {"object": "list", "data": [an_invoice_payment()]}
            return {lookup: joined for lookup in wanted if lookup.kind == "invoice_payments"}

    world = World(reader=Api() if key else None, PAYMENT_HOLD_SECONDS="0")
    events = [
        an_event(SUCCEEDED, an_intent(amount=4000, amount_received=4000)),
        an_event("invoice.paid", an_invoice(total=4000, total_taxes=[{"amount": 640}])),
        an_event("invoice_payment.paid", an_invoice_payment()),
    ]
    world.deliver(*(events[place] for place in order))
    revenue = summed(world, "revenue")
    assert (
        revenue in ({Decimal("33.6")} if key else {Decimal("33.6"), Decimal(40)}),
        lifetime_value(world),
    ) == (
        True,
        40,
    )
    assert sum(bool(call.get("properties", {}).get("revenue")) for call in world.calls) == 1


@pytest.mark.parametrize("hold", ["0", "300"])
@pytest.mark.parametrize("order", [*permutations(range(4))])
def test_a_refund_of_a_charge_that_names_no_customer_is_one_refund(order: tuple[int, ...], hold: str) -> None:
    """The charge was kept apart from its payment for ever, and its refund.created was a second Order Refunded."""
    invoice = an_invoice(total=5000, billing_reason="manual")
    joined = {"id": "inpay_1", "object": "invoice_payment", "amount_paid": 5000, "amount_requested": 5000}
    joined |= {"is_default": True, "invoice": "in_basic", "payment": {"payment_intent": "pi_basic"}}
    charge = a_charge(customer=None, created=NOW)
    events = [
        an_event("invoice.paid", invoice),
        an_event("invoice_payment.paid", joined),
        an_event("refund.created", a_refund(), created=NOW + DAY),
        an_event("charge.refunded", charge, created=NOW + DAY, previous={"amount_refunded": 0}),
    ]
    world, later = World(PAYMENT_HOLD_SECONDS=hold), [events[place] for place in order]
    world.now = world.queued_at = NOW + 2 * DAY
    for waited in (0, 1, 300, 300):
        world.now += waited
        later = [event for event in later if world.batch(event)[0].status.value == "waiting"]
    assert names(world.calls).count("Order Refunded") == 1
    assert [call["traits"]["lifetime_value"] for call in world.calls if call["type"] == "identify"][-1] == 0


def test_a_charge_says_of_which_invoice_the_refund_was_that_came_before_it() -> None:
    """A refund states no amount of its charge, and what the charge stated later was not looked at."""
    world = World()
    renewal = an_invoice(total=5000, billing_reason="subscription_cycle")
    world.deliver(
        an_event("invoice.paid", renewal),
        an_event("refund.created", a_refund(), created=NOW + DAY),
        an_event("charge.refunded", a_charge(created=NOW), created=NOW + DAY, previous={"amount_refunded": 0}),
    )
    assert [call["traits"]["lifetime_value"] for call in world.calls if call["type"] == "identify"][-1] == 0


def test_what_went_back_stands_under_its_session_once_that_is_known_to_be_captured_later() -> None:
    """It stood under an invoice by its amount and time, and the next event of the refund told it once more."""
    world, charge = World(), {"amount": 4204, "amount_captured": 4204, "refunded": False, "payment_intent": "pi_late"}
    given_back = {"refund": 532, "other": 56}
    refunds = [
        an_event("refund.created", a_refund(id=f"re_{name}", amount=amount, payment_intent="pi_late"), created=NOW + 3)
        for name, amount in given_back.items()
    ]
    renewal = an_invoice(total=12329, subtotal=12329, amount_paid=12329, billing_reason="manual")
    of_charge = an_event("charge.refunded", a_charge(**charge, amount_refunded=532), created=NOW + 3)
    world.batch(an_event("invoice.paid", renewal), refunds[1], of_charge)
    session = a_session(mode="payment", payment_status="unpaid", payment_intent="pi_late", amount_total=4204)
    world.batch(an_event("checkout.session.completed", session, created=NOW + 1), refunds[0])
    assert sorted(refund["total"] for refund in told(world, "Order Refunded")) == [0.56, 5.32]
