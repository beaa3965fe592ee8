"""Objects that an import has listed: stored without a call at first, and sent once, when all is known."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stripe_to_segment.delivery.circuit_breaker import Pause
from stripe_to_segment.delivery.record import Status
from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.reasons import Reason
from stripe_to_segment.state.bill import NOT_SENT, Part
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.stripe_side.event import Level, parse_event
from stripe_to_segment.stripe_side.listing import LISTED, listed_event, record_of
from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.commands.importing.steps import TELLING, says_something
from tests.unit.shapes import (
    DAY,
    NOW,
    a_customer,
    a_dispute,
    a_price,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
)
from tests.unit.worlds import World, changes, lifetime_value, names, told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.state.circuit import Circuit

WAREHOUSES = {"All": False}
PAID_AT = NOW - 40 * DAY
CUSTOMER = a_customer(metadata={"user_id": "u_1"})
SUBSCRIPTION = a_subscription(customer=CUSTOMER["id"])
INVOICE = an_invoice(
    id="in_1",
    customer=CUSTOMER["id"],
    status="paid",
    total=2000,
    amount_paid=2000,
    amount_due=2000,
    currency="usd",
    total_taxes=[],
    billing_reason="subscription_cycle",
    status_transitions={"paid_at": PAID_AT},
    payments={"data": [{"status": "paid", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]},
)
EVERYTHING = (CUSTOMER, SUBSCRIPTION, INVOICE)
UPDATED = "customer.subscription.updated"


class Importing(World):
    """A world into which objects can be imported."""

    def import_(self, *objects: dict[str, Any], level: Level = Level.STATE, moment: int = NOW) -> list[dict[str, Any]]:
        """Import objects one after the other; returns the calls that arrived for them."""
        before = len(self.calls)
        for one in objects:
            record = record_of(one, level, moment, livemode=False, integrations=WAREHOUSES)
            (done,) = self.batch(json.dumps(record))
            assert done.status in {Status.DELIVERED, Status.IGNORED}, done
        return self.calls[before:]


def cheaper() -> dict[str, Any]:
    return a_subscription(an_item(a_price(1000)), customer=CUSTOMER["id"])


def test_a_state_sends_nothing_and_remembers_everything() -> None:
    world = Importing()
    assert world.import_(*EVERYTHING) == []
    (customer,) = (profile for profile in world.profiles.values() if profile.user_id)
    assert customer.user_id == "u_1"
    assert customer.paid == {"usd": 2000}
    assert [record.mrr for record in customer.live] == [2000]
    assert customer.claims == {}, "nothing is claimed where nothing is told"


def test_the_first_event_after_an_import_of_the_state_sends_the_opening_balance() -> None:
    world = Importing()
    world.import_(*EVERYTHING)
    event = an_event(UPDATED, cheaper(), created=NOW + DAY, previous={"items": SUBSCRIPTION["items"]})
    told = {call["event"]: call["properties"] for call in world.deliver(event) if call["type"] == "track"}
    assert told["Subscription Imported"]["mrr_change"] == 20
    assert told["Subscription Imported"]["mrr_movement"] == "opening"
    assert told["Subscription Downgraded"]["mrr_change"] == -10


def test_an_opening_is_sent_once_with_the_mrr_as_its_change() -> None:
    world = Importing()
    world.import_(*EVERYTHING)
    (call,) = world.import_(SUBSCRIPTION, level=Level.OPENING)
    assert call["event"] == "Subscription Imported"
    assert (call["properties"]["mrr"], call["properties"]["mrr_change"]) == (20, 20)
    assert call["userId"] == "u_1"
    assert call["integrations"] == WAREHOUSES
    assert call["context"]["stripe"]["import"] == "opening"
    assert world.import_(SUBSCRIPTION, level=Level.OPENING) == []
    assert world.import_(SUBSCRIPTION, level=Level.OPENING, moment=NOW + DAY) == []
    event = an_event(UPDATED, cheaper(), created=NOW + 2 * DAY, previous={"items": SUBSCRIPTION["items"]})
    assert "Subscription Imported" not in names(world.deliver(event))


def test_traits_are_one_identify_for_each_customer_over_all_that_is_known() -> None:
    world = Importing()
    world.import_(*EVERYTHING)
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert (call["type"], call["userId"], call["integrations"]) == ("identify", "u_1", WAREHOUSES)
    assert (call["traits"]["mrr"], call["traits"]["lifetime_value"]) == (20, 20)
    assert world.import_(CUSTOMER, level=Level.TRAITS, moment=NOW + DAY) == [], "it is shown already"


def test_traits_that_were_shown_to_nobody_known_are_shown_to_the_user_whom_a_state_names() -> None:
    """A late event joined both with an identify without traits, after which the traits counted as shown."""
    world = Importing()
    plain = {**SUBSCRIPTION, "metadata": {}}
    world.deliver(an_event("customer.subscription.created", plain, created=NOW - DAY))
    world.import_(CUSTOMER)
    late = an_event(UPDATED, plain, created=NOW - 2 * DAY, previous={"quantity": 2})
    told = [*world.deliver(late), *world.import_(CUSTOMER, level=Level.TRAITS)]
    assert [call["traits"]["mrr"] for call in told if call.get("userId") == "u_1" and "mrr" in call.get("traits", {})]
    assert world.import_(CUSTOMER, level=Level.TRAITS, moment=NOW + DAY) == [], "once"


def test_traits_of_a_customer_in_a_group_are_a_group_call_too() -> None:
    world = Importing()
    member = a_customer(metadata={"user_id": "u_1", "group_id": "g_1"})
    world.import_(member, SUBSCRIPTION)
    calls = world.import_(member, level=Level.TRAITS)
    assert names(calls) == ["identify", "group"]
    assert calls[1]["traits"]["mrr"] == 20


def test_history_has_its_own_times_and_the_ids_of_the_live_events() -> None:
    world, live = Importing(), Importing()
    world.import_(*EVERYTHING)
    (told,) = world.import_(INVOICE, level=Level.HISTORY)
    live.deliver(an_event("customer.created", CUSTOMER))
    (heard,) = (call for call in live.deliver(an_event("invoice.paid", INVOICE)) if call["type"] == "track")
    assert told["messageId"] == heard["messageId"]
    assert told["event"] == "Subscription Renewed"
    assert told["properties"]["revenue"] == 20
    assert told["timestamp"] == "2026-10-09T11:06:40.000Z", "when it was paid"
    assert told["integrations"] == WAREHOUSES
    assert world.deliver(an_event("invoice.paid", INVOICE)) == [], "what was told is not told again"


def test_a_payment_that_the_level_state_has_listed_is_sent_by_its_event_and_counts_once() -> None:
    world = Importing()
    world.import_(*EVERYTHING)
    calls = world.deliver(an_event("invoice.paid", INVOICE, created=PAID_AT))
    (told,) = (call["properties"] for call in calls if call["type"] == "track")
    assert told["revenue"] == 20
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert call["traits"]["lifetime_value"] == 20


def test_the_intent_of_a_listed_invoice_is_no_payment_of_its_own() -> None:
    world = Importing()
    intent = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "customer": CUSTOMER["id"]}
    intent |= {"amount": 2000, "amount_received": 2000, "currency": "usd", "created": PAID_AT}
    world.import_(CUSTOMER, INVOICE, intent)
    assert world.import_(intent, level=Level.HISTORY) == []
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert call["traits"]["lifetime_value"] == 20


def test_live_events_win_over_what_was_listed_before_them() -> None:
    world = Importing()
    world.deliver(an_event("customer.subscription.created", cheaper(), created=NOW))
    world.import_(CUSTOMER, SUBSCRIPTION, moment=NOW)
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert (call["userId"], call["traits"]["mrr"]) == ("u_1", 10)


def test_an_import_changes_nothing_that_events_have_sent_and_the_next_event_sends_the_difference() -> None:
    """An event that never came: the list knows the dearer plan, and no call may say so yet."""
    world = Importing()
    world.deliver(an_event("customer.subscription.created", cheaper(), created=NOW - 5 * DAY))
    world.import_(CUSTOMER, SUBSCRIPTION)
    dull = an_event(UPDATED, SUBSCRIPTION, created=NOW + DAY, previous={"metadata": {"note": "x"}})
    (told,) = (call for call in world.deliver(dull) if call["type"] == "track")
    assert (told["event"], told["properties"]["mrr_change"]) == ("Subscription Changed", 10)


def test_a_second_event_about_a_change_that_was_sent_still_sends_the_difference() -> None:
    """Stripe may state one change in two events; the second's own facts are in the ledger, and with them any change."""
    world = Importing()
    for _ in range(2):
        world.deliver(an_event("customer.subscription.created", cheaper(), created=NOW - 5 * DAY))
        world.import_(SUBSCRIPTION)
    changes = [call["properties"]["mrr_change"] for call in world.calls if "mrr_change" in call.get("properties", {})]
    assert changes == [10, 10]


