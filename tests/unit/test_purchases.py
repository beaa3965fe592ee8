"""What the record of an invoice keeps of a purchase that has paid it, in minor units."""

from __future__ import annotations

import pytest

from stripe_to_segment.state import purchases
from stripe_to_segment.state.bill import NOT_SENT, Bill, Part
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.state.refund import Dispute

INVOICE = Payment("usd", counted=True, total=3_000, revenue=2_500, tax=500, stated_by="in_1", intent="pi_1")
DEPOSIT = Part(5_000, 4_000, tax=1_000)


def test_a_purchase_of_more_than_its_invoice_keeps_what_it_has_brought_in_beside_it() -> None:
    after = INVOICE.with_purchase("pi_1", DEPOSIT)
    assert (after.total, after.revenue, after.tax) == (5_000, 2_500 + 1_600, 500 + 400)
    assert after.bill == Bill(3_000, 3_000, 2_500, 500), "the invoice asked for less"


def test_a_purchase_of_no_more_than_its_invoice_changes_no_amount_of_it() -> None:
    after = INVOICE.with_purchase("pi_1", Part(2_000, 1_600, tax=400))
    assert (after.total, after.revenue, after.tax) == (3_000, 2_500, 500)
    assert INVOICE.with_purchase("pi_1", Part(0)) == INVOICE


def test_the_revenue_of_an_invoice_that_is_unknown_stays_unknown_beside_a_purchase() -> None:
    unknown = Payment("usd", counted=True, total=3_000, stated_by="in_1").with_purchase("pi_1", DEPOSIT)
    assert (unknown.total, unknown.revenue, unknown.tax) == (5_000, None, None)
    assert unknown.bill == Bill(3_000, 3_000, 3_000)


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        (Part(1_000, 800), Bill(3_000, 3_000, 2_500, 500)),
        (Part(1_000, 800, "evt_1"), None),
        (Part(1_000, 800, NOT_SENT), None),
    ],
    ids=["a purchase", "a part that an event has stated", "a part that an import lists"],
)
def test_an_invoice_keeps_what_it_asks_for_where_a_purchase_may_have_paid_others_too(
    part: Part, asked: Bill | None
) -> None:
    begun = Payment("usd", counted=True, total=1_000, revenue=800, parts={"pi_2": part})
    assert INVOICE.completing(begun).bill == asked


def test_what_an_invoice_asks_for_stays_what_its_own_event_has_said() -> None:
    begun = Payment("usd", counted=True, total=1_000, bill=Bill(2_900, 3_000, 2_500), parts={"pi_2": Part(1_000)})
    assert INVOICE.completing(begun).bill == begun.bill


def test_a_share_of_a_purchase_leaves_its_invoice_with_what_that_has_asked_for() -> None:
    """3,000 of 5,000 have paid this one, and 2,000 another."""
    rest, share = purchases.without_share(INVOICE.with_purchase("pi_1", DEPOSIT), "pi_1", 2_000)
    assert share == Part(2_000, 1_600, tax=400)
    assert (rest.total, rest.revenue, rest.tax) == (3_000, 2_500, 500)
    assert rest.parts == {"pi_1": Part(3_000, 2_400, tax=600)}


def test_each_payment_of_an_invoice_is_named() -> None:
    named = INVOICE.named("pi_2").named("pi_3").named("pi_2")
    assert (named.intent, named.further_intents) == ("pi_1", ("pi_2", "pi_3"))


def test_a_dispute_that_an_import_has_listed_stays_known_as_such() -> None:
    listed = INVOICE.with_dispute("dp_1", Dispute(3_000, as_of=5, listed_at=7))
    assert listed.with_dispute("dp_1", Dispute(0, as_of=9)).disputes == {"dp_1": Dispute(0, as_of=9, listed_at=7)}
    assert listed.with_dispute("dp_1", Dispute(0, as_of=4)) == listed, "an older state of it"
