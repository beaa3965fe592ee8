"""What a subscription's events say, in old and new shapes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.shapes import (
    DAY,
    NOW,
    a_plan,
    a_price,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
    an_old_subscription,
)
from tests.unit.worlds import World, changes, names, shown

UPDATED = "customer.subscription.updated"
PRO = a_price(5000, id="price_pro", product="prod_pro", lookup_key="pro")
SCHEDULED = {"cancel_at": NOW + 30 * DAY, "cancel_at_period_end": True, "canceled_at": NOW}
UNSCHEDULED = {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}


def update(subscription: dict[str, Any], previous: dict[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
    return World().tracks(an_event(UPDATED, subscription, previous=previous, **more))


def items(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"items": {"data": list(entries)}}


def test_a_new_subscription_is_created_with_its_first_mrr() -> None:
    calls = World().deliver(an_event("customer.subscription.created", a_subscription(an_item(quantity=3))))
    assert names(calls) == ["identify", "Subscription Created"]
    assert calls[1]["properties"] == {
        "subscription_id": "sub_basic",
        "status": "active",
        "plan": "price_basic",
        "price_id": "price_basic",
        "product_id": "prod_basic",
        "quantity": 3,
        "billing_period": "month",
        "amount": 60,
        "currency": "USD",
        "mrr": 60,
        "mrr_change": 60,
        "mrr_movement": "new",
    }


def test_a_subscription_created_in_trial_starts_the_trial_and_counts_nothing_yet() -> None:
    trial = a_subscription(status="trialing", trial_start=NOW, trial_end=NOW + 14 * DAY)
    facts = World().tracks(an_event("customer.subscription.created", trial))
    assert list(facts) == ["Subscription Created", "Trial Started"]
    assert facts["Subscription Created"]["mrr_change"] == 0
    assert facts["Trial Started"]["trial_plan_name"] == "price_basic"
    assert facts["Trial Started"]["trial_end_date"] == "2026-12-02T11:06:40.000Z"
    assert "mrr_change" not in facts["Trial Started"]


def test_a_more_expensive_plan_is_an_upgrade() -> None:
    facts = update(a_subscription(an_item(PRO)), items(an_item()))
    assert list(facts) == ["Subscription Upgraded"]
    upgrade = facts["Subscription Upgraded"]
    assert upgrade["previous_plan"] == "price_basic"
    assert upgrade["plan"] == "pro"
    assert (upgrade["previous_mrr"], upgrade["mrr"], upgrade["mrr_change"]) == (20, 50, 30)
    assert upgrade["changed"] == ["plan"]


def test_a_cheaper_plan_is_a_downgrade() -> None:
    facts = update(a_subscription(an_item()), items(an_item(PRO)))
    assert facts["Subscription Downgraded"]["mrr_change"] == -30


def test_more_seats_are_an_upgrade() -> None:
    facts = update(a_subscription(an_item(quantity=5)), items(an_item(quantity=3)) | {"quantity": 3})
    upgrade = facts["Subscription Upgraded"]
    assert (upgrade["previous_quantity"], upgrade["quantity"], upgrade["changed"]) == (3, 5, ["quantity"])


def test_another_price_of_the_same_amount_is_a_change() -> None:
    yearly = a_price(24000, "year", id="price_yearly")
    facts = update(a_subscription(an_item(yearly)), items(an_item()))
    change = facts["Subscription Changed"]
    assert change["changed"] == ["plan", "billing_period"]
    assert change["previous_billing_period"] == "month"
    assert change["mrr_change"] == 0


def test_more_seats_are_an_upgrade_also_where_the_items_before_are_trimmed_to_what_changed() -> None:
    """They had no price, so the plan and the period seemed to have changed, and the value to be unknown before."""
    previous = {"items": {"data": [{"id": "si_basic", "quantity": 1}]}}
    tracks = World().tracks(an_event(UPDATED, a_subscription(an_item(quantity=3)), previous=previous))
    assert tracks["Subscription Upgraded"]["changed"] == ["quantity"]
    assert tracks["Subscription Upgraded"]["previous_mrr"] == 20


def test_an_old_style_plan_change_beside_new_items_is_read_from_the_plan() -> None:
    subscription = an_old_subscription(a_plan(5000, id="plan_pro"))
    facts = update(subscription, {"plan": a_plan(2000, id="plan_basic")})
    assert facts["Subscription Upgraded"]["previous_plan"] == "plan_basic"
    assert facts["Subscription Upgraded"]["mrr_change"] == 30


def test_an_old_style_quantity_change_is_read_from_the_quantity() -> None:
    facts = update(an_old_subscription(quantity=4), {"quantity": 1})
    assert facts["Subscription Upgraded"]["mrr_change"] == 60


def test_the_amount_of_a_period_is_that_of_all_its_items() -> None:
    """It was the first item's alone, though a period costs all of them; what is billed at other times stays out."""
    extra, yearly = an_item(a_price(500), 2, id="si_2"), an_item(a_price(12000, "year"), id="si_3")
    metered = an_item(a_price(5, recurring={"usage_type": "metered"}), None, id="si_4")
    created = an_event("customer.subscription.created", a_subscription(an_item(), extra, yearly, metered))
    fact = World().tracks(created)["Subscription Created"]
    assert (fact["amount"], fact["mrr"], fact["billing_period"]) == (30, 40, "month")
    tiers = an_item(a_price(None), id="si_5")
    assert (
        "amount"
        not in World().tracks(an_event("customer.subscription.created", a_subscription(an_item(), tiers)))[
            "Subscription Created"
        ]
    )