def test_a_refund_that_the_level_state_has_listed_is_sent_by_its_own_event_and_no_later_one() -> None:
    refund = a_refund(id="re_1", amount=500, payment_intent="pi_1", currency="usd", customer=CUSTOMER["id"])
    for kind, sent in (("refund.created", ["Order Refunded"]), ("refund.updated", [])):
        world = Importing()
        world.import_(*EVERYTHING, refund)
        calls = world.deliver(an_event(kind, refund, created=NOW - DAY))
        assert [name for name in names(calls) if name != "identify"] == sent
        (call,) = world.import_(CUSTOMER, level=Level.TRAITS, moment=NOW + DAY)
        assert call["traits"]["lifetime_value"] == 15


def test_the_history_sends_a_payment_with_the_shares_of_a_refund_that_came_before_the_import() -> None:
    """The level state, which sends nothing, took the shares for sent: the net revenue was that of no refund."""
    refund = a_refund(id="re_1", amount=500, payment_intent="pi_1", currency="usd", customer=CUSTOMER["id"])
    world = Importing()
    world.deliver(an_event("refund.created", refund, created=NOW - DAY))
    assert "revenue_refunded" not in told(world, "Order Refunded")[0]
    for level in (Level.STATE, Level.HISTORY):
        world.import_(*EVERYTHING, refund, level=level)
    (renewed,) = told(world, "Subscription Renewed")
    assert (renewed["revenue"], renewed["revenue_refunded"]) == (20, 5)
    assert len(told(world, "Order Refunded")) == 1


