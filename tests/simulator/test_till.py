"""The lifetime value is what the balance transactions sum to, before fees: for every user, in every currency."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.simulator import __main__ as truth_report
from tests.simulator.at_once import FAIR, LOSSES, OUTAGE
from tests.simulator.till import Till, a_till
from tests.simulator.tills import crossed, doubled, held_up, in_order, mixed_up
from tests.simulator.weather import DOWN

if TYPE_CHECKING:
    from tests.simulator.at_once import Chances


CHANCES = {FAIR: "fair", LOSSES: "losses", OUTAGE: "outage"}


@pytest.mark.parametrize("seed", range(40))
def test_in_order_lifetime_values_equal_the_balance_after_every_moment(seed: int) -> None:
    """Within a moment the events come in any order, and what waits for others comes again."""
    assert in_order(a_till(Random(seed)))[1] == []


@given(seed=st.integers(0, 10**9), order=st.randoms(use_true_random=False))
def test_out_of_order_repeated_and_after_outages_lifetime_values_equal_the_balance(seed: int, order: Random) -> None:
    till = a_till(Random(seed), payments=4)
    assert mixed_up(till, order, DOWN)[1] == []


@given(seed=st.integers(0, 10**9), order=st.randoms(use_true_random=False))
@example(seed=76, order=Random("o76"))
@example(seed=154, order=Random("o154"))
def test_in_any_order_each_payment_is_revenue_once_if_events_may_wait_for_each_other(seed: int, order: Random) -> None:
    """A purchase that was attached to an invoice later counted beside it."""
    till = a_till(Random(seed), payments=4)
    assert held_up(till, order)[1] == []


@pytest.mark.parametrize("seed", range(20))
def test_without_a_hold_lifetime_values_equal_the_balance_in_the_end(seed: int) -> None:
    """What was sent too early is corrected when the rest is known."""
    order = Random(f"order {seed}")
    assert mixed_up(a_till(Random(seed), payments=4), order, hold=0)[1] == []


@pytest.mark.parametrize("seed", [49, 444, 975, 1231, 2058])
def test_a_purchase_that_pays_two_invoices_counts_once_in_any_order(seed: int) -> None:
    """When the second took its share, the first one had been stated with less than others had paid of it."""
    till = a_till(Random(seed))
    assert till.shared
    assert in_order(till)[1] == []
    assert mixed_up(till, Random(f"m{seed}"))[1] == []
    assert held_up(till, Random(f"h{seed}"))[1] == []


@pytest.mark.parametrize("seed", range(20))
def test_payments_of_one_amount_in_the_same_minutes_all_count_where_something_joins_them(seed: int) -> None:
    """One was taken for the payment of the other's invoice."""
    joined, referenced = ((True, True), (True, False), (False, True))[seed % 3]
    assert in_order(_alike(seed, joined=joined, referenced=referenced))[1] == []
    assert held_up(_alike(seed, joined=joined, referenced=referenced), Random(seed))[1] == []


@pytest.mark.parametrize("seed", [23, 227, 251, *range(1, 10, 2)])
@pytest.mark.parametrize("referenced", [True, False])
def test_payments_of_one_amount_all_count_where_what_joins_them_comes_late(seed: int, referenced: bool) -> None:
    """What had gone back of one of them was the reason to leave it out, though its own events came again."""
    assert mixed_up(_alike(seed, joined=True, referenced=referenced), Random(seed))[1] == []


@pytest.mark.parametrize("seed", [62, 105, 170, 285])
def test_payments_of_one_amount_all_count_where_nothing_joins_them(seed: int) -> None:
    """Which of two has paid the invoice, nothing says, but one of them has, and a refund of either is one."""
    faults = held_up(_alike(seed, joined=False, referenced=False), Random(seed))[1]
    assert [one for one in faults if not one.startswith("revenue")] == [], "the tax of one may stand on the other"


def _alike(seed: int, *, joined: bool, referenced: bool) -> Till:
    till = Till(Random(seed), joined=joined, referenced=referenced, alike=True)
    till.run(6)
    return till


@pytest.mark.parametrize("chances", CHANCES, ids=CHANCES.get)
@pytest.mark.parametrize("seed", [*range(20), 1049, 1108, 1184, 1271, 1386, 4091])
def test_several_functions_at_once_state_each_payment_once_and_a_replay_sends_nothing(
    seed: int, chances: Chances
) -> None:
    """Two batches that met counted a payment twice, lost a dispute, or listed one refund under two names."""
    till = a_till(Random(f"a{seed}"), payments=1)
    assert crossed(till, f"{seed}", chances) == []