@pytest.mark.parametrize("first", ["free", "metered"])
def test_what_is_free_or_metered_is_not_the_plan_beside_what_is_paid_for(first: str) -> None:
    """A gift that Stripe lists before the plan was the plan, with the gift's quantity."""
    usage = {"metered": {"usage_type": "metered"}}.get(first, {})
    gift = an_item(a_price(0, id="price_gift", lookup_key="gift", recurring=usage), None if usage else 5, id="si_gift")
    world, plan = World(), an_item(a_price(lookup_key="basic"), 2)
    world.deliver(an_event("customer.subscription.created", a_subscription(gift, plan)))
    shown = [call["traits"] for call in world.calls if call["type"] == "identify"][-1]
    created = [call["properties"] for call in world.calls if call.get("event") == "Subscription Created"][-1]
    assert (shown["plan"], created["quantity"], created["amount"]) == ("basic", 2, 40)


def test_a_second_item_beside_an_old_plan_is_an_upgrade() -> None:
    """The plan that turned null with the second item was not read, so before and after looked the same."""
    extra = an_item(a_price(500, id="price_extra"), id="si_extra")
    previous = {"plan": a_plan(2000, id="price_basic"), "quantity": 1}
    fact = update(a_subscription(an_item(), extra, plan=None, quantity=None), previous)["Subscription Upgraded"]
    assert (fact["mrr_change"], fact["previous_plan"], fact["changed"]) == (5, "price_basic", ["items"])
    assert update(a_subscription(plan=None), previous | {"plan": None}) == {}


@pytest.mark.parametrize(
    ("subscription", "previous"),
    [
        (
            a_subscription(an_item(current_period_start=NOW + 30 * DAY, current_period_end=NOW + 60 * DAY)),
            items(an_item()) | {"latest_invoice": "in_before"},
        ),
        (an_old_subscription(), {"current_period_start": NOW - 30 * DAY, "current_period_end": NOW}),
        (a_subscription(), {"metadata": {"note": None}}),
        (a_subscription(), {"default_payment_method": "pm_before"}),
    ],
    ids=["renewal since 2025, the whole item listed again", "renewal before 2025", "metadata", "payment method"],
)
def test_a_renewal_is_not_an_upgrade_and_other_updates_state_no_fact(
    subscription: dict[str, Any], previous: dict[str, Any]
) -> None:
    world = World()
    world.deliver(an_event("customer.subscription.created", subscription, created=NOW - DAY))
    assert world.deliver(an_event(UPDATED, subscription, previous=previous)) == []


def test_an_upgrade_in_a_trial_is_an_upgrade_but_changes_no_mrr() -> None:
    trial = {"status": "trialing", "trial_start": NOW, "trial_end": NOW + DAY}
    facts = update(a_subscription(an_item(PRO), **trial), items(an_item()))
    assert list(facts) == ["Subscription Upgraded"]
    assert facts["Subscription Upgraded"]["mrr_change"] == 0


