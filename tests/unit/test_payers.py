"""Refunds, disputes and partial payments name no customer: if the store does not know the payer, Stripe is asked
once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import record_of
from tests.unit.shapes import NOW, a_customer, a_dispute, a_refund, a_session, an_event, an_intent, an_invoice
from tests.unit.test_invoice_parts import finalized, part
from tests.unit.worlds import World, lifetime_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.stripe_side.objects import Lookup

TAXED = {"total": 12_000, "amount_due": 12_000, "total_taxes": [{"amount": 2000}], "status": "open", "amount_paid": 0}
TOLD: dict[tuple[str, str], dict[str, Any]] = {
    ("payment_intent", "pi_basic"): an_intent(),
    ("payment_intent", "pi_guest"): an_intent(customer=None),
    ("invoice", "in_basic"): an_invoice(**TAXED),
}
GONE_BACK = [
    an_event("refund.created", a_refund(), created=NOW),
    an_event("charge.dispute.created", a_dispute(), created=NOW),
]


class Api:
    """Answers from a table, and records the lookups."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def read(self, wanted: Iterable[Lookup]) -> Mapping[Lookup, JsonObject]:
        """What the table has of these."""
        every = [*wanted]
        self.asked += [(lookup.kind, lookup.id) for lookup in every]
        return {lookup: TOLD[lookup.kind, lookup.id] for lookup in every if (lookup.kind, lookup.id) in TOLD}

    def times(self, kind: str) -> int:
        """How often it was asked for one of a kind."""
        return sum(asked == kind for asked, _ in self.asked)


def strangers(world: World) -> set[object]:
    return {call.get("anonymousId") for call in world.calls}


@pytest.mark.parametrize("event", GONE_BACK, ids=lambda event: event.type)
def test_the_stripe_api_names_the_customer_of_a_payment(event: StripeEvent) -> None:
    """It was sent for an anonymous id, that of the refund, and never corrected."""
    api = Api()
    world = World(reader=api, PAYMENT_HOLD_SECONDS="300")
    world.now = NOW + 10
    assert [done.status for done in world.batch(event)] == [Status.WAITING], "the payment itself may come yet"
    world.now = NOW + 450
    world.batch(event)
    assert strangers(world) == {"cus_basic"}
    assert {call["properties"]["of_known_payment"] for call in world.calls if call["type"] == "track"} == {False}
    assert api.times("payment_intent") == 1, "and is not asked again for what was held"


def test_without_a_key_a_refund_waits_and_is_sent_with_an_anonymous_id() -> None:
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = NOW + 10
    assert [done.status for done in world.batch(*GONE_BACK)] == [Status.WAITING] * 2
    world.now = NOW + 450
    world.batch(*GONE_BACK)
    assert [call["properties"]["of_known_payment"] for call in world.calls] == [False, False]
    assert not any((who or "").startswith("cus_") for who in map(str, strangers(world)))


@pytest.mark.parametrize("payment", ["pi_guest", "pi_unheard"])
def test_without_a_customer_at_stripe_a_refund_is_sent_with_an_anonymous_id(payment: str) -> None:
    world = World(reader=Api())
    world.deliver(an_event("refund.created", a_refund(payment_intent=payment)))
    assert len(strangers(world)) == 1
    assert not str(*strangers(world)).startswith("cus_")


def test_a_stored_payer_or_a_guest_is_not_looked_up() -> None:
    api = Api()
    world = World(reader=api)
    world.deliver(an_event("checkout.session.completed", a_session()), *GONE_BACK)
    guest = a_session(id="cs_guest", customer=None, payment_intent="pi_guest")
    world.deliver(an_event("checkout.session.completed", guest))
    world.deliver(an_event("refund.created", a_refund(id="re_guest", payment_intent="pi_guest")))
    assert api.times("payment_intent") == 0


def test_events_of_one_payment_in_one_batch_cost_one_request() -> None:
    api = Api()
    World(reader=api).batch(*GONE_BACK)
    assert api.times("payment_intent") == 1


