"""Two batches about one payment at the same time: what one reads is old once the other has written."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.state.refund import Refund
from stripe_to_segment.state.store import Learnt, Memory
from tests.unit.shapes import NOW, a_charge, a_dispute, a_refund, a_session, an_event, an_intent, an_invoice
from tests.unit.worlds import World, lifetime_value, names, told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from stripe_to_segment.stripe_side.event import StripeEvent

CUSTOMER, PAYMENT, INVOICE = "own:test:cus_basic", "own:test:pi_basic", "own:test:in_basic"
PART: dict[str, Any] = {
    "id": "inpay_1",
    "object": "invoice_payment",
    "invoice": "in_basic",
    "amount_paid": 500,
    "amount_requested": 500,
    "currency": "usd",
    "is_default": False,
    "payment": {"type": "payment_intent", "payment_intent": "pi_basic"},
}


class CrossedStore(MemoryStore):
    """A store with one moment in which another batch runs: while a batch reads, or before it claims or is done."""

    def __init__(self) -> None:
        super().__init__()
        self.between_reads: Callable[[], object] | None = None
        self.before_claim: Callable[[], object] | None = None
        self.before_receipt: Callable[[], object] | None = None

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        """Read the orders, and then the rest."""
        memory = super().load([key for key in keys if key[0] == "order"])
        meanwhile, self.between_reads = self.between_reads, None
        if meanwhile is not None:
            meanwhile()
        rest = super().load([key for key in keys if key[0] != "order"])
        memory.profiles, memory.circuits, memory.coupons = rest.profiles, rest.circuits, rest.coupons
        return memory

    def claim(self, *arguments: Any) -> dict[str, Exception]:
        meanwhile, self.before_claim = self.before_claim, None
        if meanwhile is not None:
            meanwhile()
        return super().claim(*arguments)

    def put_receipt(self, *arguments: Any) -> None:
        meanwhile, self.before_receipt = self.before_receipt, None
        if meanwhile is not None:
            meanwhile()
        super().put_receipt(*arguments)


def a_world() -> tuple[World, CrossedStore]:
    store = CrossedStore()
    return World(store), store


def paid(**more: Any) -> StripeEvent:
    return an_event("payment_intent.succeeded", an_intent(amount=500, amount_received=500, **more), created=NOW + 2)


def joined(**more: Any) -> StripeEvent:
    return an_event("invoice_payment.paid", {**PART, **more}, created=NOW + 4)


def test_a_record_that_was_taken_over_meanwhile_is_written_no_more() -> None:
    """A dispute was written into the record of its payment, whose customer had just been found: it was lost there."""
    world, store = a_world()
    created = an_event("charge.dispute.created", a_dispute(payment_intent="pi_basic"))
    closed = an_event("charge.dispute.closed", a_dispute(payment_intent="pi_basic", status="lost"), created=NOW + 9)
    world.batch(joined(), created)
    store.between_reads = lambda: world.deliver(paid())
    world.deliver(closed)
    assert store.profiles[INVOICE].moved_to == CUSTOMER
    assert not [track for claim in store.profiles[INVOICE].claims.values() for track in claim.tracks]
    assert names(world.calls).count("Dispute Lost") == 1
    assert world.deliver(created, closed) == [], "the customer's record knows what was sent"


def test_a_record_that_is_newer_than_the_order_says_itself_which_invoice_a_payment_paid() -> None:
    """The order was read before a part of the invoice was paid, and the record afterwards: the part counted twice."""
    world, store = a_world()
    bill = an_invoice(amount_paid=0, amount_remaining=2000, status="open", parent=None)
    refunded = a_charge(amount=500, amount_captured=500, amount_refunded=100, refunded=False, payment_intent="pi_basic")
    world.deliver(an_event("invoice.finalized", bill), an_event("charge.refunded", refunded, created=NOW + 1))
    store.between_reads = lambda: world.deliver(joined())
    world.deliver(paid())
    assert [part["total"] for part in told(world, "Invoice Payment Received")] == [5]
    assert told(world, "Order Completed") == []
    assert store.profiles[CUSTOMER].paid == {"usd": 400}


def test_a_payment_that_is_about_to_become_an_order_of_its_own_is_joined_with_its_invoice_all_the_same() -> None:
    """The order was known, so the batch that joined the two wrote no record, and the other one did not notice."""
    world, store = a_world()
    world.deliver(an_event("invoice.paid", an_invoice()), joined(id="inpay_0", payment={"payment_intent": "pi_other"}))
    assert store.save([], [Learnt("order", PAYMENT, "pi_basic", NOW, CUSTOMER)], NOW) == {}
    about_to_write = store.profiles[CUSTOMER]
    world.deliver(joined())
    assert store.save([about_to_write], [], NOW).keys() == {CUSTOMER}


def test_a_payment_is_no_order_of_its_own_where_only_the_order_was_written_that_joins_it_with_its_invoice() -> None:
    """The order was read before, and the record is as it was: the other batch ended between the two, or met a third."""
    world, store = a_world()
    bill = an_invoice(amount_paid=0, amount_remaining=2000, status="open", parent=None)
    refunded = a_charge(amount=500, amount_captured=500, amount_refunded=100, refunded=False, payment_intent="pi_basic")
    world.deliver(an_event("invoice.finalized", bill), an_event("charge.refunded", refunded, created=NOW + 1))
    joins = Learnt("order", PAYMENT, "in_basic", NOW + 4, CUSTOMER, instead_of=CUSTOMER, instead_of_itself=True)
    store.between_reads = lambda: store.save([], [joins], NOW)
    world.deliver(paid(), joined(), paid())
    assert told(world, "Order Completed") == []
    assert store.profiles[CUSTOMER].paid == {"usd": 400}


def test_a_payment_of_an_invoice_has_the_customer_whom_another_event_of_the_batch_names() -> None:
    """The batch named the record that had kept a refund as the owner of the payment, and did not take the refund over.

    The refund counted twice.
    """
    world, store = a_world()
    whole = joined(is_default=True)
    given_back = an_event("refund.created", a_refund(amount=100, payment_intent="pi_basic"), created=NOW + 3)
    of_charge = a_charge(
        amount=500, amount_captured=500, amount_refunded=100, refunded=False, payment_intent="pi_basic"
    )
    store.between_reads = lambda: world.deliver(whole, given_back)
    world.batch(whole, paid(), an_event("charge.refunded", of_charge, created=NOW + 3))
    world.deliver(an_event("invoice.paid", an_invoice(amount_paid=500, total=500, amount_due=500), created=NOW + 2))
    assert len(told(world, "Order Refunded")) == 1
    assert store.profiles[CUSTOMER].paid == {"usd": 400}


def test_what_another_batch_is_sending_is_taken_over_after_its_receipt() -> None:
    """The receipt was read with the record that had been taken over, and its calls never counted as sent."""
    world, store = a_world()
    world.lease = 60
    opened = an_event("charge.dispute.created", a_dispute(payment_intent="pi_basic"))
    waits: list[str] = []
    store.before_receipt = lambda: waits.extend(outcome.reason for outcome in world.batch(paid()))
    world.batch(opened)
    assert waits == ["under_way"]
    world.batch(paid())
    assert world.deliver(opened) == []


def test_a_customer_whose_takeover_waits_keeps_no_other_of_the_batch_waiting() -> None:
    world, store = a_world()
    world.lease = 60
    opened = an_event("charge.dispute.created", a_dispute(payment_intent="pi_basic"))
    other = an_event("charge.dispute.created", a_dispute(id="dp_2", payment_intent="pi_other"))
    theirs = an_event("payment_intent.succeeded", an_intent(id="pi_other", customer="cus_other"), created=NOW + 3)
    world.batch(other)
    reasons: list[str] = []
    store.before_receipt = lambda: reasons.extend(outcome.reason for outcome in world.batch(paid(), theirs))
    world.batch(opened)
    assert reasons == ["under_way", ""]
    assert store.profiles["own:test:pi_other"].moved_to == "own:test:cus_other"


def test_a_record_leads_to_the_other_record_that_has_taken_it_over() -> None:
    """Two batches took over one record, for the customer and for its invoice: what the invoice kept was lost."""
    world, store = a_world()
    world.deliver(an_event("charge.dispute.funds_withdrawn", a_dispute(amount=100)))
    kept, other = store.profiles[PAYMENT], INVOICE
    of_the_invoice = Payment("usd", refunds={"re_1": Refund(100)}).written()
    store.profiles |= {
        PAYMENT: kept.moved(other),
        other: replace(kept, key=other, payments={"in_basic": of_the_invoice}),
    }
    world.deliver(paid())
    assert store.profiles[CUSTOMER].payments.keys() == {"pi_basic", "in_basic"}
    assert {store.profiles[record].moved_to for record in (PAYMENT, other)} == {CUSTOMER}


def test_a_refund_without_a_name_is_the_one_of_the_same_amount_in_the_other_entry() -> None:
    """A refund that came long before its payment stood there twice, once without a name."""
    nameless = Refund(500, stated_by="evt_charge", running_total=500)
    entries = [Payment("usd", refunds={"total:500": nameless}), Payment("usd", refunds={"re_1": Refund(500)})]
    for one, other in (entries, entries[::-1]):
        assert one.joined(other).refunds == {"re_1": nameless}
    for another in (Refund(400), Refund(500, running_total=900), Refund(500, listed_at=NOW)):
        assert len(entries[0].joined(Payment("usd", refunds={"re_2": another})).refunds) == 2


def test_a_refund_of_a_part_whose_customer_is_unknown_is_found_by_a_batch_that_knows_the_customer() -> None:
    """It was kept with the invoice, where the payment's order did not say so: `charge.refunded` told it once more."""
    world, store = a_world()
    assert store.save([], [Learnt("order", PAYMENT, "in_basic", NOW)], NOW) == {}, "joined, and nobody knows its payer"
    other: dict[str, Any] = {"payment": {"type": "payment_intent", "payment_intent": "pi_other"}, "id": "inpay_2"}
    world.batch(paid(id="pi_other"), joined(**other))
    third = joined(id="inpay_3", payment={"type": "payment_intent", "payment_intent": "pi_third"})
    given_back = an_event("refund.created", a_refund(amount=100, payment_intent="pi_basic"), created=NOW + 3)
    of_charge = a_charge(
        amount=500, amount_captured=500, amount_refunded=100, refunded=False, payment_intent="pi_basic"
    )
    store.between_reads = lambda: world.batch(third, given_back)
    world.deliver(an_event("charge.refunded", of_charge, created=NOW + 4))
    assert [refund["total"] for refund in told(world, "Order Refunded")] == [1]


def test_a_customers_payment_counts_beside_one_that_its_user_is_making_as_a_guest() -> None:
    """The customer's record was marked as one of several, and the person did not list the guest's payment yet.

    So neither batch waited for the other, and what the user had paid was the sum of only one of them.
    """
    world, store = a_world()
    world.deliver(paid(metadata={"user_id": "u_1"}))
    as_guest = a_session(customer=None, payment_intent="pi_guest", amount_total=2000, metadata={"user_id": "u_1"})
    store.before_claim = lambda: world.deliver(paid(id="pi_2", metadata={"user_id": "u_1"}))
    world.deliver(an_event("checkout.session.completed", as_guest, created=NOW + 3))
    assert lifetime_value(world) == 30