def test_an_upgrade_to_tiers_is_a_change_with_an_unknown_mrr() -> None:
    tiered = a_price(None, billing_scheme="tiered", id="price_tiered")
    change = update(a_subscription(an_item(tiered)), items(an_item()))["Subscription Changed"]
    assert "mrr" not in change
    assert "mrr_change" not in change


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ("incomplete", "active", {"Subscription Activated": 20}),
        ("incomplete", "incomplete_expired", {"Subscription Expired": None}),
        ("trialing", "active", {"Trial Ended": 20}),
        ("trialing", "past_due", {"Trial Ended": 20, "Subscription Past Due": None}),
        ("active", "trialing", {"Subscription Changed": -20}),
        ("unpaid", "trialing", {"Trial Started": None}),
        ("trialing", "unpaid", {"Trial Ended": 0, "Subscription Unpaid": None}),
        ("active", "past_due", {"Subscription Past Due": None}),
        ("past_due", "active", {"Subscription Recovered": 0}),
        ("past_due", "unpaid", {"Subscription Unpaid": -20}),
        ("unpaid", "active", {"Subscription Recovered": 20}),
    ],
)
def test_a_change_of_status_is_sent_with_its_mrr_change_on_one_fact(
    was: str, now: str, expected: dict[str, int | None]
) -> None:
    facts = update(a_subscription(status=now), {"status": was})
    assert {name: properties.get("mrr_change") for name, properties in facts.items()} == expected


def test_trial_ended_states_its_result_only_if_the_subscription_stops() -> None:
    """It said that a trial with a card had converted, an hour before the card was declined."""
    active = update(a_subscription(status="active"), {"status": "trialing"})
    lost = update(a_subscription(status="paused"), {"status": "trialing"})
    assert "converted" not in active["Trial Ended"]
    assert lost["Trial Ended"]["converted"] is False


def test_activation_into_a_trial_starts_it() -> None:
    trial = a_subscription(status="trialing", trial_start=NOW, trial_end=NOW + DAY)
    assert list(update(trial, {"status": "incomplete"})) == ["Subscription Activated", "Trial Started"]


def test_several_facts_of_one_update_come_in_the_catalogs_order() -> None:
    subscription = a_subscription(an_item(PRO), status="active", **SCHEDULED)
    facts = update(subscription, {"status": "past_due", **items(an_item()), **UNSCHEDULED})
    assert list(facts) == [
        "Subscription Upgraded",
        "Subscription Cancellation Scheduled",
        "Subscription Recovered",
    ]
    assert [name for name, properties in facts.items() if "mrr_change" in properties] == ["Subscription Upgraded"]


def test_a_cancellation_is_scheduled_and_withdrawn() -> None:
    scheduled = a_subscription(
        **SCHEDULED, cancellation_details={"reason": "cancellation_requested", "feedback": "too_expensive"}
    )
    fact = update(scheduled, UNSCHEDULED)["Subscription Cancellation Scheduled"]
    assert fact["cancels_at"] == "2026-12-18T11:06:40.000Z"
    assert (fact["cancelled_by"], fact["feedback"]) == ("customer", "too_expensive")
    assert list(update(a_subscription(), SCHEDULED)) == ["Subscription Reactivated"]


def test_an_old_cancellation_at_period_end_takes_its_time_from_the_period() -> None:
    fact = update(an_old_subscription(cancel_at_period_end=True), {"cancel_at_period_end": False})
    assert fact["Subscription Cancellation Scheduled"]["cancels_at"] == "2026-12-18T11:06:40.000Z"


def test_canceled_at_without_ended_at_is_no_end() -> None:
    calls = World().deliver(an_event(UPDATED, a_subscription(**SCHEDULED), previous=UNSCHEDULED))
    assert calls[0]["traits"]["subscription_status"] == "active"
    assert calls[0]["traits"]["mrr"] == 20


def test_collection_is_paused_and_resumed() -> None:
    paused = a_subscription(pause_collection={"behavior": "void", "resumes_at": NOW + DAY})
    fact = update(paused, {"pause_collection": None})["Subscription Collection Paused"]
    assert (fact["collection_behavior"], fact["resumes_at"]) == ("void", "2026-11-19T11:06:40.000Z")
    resumed = update(a_subscription(), {"pause_collection": {"behavior": "void", "resumes_at": None}})
    assert list(resumed) == ["Subscription Collection Resumed"]


