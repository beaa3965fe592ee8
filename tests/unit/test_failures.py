"""A failed payment is sent once for each attempt, with its failure code, whichever of Stripe's objects state it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.state.failed_attempt import FailedAttempt
from stripe_to_segment.state.profile import FAILED_ATTEMPTS, Profile
from stripe_to_segment.stripe_side.failure import Failure, failure_of
from tests.unit.shapes import DAY, NOW, a_session, an_event, an_invoice
from tests.unit.worlds import World, names, told

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

INSUFFICIENT = {
    "charge": "ch_failed",
    "code": "card_declined",
    "decline_code": "insufficient_funds",
    "message": "Your card has insufficient funds, Jo.",
    "payment_method": {"id": "pm_1", "object": "payment_method", "type": "card", "card": {"brand": "visa"}},
    "type": "card_error",
}
WHY = {
    "failure_code": "card_declined",
    "decline_code": "insufficient_funds",
    "failure_message": "insufficient funds",
    "payment_method_type": "card",
    "card_brand": "visa",
}


def a_failed_intent(**more: Any) -> dict[str, Any]:
    """A PaymentIntent whose payment failed, as it is since 2025-03-31."""
    return {
        "id": "pi_basic",
        "object": "payment_intent",
        "amount": 2000,
        "amount_received": 0,
        "currency": "usd",
        "customer": "cus_basic",
        "last_payment_error": INSUFFICIENT,
        "latest_charge": "ch_failed",
        "metadata": {},
        "payment_method_types": ["card", "sepa_debit"],
        "status": "requires_payment_method",
    } | more


def of_intent(created: int = NOW, **more: Any) -> StripeEvent:
    return an_event("payment_intent.payment_failed", a_failed_intent(**more), created=created)


def of_invoice(created: int = NOW, **more: Any) -> StripeEvent:
    invoice = an_invoice(**{"amount_paid": 0, "status": "open", **more})
    return an_event("invoice.payment_failed", invoice, created=created)


def of_session(created: int = NOW, **more: Any) -> StripeEvent:
    session = a_session(**{"amount_total": 2000, "payment_status": "unpaid", **more})
    return an_event("checkout.session.async_payment_failed", session, created=created)


SUBSCRIBED: dict[str, Any] = {"mode": "subscription", "subscription": "sub_basic", "payment_intent": None}
ORDERED: dict[str, Any] = {"payment_details": {"customer_reference": None, "order_reference": "in_basic"}}


# --- Payments without an invoice ---


def test_a_failed_payment_without_an_invoice_says_why() -> None:
    facts = World().tracks(of_intent())
    assert facts == {"Payment Failed": {"order_id": "pi_basic", "value": 20, "currency": "USD", **WHY}}


def test_each_attempt_at_a_payment_is_sent() -> None:
    world = World()
    for number in range(3):
        error = {**INSUFFICIENT, "charge": f"ch_{number}"}
        event = of_intent(NOW + number, last_payment_error=error, latest_charge=f"ch_{number}")
        world.deliver(event, event)
    assert names(world.calls) == ["Payment Failed"] * 3


def test_a_guests_failed_payment_has_the_anonymous_id_of_its_session() -> None:
    """A guest whose card was declined before the payment would have been two visitors."""
    reference: dict[str, Any] = {"payment_details": {"order_reference": "cs_test_basic"}}
    world = World()
    world.deliver(
        of_intent(customer=None, **reference), an_event("checkout.session.completed", a_session(customer=None))
    )
    assert {call["anonymousId"] for call in world.calls} == {"cs_test_basic"}
    assert world.calls[0]["properties"]["checkout_id"] == "cs_test_basic"


def test_a_reference_of_the_merchants_own_is_no_session() -> None:
    (call,) = World().deliver(of_intent(payment_details={"order_reference": "order-4711"}))
    assert "checkout_id" not in call["properties"]


# --- Why ---


@pytest.mark.parametrize(
    ("intent", "why"),
    [
        ({"last_payment_error": INSUFFICIENT}, Failure("card_declined", "insufficient_funds", "card", "visa")),
        (
            {
                "last_payment_error": {
                    "code": "",
                    "decline_code": "generic_decline",
                    "payment_method": {"type": "sepa_debit"},
                }
            },
            Failure(None, "generic_decline", "sepa_debit", None),
        ),
        (
            {"last_payment_error": {"code": "payment_intent_payment_attempt_failed"}, "payment_method_types": ["card"]},
            Failure("payment_intent_payment_attempt_failed", None, "card", None),
        ),
        (
            {
                "last_payment_error": None,
                "charges": {
                    "data": [
                        {
                            "failure_code": "card_declined",
                            "outcome": {"reason": "do_not_honor", "seller_message": "The bank said no."},
                            "payment_method_details": {"type": "card", "card": {"brand": "amex"}},
                        }
                    ]
                },
            },
            Failure("card_declined", "do_not_honor", "card", "amex"),
        ),
        (
            {
                "last_payment_error": None,
                "latest_charge": {"failure_code": "expired_card", "payment_method_details": {"type": "card"}},
            },
            Failure("expired_card", None, "card", None),
        ),
        (
            {
                "last_payment_error": {
                    "code": "card_declined",
                    "decline_code": "insufficient_funds",
                    "payment_method": {"type": "card_present", "card_present": {"brand": "mastercard"}},
                }
            },
            Failure("card_declined", "insufficient_funds", "card_present", "mastercard"),
        ),
        (
            {
                "last_payment_error": None,
                "latest_charge": {
                    "failure_code": "card_declined",
                    "payment_method_details": {"type": "interac_present", "interac_present": {"brand": "interac"}},
                },
            },
            Failure("card_declined", None, "interac_present", "interac"),
        ),
        (
            {
                "last_payment_error": {
                    "code": "card_declined",
                    "decline_code": "do_not_honor",
                    "source": {"id": "card_1", "object": "card", "brand": "American Express", "name": "Jo Example"},
                }
            },
            Failure("card_declined", "do_not_honor", "card", "amex"),
        ),
        (
            {
                "last_payment_error": {
                    "code": "card_declined",
                    "source": {"id": "src_1", "object": "source", "type": "card", "card": {"brand": "MasterCard"}},
                },
                "payment_method_types": ["card", "sepa_debit"],
            },
            Failure("card_declined", None, "card", "mastercard"),
        ),
        ({"last_payment_error": None, "payment_method_types": ["card", "sepa_debit"]}, Failure()),
        ({"last_payment_error": {"code": "No money, says Jo Example", "decline_code": 7}}, Failure()),
    ],
    ids=[
        "today",
        "sepa",
        "no method",
        "before 2022-11-15",
        "expanded charge",
        "reader",
        "Interac",
        "saved card",
        "source",
        "unknown",
        "no code words",
    ],
)
def test_the_failure_code_is_read_from_each_place(intent: Any, why: Failure) -> None:
    assert failure_of(intent) == why


def test_no_message_of_stripe_is_sent() -> None:
    """What Stripe says to the customer may name the customer; code words cannot."""
    world = World()
    world.deliver(of_intent())
    assert "Jo." not in str(world.calls)


def test_the_invoice_states_the_failure_and_its_intent_the_code() -> None:
    world = World()
    assert world.deliver(of_intent(**ORDERED)) == []
    told = world.tracks(of_invoice())["Payment Failed"]
    assert told.items() >= {"invoice_id": "in_basic", "attempt_count": 1, **WHY}.items()


def test_within_a_batch_the_intent_gives_the_code_in_any_order() -> None:
    world = World()
    world.batch(of_invoice(), of_intent(**ORDERED))
    (call,) = world.calls
    assert call["properties"].items() >= {"invoice_id": "in_basic", **WHY}.items()


def test_a_retry_does_not_fail_for_the_reason_of_the_attempt_before() -> None:
    world = World()
    world.deliver(of_intent(**ORDERED), of_invoice())
    later = world.tracks(of_invoice(NOW + 3 * DAY, attempt_count=2))["Payment Failed"]
    assert "failure_code" not in later


def test_before_2025_the_intent_names_its_invoice_itself() -> None:
    world = World()
    world.deliver(of_intent(invoice="in_basic"), of_invoice(payment_intent="pi_basic"))
    (call,) = world.calls
    assert (call["properties"]["invoice_id"], call["properties"]["decline_code"]) == ("in_basic", "insufficient_funds")


def test_an_expanded_charge_or_intent_of_an_invoice_says_why() -> None:
    charge = {"id": "ch_1", "failure_code": "expired_card", "payment_method_details": {"type": "card"}}
    intent = a_failed_intent(id="pi_1")
    by_charge = World().tracks(of_invoice(charge=charge))["Payment Failed"]
    assert (by_charge["failure_code"], by_charge["payment_method_type"]) == ("expired_card", "card")
    by_intent = World().tracks(of_invoice(payment_intent=intent))["Payment Failed"]
    assert by_intent["decline_code"] == "insufficient_funds"


# --- One bank debit, sent once ---

DEBITS = {
    "a subscription's checkout": [of_session(**SUBSCRIBED, invoice="in_basic"), of_invoice(), of_intent(**ORDERED)],
    "a subscription's checkout, without ids": [of_session(**SUBSCRIBED), of_invoice(), of_intent()],
    "before 2025": [
        of_session(**SUBSCRIBED),
        of_invoice(payment_intent="pi_basic", parent=None, subscription="sub_basic"),
        of_intent(invoice="in_basic"),
    ],
    "some seconds apart": [of_session(NOW + 7, **SUBSCRIBED), of_invoice(NOW + 2), of_intent(NOW)],
    "a subscription's checkout that its intent names": [
        of_session(**SUBSCRIBED, invoice="in_basic"),
        of_invoice(),
        of_intent(payment_details={"order_reference": "cs_test_basic"}),
    ],
    "an invoice whose intent names a checkout": [
        of_invoice(),
        of_intent(payment_details={"order_reference": "cs_test_basic"}),
    ],
    "a one-time checkout": [of_session(), of_intent(payment_details={"order_reference": "cs_test_basic"})],
    "a one-time checkout of 2025": [of_session(), of_intent()],
    "an invoice of 2025": [of_invoice(parent=None, lines={"data": []}), of_intent()],
}


@pytest.mark.parametrize("events", DEBITS.values(), ids=DEBITS)
@given(data=st.data())
def test_one_bank_debit_that_fails_is_one_payment_failed(events: list[StripeEvent], data: st.DataObject) -> None:
    """In whatever order, however often and in whichever batches the session, the invoice and the intent say so."""
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))
    shuffled = data.draw(st.permutations([*events, *again]))
    cuts = data.draw(st.integers(1, len(shuffled)))
    world = World()
    for batch in itertools.batched(shuffled, cuts, strict=False):
        world.batch(*batch)
    assert names(world.calls) == ["Payment Failed"]


@pytest.mark.parametrize("events", DEBITS.values(), ids=DEBITS)
@given(data=st.data())
def test_without_a_key_an_attempt_waits_for_the_event_that_says_why_it_failed(
    events: list[StripeEvent], data: st.DataObject
) -> None:
    """An invoice that came in a batch before its intent did not say why, though the intent said so a second later."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = world.queued_at = NOW + 10
    for event in data.draw(st.permutations(events)):
        world.batch(event)
    world.batch(*events)
    (failed,) = told(world, "Payment Failed")
    assert failed.items() >= WHY.items()