def test_what_was_sent_months_ago_is_sent_again_by_no_history() -> None:
    """The ledger forgot it after forty days: a history then sent every older payment a second time."""
    world, whose = Importing(), {"customer": CUSTOMER["id"]}
    invoice = an_invoice(id="in_1", **whose, status="paid", created=NOW, status_transitions={"paid_at": NOW})
    session = a_session(id="cs_1", **whose, payment_intent="pi_2", status="complete", created=NOW)
    refund = a_refund(id="re_1", amount=500, payment_intent="pi_2", currency="usd", created=NOW, **whose)
    dispute = a_dispute(id="dp_1", payment_intent="pi_2", charge="ch_2", created=NOW, status="lost")
    ended = {**SUBSCRIPTION, "status": "canceled", "ended_at": NOW + DAY, "created": NOW}
    world.deliver(
        an_event("customer.created", CUSTOMER, created=NOW),
        an_event("customer.subscription.created", {**SUBSCRIPTION, "created": NOW}, created=NOW),
        an_event("invoice.paid", invoice, created=NOW),
        an_event("checkout.session.completed", session, created=NOW),
        an_event("refund.created", refund, created=NOW),
        an_event("charge.dispute.created", {**dispute, "status": "needs_response"}, created=NOW),
        an_event("charge.dispute.closed", dispute, created=NOW + DAY),
        an_event("customer.subscription.deleted", ended, created=NOW + DAY),
    )
    assert len(world.calls) > 8
    for days in (50, 100, 150):
        world.now = NOW + days * DAY
        said = an_event("customer.updated", CUSTOMER, id=f"evt_{days}", created=int(world.now), previous={"email": "x"})
        world.deliver(said)
        listed = (CUSTOMER, invoice, session, refund, dispute, ended)
        assert world.import_(*listed, moment=int(world.now)) == []
        assert world.import_(*listed[1:], level=Level.HISTORY, moment=int(world.now)) == []


def test_an_ended_subscription_gets_no_opening_and_the_history_sends_its_end() -> None:
    ended = {**SUBSCRIPTION, "status": "canceled", "ended_at": NOW - 10 * DAY, "start_date": NOW - 20 * DAY}
    world = Importing()
    world.import_(CUSTOMER, ended)
    assert world.import_(ended, level=Level.OPENING) == []
    (call,) = world.import_(ended, level=Level.HISTORY)
    assert call["event"] == "Subscription Cancelled"
    assert call["properties"]["days_active"] == 10
    assert "mrr_change" not in call["properties"]