def test_an_ended_subscription_is_cancelled_and_its_mrr_gone() -> None:
    ended = a_subscription(
        status="canceled",
        ended_at=NOW,
        cancellation_details={"reason": "payment_failed", "feedback": None, "comment": "my own words"},
    )
    calls = World().deliver(an_event("customer.subscription.deleted", ended))
    assert names(calls) == ["identify", "Subscription Imported", "Subscription Cancelled"]
    assert calls[0]["traits"]["plan"] is None
    assert calls[0]["traits"]["mrr"] == 0
    assert calls[0]["traits"]["subscription_count"] == 0
    fact = calls[2]["properties"]
    assert (fact["mrr"], fact["mrr_change"], fact["days_active"]) == (0, -20, 100)
    assert fact["cancelled_by"] == "payment_failure"
    assert "my own words" not in str(calls)


def test_a_subscription_cancelled_in_trial_loses_no_mrr_and_ends_the_trial() -> None:
    ended = a_subscription(status="canceled", ended_at=NOW, trial_start=NOW - DAY, trial_end=NOW + DAY)
    facts = World().tracks(an_event("customer.subscription.deleted", ended))
    assert list(facts) == ["Subscription Cancelled", "Trial Ended"]
    assert facts["Subscription Cancelled"]["mrr_change"] == 0
    assert facts["Trial Ended"]["converted"] is False


def test_a_subscription_cancelled_while_unpaid_loses_nothing_more() -> None:
    world = World()
    world.deliver(an_event(UPDATED, a_subscription(status="unpaid"), previous={"status": "past_due"}))
    ended = a_subscription(status="canceled", ended_at=NOW + DAY)
    facts = world.tracks(an_event("customer.subscription.deleted", ended, created=NOW + DAY))
    assert facts["Subscription Cancelled"]["mrr_change"] == 0


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the end first"])
def test_the_sum_of_changes_is_zero_after_an_end_even_if_it_arrives_first(*, late: bool) -> None:
    """An end does not state what counted before it.

    Here the subscription was unpaid and counted 0, which a late event states.
    """
    events = [
        an_event("customer.subscription.created", a_subscription(), created=NOW),
        an_event(UPDATED, a_subscription(status="past_due"), previous={"status": "active"}, created=NOW + 1),
        an_event(UPDATED, a_subscription(status="unpaid"), previous={"status": "past_due"}, created=NOW + 2),
        an_event("customer.subscription.deleted", a_subscription(status="canceled", ended_at=NOW + 3), created=NOW + 3),
    ]
    world = World()
    world.deliver(*(reversed(events) if late else events))
    changes = [call["properties"].get("mrr_change", 0) for call in world.calls if call["type"] == "track"]
    assert sum(changes) == 0


@pytest.mark.parametrize("pause_first", [True, False])
def test_a_pause_of_an_active_subscription_counts_once_in_either_order(*, pause_first: bool) -> None:
    world = World()
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    pause = an_event("customer.subscription.paused", a_subscription(status="paused"), created=NOW + 9)
    update_beside = an_event(UPDATED, a_subscription(status="paused"), previous={"status": "active"}, created=NOW + 9)
    world.deliver(*((pause, update_beside) if pause_first else (update_beside, pause)))
    changes = [call["properties"].get("mrr_change", 0) for call in world.calls if call["type"] == "track"]
    assert changes == [20, -20]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("customer.subscription.paused", "Subscription Paused"),
        ("customer.subscription.resumed", "Subscription Resumed"),
        ("customer.subscription.trial_will_end", "Trial Ending Soon"),
        ("customer.subscription.pending_update_applied", "Subscription Update Applied"),
        ("customer.subscription.pending_update_expired", "Subscription Update Expired"),
    ],
)
def test_an_event_type_of_a_single_fact_states_it(kind: str, name: str) -> None:
    assert list(World().tracks(an_event(kind, a_subscription()))) == [name]