@pytest.mark.parametrize(
    ("seed", "chances"),
    [
        *[(31004, OUTAGE), (50055, FAIR), (50065, FAIR), (50173, FAIR), (50173, OUTAGE), (50202, FAIR)],
        *[(80005, LOSSES), (80052, LOSSES), (80141, OUTAGE), (110110, OUTAGE), (211421, FAIR), (212058, OUTAGE)],
        *[(220249, LOSSES), (240314, OUTAGE), (310053, LOSSES), (310281, FAIR)],
    ],
    ids=lambda given: str(given) if isinstance(given, int) else CHANCES[given],
)
def test_several_functions_at_once_over_a_whole_shop_lose_nothing(seed: int, chances: Chances) -> None:
    """A refund of a part whose customer was unknown was told twice, and so was one that stood under a guessed invoice.

    What an event teaches of another customer's record was lost with that customer's claim, or where another batch was
    faster; and traits were those that another batch had just replaced.
    """
    assert crossed(a_till(Random(seed)), f"{seed}", chances) == []


def test_the_simulated_shops_contain_every_case() -> None:
    """A truth over a dull shop proves little."""
    tills = [a_till(Random(seed)) for seed in range(40)]
    events = [event for till in tills for event in till.events]
    assert {event.type for event in events} == {
        *("customer.created", "checkout.session.completed"),
        *("payment_intent.succeeded", "payment_intent.amount_capturable_updated"),
        *("invoice.finalized", "invoice.paid", "invoice_payment.paid", "invoice.marked_uncollectible"),
        *("refund.created", "refund.failed", "charge.refunded"),
        *(f"charge.dispute.{step}" for step in ("created", "closed", "funds_withdrawn", "funds_reinstated")),
        *("credit_note.created", "credit_note.voided"),
    }
    assert {(till.joined, till.referenced) for till in tills} == {(a, b) for a in (False, True) for b in (False, True)}
    intents = [event.object for event in events if event.type == "payment_intent.succeeded"]
    assert any(one["customer"] is None for one in intents), "guests"
    assert any(one["amount_received"] < one["amount"] for one in intents), "partial captures"
    assert any(one["amount_received"] > one["amount"] for one in intents), "tips"
    assert any(event.object.get("is_default") is False for event in events), "parts of invoices"
    paid = [event.object for event in events if event.type == "invoice.paid"]
    assert any(one["amount_paid"] < one["total"] for one in paid), "credit that pays a part of an invoice"
    assert any(one["amount_due"] > one["total"] for one in paid), "old debts that are paid with an invoice"
    assert any(one.get("amount_overpaid") for one in paid), "invoices of which too much was paid"
    assert any(one["amount_remaining"] for one in paid), "invoices that were paid outside of Stripe"
    assert any(till.deposits for till in tills), "purchases that were attached to an invoice later"
    refunds = [event.object for event in events if event.type == "refund.created"]
    assert any(one["payment_intent"] is None for one in refunds), "refunds of no payment"
    assert any(one.get("reason") == "expired_uncaptured_charge" for one in refunds), "authorisations that expire"
    notes = [event.object for event in events if event.type == "credit_note.created"]
    assert any(one["refunds"] for one in notes), "refunds that were only reported to Stripe"
    charges = [event.object for event in events if event.type == "charge.refunded"]
    assert any(one["customer"] is None for one in charges), "charges that name no customer"
    assert {one["currency"] for one in charges} == {"usd", "eur", "jpy", "kwd"}
    partial = [one for one in charges if one["amount_captured"] < one["amount"]]
    assert {"invoice" in one for one in partial} == {True, False}, "refunds of partial captures, of both versions"


def test_a_refund_that_comes_long_before_its_payment_is_listed_once() -> None:
    """One without a name and its own failure were kept in two entries of the payment, and stayed two refunds."""
    till, order = a_till(Random(31505)), Random("order 31505")
    assert mixed_up(till, order)[1] == []


def test_the_law_of_the_orders_detects_missing_and_doubled_ones() -> None:
    till = a_till(Random(3))
    calls = in_order(till)[0].calls
    assert [*doubled(till, calls)] == []
    assert [*doubled(till, [*calls, *calls])] != []
    assert [*doubled(till, [call for call in calls if "revenue" not in call.get("properties", {})])] != []


def test_the_report_names_a_shop_whose_numbers_differ() -> None:
    result = truth_report.examine_till(3)
    assert result.faults == []
    assert "lifetime_value" in "\n".join(truth_report.report_of_tills([result]))
    result.faults = [("in order", "lifetime_value of ('ada', 'usd') is 1, not 2")]
    told = "\n".join(truth_report.report_of_tills([result]))
    assert "shop 3" in told
    assert "make truth SEED=3 CUSTOMERS=1" in told