@pytest.mark.parametrize(("days", "sent"), [(10, [20]), (40, [20, -20])])
def test_an_end_whose_event_is_lost_is_sent_with_its_change_once_stripe_has_the_event_no_more(
    days: int, sent: list[int]
) -> None:
    """The sum of the changes stayed what the subscription had been, because only the event could lower it."""
    ended = {**SUBSCRIPTION, "status": "canceled", "ended_at": NOW - days * DAY}
    world = Importing()
    world.deliver(an_event("customer.subscription.created", SUBSCRIPTION, created=NOW - 50 * DAY))
    for level in (Level.STATE, Level.HISTORY, Level.HISTORY):
        world.import_(CUSTOMER, ended, level=level)
    assert changes(world) == sent
    assert [each["mrr_movement"] for each in told(world, "Subscription Cancelled")] == ["churn"] * (len(sent) - 1)
    world.deliver(an_event("customer.subscription.deleted", ended, created=NOW - days * DAY))
    assert changes(world) == [20, -20], "also if the event comes after all"


def test_nothing_is_sent_about_a_user_who_opted_out() -> None:
    world = Importing()
    silent = a_customer(metadata={"user_id": "u_1", "analytics_opt_out": "true"})
    world.import_(silent, SUBSCRIPTION, INVOICE)
    assert world.import_(silent, level=Level.TRAITS) == []
    assert world.import_(SUBSCRIPTION, level=Level.OPENING) == []
    assert world.import_(INVOICE, level=Level.HISTORY) == []


def test_what_went_back_of_an_old_invoice_is_known_by_the_charge_that_paid_it() -> None:
    """Until 2019 a charge alone paid an invoice: its refunds were nobody's, and lowered no lifetime value."""
    paid_by = {"status": "paid", "payment": {"type": "charge", "charge": "ch_1"}}
    old, named = {**INVOICE, "payments": {"data": [paid_by]}}, {"payment_intent": None, "charge": "ch_1"}
    refund = a_refund(**named, id="re_1", amount=500, created=PAID_AT + DAY)
    lost = [{"amount": -700, "currency": "usd"}]
    dispute = a_dispute(**named, amount=700, currency="usd", status="lost", balance_transactions=lost, created=PAID_AT)
    world = Importing()
    world.import_(CUSTOMER, old, refund, dispute)
    (told,) = world.import_(refund, level=Level.HISTORY)
    stated = told["properties"]
    assert (told["userId"], stated["order_id"], stated["revenue_refunded"]) == ("u_1", "in_1", 5)
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert call["traits"]["lifetime_value"] == 8
    calls = world.deliver(an_event("refund.created", {**refund, "id": "re_2", "amount": 300}, created=NOW + DAY))
    assert [call["traits"]["lifetime_value"] for call in calls if call["type"] == "identify"] == [5]


def test_an_inquiry_that_an_import_has_listed_and_that_becomes_a_dispute_lowers_the_lifetime_value() -> None:
    """Also where only its end is sent to the endpoint, and says nothing of the funds."""
    world, inquiry = Importing(), a_dispute(payment_intent="pi_1", amount=2000, status="warning_needs_response")
    world.import_(CUSTOMER, INVOICE, inquiry)
    world.deliver(an_event("customer.updated", CUSTOMER))
    assert lifetime_value(world) == 20
    world.deliver(an_event("charge.dispute.closed", inquiry | {"status": "lost"}))
    assert lifetime_value(world) == 0


def test_an_open_dispute_is_withdrawn_in_the_currency_of_the_balance_too() -> None:
    """An account in euros sells in dollars: its open disputes lowered no lifetime value until they were closed."""
    world = Importing()
    moved = [{"amount": -1840, "currency": "eur"}]
    dispute = a_dispute(amount=2000, currency="usd", payment_intent="pi_1", created=PAID_AT, balance_transactions=moved)
    world.import_(*EVERYTHING, dispute)
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert call["traits"]["lifetime_value"] == 0
    moved.append({"amount": 1810, "currency": "eur"})
    world.deliver(an_event("charge.dispute.funds_reinstated", {**dispute, "status": "won"}, created=NOW + DAY))
    assert world.calls[-1]["traits"]["lifetime_value"] == 20