def test_a_subscriptions_failure_that_waits_is_stated_by_its_invoice() -> None:
    """Also where only amount and time say that the intent is the invoice's."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = world.queued_at = NOW + 10
    world.batch(of_invoice())
    assert names(world.calls) == []
    world.batch(of_intent())
    world.batch(of_invoice())
    (failed,) = told(world, "Payment Failed")
    assert (failed["order_id"], failed["subscription_id"], failed["decline_code"]) == (
        "in_basic",
        "sub_basic",
        "insufficient_funds",
    )


def test_a_session_that_waits_is_named_by_the_intent_that_says_why() -> None:
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = world.queued_at = NOW + 10
    world.batch(of_session())
    world.batch(of_intent())
    (failed,) = told(world, "Payment Failed")
    assert (failed["order_id"], failed["checkout_id"]) == ("pi_basic", "cs_test_basic")


@pytest.mark.parametrize(
    "event",
    [of_invoice(charge={"id": "ch_1", "failure_code": "expired_card"}), of_invoice(charge="ch_1"), of_intent()],
    ids=["says why", "a charge without an intent", "the intent"],
)
def test_a_failure_that_no_other_event_explains_does_not_wait(event: StripeEvent) -> None:
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = world.queued_at = NOW + 10
    world.batch(event)
    assert names(world.calls) == ["Payment Failed"]


def test_a_failure_of_which_nothing_says_why_is_sent_after_the_hold() -> None:
    world = World(PAYMENT_HOLD_SECONDS="300")
    event = of_invoice()
    world.now = world.queued_at = NOW + 10
    world.batch(event)
    world.now += 300
    world.batch(event)
    assert names(world.calls) == ["Payment Failed"]


@given(order=st.permutations(range(4)))
def test_two_invoices_that_fail_at_once_for_the_same_amount_are_two(order: list[int]) -> None:
    """Two subscriptions of one customer renew in the same second, on the same card."""
    other = {"type": "subscription_details", "subscription_details": {"subscription": "sub_2", "metadata": {}}}
    line = {"id": "il_2", "amount": 2000}
    events = [
        of_invoice(),
        of_invoice(id="in_2", parent=other, lines={"data": [line]}),
        of_intent(),
        of_intent(id="pi_2", latest_charge="ch_2", last_payment_error={**INSUFFICIENT, "charge": "ch_2"}),
    ]
    world = World()
    world.deliver(*[events[place] for place in order])
    assert names(world.calls) == ["Payment Failed"] * 2


@given(data=st.data())
def test_every_retry_of_an_invoice_is_sent(data: st.DataObject) -> None:
    """Each attempt is stated twice, by the invoice and by its intent; with ids and without them."""
    named = data.draw(st.booleans())
    events = [
        event
        for number, days in enumerate((0, 3, 8), 1)
        for event in (
            of_invoice(NOW + days * DAY, attempt_count=number),
            of_intent(
                NOW + days * DAY,
                latest_charge=f"ch_{number}",
                last_payment_error={**INSUFFICIENT, "charge": f"ch_{number}"},
                **(ORDERED if named else {}),
            ),
        )
    ]
    world = World()
    world.deliver(*data.draw(st.permutations(events)))
    assert names(world.calls) == ["Payment Failed"] * 3


def test_a_card_declined_in_checkout_is_no_part_of_the_debit_that_fails_days_later() -> None:
    ordered: dict[str, Any] = {"payment_details": {"order_reference": "cs_test_basic"}}
    debit = {"charge": "py_1", "code": "debit_not_authorized", "payment_method": {"type": "sepa_debit"}}
    world = World()
    world.deliver(
        of_intent(**ordered),
        an_event("checkout.session.completed", a_session(payment_status="unpaid"), created=NOW + 60),
        of_session(NOW + 5 * DAY),
        of_intent(NOW + 5 * DAY, last_payment_error=debit, latest_charge="py_1", **ordered),
    )
    assert names(world.calls).count("Payment Failed") == 2


def test_a_payment_of_another_amount_is_another_failure() -> None:
    world = World()
    world.deliver(of_invoice(), of_intent(amount=900))
    assert names(world.calls) == ["Payment Failed"] * 2


@given(order=st.permutations(range(2)))
def test_a_failed_attempt_at_the_rest_of_an_invoice_is_one_failure_of_the_rest(order: list[int]) -> None:
    """The invoice states what was due in all, its intent the rest: one attempt was two failures of two amounts."""
    rest: dict[str, Any] = {"total": 12_000, "amount_due": 12_000, "amount_paid": 5000, "amount_remaining": 7000}
    events = [of_invoice(**rest), of_intent(amount=7000)]
    world = World()
    world.deliver(*[events[place] for place in order])
    (failed,) = told(world, "Payment Failed")
    assert failed["value"] == 70


def test_what_is_to_be_confirmed_is_the_rest_of_an_invoice() -> None:
    rest = an_invoice(total=12_000, amount_paid=5000, status="open")
    facts = World().tracks(an_event("invoice.payment_action_required", rest))
    assert facts["Payment Action Required"]["value"] == 70


def test_calls_sent_again_after_an_outage_are_unchanged() -> None:
    """The session's call may have arrived; the intent has more data, but must not send the call with other content."""
    world = World()
    world.batch(of_session())
    (first,) = world.calls
    (profile,) = world.profiles.values()
    assert profile.failed
    world.deliver(of_intent())
    assert [call["messageId"] for call in world.calls] == [first["messageId"]]


