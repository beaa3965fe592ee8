"""The audit names each fault that is put into a business, by its object and its reason, and only that."""

from __future__ import annotations

import json
from copy import deepcopy, replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.auditing.books import books_of
from stripe_to_segment.auditing.circumstances import Circumstances, Letter
from stripe_to_segment.auditing.comparing import audit
from stripe_to_segment.auditing.comparison import month_of
from stripe_to_segment.auditing.findings import Cause, Kind
from stripe_to_segment.auditing.truth import Truth
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.profile import new_profile
from tests.simulator.imported import listed
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
    an_intent,
    an_invoice,
    an_item,
)
from tests.unit.worlds import ACCEPTED, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.auditing.findings import Report
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

type Json = dict[str, Any]
BEGAN, LATER = NOW - 50 * DAY, NOW + 5 * DAY
CUSTOMER = "own:test:cus_basic"
AN_INQUIRY = a_dispute(payment_intent="pi_alone", charge="ch_a", status="warning_needs_response")


def a_business() -> dict[str, StripeEvent]:
    """A subscription with its invoice, a session with a refund, an intent with a dispute; by a name for each event."""
    made = {"created": NOW - 10 * DAY}
    paid = {"status": "paid", "status_transitions": {"paid_at": NOW}}
    joined = {
        "id": "inpay_1",
        "object": "invoice_payment",
        "invoice": "in_basic",
        "amount_paid": 2000,
        "currency": "usd",
    }
    joined |= {"is_default": True, "status": "paid", "payment": {"type": "payment_intent", "payment_intent": "pi_inv"}}
    money = {"currency": "usd", "amount": 5000}
    return {
        "customer": an_event("customer.created", a_customer(metadata={"user_id": "jo"})),
        "subscription": an_event("customer.subscription.created", a_subscription(**made)),
        "joined": an_event("invoice_payment.paid", joined),
        "invoice": an_event("invoice.paid", an_invoice(**paid, created=NOW)),
        "session": an_event("checkout.session.completed", a_session(payment_intent="pi_basic", created=NOW)),
        "refund": an_event("refund.created", a_refund(amount=1500, customer="cus_basic")),
        "intent": an_event("payment_intent.succeeded", an_intent(id="pi_alone", **money)),
        "dispute": an_event("charge.dispute.created", a_dispute(payment_intent="pi_alone", charge="ch_a")),
        "withdrawn": an_event("charge.dispute.funds_withdrawn", a_dispute(payment_intent="pi_alone", charge="ch_a")),
    }


@dataclass
class Case:
    """A business of which everything was delivered, until a fault changes that."""

    events: dict[str, StripeEvent] = field(default_factory=a_business)
    lost: set[str] = field(default_factory=set)
    settings: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Meaning] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    circumstances: Json = field(default_factory=dict)
    objects: dict[str, Json] = field(default_factory=dict)
    stored: Callable[[dict[str, Profile]], object] = lambda _: None
    began: int = BEGAN
    month: str = ""

    def audited(self) -> Report:
        """Deliver, and audit."""
        given: Any = self.settings
        world = World(**given)
        store: Any = world.store
        world.answer = self._answer
        objects = {one["id"]: one for one in listed([event.body for event in self.events.values()], 10**10)}
        moment = NOW - 1
        for name, event in self.events.items():
            if name in self.imported:
                data = objects[event.object["id"]]
                record = {"object": "stripe_to_segment.import", "level": "state", "moment": moment, "livemode": False}
                world.batch(json.dumps({**record, "data": data}))
            elif name not in self.lost:
                world.batch(event)
        self.stored(store.profiles)
        truth = Truth(livemode=False, moment=LATER)
        for name, changed in self.objects.items():
            objects[name] = {**objects.get(name, {}), **changed}
        for one in objects.values():
            truth.take(one)
        truth.close()
        circumstances = Circumstances(world.settings, livemode=False, now=LATER, began=self.began, **self.circumstances)
        return audit(truth, store.profiles.values(), store.known_receipts, circumstances, self.month)

    def _answer(self, call: Call) -> Answer:
        meaning = self.answers.get(str(call.body.get("event")))
        return ACCEPTED if meaning is None else Answer(meaning, "http_400")