def test_the_history_of_a_voided_credit_note_is_that_it_was_issued_and_voided() -> None:
    """A list shows its end alone: the sum of what credit notes gave back was less by one that nobody had stated."""
    world = Importing()
    note = {"id": "cn_1", "object": "credit_note", "invoice": "in_1", "customer": CUSTOMER["id"], "currency": "usd"}
    note |= {"total": 500, "out_of_band_amount": 500, "created": PAID_AT + DAY}
    voided = {**note, "status": "void", "voided_at": PAID_AT + 3 * DAY}
    world.import_(*EVERYTHING, voided)
    told = world.import_(voided, level=Level.HISTORY)
    assert [(call["event"], call["properties"]["out_of_band"], call["timestamp"][:10]) for call in told] == [
        ("Credit Note Issued", 5, "2026-10-10"),
        ("Credit Note Voided", 5, "2026-10-12"),
    ]
    live = [an_event("credit_note.created", note), an_event("credit_note.voided", voided)]
    assert world.deliver(*live) == [], "the messageIds are those of the events"


def test_traits_without_an_mrr_are_sent_once() -> None:
    """An unknown mrr was left out at first and null then: every second import sent each such user once more."""
    world, discounted = Importing(), {**SUBSCRIPTION, "discounts": ["di_unknown"]}
    team = a_customer(metadata={"user_id": "u_1", "group_id": "g_1"})
    world.import_(team, discounted)
    calls = world.import_(team, level=Level.TRAITS)
    assert (names(calls), "mrr" in calls[0]["traits"]) == (["identify", "group"], False)
    assert world.import_(team, level=Level.TRAITS, moment=NOW + DAY) == []


def test_a_session_names_the_user_of_its_customer() -> None:
    world = Importing()
    session = a_session(customer=CUSTOMER["id"], client_reference_id="u_9", status="complete", created=PAID_AT)
    world.import_(a_customer(), session)
    (call,) = world.import_(a_customer(), level=Level.TRAITS)
    assert call["userId"] == "u_9"


def test_a_user_who_pays_as_a_guest_is_shown_too() -> None:
    world = Importing()
    guest = a_session(customer=None, client_reference_id="u_9", status="complete", created=PAID_AT)
    assert world.import_(guest) == []
    (call,) = world.import_(guest, level=Level.TRAITS)
    assert (call["type"], call["userId"]) == ("identify", "u_9")
    assert call["traits"]["lifetime_value"] == 50
    stranger = a_session(id="cs_2", payment_intent="pi_2", customer=None, status="complete", created=PAID_AT)
    world.import_(stranger)
    assert world.import_(stranger, level=Level.TRAITS) == [], "who is not known has no traits"


def test_a_customer_is_moved_to_another_user_only_where_calls_can_reach_the_former_user() -> None:
    """Without calls the traits of the former user would have stayed wrong."""
    world = Importing()
    world.deliver(an_event("customer.created", CUSTOMER, created=NOW - DAY))
    world.deliver(an_event("customer.subscription.created", SUBSCRIPTION, created=NOW - DAY))
    moved = a_customer(metadata={"user_id": "u_2"})
    world.import_(moved)
    (profile,) = (one for one in world.profiles.values() if one.user_id)
    assert profile.user_id == "u_1"
    calls = world.import_(moved, level=Level.TRAITS)
    assert [(call["userId"], call["traits"]["mrr"]) for call in calls] == [("u_2", 20), ("u_1", 0)]


def test_the_next_event_sends_to_all_destinations_the_traits_that_only_warehouses_got() -> None:
    """The record said that they were shown, and other destinations kept the old ones."""
    world = Importing()
    world.deliver(an_event("customer.subscription.created", cheaper(), created=NOW - 5 * DAY))
    world.import_(CUSTOMER, SUBSCRIPTION)
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert (call["traits"]["mrr"], call["integrations"]) == (20, WAREHOUSES)
    dull = an_event("customer.updated", CUSTOMER, created=NOW + DAY, previous={"balance": 1})
    (call,) = (call for call in world.deliver(dull) if call["type"] == "identify")
    assert (call["traits"]["mrr"], call.get("integrations")) == (20, None)


def test_the_next_event_shows_all_destinations_a_user_and_a_group_that_only_warehouses_have() -> None:
    """What only the import had shown counted as shown to all: an event that changes nothing showed it to nobody."""
    world, team = Importing(), a_customer(metadata={"user_id": "u_1", "group_id": "team"})
    world.import_(team, SUBSCRIPTION)
    world.import_(team, level=Level.TRAITS)
    world.import_(SUBSCRIPTION, level=Level.OPENING)
    assert world.import_(team, level=Level.TRAITS, moment=NOW + 1) == [], "the warehouses have it"
    dull = an_event(UPDATED, SUBSCRIPTION, previous={"latest_invoice": "in_0"})
    user, group = world.deliver(dull)
    assert (user["type"], user["traits"]["mrr"]) == ("identify", 20)
    assert (group["type"], group["traits"]["mrr"]) == ("group", 20)
    assert "integrations" not in user
    assert world.deliver(an_event("customer.updated", team, id="evt_2", previous={"balance": 0})) == []