# --- What is remembered ---


def test_an_attempt_is_stored_and_read_back() -> None:
    attempt = FailedAttempt(
        "in_1", ("in_1",), ("invoice",), ("in_1", "sub_1"), NOW, 2000, "usd", Failure("expired_card")
    )
    written = json.loads(json.dumps(Profile("key").with_failed_attempt(attempt).failed))
    assert list(Profile("key", failed=written).failed_attempts()) == [attempt]


def test_an_attempt_that_a_newer_release_has_stored_is_read_after_going_back_to_this_one() -> None:
    """The cause is stored as a list, and one with a field more than this release knows made the record unreadable."""
    attempt = FailedAttempt("in_1", ("in_1",), ("invoice",), (), NOW, 2000, "usd", Failure("expired_card"))
    written = {**attempt.written(), "why": [*attempt.why, "US"], "of_a_newer_release": 1}
    assert FailedAttempt.read(written) == attempt


def test_only_the_newest_attempts_are_remembered() -> None:
    profile = Profile("key")
    for number in range(FAILED_ATTEMPTS * 2):
        profile = profile.with_failed_attempt(
            FailedAttempt(f"{number}", (f"{number}",), ("invoice",), (), NOW - number, None, None)
        )
    assert [one.at for one in profile.failed_attempts()] == [NOW - number for number in range(FAILED_ATTEMPTS)][::-1]