def test_a_late_old_update_sends_its_fact_and_keeps_newer_traits() -> None:
    world = World()
    world.deliver(an_event(UPDATED, a_subscription(an_item(PRO)), previous=items(an_item()), created=NOW + 10))
    late = an_event(UPDATED, a_subscription(an_item(quantity=2)), previous=items(an_item()), created=NOW)
    assert names(world.deliver(late)) == ["Subscription Upgraded"]
    (profile,) = world.store.load([("profile", "own:test:cus_basic")]).profiles.values()
    assert profile.subscriptions["sub_basic"].mrr == 5000


def test_within_one_second_deleted_is_newer_than_updated_and_updated_than_created() -> None:
    world = World()
    world.deliver(
        an_event("customer.subscription.deleted", a_subscription(status="canceled", ended_at=NOW)),
        an_event(UPDATED, a_subscription(), previous={"status": "incomplete"}),
        an_event("customer.subscription.created", a_subscription(status="incomplete")),
    )
    shown = [call["traits"]["subscription_status"] for call in world.calls if call["type"] == "identify"]
    assert set(shown) == {"canceled"}


@pytest.mark.parametrize("late", [False, True], ids=["in order", "reversed"])
def test_two_updates_of_one_second_are_distinguished_by_their_previous_values(*, late: bool) -> None:
    first = an_event(UPDATED, a_subscription(an_item(quantity=2)), previous=items(an_item(quantity=1)))
    second = an_event(UPDATED, a_subscription(an_item(quantity=3)), previous=items(an_item(quantity=2)))
    world = World()
    world.deliver(*((second, first) if late else (first, second)))
    (profile,) = world.store.load([("profile", "own:test:cus_basic")]).profiles.values()
    assert profile.subscriptions["sub_basic"].quantity == 3


def test_the_first_renewal_after_a_trial_is_distinguished() -> None:
    world = World()
    trial = a_subscription(status="trialing", trial_start=NOW - 14 * DAY, trial_end=NOW)
    world.deliver(an_event("customer.subscription.created", trial, created=NOW - 14 * DAY))
    first = an_invoice(billing_reason="subscription_cycle", created=NOW + 60)
    second = an_invoice(id="in_next", billing_reason="subscription_cycle", created=NOW + 30 * DAY)
    assert world.tracks(an_event("invoice.paid", first))["Subscription Renewed"]["after_trial"] is True
    assert "after_trial" not in world.tracks(an_event("invoice.paid", second))["Subscription Renewed"]


def test_a_pause_that_no_update_announces_shows_in_the_traits_and_so_does_its_end() -> None:
    """The user kept the mrr of a subscription that was paused, until its next update."""
    world = World()
    world.deliver(an_event("customer.subscription.created", a_subscription(metadata={"user_id": "user_1"})))
    paused = a_subscription(status="paused", metadata={"user_id": "user_1"})
    (shown, _) = world.deliver(an_event("customer.subscription.paused", paused, created=NOW + 9))
    assert (shown["traits"]["mrr"], shown["traits"]["subscription_status"]) == (0, "paused")
    resumed = a_subscription(metadata={"user_id": "user_1"})
    (shown, _) = world.deliver(an_event("customer.subscription.resumed", resumed, created=NOW + 99))
    assert (shown["traits"]["mrr"], shown["traits"]["subscription_status"]) == (20, "active")


def test_a_subscription_goes_on_at_a_status_that_stripe_may_add() -> None:
    """It was no longer live, and its mrr was 0: churn that nobody had stated."""
    world = World()
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    world.deliver(an_event(UPDATED, a_subscription(status="winding_down"), previous={"status": "active"}))
    assert changes(world) == [20]
    assert (shown(world, "subscription_count"), shown(world, "mrr")) == (1, None)
    world.deliver(an_event(UPDATED, a_subscription(), previous={"status": "winding_down"}, created=NOW + 9))
    assert changes(world) == [20]
    assert shown(world) == 20


def test_a_subscription_without_items_states_the_currency_of_its_mrr_change() -> None:
    """Amounts without a currency: the event of a subscription whose list of items is empty had none."""
    gone = a_subscription(items={"object": "list", "data": [], "has_more": False}, status="canceled", ended_at=NOW)
    world = World()
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    stated = world.tracks(an_event("customer.subscription.deleted", gone, created=NOW + 9))["Subscription Cancelled"]
    assert (stated["mrr_change"], stated["currency"]) == (-20, "USD")
