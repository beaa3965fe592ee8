"""The steps of an invoice: finalised, sent, overdue, void or written off; and a renewal before its invoice exists."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.shapes import DAY, NOW, a_price, a_subscription, an_event, an_invoice, an_item
from tests.unit.worlds import World, names


def an_open_invoice(**more: Any) -> dict[str, Any]:
    return an_invoice(
        **{
            "amount_paid": 0,
            "billing_reason": "manual",
            "collection_method": "send_invoice",
            "due_date": NOW + 14 * DAY,
            "parent": None,
            "lines": {"data": []},
            "status": "open",
            **more,
        }
    )


def an_upcoming_invoice(**more: Any) -> dict[str, Any]:
    invoice = an_invoice(
        **{"amount_paid": 0, "billing_reason": "upcoming", "period_end": NOW + 7 * DAY, "status": "draft", **more}
    )
    del invoice["id"]
    return invoice


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("invoice.finalized", "Invoice Finalized"),
        ("invoice.sent", "Invoice Sent"),
        ("invoice.overdue", "Invoice Overdue"),
        ("invoice.voided", "Invoice Voided"),
        ("invoice.marked_uncollectible", "Invoice Written Off"),
    ],
)
def test_each_step_of_an_invoice_is_sent_with_its_open_amount(kind: str, name: str) -> None:
    facts = World().tracks(an_event(kind, an_open_invoice()))
    assert list(facts) == [name]
    told = facts[name]
    assert (told["invoice_id"], told["value"], told["currency"]) == ("in_basic", 20, "USD")
    assert (told["collection_method"], told["due_date"]) == ("send_invoice", "2026-12-02T11:06:40.000Z")
    assert "revenue" not in told


def test_a_paid_part_of_an_invoice_is_not_written_off() -> None:
    invoice = an_open_invoice(amount_paid=500, amount_remaining=1500)
    assert World().tracks(an_event("invoice.marked_uncollectible", invoice))["Invoice Written Off"]["value"] == 15


def test_the_open_amount_is_absent_if_the_payload_does_not_state_it() -> None:
    invoice = {name: value for name, value in an_open_invoice().items() if name != "amount_due"}
    assert "value" not in World().tracks(an_event("invoice.voided", invoice))["Invoice Voided"]


def test_an_overdue_invoice_says_for_how_many_days() -> None:
    event = an_event("invoice.overdue", an_open_invoice(due_date=NOW - 3 * DAY - 10))
    assert World().tracks(event)["Invoice Overdue"]["days_overdue"] == 3


def test_an_invoice_is_finalised_once_and_may_be_sent_several_times() -> None:
    world = World()
    for later in (0, 0, 5 * DAY):
        world.deliver(an_event("invoice.finalized", an_open_invoice(), created=NOW + later))
        world.deliver(an_event("invoice.sent", an_open_invoice(), created=NOW + later))
    assert sorted(names(world.calls)) == ["Invoice Finalized", "Invoice Sent", "Invoice Sent"]


def test_an_open_invoice_changes_no_sums() -> None:
    """Lifetime value is what was collected; an invoice that was finalised, then written off, collected nothing."""
    world = World()
    world.deliver(
        an_event("invoice.finalized", an_open_invoice()), an_event("invoice.marked_uncollectible", an_open_invoice())
    )
    (profile,) = world.profiles.values()
    assert not profile.paid


# --- Renewals to come ---


def test_a_renewal_is_announced_before_its_invoice_has_an_id() -> None:
    facts = World().tracks(an_event("invoice.upcoming", an_upcoming_invoice()))
    assert facts == {
        "Renewal Upcoming": {
            "subscription_id": "sub_basic",
            "renews_at": "2026-11-25T11:06:40.000Z",
            "value": 20,
            "currency": "USD",
            "plan": "price_basic",
            "price_id": "price_basic",
            "product_id": "prod_basic",
            "quantity": 1,
        }
    }


def test_a_renewal_is_announced_once_for_each_period() -> None:
    world = World()
    for created, renews in ((NOW, 7), (NOW + DAY, 7), (NOW + 30 * DAY, 37)):
        invoice = an_upcoming_invoice(period_end=NOW + renews * DAY)
        world.deliver(an_event("invoice.upcoming", invoice, created=created))
    assert [call["properties"]["renews_at"][:10] for call in world.calls] == ["2026-11-25", "2026-12-25"]


def test_renewals_of_two_subscriptions_at_the_same_moment_are_two() -> None:
    """Without an id of its own, an upcoming invoice was no different from that of the customer's other subscription."""
    other = {"type": "subscription_details", "subscription_details": {"subscription": "sub_other", "metadata": {}}}
    world = World()
    world.deliver(
        an_event("invoice.upcoming", an_upcoming_invoice()),
        an_event("invoice.upcoming", an_upcoming_invoice(parent=other)),
    )
    assert [call["properties"]["subscription_id"] for call in world.calls] == ["sub_basic", "sub_other"]


def test_a_renewal_names_the_plan_as_its_subscription_does() -> None:
    world = World()
    price = a_price(lookup_key="basic_monthly")
    world.deliver(an_event("customer.subscription.created", a_subscription(an_item(price))))
    assert (
        world.tracks(an_event("invoice.upcoming", an_upcoming_invoice()))["Renewal Upcoming"]["plan"] == "basic_monthly"
    )