# --- The Stripe API ---


class Reader:
    """An imitation of the API: the PaymentIntent behind an invoice, and the lookups made."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, wanted: Any) -> dict[Any, Any]:
        self.asked += [f"{lookup.kind} {lookup.id}" for lookup in wanted]
        payments = {"data": [{"status": "open", "payment": {"payment_intent": a_failed_intent()}}]}
        known: dict[str, Any] = {"failed_payment": payments, "payment_intent": a_failed_intent()}
        return {lookup: known.get(lookup.kind, {"id": lookup.id}) for lookup in wanted}


@pytest.mark.parametrize("hold", ["0", "300"])
def test_an_invoice_alone_is_asked_about_where_there_is_a_key(hold: str) -> None:
    reader = Reader()
    world = World(reader=reader, PAYMENT_HOLD_SECONDS=hold)
    told = world.tracks(of_invoice())["Payment Failed"]
    assert told.items() >= WHY.items()
    assert "failed_payment in_basic" in reader.asked


def test_a_code_that_the_intent_stated_is_not_looked_up() -> None:
    reader = Reader()
    World(reader=reader).deliver(of_intent(**ORDERED), of_invoice())
    assert "failed_payment in_basic" not in reader.asked


@pytest.mark.parametrize(
    ("session", "asks"), [({}, True), (SUBSCRIBED, False), ({"invoice": "in_basic"}, False)], ids=str
)
def test_a_session_without_an_invoice_is_asked_about_too(session: dict[str, Any], *, asks: bool) -> None:
    """Where the event of its intent had not come, it did not say why the debit failed."""
    reader = Reader()
    world = World(reader=reader)
    told = world.tracks(of_session(**session)).get("Payment Failed", {})
    assert ("payment_intent pi_basic" in reader.asked) is asks
    assert (told.items() >= WHY.items()) is asks


def test_a_session_that_said_why_and_its_intent_are_one_failure() -> None:
    world = World(reader=Reader())
    intent = of_intent(payment_details={"order_reference": "cs_test_basic"})
    world.deliver(of_session(), intent, of_session())
    assert names(world.calls).count("Payment Failed") == 1