def test_the_first_identify_after_a_state_brings_the_group_that_it_named() -> None:
    """No event but one of its subscription brought it: a team that pays by the year had no mrr for a year."""
    world, team = Importing(), a_customer(metadata={"user_id": "u_1", "group_id": "team"})
    world.import_(team, SUBSCRIPTION)
    calls = world.deliver(an_event("invoice.paid", INVOICE))
    assert names(calls)[:2] == ["identify", "group"]
    assert (calls[1]["groupId"], calls[1]["traits"]["mrr"]) == ("team", 20)
    renamed = an_event("customer.updated", {**team, "name": "B"}, id="evt_2", previous={"name": "A"})
    assert names(world.deliver(renamed)) == ["identify"], "it is the same group still"


@pytest.mark.parametrize("status", ["open", "uncollectible"])
def test_what_was_paid_of_an_unpaid_invoice_is_a_part_of_it(status: str) -> None:
    """An invoice that is written off keeps what was paid of it, and may be paid in the end."""
    world = Importing()
    bill = {"status": status, "amount_due": 2000, "total": 2000, "amount_paid": 0, "currency": "usd", "total_taxes": []}
    part = {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_open", "is_default": False, "status": "paid"}
    part |= {"amount_paid": 500, "amount_requested": 500, "currency": "usd", "payment": {"payment_intent": "pi_5"}}
    part |= {"status_transitions": {"paid_at": PAID_AT}}
    open_invoice = an_invoice(id="in_open", customer=CUSTOMER["id"], payments={"data": [part]}, **bill)
    intent = {"id": "pi_5", "object": "payment_intent", "status": "succeeded", "customer": CUSTOMER["id"]}
    intent |= {"amount": 500, "amount_received": 500, "currency": "usd", "created": PAID_AT}
    assert world.import_(CUSTOMER, open_invoice, intent, part) == []
    (call,) = world.import_(CUSTOMER, level=Level.TRAITS)
    assert call["traits"]["lifetime_value"] == 5
    assert world.import_(open_invoice, intent, level=Level.HISTORY) == []
    (told,) = world.import_(part, level=Level.HISTORY)
    assert (told["event"], told["properties"]["revenue"]) == ("Invoice Payment Received", 5)
    paid = an_invoice(**{**open_invoice, **bill, "status": "paid", "amount_paid": 2000})
    (rest,) = (call for call in world.deliver(an_event("invoice.paid", paid)) if call["type"] == "track")
    assert rest["properties"]["revenue"] == 15


def test_a_part_of_a_listed_invoice_is_the_customers_though_only_the_invoice_says_whose_it_is() -> None:
    """The payment that was listed with the invoice said whose it was, and of the next part nobody knew the customer."""
    world = Importing()
    assert world.import_(CUSTOMER, billed(PARTS[0]) | {"amount_paid": 5_000}) == []
    (part,) = world.deliver(an_event("invoice_payment.paid", PARTS[1]))[1:]
    assert (part["event"], part["userId"]) == ("Invoice Payment Received", "u_1")


PARTS = [
    {
        "id": f"inpay_{number}",
        "object": "invoice_payment",
        "amount_paid": amount,
        "amount_requested": amount,
        "currency": "usd",
        "invoice": "in_parts",
        "is_default": number == 3,
        "payment": {"type": "payment_intent", "payment_intent": f"pi_{number}"},
        "status": "paid",
        "status_transitions": {"paid_at": PAID_AT + number},
    }
    for number, amount in ((1, 5_000), (2, 3_000), (3, 4_000))
]


def billed(*parts: dict[str, Any], status: str = "open") -> dict[str, Any]:
    """An invoice of 120, of which 20 are tax, with what was paid of it."""
    paid = {"status": "paid", "amount_paid": 12_000, "status_transitions": {"paid_at": PAID_AT + 9}}
    amounts = {"total": 12_000, "amount_due": 12_000, "amount_paid": 0, "total_taxes": [{"amount": 2_000}]}
    more = {"billing_reason": "manual", "status": status, **amounts, **(paid if status == "paid" else {})}
    return an_invoice(id="in_parts", customer=CUSTOMER["id"], payments={"data": [*parts]}, **more)


PAID_IN_PARTS = billed(*PARTS, status="paid")
IN_PARTS = [
    an_event("invoice.finalized", billed(), created=PAID_AT),
    *(an_event("invoice_payment.paid", one, created=PAID_AT + number) for number, one in enumerate(PARTS, 1)),
    an_event("invoice.paid", PAID_IN_PARTS, created=PAID_AT + 9),
]


def listed_after(number: int) -> list[dict[str, Any]]:
    """What the lists show after so many of the events: parts are listed while their invoice is open."""
    if number == len(IN_PARTS):
        return [CUSTOMER, PAID_IN_PARTS]
    parts = PARTS[: max(number - 1, 0)]
    return [CUSTOMER, *([billed(*parts)] if number else []), *parts]


@given(
    steps=st.lists(
        st.integers(0, 4) | st.tuples(st.integers(0, 5), st.sampled_from([Level.STATE, Level.HISTORY])), max_size=8
    ),
    live=st.booleans(),
)
# A part that an import had listed in silence was lost once its invoice was paid: no event and no history told it.
@example(steps=[(2, Level.STATE)], live=False)
@example(steps=[(2, Level.STATE)], live=True)
def test_every_cent_of_an_invoice_that_is_paid_in_parts_is_sent_once_whatever_was_imported_before(
    steps: list[int | tuple[int, Level]], live: bool
) -> None:
    """Events in any order and doubled, parts whose payer nobody knew, imports of both kinds at any moment."""
    world = Importing()

    def imports(number: int, level: Level, moment: int) -> None:
        objects = listed_after(number)
        world.import_(*objects, moment=moment)
        if level is Level.HISTORY:
            told = [one for one in objects if one["object"] in TELLING[level] and says_something(one, level)]
            world.import_(*told, level=level, moment=moment)

    for place, step in enumerate(steps):
        if isinstance(step, int):
            world.deliver(IN_PARTS[step])
        else:
            imports(*step, NOW + place)
    if live:
        world.deliver(IN_PARTS[-1])
    else:
        imports(len(IN_PARTS), Level.HISTORY, NOW + DAY)
    told = [call["properties"] for call in world.calls if call["type"] == "track" and "total" in call["properties"]]
    assert sum(Decimal(str(one["total"])) for one in told) == 120
    assert sum(Decimal(str(one.get("revenue", 0))) for one in told) == 100
    (last,) = world.deliver(
        an_event("customer.updated", CUSTOMER, id="evt_last", created=NOW + 2 * DAY, previous={"email": "x"})
    )
    assert last["traits"]["lifetime_value"] == 120


def test_a_part_that_was_sent_for_an_unknown_customer_is_not_sent_again_by_the_history() -> None:
    """The import's entry of the part replaced the one that had been sent, and the history sent it again."""
    told, listed = Part(500, None, "evt_1"), Part(500, 400, NOT_SENT)
    for one, other in ((told, listed), (listed, told)):
        both = Payment("usd", parts={"pi_5": one}).joined(Payment("usd", parts={"pi_5": other}))
        assert both.parts["pi_5"].stated_by == "evt_1"


def test_enrich_sees_no_import_unless_somebody_asks_for_it() -> None:
    seen: list[dict[str, Any]] = []
    world = Importing()

    def enrich(call: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        seen.append(body)
        return call

    world.enrich = enrich
    world.import_(*EVERYTHING)
    world.import_(SUBSCRIPTION, level=Level.OPENING)
    assert seen == []
    record = record_of(CUSTOMER, Level.TRAITS, NOW, livemode=False, integrations=WAREHOUSES, enrich=True)
    world.batch(json.dumps(record))
    assert [body["object"] for body in seen] == ["stripe_to_segment.import"], "and knows it from an event"


def test_what_is_only_learnt_does_not_wait_for_segment_and_asks_stripe_nothing() -> None:
    class Open:
        def asks(self, modes: Iterable[bool]) -> Collection[str]:
            assert not [*modes]
            return ()

        def waits(self, modes: Iterable[bool], looked_up: Mapping[str, Circuit]) -> Mapping[bool, Pause | None]:
            assert not looked_up
            return dict.fromkeys(modes, Pause(60, 1))

        def note(self, answers: Collection[Answer], *, livemode: bool) -> Pause | None:
            raise AssertionError(answers, livemode)

    class NoReader:
        def read(self, wanted: Iterable[object]) -> dict[Any, Any]:
            raise AssertionError([*wanted])

    world = Importing(reader=NoReader())
    world.gate = Open()
    assert world.import_(*EVERYTHING) == []
    record = record_of(SUBSCRIPTION, Level.OPENING, NOW, livemode=False)
    (told,) = world.batch(json.dumps(record))
    assert (told.status, told.reason) == (Status.RETRY, Reason.CIRCUIT_OPEN)


def test_an_object_that_says_nothing_is_left_out() -> None:
    for one in (
        an_invoice(status="draft"),
        a_session(status="expired"),
        {"id": "pi_9", "object": "payment_intent", "status": "canceled"},
    ):
        assert listed_event(record_of(one, Level.STATE, NOW, livemode=False)) is None
        (done,) = World().batch(json.dumps(record_of(one, Level.STATE, NOW, livemode=False)))
        assert (done.status, done.reason) == (Status.IGNORED, Reason.LISTED)


@pytest.mark.parametrize(
    "change",
    [
        {"level": "everything"},
        {"moment": None},
        {"moment": -1},
        {"data": None},
        {"data": {"object": "customer"}},
        {"data": {"object": "payout", "id": "po_1"}},
    ],
)
def test_a_record_that_this_release_does_not_know_is_a_dead_letter(change: dict[str, Any]) -> None:
    record = {**record_of(CUSTOMER, Level.STATE, NOW, livemode=False), **change}
    (done,) = World().batch(json.dumps(record))
    assert (done.status, done.reason) == (Status.DEAD, Reason.NOT_AN_EVENT)


def test_neither_webhook_nor_event_bus_takes_the_record_of_an_import_for_an_event() -> None:
    with pytest.raises(MalformedEventError):
        parse_event(json.dumps(record_of(CUSTOMER, Level.STATE, NOW, livemode=False)))


def test_every_kind_of_object_that_is_read_is_one_that_stripe_has() -> None:
    assert LISTED.keys() <= OBJECTS.keys()


MOMENT = 1_795_000_000
STANDS_FOR: list[tuple[str, dict[str, Any], tuple[str, int] | None]] = [
    ("customer", {"created": 1}, ("customer.updated", MOMENT)),
    ("subscription", {"status": "active", "created": 1}, ("customer.subscription.updated", MOMENT)),
    ("subscription", {"status": "canceled", "ended_at": 9}, ("customer.subscription.deleted", 9)),
    ("subscription", {"status": "active", "ended_at": 9}, ("customer.subscription.updated", MOMENT)),
    ("invoice", {"status": "paid", "status_transitions": {"paid_at": 9}, "created": 1}, ("invoice.paid", 9)),
    ("invoice", {"status": "paid", "created": 1}, ("invoice.paid", 1)),
    ("invoice", {"status": "open", "status_transitions": {"finalized_at": 9}}, ("invoice.finalized", 9)),
    ("invoice", {"status": "draft", "created": 1}, None),
    ("invoice_payment", {"status": "paid", "status_transitions": {"paid_at": 9}}, ("invoice_payment.paid", 9)),
    ("invoice_payment", {"status": "open", "created": 1}, None),
    ("checkout.session", {"status": "complete", "created": 1}, ("checkout.session.completed", 1)),
    ("checkout.session", {"status": "expired", "created": 1}, None),
    ("payment_intent", {"status": "succeeded", "created": 1}, ("payment_intent.succeeded", 1)),
    ("payment_intent", {"status": "canceled", "created": 1}, None),
    ("refund", {"created": 1}, ("refund.created", 1)),
    ("refund", {}, ("refund.created", MOMENT)),
    ("dispute", {"status": "needs_response", "created": 1}, ("charge.dispute.created", 1)),
    ("dispute", {"status": "won", "created": 1}, ("charge.dispute.closed", 1)),
    ("dispute", {"status": "lost"}, ("charge.dispute.closed", MOMENT)),
    ("credit_note", {"status": "issued", "created": 1}, ("credit_note.created", 1)),
    ("credit_note", {"status": "void", "voided_at": 9, "created": 1}, ("credit_note.voided", 9)),
    ("credit_note", {"status": "void", "created": 1}, ("credit_note.voided", MOMENT)),
]


@pytest.mark.parametrize(("name", "fields", "expected"), STANDS_FOR)
def test_a_listed_object_stands_for_the_event_that_says_the_most_of_it_at_the_time_that_it_states(
    name: str, fields: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    event = listed_event(record_of({"id": "x_1", "object": name, **fields}, Level.HISTORY, MOMENT, livemode=True))
    assert (None if event is None else (event.type, event.created)) == expected