def test_a_dispute_in_one_batch_with_the_invoice_that_was_paid_is_its_customers() -> None:
    """The payment's invoice was known, and its customer only from the batch; or both came with the batch.

    The dispute was sent for an unknown customer, and once more when its event came again.
    """
    world = World()
    intent = an_intent(payment_details={"order_reference": "in_basic"})
    joined = {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_basic", "is_default": True}
    joined |= {"payment": {"type": "payment_intent", "payment_intent": "pi_basic"}}
    world.batch(an_event("payment_intent.succeeded", intent), an_event("invoice_payment.paid", joined))
    world.batch(an_event("invoice.paid", an_invoice()), an_event("charge.dispute.created", a_dispute()))
    assert strangers(world) == {"cus_basic"}
    world, disputed = World(), an_event("charge.dispute.created", a_dispute())
    world.batch(an_event("invoice.paid", an_invoice()), an_event("invoice_payment.paid", joined), disputed)
    world.batch(disputed)
    assert strangers(world) == {"cus_basic"}
    assert [call.get("event") for call in world.calls].count("Payment Disputed") == 1


def test_a_dispute_in_one_batch_with_the_listed_invoice_is_its_customers() -> None:
    """Only the list of its payments names what paid an invoice of an import: the dispute was kept apart for good."""
    paid = {"status": "paid", "payment": {"type": "payment_intent", "payment_intent": "pi_basic"}}
    invoice = an_invoice(payments={"object": "list", "data": [paid]}, created=NOW, status="paid")
    record = record_of(invoice, Level.STATE, NOW + 1, livemode=False)
    lost = an_event("charge.dispute.closed", a_dispute(status="lost", amount=2000), created=NOW)
    world = World()
    world.batch(json.dumps(record), lost)
    world.deliver(an_event("customer.updated", a_customer(metadata={"user_id": "user_1"}), created=NOW + 2))
    assert lifetime_value(world) == 0


def test_the_stripe_api_gives_the_customer_and_the_tax_of_a_partly_paid_invoice() -> None:
    api = Api()
    world = World(reader=api)
    world.deliver(part(1, 6000), part(2, 3000))
    told = [call["properties"]["revenue"] for call in world.calls if call["type"] == "track"]
    assert (told, strangers(world)) == ([50, 25], {"cus_basic"})
    assert {asked for asked in api.asked if asked[0] != "customer"} == {("invoice", "in_basic")}


def test_a_stored_or_fully_paid_invoice_is_not_looked_up() -> None:
    api = Api()
    world = World(reader=api)
    world.deliver(finalized(), part(1, 6000), part(2, 6000, default=True))
    World(reader=api).deliver(part(1, 12_000, default=True))
    assert api.times("invoice") == 0


class Orders(MemoryStore):
    """Records the keys of the orders that are written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write them."""
        self.written += [fact.key.rpartition(":")[2] for fact in learnt if fact.kind == "order"]
        return super().save(profiles, learnt, now)


PAID = an_event("invoice.paid", an_invoice(total=5000))
WHOLE = part(1, 5000, default=True)


@pytest.mark.parametrize("events", [(PAID, WHOLE), (WHOLE, PAID)], ids=["invoice first", "payment first"])
def test_one_order_names_the_payer_of_an_invoice_that_one_payment_has_paid_as_a_whole(
    events: tuple[StripeEvent, ...],
) -> None:
    store = Orders()
    world = World(store)
    world.batch(*events)
    assert store.written == ["pi_1"]
    world.batch(an_event("refund.created", a_refund(payment_intent="pi_1"), created=NOW + 9))
    world.batch(WHOLE, PAID)
    assert strangers(world) == {"cus_basic"}
    assert [call["properties"].get("revenue_refunded") for call in world.calls if call["type"] == "track"] == [None, 50]


@pytest.mark.parametrize("parts", [[part(1, 4500)], [], [part(1, 500), part(2, 4000)]], ids=["a part", "none", "two"])
def test_the_order_of_an_invoice_with_further_payments_names_their_payer(parts: list[StripeEvent]) -> None:
    store = Orders()
    world = World(store)
    world.batch(PAID, *parts)
    assert "in_basic" in store.written
    world.batch(part(3, 500))
    world.batch(an_event("refund.created", a_refund(payment_intent="pi_3"), created=NOW + 9))
    assert strangers(world) == {"cus_basic"}


class Overtaken(MemoryStore):
    """While a batch writes its records, another one delivers `others`."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[StripeEvent] = []

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write after the others."""
        others, self.others = self.others, []
        World(self).deliver(*others)
        return super().save(profiles, learnt, now)


def test_a_refund_whose_customer_becomes_known_while_it_is_written_is_that_customers() -> None:
    """On the second attempt it had the customer and still the record of the unknown payment.

    An identify showed the payment's lifetime value under an id that nobody joins.
    """
    store = Overtaken()
    world = World(store)
    world.deliver(part(1, 6000))
    store.others = [an_event("invoice.paid", an_invoice(total=6000, metadata={"user_id": "user_1"}))]
    before = len(world.calls)
    world.batch(an_event("refund.created", a_refund(payment_intent="pi_1", amount=2000), created=NOW + 9))
    (shown, told) = world.calls[before:]
    assert (shown["userId"], shown["traits"]["lifetime_value"], told["userId"]) == ("user_1", 40, "user_1")


@pytest.mark.parametrize("together", [False, True])
def test_an_intent_without_a_customer_is_that_of_the_session_that_names_one(*, together: bool) -> None:
    """The session counted in the customer's record, and the intent that had waited for it in one of a guest."""
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = world.queued_at = NOW + 10
    intent = an_event("payment_intent.succeeded", an_intent(customer=None, invoice=None))
    session = an_event("checkout.session.completed", a_session())
    if together:
        world.batch(intent, session)
    else:
        assert world.batch(intent)[0].status is Status.WAITING
        world.batch(session)
    world.now += 300
    world.batch(intent)
    world.batch(an_event("refund.created", a_refund(amount=2000), created=NOW + 400))
    assert [call["properties"]["revenue"] for call in world.calls if call.get("event") == "Order Completed"] == [50]
    assert lifetime_value(world) == 30