def named(report: Report) -> set[tuple[str, str, str]]:
    return {(one.cause, one.kind, one.id) for one in report.findings}


def both(cause: Cause, name: str = "sub_basic") -> set[tuple[Cause, Kind, str]]:
    """A subscription is missing twice: its mrr, and as one of the live ones."""
    return {(cause, Kind.MRR, name), (cause, Kind.SUBSCRIPTIONS, name)}


def changed(profiles: dict[str, Profile], **changes: Any) -> None:
    profiles[CUSTOMER] = replace(profiles[CUSTOMER], **changes)


def with_payment(**changes: Any) -> Callable[[dict[str, Profile]], None]:
    def change(profiles: dict[str, Profile]) -> None:
        payment = profiles[CUSTOMER].payment("in_basic")
        assert payment is not None
        profiles[CUSTOMER] = profiles[CUSTOMER].with_payment("in_basic", replace(payment, **changes))

    return change


def a_letter(kind: str, *ids: str) -> Json:
    return {"letters": (Letter(kind, frozenset(ids)),)}


def a_stranger(profiles: dict[str, Profile]) -> None:
    payment = profiles[CUSTOMER].payment("in_basic")
    assert payment is not None
    profiles[CUSTOMER] = profiles[CUSTOMER].with_payment("in_of_nobody", payment)


def updated(**more: Any) -> dict[str, StripeEvent]:
    """An update of the subscription, which then is lost."""
    body = a_subscription(created=NOW - 10 * DAY, **more)
    return {**a_business(), "update": an_event("customer.subscription.updated", body, created=NOW + DAY)}


def paused() -> dict[str, StripeEvent]:
    """A pause on request, which two events state; the second one carries the change of the mrr."""
    body = a_subscription(created=NOW - 10 * DAY, status="paused")
    update = an_event("customer.subscription.updated", body, created=NOW + DAY, previous={"status": "active"})
    pause = an_event("customer.subscription.paused", body, created=NOW + DAY)
    return {**a_business(), "update": update, "pause": pause}


def attached() -> dict[str, StripeEvent]:
    """The intent was attached to an invoice that was paid a day later, and the event that says so comes last."""
    part = {"id": "inpay_2", "object": "invoice_payment", "invoice": "in_later", "amount_paid": 5000, "currency": "usd"}
    part |= {"is_default": False, "payment": {"type": "payment_intent", "payment_intent": "pi_alone"}}
    paid = {"status": "paid", "status_transitions": {"paid_at": NOW + DAY}, "billing_reason": "manual", "parent": None}
    later = an_invoice(id="in_later", total=7000, amount_paid=7000, total_taxes=[], **paid)
    return {
        **a_business(),
        "later": an_event("invoice.paid", later, created=NOW + DAY),
        "attached": an_event("invoice_payment.paid", part, created=NOW + DAY),
    }


TWO_SEATS = {"items": {"data": [an_item(quantity=2)], "object": "list", "has_more": False}}
TIERED = a_price(None, billing_scheme="tiered", unit_amount_decimal=None)
TIERED_WITH_TERMS = {
    **TIERED,
    "tiers": [{"flat_amount": None, "unit_amount": 900, "up_to": None}],
    "tiers_mode": "volume",
}
OPTED_OUT = an_event("customer.created", a_customer(metadata={"user_id": "jo", "analytics_opt_out": "true"}))
FAILED = {"re_1": {"status": "failed"}}
MONEY = {
    (Kind.PAYMENTS, "in_basic"),
    (Kind.PAYMENTS, "pi_basic"),
    (Kind.PAYMENTS, "pi_alone"),
    (Kind.REFUNDS, "re_1"),
    (Kind.DISPUTES, "dp_1"),
}
PAID = Kind.PAYMENTS

FAULTS: dict[str, tuple[Case, set[tuple[Any, Any, str]]]] = {
    "a payment never came": (Case(lost={"invoice", "joined"}), {(Cause.NEVER_CAME, PAID, "in_basic")}),
    "a payment waits in the queue": (
        Case(lost={"invoice", "joined"}, circumstances={"waiting": True}),
        {(Cause.WAITS, PAID, "in_basic")},
    ),
    "a payment is a dead letter": (
        Case(lost={"intent", "dispute", "withdrawn"}, circumstances=a_letter("payment_intent.succeeded", "pi_alone")),
        {(Cause.DEAD_LETTER, PAID, "pi_alone"), (Cause.NEVER_CAME, Kind.DISPUTES, "dp_1")},
    ),
    "another event of the object is a dead letter": (
        Case(lost={"invoice", "joined"}, circumstances=a_letter("invoice.payment_failed", "in_basic")),
        {(Cause.NEVER_CAME, PAID, "in_basic")},
    ),
    "a setting drops payments": (
        Case(settings={"DROP_EVENTS": "Order Refunded"}),
        {(Cause.DROPPED, Kind.REFUNDS, "re_1")},
    ),
    "a setting drops the start of subscriptions": (
        Case(settings={"DROP_EVENTS": "Subscription Created,Subscription Imported"}),
        {(Cause.DROPPED, Kind.MRR, "sub_basic")},
    ),
    "the person has opted out": (
        Case(events={**a_business(), "customer": OPTED_OUT}),
        {*((Cause.OPTED_OUT, *each) for each in MONEY), *both(Cause.OPTED_OUT)},
    ),
    "nobody knows the user, and such events are skipped": (
        Case(
            events={**a_business(), "customer": an_event("customer.created", a_customer())},
            settings={"UNKNOWN_USER_POLICY": "skip"},
        ),
        {*((Cause.UNKNOWN_USER, *each) for each in MONEY), *both(Cause.UNKNOWN_USER)},
    ),
    "what is older than the stack was not imported": (
        Case(lost={*a_business()}, began=NOW + DAY),
        {*((Cause.NOT_IMPORTED, *each) for each in MONEY), *both(Cause.NOT_IMPORTED)},
    ),
    "an import has listed it in silence": (
        Case(imported={*a_business()} - {"joined", "withdrawn"}, lost={"joined", "withdrawn"}),
        {*((Cause.IMPORTED, *each) for each in MONEY), *both(Cause.IMPORTED)},
    ),
    # The record kept no inquiry of an import, because no funds had moved: the audit asked for the import once more.
    "an import has listed an inquiry in silence": (
        Case(
            events={**a_business(), "dispute": an_event("charge.dispute.created", AN_INQUIRY)},
            imported={"dispute"},
            lost={"withdrawn"},
        ),
        {(Cause.IMPORTED, Kind.DISPUTES, "dp_1")},
    ),
    # Only what was sent of a subscription tells: the record has the new mrr by then.
    "an import has listed a change of which no event came": (
        Case(
            events={
                **updated(**TWO_SEATS),
                "subscription": an_event(
                    "customer.subscription.created", a_subscription(created=NOW - 10 * DAY), created=NOW - 10 * DAY
                ),
            },
            imported={"update"},
        ),
        {(Cause.IMPORTED, Kind.MRR, "sub_basic")},
    ),
    "the event of a pause never came, after the update that says the same": (
        Case(events=paused(), lost={"pause"}),
        {(Cause.NEVER_CAME, Kind.MRR, "sub_basic")},
    ),
    "the event of a pause waits, after the update that says the same": (
        Case(events=paused(), lost={"pause"}, circumstances={"waiting": True}),
        {(Cause.WAITS, Kind.MRR, "sub_basic")},
    ),
    "Segment does not answer": (
        Case(answers={"Order Refunded": Meaning.RETRY}),
        {(Cause.WAITS, Kind.REFUNDS, "re_1")},
    ),
    "Segment refuses a call": (
        Case(answers={"Payment Disputed": Meaning.REFUSED}),
        {(Cause.REFUSED, Kind.DISPUTES, "dp_1")},
    ),
    "a refund never came": (Case(lost={"refund"}), {(Cause.NEVER_CAME, Kind.REFUNDS, "re_1")}),
    "that a refund failed never came": (Case(objects=FAILED), {(Cause.NEVER_CAME, Kind.REFUNDS, "re_1")}),
    "that a refund failed is a dead letter": (
        Case(objects=FAILED, circumstances=a_letter("refund.failed", "re_1")),
        {(Cause.DEAD_LETTER, Kind.REFUNDS, "re_1")},
    ),
    "a dispute never came": (
        Case(lost={"dispute", "withdrawn"}),
        {(Cause.NEVER_CAME, Kind.DISPUTES, "dp_1")},
    ),
    "only the opening of a dispute never came": (
        Case(lost={"dispute"}),
        {(Cause.NEVER_CAME, Kind.DISPUTES, "dp_1")},
    ),
    "that a dispute was won never came": (
        Case(objects={"dp_1": {"status": "won", "balance_transactions": []}}),
        {(Cause.NEVER_CAME, Kind.DISPUTES, "dp_1")},
    ),
    # The audit took the funds of every dispute for withdrawn that was neither won nor an inquiry.
    "no fault: a dispute that was prevented moved no funds": (
        Case(lost={"withdrawn"}, objects={"dp_1": {"status": "prevented", "balance_transactions": []}}),
        set(),
    ),
    "a subscription never came": (Case(lost={"subscription"}), both(Cause.NEVER_CAME)),
    "an upgrade never came": (
        Case(events=updated(**TWO_SEATS), lost={"update"}),
        {(Cause.NEVER_CAME, Kind.MRR, "sub_basic")},
    ),
    "the record has another mrr of the same terms": (
        Case(stored=lambda profiles: changed(profiles, subscriptions=cheaper(profiles[CUSTOMER]))),
        {(Cause.UNEXPLAINED, Kind.MRR, "sub_basic")},
    ),
    "the end of a subscription waits": (
        Case(
            objects={"sub_basic": {"status": "canceled", "ended_at": NOW + DAY, "canceled_at": NOW + DAY}},
            circumstances={"waiting": True},
        ),
        both(Cause.WAITS),
    ),
    "the API version hides the price": (
        Case(
            events={
                **a_business(),
                "subscription": an_event(
                    "customer.subscription.created", a_subscription(an_item(TIERED, 3), created=NOW - 10 * DAY)
                ),
            },
            objects={
                "sub_basic": {
                    "items": {"data": [an_item(TIERED_WITH_TERMS, 3)], "object": "list", "has_more": False},
                }
            },
        ),
        {(Cause.HIDDEN, Kind.MRR, "sub_basic")},
    ),
    "a newer release wrote the record": (
        Case(lost={*a_business()}, circumstances={"unreadable": frozenset({CUSTOMER})}),
        {*((Cause.UNREADABLE, *each) for each in MONEY), *both(Cause.UNREADABLE)},
    ),
    "the stack refuses the mode": (
        Case(lost={*a_business()}, settings={"STRIPE_MODE": "live"}),
        {*((Cause.OTHER_MODE, *each) for each in MONEY), *both(Cause.OTHER_MODE)},
    ),
    "the record has expired": (
        Case(
            events={"session": an_event("checkout.session.completed", a_session(), created=NOW - 1500 * DAY)},
            lost={"session"},
            began=NOW - 1900 * DAY,
        ),
        {(Cause.EXPIRED, PAID, "pi_basic")},
    ),
    "it was sent by a release that kept no sums": (
        Case(stored=lambda profiles: changed(profiles, summed=NOW // DAY, sent={})),
        {*((Cause.BEFORE_SUMS, *each) for each in MONEY), (Cause.BEFORE_SUMS, Kind.MRR, "sub_basic")},
    ),
    "the record remembers another amount": (
        Case(stored=with_payment(total=1999)),
        {(Cause.UNEXPLAINED, PAID, "in_basic")},
    ),
    "the record remembers another currency": (
        Case(stored=with_payment(currency="eur")),
        {(Cause.UNEXPLAINED, PAID, "in_basic")},
    ),
    "the record of a subscription is in another currency": (
        Case(stored=lambda profiles: changed(profiles, subscriptions=in_euros(profiles[CUSTOMER]))),
        {*both(Cause.UNEXPLAINED), (Cause.UNEXPLAINED, Kind.MRR, "cus_basic")},
    ),
    "less was sent than is remembered": (
        Case(stored=lambda profiles: changed(profiles, sent=less(profiles[CUSTOMER].sent))),
        {(Cause.UNEXPLAINED, PAID, "cus_basic")},
    ),
    "a purchase and its invoice were sent before the event that joins them": (
        Case(events=attached()),
        {(Cause.STATED_TWICE, PAID, "pi_alone")},
    ),
    "the event that joins a purchase and its invoice never came": (
        Case(events=attached(), lost={"attached"}),
        {(Cause.STATED_TWICE, PAID, "in_later")},
    ),
    "the record has a payment that Stripe has not": (
        Case(stored=a_stranger),
        {(Cause.UNEXPLAINED, PAID, "in_of_nobody")},
    ),
}


def cheaper(profile: Profile) -> dict[str, Any]:
    return {name: replace(record, mrr=1900) for name, record in profile.subscriptions.items()}


def in_euros(profile: Profile) -> dict[str, Any]:
    return {name: replace(record, currency="eur") for name, record in profile.subscriptions.items()}


def less(sent: Any) -> dict[str, list[int]]:
    """One cent less of the payments."""
    return {name: [row[0] - 1, *row[1:]] for name, row in sent.items()}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_and_no_other(fault: str) -> None:
    case, expected = FAULTS[fault]
    report = deepcopy(case).audited()
    assert named(report) == expected
    assert bool(report.unexplained) is any(cause is Cause.UNEXPLAINED for cause, _, _ in expected)
    assert all(row.unexplained == 0 for row in report.rows.values()) or report.unexplained


def test_a_call_with_a_time_in_another_month_is_named_and_no_loss() -> None:
    """Stripe made the refund in the last second of a month, and its event in the first of the next."""
    last = month_of(NOW - 40 * DAY)
    case = Case(objects={"re_1": {"created": NOW - 40 * DAY}}, month=last)
    report = case.audited()
    assert named(report) == {(Cause.OTHER_MONTH, Kind.REFUNDS, "cus_basic")}
    assert report.row(Kind.REFUNDS, "usd").difference == 1_500
    assert report.unexplained == []
    assert named(replace(case, month="").audited()) == set()


@pytest.mark.parametrize("lost", [set(), {"attached"}], ids=["came late", "never came"])
def test_a_purchase_that_was_sent_twice_is_named_in_the_month_of_its_invoice(lost: set[str]) -> None:
    """An attached payment is none of the objects by its own id, and so was in no month at all."""
    case = Case(events=attached(), lost=lost)
    assert named(replace(case, month=month_of(NOW + DAY)).audited()) == named(case.audited()) != set()


def test_a_clean_business_has_no_difference() -> None:
    report = Case().audited()
    assert report.findings == []
    sums = {(kind, code): (row.stripe, row.sent, row.remembered) for (kind, code), row in report.rows.items()}
    assert sums == {
        (Kind.PAYMENTS, "usd"): (12_000, 12_000, 12_000),
        (Kind.REFUNDS, "usd"): (1_500, 1_500, 1_500),
        (Kind.DISPUTES, "usd"): (5_000, 5_000, 5_000),
        (Kind.MRR, "usd"): (2_000, 2_000, 2_000),
        (Kind.SUBSCRIPTIONS, "usd"): (1, 1, 1),
    }


def test_twenty_kinds_of_fault_are_tried() -> None:
    assert len(FAULTS) >= 20
    assert {cause for _, expected in FAULTS.values() for cause, _, _ in expected} == {*Cause} - {
        Cause.OTHER_MONTH,
        Cause.ENRICH,
        Cause.NO_KEY,
    }


def test_records_that_have_taken_over_each_other_are_audited_each_for_itself() -> None:
    """The audit followed them round and round, and never ended."""
    one, two, three = (replace(new_profile(key), moved_to=taker) for key, taker in (("1", "2"), ("2", "1"), ("3", "1")))
    books = books_of([one, two, three], {}, 20_000)
    assert {book.key for book in books} == {"1", "2", "3"}
