"""Small histories that were reported with wrong numbers, and the right ones."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.delivery.load import keys_of
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import record_of
from tests.unit.shapes import DAY, NOW, a_price, a_subscription, an_event, an_invoice, an_item
from tests.unit.worlds import ACCEPTED, World, shown

CREATED, UPDATED, DELETED, PAUSED, RESUMED = (
    f"customer.subscription.{kind}" for kind in ("created", "updated", "deleted", "paused", "resumed")
)
RENEWED = {"items": {"data": [an_item(current_period_start=NOW - 30 * DAY)]}}
HALF = {"id": "HALF", "object": "coupon", "percent_off": 50, "amount_off": None, "duration": "forever"}


def told(world: World, name: str = "mrr_change") -> list[Any]:
    tracks = [call["properties"] for call in world.calls if call["type"] == "track"]
    return [each[name] for each in tracks if name in each]


def names(world: World) -> list[str]:
    return [call["event"] for call in world.calls if call["type"] == "track"]


def ended(at: int, **more: Any) -> Any:
    return an_event(DELETED, a_subscription(**{"status": "canceled", "ended_at": at} | more), created=at)


def a_discount(subscription: str | None = "sub_basic", coupon: Any = "HALF", **more: Any) -> dict[str, Any]:
    source = {"type": "coupon", "coupon": coupon}
    return {
        "id": "di_1",
        "object": "discount",
        "customer": "cus_basic",
        "source": source,
        "subscription": subscription,
    } | more


# --- Discounts ---


def test_a_coupon_for_one_invoice_is_no_downgrade() -> None:
    """Half off one invoice was sent as a downgrade, and its end as an upgrade."""
    world, coupon = World(), {"id": "di_1", "coupon": HALF | {"duration": "once"}}
    world.deliver(
        an_event(CREATED, a_subscription(discount=None), created=NOW),
        an_event(UPDATED, a_subscription(discount=coupon), previous={"discount": None}, created=NOW + DAY),
        an_event(UPDATED, a_subscription(discount=None), previous={"discount": coupon}, created=NOW + 30 * DAY),
    )
    assert names(world) == ["Subscription Created"]
    assert shown(world) == 20


def test_a_discount_with_only_an_id_makes_the_mrr_unknown_until_an_event_states_it() -> None:
    """The mrr was gross until the discount was known, and the correction was lost."""
    world = World()
    world.deliver(an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW))
    assert shown(world) is None
    assert told(world) == []
    world.deliver(an_event("customer.discount.created", a_discount(coupon=HALF), created=NOW + 1))
    assert names(world) == ["Subscription Created", "Discount Applied", "Subscription Changed"]
    assert (told(world), told(world, "mrr_movement"), shown(world)) == ([10], ["new"], 10)
    world.deliver(ended(NOW + DAY, discounts=["di_1"]))
    assert sum(told(world)) == 0


def test_a_coupon_that_a_discount_only_names_is_known_from_its_own_event() -> None:
    world = World()
    world.deliver(
        an_event("coupon.created", HALF, created=NOW - DAY),
        an_event("customer.discount.created", a_discount(), created=NOW),
        an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW),
    )
    applied = next(call["properties"] for call in world.calls if call.get("event") == "Discount Applied")
    assert (applied["percent_off"], applied["duration"], shown(world)) == (50, "forever", 10)


def test_a_customers_own_discount_lowers_the_mrr_of_a_subscription_without_one() -> None:
    world = World()
    world.deliver(
        an_event("customer.discount.created", a_discount(None, HALF), created=NOW),
        an_event(CREATED, a_subscription(), created=NOW + 1),
        an_event("customer.discount.deleted", a_discount(None, HALF), created=NOW + DAY),
        an_event(UPDATED, a_subscription(), previous={"metadata": {"note": None}}, created=NOW + 2 * DAY),
    )
    assert told(world) == [10, 10]
    assert names(world)[-2:] == ["Discount Removed", "Subscription Changed"]
    assert told(world, "changed") == [["discount"]], "it said that the mrr had become known"


def test_a_discount_from_an_older_api_version_is_used_when_a_newer_one_has_only_its_id() -> None:
    """The endpoint's API version changed in mid-life, and with it the mrr, which no call stated."""
    world = World()
    stated = {"discounts": ["di_1"], "discount": {"id": "di_1", "coupon": HALF}}
    previous = {"items": {"data": [an_item(quantity=1)]}}
    world.deliver(
        an_event(CREATED, a_subscription(**stated), created=NOW),
        an_event(UPDATED, a_subscription(an_item(quantity=2), discounts=["di_1"]), previous=previous, created=NOW + 9),
        ended(NOW + DAY, discounts=["di_1"]),
    )
    assert told(world) == [10, 10, -20]


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_a_discount_that_a_late_event_states_is_used_for_a_newer_one_that_has_only_its_id(
    order: tuple[int, ...],
) -> None:
    """The mrr stayed unknown until the next invoice, and the sum gross."""
    world, stated = World(), {"discounts": ["di_1"], "discount": {"id": "di_1", "coupon": HALF}}
    events = [
        an_event(CREATED, a_subscription(created=NOW), created=NOW),
        an_event(UPDATED, a_subscription(created=NOW, **stated), previous={"discount": None}, created=NOW + 1),
        an_event(UPDATED, a_subscription(created=NOW, discounts=["di_1"]), previous={"metadata": {}}, created=NOW + 2),
    ]
    world.deliver(*(events[number] for number in order))
    assert (sum(told(world)), shown(world)) == (10, 10)


@pytest.mark.parametrize(("policy", "mrr"), [("forever", 20), ("all", 10), ("none", 20)])
def test_a_setting_says_which_discounts_lower_the_mrr(policy: str, mrr: int) -> None:
    world = World(MRR_DISCOUNTS=policy)
    coupon = {"id": "di_1", "coupon": HALF | {"duration": "repeating"}}
    world.deliver(an_event(CREATED, a_subscription(discount=coupon)))
    assert told(world) == [mrr]


STEPS = st.lists(st.integers(1, 9) | st.sampled_from(["discount", "tell", "end of discount"]), max_size=12)


@given(steps=STEPS, first=st.sampled_from([[], ["di_0"]]), seen=st.booleans())
def test_the_changes_sum_to_the_mrr_whenever_it_becomes_known_or_unknown(
    steps: list[int | str], first: list[str], *, seen: bool
) -> None:
    """A discount is only named until its own event states its amount, early, late or never; or it is removed first."""
    world, at, quantity, discounts, event_with = World(), NOW, 1, first, set[str]()

    def subscription() -> dict[str, Any]:
        return a_subscription(an_item(quantity=quantity), discounts=discounts)

    def is_true() -> None:
        if event_with.issuperset(discounts):
            assert sum(told(world)) == quantity * (10 if discounts else 20) == shown(world)
        else:
            assert shown(world) is None

    kind, more = (CREATED, {}) if seen else (UPDATED, {"previous": {"metadata": {"note": None}}})
    world.deliver(an_event(kind, subscription(), created=at, **more))
    is_true()
    for number, step in enumerate(steps, 1):
        at += DAY
        previous: dict[str, Any] = {}
        if isinstance(step, int) and step != quantity:
            previous = {"items": {"data": [an_item(quantity=quantity)]}, "quantity": quantity}
            quantity = step
        elif step == "tell" and discounts:
            event_with |= {*discounts}
            world.deliver(an_event("customer.discount.created", a_discount(coupon=HALF, id=discounts[0]), created=at))
        elif (step == "discount" and not discounts) or (step == "end of discount" and discounts):
            previous = {"discounts": discounts}
            discounts = [f"di_{number}"] if step == "discount" else []
        if previous:
            world.deliver(an_event(UPDATED, subscription(), previous=previous, created=at))
        is_true()
    world.deliver(ended(at + DAY, **{key: subscription()[key] for key in ("items", "discounts")}))
    assert sum(told(world)) == 0


# --- Older than the stack ---


@pytest.mark.parametrize("status", ["active", "past_due"])
def test_the_first_event_of_an_old_subscription_may_be_its_end(status: str) -> None:
    """Its mrr was subtracted although it had never been added."""
    world = World()
    world.deliver(ended(NOW, cancellation_details={"reason": status}))
    assert names(world) == ["Subscription Imported", "Subscription Cancelled"]
    assert (told(world), told(world, "mrr_movement")) == ([20, -20], ["opening", "churn"])


def test_an_old_subscription_has_its_opening_balance_once() -> None:
    world, previous = World(), {"items": {"data": [an_item(quantity=1)]}}
    world.deliver(
        an_event(UPDATED, a_subscription(an_item(quantity=2)), previous=previous, created=NOW),
        an_event(
            UPDATED,
            a_subscription(an_item(quantity=1)),
            previous={"items": {"data": [an_item(quantity=2)]}},
            created=NOW + DAY,
        ),
        ended(NOW + 2 * DAY),
    )
    assert (told(world), told(world, "mrr_movement")) == (
        [20, 20, -20, -20],
        ["opening", "expansion", "contraction", "churn"],
    )


@pytest.mark.parametrize("by", ["an event", "an import", "an import that opens"])
def test_an_opening_balance_that_becomes_known_later_is_no_new_subscription(by: str) -> None:
    """A subscription of many years was new when its discount's coupon became known, or the price of its currency."""
    world, body = World(), a_subscription(discounts=["di_1"])
    if by != "an event":
        level = Level.OPENING if by == "an import that opens" else Level.STATE
        world.batch(json.dumps(record_of(body, level, NOW - DAY, livemode=False)))
    world.deliver(an_event(UPDATED, body, previous=RENEWED, created=NOW))
    assert told(world) == []
    world.deliver(an_event("customer.discount.updated", a_discount(coupon=HALF), created=NOW + DAY))
    assert (told(world), told(world, "mrr_movement")) == ([10], ["opening"])
    world.deliver(ended(NOW + 2 * DAY))
    assert (told(world), told(world, "mrr_movement")) == ([10, -10], ["opening", "churn"])


def test_an_opening_balance_that_the_next_event_states_is_no_new_subscription() -> None:
    world, removed = World(), {"discounts": ["di_1"]}
    world.deliver(an_event(UPDATED, a_subscription(discounts=["di_1"]), previous=RENEWED, created=NOW))
    world.deliver(an_event(UPDATED, a_subscription(), previous=removed, created=NOW + DAY))
    assert (told(world), told(world, "mrr_movement")) == ([20], ["opening"])


def test_a_new_subscription_whose_update_came_first_is_not_imported() -> None:
    world, fresh = World(), {"created": NOW, "start_date": NOW}
    world.deliver(
        an_event(UPDATED, a_subscription(**fresh), previous={"status": "incomplete"}, created=NOW + 1),
        an_event(CREATED, a_subscription(status="incomplete", **fresh), created=NOW),
    )
    assert names(world) == ["Subscription Activated", "Subscription Created"]
    assert told(world) == [20, 0]


def test_a_returning_customer_is_a_reactivation_and_a_second_subscription_an_expansion() -> None:
    """https://docs.stripe.com/billing/subscriptions/analytics/glossary counts subscribers, not subscriptions."""
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(id="sub_1"), created=NOW),
        an_event(CREATED, a_subscription(id="sub_2"), created=NOW + 1),
        ended(NOW + 2, id="sub_1"),
        ended(NOW + 3, id="sub_2"),
        an_event(CREATED, a_subscription(id="sub_3"), created=NOW + DAY),
    )
    assert told(world, "mrr_movement") == ["new", "expansion", "contraction", "churn", "reactivation"]


# --- Prices ---


def test_a_price_in_another_currency_is_known_after_an_invoice() -> None:
    """30 dollars were taken for 30 euros, where the currency option said 25."""
    world = World()
    foreign = a_subscription(an_item(a_price(3000, currency="usd", id="price_1")), currency="eur")
    line = {
        "amount": 2500,
        "currency": "eur",
        "quantity": 1,
        "pricing": {"price_details": {"price": "price_1"}, "unit_amount_decimal": "2500"},
        "parent": {"subscription_item_details": {"subscription": "sub_basic", "proration": False}},
    }
    invoice = an_invoice(currency="eur", lines={"data": [line]})
    world.deliver(an_event(CREATED, foreign, created=NOW))
    assert (told(world), "amount" in world.calls[-1]["properties"]) == ([], False)
    world.deliver(an_event("invoice.paid", invoice, created=NOW))
    assert (told(world), shown(world)) == ([25], 25)
    world.deliver(an_event(UPDATED, foreign, previous={"metadata": {"note": None}}, created=NOW + DAY))
    assert told(world) == [25]


def test_a_price_in_another_currency_is_known_if_the_invoice_overtakes_its_first_unit() -> None:
    """Without units the mrr is known, but not the price."""
    world, price = World(), a_price(3000, currency="usd", id="price_1")
    none, one = (a_subscription(an_item(price, quantity), currency="eur") for quantity in (0, 1))
    line = {
        "amount": 2500,
        "quantity": 1,
        "pricing": {"price_details": {"price": "price_1"}, "unit_amount_decimal": "2500"},
    }
    world.deliver(
        an_event(CREATED, none, created=NOW),
        an_event("invoice.paid", an_invoice(currency="eur", lines={"data": [line]}), created=NOW + DAY),
        an_event(UPDATED, one, previous={"items": none["items"]}, created=NOW + DAY),
    )
    assert (told(world), shown(world)) == ([0, 25], 25)


@pytest.mark.parametrize(("amount", "quantity", "mrr"), [(7500, 3, 75), (7501, 3, None), (0, 3, None)])
def test_an_older_invoice_line_states_the_price_by_its_amount(amount: int, quantity: int, mrr: int | None) -> None:
    """Before 2025-03-31 a line has the price in its base currency alone; of a trial it is over nothing."""
    world = World()
    price = a_price(3000, currency="usd", id="price_1")
    line = {"amount": amount, "currency": "eur", "quantity": quantity, "price": price, "proration": False}
    world.deliver(
        an_event(CREATED, a_subscription(an_item(price, quantity), currency="eur"), created=NOW),
        an_event("invoice.paid", an_invoice(currency="eur", lines={"data": [line]}), created=NOW + 1),
    )
    assert shown(world) == mrr


def test_an_older_line_states_the_price_by_its_amount_and_a_decimal_quantity() -> None:
    """2.5 units for 50.00 were taken for 2, and the price for 25 instead of 20."""
    world = World()
    price = a_price(3000, currency="usd", id="price_1")
    line = {"amount": 5000, "currency": "eur", "quantity": 2, "quantity_decimal": "2.5", "price": price}
    world.deliver(
        an_event(CREATED, a_subscription(an_item(price, 2), currency="eur"), created=NOW),
        an_event("invoice.paid", an_invoice(currency="eur", lines={"data": [line]}), created=NOW + 1),
    )
    assert shown(world) == 40


def a_line(price: str, amount: int, **more: Any) -> dict[str, Any]:
    pricing = {"price_details": {"price": price}, "unit_amount_decimal": str(amount)}
    return {"amount": amount, "currency": "eur", "quantity": 1, "pricing": pricing} | more


@pytest.mark.parametrize("first", ["the plan", "the invoice"])
def test_another_price_in_another_currency_is_known_whichever_of_plan_and_invoice_comes_first(first: str) -> None:
    """Of a subscription whose mrr was known no line was read, so the mrr was null until the next renewal."""
    world = World()
    small, big = (an_item(a_price(amount, id=f"price_{amount}")) for amount in (3000, 9000))
    plan = an_event(
        UPDATED, a_subscription(big, currency="eur"), previous={"items": {"data": [small]}}, created=NOW + DAY
    )
    lines = [a_line("price_9000", 8000)]
    bill = an_event("invoice.paid", an_invoice(id="in_2", currency="eur", lines={"data": lines}), created=NOW + DAY)
    world.deliver(
        an_event(CREATED, a_subscription(small, currency="eur"), created=NOW),
        an_event("invoice.paid", an_invoice(currency="eur", lines={"data": [a_line("price_3000", 2500)]})),
        *((plan, bill) if first == "the plan" else (bill, plan)),
    )
    assert (sum(told(world)), shown(world)) == (80, 80)


@pytest.mark.parametrize("first", ["the end of the trial", "the invoice"])
def test_a_price_in_another_currency_is_known_if_the_first_invoice_overtakes_the_end_of_the_trial(first: str) -> None:
    """The mrr of a trial is known to be 0, so the line was not read."""
    world, trial = World(), {"trial_start": NOW - 7 * DAY, "trial_end": NOW}
    item = an_item(a_price(3000, id="price_3000"))
    over = an_event(UPDATED, a_subscription(item, currency="eur", **trial), previous={"status": "trialing"})
    bill = an_event("invoice.paid", an_invoice(currency="eur", lines={"data": [a_line("price_3000", 2500)]}))
    begins = a_subscription(item, currency="eur", status="trialing", **trial)
    world.deliver(an_event(CREATED, begins, created=NOW - 7 * DAY))
    world.deliver(*((over, bill) if first == "the end of the trial" else (bill, over)))
    assert (sum(told(world)), shown(world)) == (25, 25)


def test_an_invoice_item_states_the_price_of_no_plan() -> None:
    """Only lines for a period of the subscription are kept in the record."""
    world = World()
    item = a_line("price_once", 700, parent={"invoice_item_details": {"subscription": "sub_basic"}})
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event("invoice.paid", an_invoice(currency="eur", lines={"data": [item]}), created=NOW + 1),
    )
    (record,) = world.store.load([("profile", "own:test:cus_basic")]).profiles.values()
    assert record.amounts == {}


def test_the_line_of_a_trial_states_no_price() -> None:
    """It is over nothing, and the mrr after the trial was 0."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + 7 * DAY}
    item = an_item(a_price(3000, currency="usd", id="price_1"))
    pricing = {"price_details": {"price": "price_1"}, "unit_amount_decimal": "0"}
    line = {"amount": 0, "currency": "eur", "quantity": 1, "pricing": pricing}
    world.deliver(
        an_event("invoice.paid", an_invoice(currency="eur", lines={"data": [line]}), created=NOW),
        an_event(CREATED, a_subscription(item, currency="eur", status="trialing", **trial), created=NOW),
        an_event(
            UPDATED,
            a_subscription(item, currency="eur", **trial),
            previous={"status": "trialing"},
            created=NOW + 7 * DAY,
        ),
    )
    assert shown(world) is None


# --- Trials ---

TRIAL = {"trial_start": NOW - 14 * DAY, "trial_end": NOW}
ENDS = an_event(UPDATED, a_subscription(**TRIAL), previous={"status": "trialing"}, created=NOW)
BEGINS = an_event(CREATED, a_subscription(status="trialing", **TRIAL), created=NOW - 14 * DAY)


def paid(after: int = 0, **more: Any) -> Any:
    invoice = an_invoice(billing_reason="subscription_cycle", created=NOW + after, **more)
    return an_event("invoice.paid", invoice, created=NOW + after + 3600)


def test_a_trial_whose_first_charge_is_declined_did_not_convert() -> None:
    """The status is active at once, and an hour later the card is declined."""
    world = World()
    past_due = an_event(
        UPDATED, a_subscription(status="past_due", **TRIAL), previous={"status": "active"}, created=NOW + 3601
    )
    world.deliver(BEGINS, ENDS, past_due, ended(NOW + 14 * DAY, **TRIAL))
    assert "Trial Converted" not in names(world)
    assert told(world) == [0, 20, -20]


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the payment first"])
def test_a_trial_converts_with_its_first_payment_once(*, late: bool) -> None:
    world, first = World(), paid()
    world.deliver(BEGINS, *((first, ENDS) if late else (ENDS, first)), paid(30 * DAY, id="in_2"))
    assert names(world).count("Trial Converted") == 1
    converted = next(call["properties"] for call in world.calls if call.get("event") == "Trial Converted")
    assert converted["trial_end_date"] == "2026-11-18T11:06:40.000Z"


def test_the_invoice_that_begins_a_trial_converts_nothing() -> None:
    world = World()
    invoice = an_invoice(billing_reason="subscription_create", created=NOW - 14 * DAY, amount_paid=0, total=0)
    world.deliver(BEGINS, an_event("invoice.paid", invoice, created=NOW - 14 * DAY), ENDS)
    assert "Trial Converted" not in names(world)


def an_extended_trial(made: int, early: int = 0) -> list[Any]:
    """A trial that is extended twice, its end, maybe an `early` one, and its payment.

    `made` is when the subscription was created.
    """
    begins, ends = NOW - 14 * DAY, (NOW, NOW + 7 * DAY, NOW + 14 * DAY)
    bodies = [a_subscription(status="trialing", created=made, trial_start=begins, trial_end=end) for end in ends]
    end = ends[2] - early
    over = a_subscription(created=made, trial_start=begins, trial_end=end)
    previous = {"status": "trialing"} | ({"trial_end": ends[2]} if early else {})
    kind, before = (CREATED, None) if made == begins else (UPDATED, {"status": "unpaid"})
    return [
        an_event(kind, bodies[0], previous=before, created=begins),
        an_event(UPDATED, bodies[1], previous={"trial_end": ends[0]}, created=ends[0] - DAY),
        an_event(UPDATED, bodies[2], previous={"trial_end": ends[1]}, created=ends[1] - DAY),
        an_event(UPDATED, over, previous=previous, created=end),
        paid(14 * DAY - early),
    ]


@given(st.permutations(an_extended_trial(NOW - 14 * DAY)) | st.permutations(an_extended_trial(NOW - 14 * DAY, 5 * DAY)))
def test_an_extended_trial_ends_and_converts_once_in_any_order(events: Any) -> None:
    """Its payment, if it came before an extension, converted it a second time with the next renewal.

    And the end of the trial, also an early one, was taken for a moved billing date.
    """
    world = World()
    world.deliver(*events, paid(44 * DAY, id="in_2"))
    told_of_trial = [name for name in names(world) if name.startswith("Trial")]
    assert sorted(told_of_trial) == ["Trial Converted", "Trial Ended", "Trial Started"]
    assert (sum(told(world)), shown(world)) == (20, 20)


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the end first"])
def test_a_trial_of_a_free_plans_user_is_a_trial_also_if_its_start_comes_late(*, late: bool) -> None:
    """A trial that begins long after its subscription was taken for a billing date that moves."""
    world, trial = World(), {"trial_start": NOW - 14 * DAY, "trial_end": NOW}
    free, paying = (an_item(a_price(amount, id=f"price_{amount}")) for amount in (0, 2000))
    previous = {"status": "active", "items": {"data": [free]}, "trial_start": None, "trial_end": None}
    begins = an_event(
        UPDATED, a_subscription(paying, status="trialing", **trial), previous=previous, created=NOW - 14 * DAY
    )
    ends = an_event(UPDATED, a_subscription(paying, **trial), previous={"status": "trialing"}, created=NOW)
    world.deliver(an_event(CREATED, a_subscription(free), created=NOW - 100 * DAY))
    world.deliver(*((ends, begins) if late else (begins, ends)), paid())
    told_of_trial = [name for name in names(world) if name.startswith("Trial")]
    assert sorted(told_of_trial) == ["Trial Converted", "Trial Ended", "Trial Started"]
    assert (told(world, "mrr_movement"), shown(world)) == (["new"], 20)


@pytest.mark.parametrize("late", [False, True], ids=["the end first", "the invoice first"])
@pytest.mark.parametrize(
    "line",
    [
        {"type": "invoiceitem", "subscription": "sub_basic"},
        {"parent": {"type": "invoice_item_details", "invoice_item_details": {"subscription": "sub_basic"}}},
    ],
    ids=["before basil", "since"],
)
def test_a_trial_that_is_lost_does_not_convert_with_its_last_invoice_items(line: Any, *, late: bool) -> None:
    """Stripe bills pending invoice items at the end of the period, here of a trial that nobody paid for.

    https://docs.stripe.com/billing/subscriptions/cancel
    """
    world, over = World(), ended(NOW, **TRIAL)
    items = paid(5, total=700, lines={"data": [{"amount": 700, "currency": "usd", "quantity": 1} | line]})
    world.deliver(BEGINS, *((items, over) if late else (over, items)))
    ends = next(call["properties"] for call in world.calls if call.get("event") == "Trial Ended")
    assert ends["converted"] is False
    assert "Trial Converted" not in names(world)


def test_the_trial_of_a_subscription_that_converted_long_ago_does_not_convert_again() -> None:
    """A release that only stores the trial's end would have sent the conversion with the next renewal."""
    world = World()
    world.deliver(an_event(UPDATED, a_subscription(**TRIAL), previous={"metadata": {}}, created=NOW + 40 * DAY))
    world.deliver(paid(60 * DAY))
    assert "Trial Converted" not in names(world)


def test_a_billing_date_that_is_moved_by_a_trial_is_no_second_trial() -> None:
    """https://docs.stripe.com/billing/subscriptions/billing-cycle: `trial_end` moves the date of who pays already."""
    world, moved = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY}
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW - DAY),
        an_event(UPDATED, a_subscription(status="trialing", **moved), previous={"status": "active"}, created=NOW),
        an_event(UPDATED, a_subscription(**moved), previous={"status": "trialing"}, created=NOW + 9 * DAY),
        paid(9 * DAY),
    )
    assert names(world) == ["Subscription Created", *["Subscription Changed"] * 2, "Subscription Renewed"]
    assert (told(world), told(world, "changed")) == ([20, -20, 20], [["billing_date"]] * 2)
    assert told(world, "after_trial") == [], "the renewal said that it was the first payment after a trial"


@pytest.mark.parametrize("plan", [0, 2000], ids=["the same plan", "another plan"])
def test_who_pays_for_usage_beside_a_free_plan_has_a_trial_of_another_plan_alone(plan: int) -> None:
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY}
    usage = an_item(a_price(3, id="price_usage", recurring={"usage_type": "metered"}), None, id="si_usage")
    free, other = (an_item(a_price(amount, id=f"price_{amount}")) for amount in (0, plan))
    previous = {"status": "active"} | ({"items": {"data": [free, usage]}} if plan else {})
    world.deliver(
        an_event(CREATED, a_subscription(free, usage), created=NOW - DAY),
        an_event(UPDATED, a_subscription(other, usage, status="trialing", **trial), previous=previous, created=NOW),
        an_event(
            UPDATED, a_subscription(other, usage, **trial), previous={"status": "trialing"}, created=NOW + 9 * DAY
        ),
        paid(9 * DAY),
    )
    trials = [name for name in names(world) if name.startswith("Trial")]
    assert trials == (["Trial Started", "Trial Ended", "Trial Converted"] if plan else [])


@pytest.mark.parametrize("late", [False, True], ids=["the update first", "the invoice first"])
@pytest.mark.parametrize("subtotal", [0, -1500], ids=["a trial", "with a credit of the unpaid period"])
def test_a_trial_that_is_extended_after_a_declined_charge_does_not_convert_with_the_invoice_over_nothing(
    subtotal: int, *, late: bool
) -> None:
    """Stripe makes an invoice over nothing with it, which was taken for the first payment."""
    world, longer = World(), {"trial_start": NOW + 2 * DAY, "trial_end": NOW + 9 * DAY}
    over_nothing = an_invoice(
        id="in_0", billing_reason="subscription_update", created=NOW + 2 * DAY, total=subtotal, amount_paid=0
    )
    extended = [
        an_event(
            UPDATED, a_subscription(status="trialing", **longer), previous={"status": "past_due"}, created=NOW + 2 * DAY
        ),
        an_event("invoice.paid", over_nothing, created=NOW + 2 * DAY),
    ]
    world.deliver(
        BEGINS,
        ENDS,
        an_event(UPDATED, a_subscription(status="past_due", **TRIAL), previous={"status": "active"}, created=NOW + 1),
        *(reversed(extended) if late else extended),
        an_event(UPDATED, a_subscription(**longer), previous={"status": "trialing"}, created=NOW + 9 * DAY),
    )
    assert "Trial Converted" not in names(world)
    world.deliver(paid(9 * DAY))
    assert names(world).count("Trial Converted") == 1


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the end first"])
def test_a_billing_date_that_is_moved_for_who_pays_for_usage_alone_is_no_trial(*, late: bool) -> None:
    """No mrr counts usage, so the subscription was taken for a free plan's: a trial started, ended and converted."""
    world, moved = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY}
    usage = an_item(a_price(3, recurring={"usage_type": "metered"}), None)
    begins = an_event(UPDATED, a_subscription(usage, status="trialing", **moved), previous={"status": "active"})
    ends = an_event(UPDATED, a_subscription(usage, **moved), previous={"status": "trialing"}, created=NOW + 9 * DAY)
    world.deliver(an_event(CREATED, a_subscription(usage), created=NOW - DAY))
    world.deliver(*((ends, begins) if late else (begins, ends)), paid(9 * DAY))
    assert names(world) == ["Subscription Created", *["Subscription Changed"] * 2, "Subscription Renewed"]
    assert (told(world, "changed"), shown(world)) == ([["billing_date"]] * 2, 0)


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the end first"])
@pytest.mark.parametrize("end", [5 * DAY, 9 * DAY], ids=["before the new date", "with it"])
def test_who_is_cancelled_while_the_billing_date_moves_loses_no_trial(end: int, *, late: bool) -> None:
    """The cancellation of a paying customer stated the end of a trial that had never begun, and a reminder of it."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY}
    body = a_subscription(status="trialing", **trial)
    moved = an_event(UPDATED, body, previous={"status": "active"}, created=NOW)
    ends = an_event(DELETED, body | {"status": "canceled", "ended_at": NOW + end}, created=NOW + end)
    world.deliver(an_event(CREATED, a_subscription(), created=NOW - DAY))
    world.deliver(*((ends, moved) if late else (moved, ends)))
    world.deliver(an_event("customer.subscription.trial_will_end", body, created=NOW + 6 * DAY))
    assert sorted(names(world)) == ["Subscription Cancelled", "Subscription Changed", "Subscription Created"]
    assert sum(told(world)) == 0


@pytest.mark.parametrize("after", [60, 6 * DAY])
@pytest.mark.parametrize("kind", ["deleted", "paused", "resumed"])
def test_a_payment_that_came_before_a_trials_early_end_converts_it_with_whatever_event_comes_next(
    kind: str, after: int
) -> None:
    """Only an update stated the conversion then: that of a trial whose update came later than its end was lost."""
    world, early, statuses = World(), TRIAL | {"trial_end": NOW - 7 * DAY}, {"deleted": "canceled", "paused": "paused"}
    update = an_event(
        UPDATED, a_subscription(**early), previous={"status": "trialing", "trial_end": NOW}, created=NOW - 7 * DAY
    )
    body = a_subscription(status=statuses.get(kind, "active"), **early)
    world.deliver(
        BEGINS,
        paid(-7 * DAY),
        an_event(f"customer.subscription.{kind}", body, created=NOW - 7 * DAY + after),
        update,
        paid(30 * DAY, id="in_2"),
    )
    assert names(world).count("Trial Converted") == 1
    assert names(world).index("Trial Converted") < names(world).index("Trial Ended")


@pytest.mark.parametrize("days", [0, 100], ids=["a trial", "a moved billing date"])
def test_a_trial_that_was_paused_before_the_stack_converts_with_its_first_payment(days: int) -> None:
    """Only a trial that an event had stated did."""
    world = World()
    details = {"paused": {"type": "subscription", "subscription": {"type": "trial_end_without_payment_method"}}}
    body = a_subscription(created=TRIAL["trial_start"] - days * DAY, **TRIAL)
    resumed = an_event(UPDATED, body, previous={"status": "paused", "status_details": details}, created=NOW + 40 * DAY)
    world.deliver(resumed, paid(40 * DAY), paid(70 * DAY, id="in_2"))
    assert names(world).count("Trial Converted") == (0 if days else 1)
    assert told(world, "after_trial") == ([] if days else [True]), "it was paid for long after the trial"


@pytest.mark.parametrize(("made", "converted"), [(0, 1), (30 * DAY, 0)], ids=["its first invoice", "a later one"])
def test_a_trial_that_ended_before_the_stack_converts_with_the_invoice_of_its_end_alone(
    made: int, converted: int
) -> None:
    """The first charge after a trial may take weeks, and no event stated the conversion then."""
    world, body = World(), a_subscription(created=TRIAL["trial_start"], **TRIAL)
    world.deliver(
        an_event(UPDATED, body | {"status": "past_due"}, previous={"metadata": {"note": None}}, created=NOW + 20 * DAY),
        paid(made),
        an_event(UPDATED, body, previous={"status": "past_due"}, created=NOW + 31 * DAY),
        paid(60 * DAY, id="in_2"),
    )
    assert names(world).count("Trial Converted") == converted


def test_a_billing_date_that_two_events_move_is_stated_once_whenever_they_come() -> None:
    """The second stated it again, and under another messageId after each change of the mrr."""
    world, moved = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY}
    ends = [
        an_event(UPDATED, a_subscription(**moved), previous={"status": "trialing"}, created=NOW + 9 * DAY)
        for _ in range(3)
    ]
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW - DAY),
        an_event(UPDATED, a_subscription(status="trialing", **moved), previous={"status": "active"}, created=NOW),
        *ends[:2],
        an_event(DELETED, a_subscription(status="canceled", ended_at=NOW + 12 * DAY), created=NOW + 12 * DAY),
        ends[2],
    )
    assert names(world) == ["Subscription Created", *["Subscription Changed"] * 2, "Subscription Cancelled"]
    assert told(world) == [20, -20, 20, -20]


@pytest.mark.parametrize(
    "order",
    ["0123456", "0132456", "0142356", "0143256", "1034256", "0123546", "0132546", "0165324", "0165432", "0615324"],
)
def test_a_second_trial_that_keeps_the_start_of_the_first_ends_no_trial_whichever_event_comes_first(
    order: str,
) -> None:
    """If its end or its payment overtook its start, it was taken for the first one, extended: two trials ended."""
    world, fresh = World(), {"created": NOW, "start_date": NOW}
    first, second = ({"trial_start": NOW, "trial_end": NOW + days * DAY} for days in (7, 40))
    running = {"status": "active", "trial_end": first["trial_end"]}
    events = [
        an_event(CREATED, a_subscription(status="trialing", **first, **fresh), created=NOW),
        an_event(UPDATED, a_subscription(**first, **fresh), previous={"status": "trialing"}, created=NOW + 7 * DAY),
        an_event(
            UPDATED, a_subscription(status="trialing", **second, **fresh), previous=running, created=NOW + 20 * DAY
        ),
        an_event(UPDATED, a_subscription(**second, **fresh), previous={"status": "trialing"}, created=NOW + 40 * DAY),
        paid(40 * DAY),
        an_event(UPDATED, a_subscription(**second, **fresh), previous={"metadata": {}}, created=NOW + 41 * DAY),
        paid(7 * DAY) if "6" in order[:4] else paid(71 * DAY),
    ]
    world.deliver(*(events[int(number)] for number in order))
    trials = sorted(name for name in names(world) if name.startswith("Trial"))
    assert trials == ["Trial Converted", "Trial Ended", "Trial Started"]
    assert (sum(told(world)), shown(world)) == (20, 20)


def test_a_payment_that_arrives_after_the_billing_date_was_moved_converts_the_trial_before_it() -> None:
    """An event after both states the end of the second one, which is none of the trial that the payment follows."""
    world, fresh = World(), {"created": NOW, "start_date": NOW}
    trial, moved = (
        {"trial_start": NOW + start * DAY, "trial_end": NOW + end * DAY} for start, end in [(0, 7), (20, 40)]
    )
    running = {"status": "active", **trial}
    world.deliver(
        an_event(CREATED, a_subscription(status="trialing", **trial, **fresh), created=NOW),
        an_event(UPDATED, a_subscription(**trial, **fresh), previous={"status": "trialing"}, created=NOW + 7 * DAY),
        an_event(
            UPDATED, a_subscription(status="trialing", **moved, **fresh), previous=running, created=NOW + 20 * DAY
        ),
        an_event(UPDATED, a_subscription(**moved, **fresh), previous={"status": "trialing"}, created=NOW + 40 * DAY),
        an_event(UPDATED, a_subscription(**moved, **fresh), previous={"metadata": {}}, created=NOW + 41 * DAY),
        paid(7 * DAY),
    )
    assert names(world).count("Trial Converted") == 1


def test_a_trial_whose_start_is_unknown_is_not_forgotten_by_an_event_that_states_no_trial() -> None:
    """Neither had a start, so the later event was taken to state the end of the trial: none."""
    world, begun = World(), {"trial_start": None, "trial_end": NOW + 7 * DAY, "created": NOW, "start_date": NOW}
    after = a_subscription(created=NOW, start_date=NOW, trial_start=None, trial_end=None)
    world.deliver(
        an_event(CREATED, a_subscription(status="trialing", **begun), created=NOW),
        an_event(UPDATED, a_subscription(**begun), previous={"status": "trialing"}, created=NOW + 7 * DAY),
        an_event(UPDATED, after, previous={"metadata": {}}, created=NOW + 7 * DAY + 9),
        paid(7 * DAY),
    )
    assert names(world).count("Trial Converted") == 1


def test_a_paid_trial_offer_is_a_trial_and_its_end_no_upgrade() -> None:
    """A dollar now and 29 after: the status is active all the time, and the end looked like an upgrade."""
    world, trial = World(), {"start_date": NOW, "end_date": NOW + 30 * DAY, "trial_offer": "to_1"}
    intro = an_item(a_price(100, id="price_intro"), current_trial=trial)
    regular = an_item(a_price(2900, id="price_regular"), current_trial=None)
    world.deliver(
        an_event(CREATED, a_subscription(intro), created=NOW),
        an_event(UPDATED, a_subscription(regular), previous={"items": {"data": [intro]}}, created=NOW + 30 * DAY),
        paid(30 * DAY),
    )
    expected = ["Subscription Created", "Trial Started", "Trial Ended", "Trial Converted", "Subscription Renewed"]
    assert names(world) == expected
    assert (told(world), shown(world)) == ([0, 29], 29)


def test_a_paid_trial_says_when_it_ends_and_that_it_was_cancelled() -> None:
    """Its status is active, so the trait was missing, and a cancellation within it ended no trial."""
    world, trial = World(), {"start_date": NOW, "end_date": NOW + 30 * DAY, "trial_offer": "to_1"}
    intro = an_item(a_price(100, id="price_intro"), current_trial=trial)
    world.deliver(an_event(CREATED, a_subscription(intro), created=NOW))
    assert shown(world, "trial_ends_at") == "2026-12-18T11:06:40.000Z"
    end = a_subscription(intro, status="canceled", ended_at=NOW + DAY)
    world.deliver(an_event(DELETED, end, created=NOW + DAY))
    assert names(world)[2:] == ["Subscription Cancelled", "Trial Ended"]
    assert (told(world, "converted"), shown(world, "trial_ends_at")) == ([False], None)


def test_a_trial_offer_on_one_item_leaves_the_others_in_the_mrr() -> None:
    """An add-on with a trial offer made the whole subscription a trial: its mrr was lost and won again."""
    world = World()
    trial = {"start_date": NOW + DAY, "end_date": NOW + 30 * DAY, "trial_offer": "to_1"}
    base = an_item(a_price(10_000, id="price_base"), id="si_base")
    intro = an_item(a_price(100, id="price_intro"), id="si_extra", current_trial=trial)
    extra = an_item(a_price(2_000, id="price_extra"), id="si_extra", current_trial=None)
    world.deliver(
        an_event(CREATED, a_subscription(base), created=NOW),
        an_event(UPDATED, a_subscription(base, intro), previous={"items": {"data": [base]}}, created=NOW + DAY),
        an_event(
            UPDATED, a_subscription(base, extra), previous={"items": {"data": [base, intro]}}, created=NOW + 30 * DAY
        ),
    )
    assert names(world) == ["Subscription Created", "Subscription Changed", "Subscription Upgraded"]
    assert (told(world), shown(world)) == ([100, 0, 20], 120)


def test_a_paid_trial_from_before_the_stack_that_is_cancelled_has_never_counted() -> None:
    world, trial = World(), {"start_date": NOW - 40 * DAY, "end_date": NOW + 30 * DAY, "trial_offer": "to_1"}
    intro = an_item(a_price(100, id="price_intro"), current_trial=trial)
    world.deliver(an_event(DELETED, a_subscription(intro, status="canceled", ended_at=NOW), created=NOW))
    assert told(world) == [0, 0]


def test_a_moved_billing_date_is_no_end_of_a_trial_among_the_traits() -> None:
    world = World()
    moved = a_subscription(status="trialing", trial_start=NOW, trial_end=NOW + 9 * DAY)
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW - DAY),
        an_event(UPDATED, moved, previous={"status": "active"}, created=NOW),
    )
    assert (shown(world, "subscription_status"), shown(world, "trial_ends_at")) == ("trialing", None)


# --- Pauses and cancellations ---


def test_a_pause_on_request_says_so_and_takes_the_mrr_away_until_it_is_resumed() -> None:
    world = World()
    why = {"paused": {"type": "subscription", "subscription": {"type": "pause_requested"}}}
    paused = a_subscription(status="paused", status_details=why)
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(UPDATED, paused, previous={"status": "active", "status_details": None}, created=NOW + DAY),
        an_event(PAUSED, paused, created=NOW + DAY),
        an_event(RESUMED, a_subscription(), created=NOW + 2 * DAY),
        an_event(UPDATED, a_subscription(), previous={"status": "paused"}, created=NOW + 2 * DAY),
    )
    assert names(world) == ["Subscription Created", "Subscription Paused", "Subscription Resumed"]
    assert (told(world), told(world, "reason")) == ([20, -20, 20], ["pause_requested"])
    assert told(world, "mrr_movement") == ["new", "churn", "reactivation"]


@pytest.mark.parametrize(
    ("reason", "opening"),
    [("first_payment_failure", 20), ("trial_end_without_payment_method", 0), ("final_payment_failure", 20)],
)
def test_the_reason_of_a_pause_says_whether_the_subscription_counted_before(reason: str, opening: int) -> None:
    """One that was paid for until a renewal failed, first seen when it was paused, opened with no mrr.

    https://docs.stripe.com/billing/revenue-recovery/smart-retries/pause-on-payment-failure: the action for the first
    failure is that for the first failed attempt to pay a renewal.
    """
    world = World()
    why = {"paused": {"type": "subscription", "subscription": {"type": reason}}}
    world.deliver(an_event(PAUSED, a_subscription(status="paused", status_details=why)))
    assert names(world) == ["Subscription Imported", "Subscription Paused"]
    assert told(world) == [opening, -opening]


@pytest.mark.parametrize("longer", [0, DAY], ids=["the same end", "a later end"])
def test_a_pause_on_request_in_a_trial_does_not_end_it(longer: int) -> None:
    """It did, and the trial's own end was no news then: nothing stated the mrr with which the trial ended."""
    world, trial = World(), {"status": "trialing", "trial_start": NOW, "trial_end": NOW + 9 * DAY}
    paused, end = a_subscription(**trial | {"status": "paused"}), NOW + 9 * DAY + longer
    resumed, was = a_subscription(**trial | {"trial_end": end}), {"status": "paused", "trial_end": NOW + 9 * DAY}
    world.deliver(
        an_event(CREATED, a_subscription(**trial, created=NOW), created=NOW),
        an_event(UPDATED, paused, previous={"status": "trialing"}, created=NOW + DAY),
        an_event(PAUSED, paused, created=NOW + DAY),
        an_event(UPDATED, resumed, previous=was, created=NOW + 2 * DAY),
        an_event(RESUMED, resumed, created=NOW + 2 * DAY),
    )
    assert names(world)[1:] == ["Trial Started", "Subscription Paused", "Subscription Resumed"]
    ended = resumed | {"status": "active"}
    world.deliver(an_event(UPDATED, ended, previous={"status": "trialing"}, created=end), paid(9 * DAY + longer))
    assert names(world)[4:6] == ["Trial Ended", "Trial Converted"]
    assert (sum(told(world)), shown(world)) == (20, 20)


@pytest.mark.parametrize("why", ["pause_requested", "first_payment_failure", None])
@pytest.mark.parametrize("first", [UPDATED, RESUMED, PAUSED, "import"])
def test_who_was_paused_before_the_stack_and_is_resumed_is_no_new_subscriber(why: str | None, first: str) -> None:
    """Only what the stack had stated an mrr of was a reactivation; a trial that had no payment method is still new."""
    for trial, movement in (({}, "reactivation"), (TRIAL | {"created": TRIAL["trial_start"]}, "new")):
        world, about = World(), why if not trial else "trial_end_without_payment_method"
        details = about and {"paused": {"type": "subscription", "subscription": {"type": about}}}
        paused = a_subscription(status="paused", status_details=details, **trial)
        body, again = a_subscription(**trial), NOW + 20 * DAY
        if first == "import":
            world.batch(json.dumps(record_of(paused, Level.STATE, NOW + 10 * DAY, livemode=False)))
        if first == PAUSED:
            world.deliver(an_event(PAUSED, paused, created=NOW + DAY))
        previous = {"status": "paused", "status_details": details}
        events = [
            an_event(UPDATED, body, previous=previous, created=again),
            an_event(RESUMED, body, created=again),
        ]
        world.deliver(*sorted(events, key=lambda event: event.type != first))
        assert told(world, "mrr_movement")[-1] == movement


def test_who_was_unpaid_before_the_stack_and_pays_again_is_no_new_subscriber() -> None:
    world = World()
    world.deliver(an_event(UPDATED, a_subscription(), previous={"status": "unpaid"}, created=NOW))
    assert (told(world), told(world, "mrr_movement")) == ([0, 20], ["reactivation"])


def test_who_never_had_a_paid_plan_is_a_new_subscriber_also_after_unpaid_usage() -> None:
    """The plan that was chosen while usage was unpaid looked like one that had been paid for before."""
    world, usage = World(), an_item(a_price(10, recurring={"usage_type": "metered"}), quantity=None)
    free, paid = {"object": "list", "data": [usage], "has_more": False}, a_subscription(created=NOW)
    world.deliver(
        an_event(CREATED, a_subscription(usage, created=NOW), created=NOW),
        an_event(
            UPDATED,
            a_subscription(usage, created=NOW, status="unpaid"),
            previous={"status": "active"},
            created=NOW + DAY,
        ),
        an_event(UPDATED, paid | {"status": "unpaid"}, previous={"items": free}, created=NOW + 2 * DAY),
        an_event(UPDATED, paid, previous={"status": "unpaid"}, created=NOW + 3 * DAY),
    )
    assert told(world, "mrr_movement") == ["new"]


@pytest.mark.parametrize("first", [UPDATED, RESUMED, "invoice.paid"])
def test_a_trial_that_ends_during_a_pause_on_request_ends_with_the_resumption(first: str) -> None:
    """Nothing stated its end, although it converted."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY, "created": NOW}
    why = {"status_details": {"paused": {"type": "subscription", "subscription": {"type": "pause_requested"}}}}
    paused, resumed = a_subscription(**trial | why | {"status": "paused"}), a_subscription(**trial)
    before = [
        an_event(CREATED, a_subscription(**trial | {"status": "trialing"}), created=NOW),
        an_event(UPDATED, paused, previous={"status": "trialing", "status_details": None}, created=NOW + DAY),
        an_event(PAUSED, paused, created=NOW + DAY),
    ]
    after = [
        an_event(UPDATED, resumed, previous={"status": "paused"} | why, created=NOW + 20 * DAY),
        an_event(RESUMED, resumed, created=NOW + 20 * DAY),
        paid(20 * DAY),
    ]
    world.deliver(*before, *sorted(after, key=lambda event: event.type != first))
    trials = sorted(name for name in names(world) if name.startswith("Trial"))
    assert trials == ["Trial Converted", "Trial Ended", "Trial Started"]
    again = an_event(UPDATED, resumed, previous={"status": "paused"} | why, created=NOW + 90 * DAY)
    assert "Trial Ended" not in world.tracks(again), "a pause on request long after the trial"


def test_a_trial_that_was_paused_on_request_and_never_resumed_is_lost_with_the_cancellation() -> None:
    """Nothing stated its end where it was cancelled after the trial's last day."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY, "created": NOW}
    paused = a_subscription(**trial | {"status": "paused"})
    world.deliver(
        an_event(CREATED, a_subscription(**trial | {"status": "trialing"}), created=NOW),
        an_event(UPDATED, paused, previous={"status": "trialing"}, created=NOW + DAY),
        an_event(PAUSED, paused, created=NOW + DAY),
        ended(NOW + 40 * DAY, **trial),
    )
    assert names(world)[2:] == ["Subscription Paused", "Subscription Cancelled", "Trial Ended"]
    assert (told(world, "converted"), sum(told(world))) == ([False], 0)


def test_a_trial_that_ends_a_second_time_does_not_lose_the_mrr_with_which_it_ends() -> None:
    """The end of a trial is stated once, and so the mrr_change that the second one bore was dropped with it."""
    world, trial = World(), {"trial_start": NOW, "trial_end": NOW + 9 * DAY}
    before = "trialing"
    world.deliver(an_event(CREATED, a_subscription(status=before, **trial, created=NOW), created=NOW))
    for day, status in enumerate(("unpaid", "trialing", "active"), 1):
        update = an_event(
            UPDATED, a_subscription(status=status, **trial), previous={"status": before}, created=NOW + day * DAY
        )
        world.deliver(update)
        before = status
    assert names(world).count("Trial Ended") == 1
    assert (sum(told(world)), shown(world)) == (20, 20)


def test_a_scheduled_pause_that_resumes_into_past_due_counts_again() -> None:
    """https://docs.stripe.com/billing/subscriptions/pause/schedules: a resumption succeeds as active or past_due."""
    world = World()
    why = {"paused": {"type": "subscription", "subscription": {"type": "pause_requested"}}}
    scheduled = {"schedule": "sub_sched_1", "status_details": why}
    paused, due = (
        a_subscription(status="paused", **scheduled),
        a_subscription(status="past_due", schedule="sub_sched_1"),
    )
    world.deliver(
        an_event(CREATED, a_subscription(schedule="sub_sched_1"), created=NOW),
        an_event(PAUSED, paused, created=NOW + DAY),
        an_event(UPDATED, due, previous={"status": "paused", "status_details": why}, created=NOW + 2 * DAY),
        an_event(RESUMED, due, created=NOW + 2 * DAY),
    )
    assert names(world) == [
        "Subscription Created",
        "Subscription Paused",
        "Subscription Past Due",
        "Subscription Resumed",
    ]
    assert sum(told(world)) == shown(world) == 20


def test_feedback_that_arrives_a_second_after_the_cancellation_is_not_lost() -> None:
    """The customer portal cancels first and asks then; the update with the answer sent nothing."""
    world, at = World(), {"cancel_at": NOW + 30 * DAY, "cancel_at_period_end": True}
    details = {"reason": "cancellation_requested", "feedback": "too_expensive"}
    scheduled = {"cancel_at": None, "cancel_at_period_end": False}
    answered = {"cancellation_details": {"feedback": None, "reason": None}}
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW - DAY),
        an_event(UPDATED, a_subscription(**at), previous=scheduled, created=NOW),
        an_event(UPDATED, a_subscription(**at, cancellation_details=details), previous=answered, created=NOW + 1),
    )
    assert names(world)[1:] == ["Subscription Cancellation Scheduled", "Cancellation Feedback Given"]
    assert told(world, "feedback") == ["too_expensive"]


def test_feedback_that_arrives_after_an_immediate_cancellation_is_not_lost() -> None:
    """Of a cancelled subscription Stripe still updates `cancellation_details`, and nothing was told of it."""
    world, details = World(), {"reason": "cancellation_requested", "feedback": None}
    over = {"status": "canceled", "ended_at": NOW, "canceled_at": NOW}
    given = a_subscription(**over, cancellation_details=details | {"feedback": "unused"})
    answered = {"cancellation_details": {"feedback": None}}
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW - DAY),
        an_event(DELETED, a_subscription(**over, cancellation_details=details), created=NOW),
        an_event(UPDATED, given, previous=answered, created=NOW + 1),
    )
    assert names(world)[1:] == ["Subscription Cancelled", "Cancellation Feedback Given"]
    assert (told(world, "feedback"), shown(world, "subscription_status")) == (["unused"], "canceled")
    assert sum(told(world)) == 0


def test_the_same_feedback_after_a_second_cancellation_is_not_lost() -> None:
    """Who revoked the cancellation and cancelled again in the same period had no answer the second time."""
    world, asked = World(), {"comment": None, "feedback": None, "reason": "cancellation_requested"}
    for at in (NOW, NOW + DAY):
        cancelled = a_subscription(cancel_at=NOW + 30 * DAY, cancellation_details=asked)
        answered = cancelled | {"cancellation_details": asked | {"feedback": "unused"}}
        answer = {"cancellation_details": {"feedback": None}}
        world.deliver(
            an_event(UPDATED, cancelled, previous={"cancel_at": None}, created=at),
            an_event(UPDATED, answered, previous=answer, created=at + 1),
            an_event(UPDATED, answered, previous=answer, created=at + 1),
            an_event(UPDATED, a_subscription(), previous={"cancel_at": NOW + 30 * DAY}, created=at + 60),
        )
    given = "Cancellation Feedback Given"
    assert names(world)[1:] == ["Subscription Cancellation Scheduled", given, "Subscription Reactivated"] * 2


def test_feedback_that_is_taken_back_is_none() -> None:
    """The reason, which stays, was sent once more as feedback."""
    world, at = World(), {"cancel_at": NOW + 30 * DAY, "cancel_at_period_end": True}
    details = {"reason": "cancellation_requested", "feedback": None}
    given = {"cancellation_details": {"feedback": "unused"}}
    world.deliver(
        an_event(CREATED, a_subscription(**at), created=NOW - DAY),
        an_event(UPDATED, a_subscription(**at, cancellation_details=details), previous=given, created=NOW + 1),
    )
    assert names(world) == ["Subscription Created"]


def test_the_name_of_a_price_is_used_for_events_that_have_only_its_id() -> None:
    """Since 2025-03-31 an invoice's line has the id of its price alone, and was called by the product, or by the id."""
    world = World()
    named = a_price(nickname="Basic, monthly")
    world.deliver(
        an_event("price.updated", named, created=NOW),
        an_event("price.created", a_price(nickname="Draft"), created=NOW - DAY),
        an_event("product.created", {"id": "prod_basic", "object": "product", "name": "Basic"}, created=NOW - DAY),
    )
    bare = {"id": "price_basic", "product": "prod_basic", "recurring": {"interval": "month"}, "unit_amount": 2000}
    world.deliver(an_event(CREATED, a_subscription(an_item({**bare, "currency": "usd"})), created=NOW + 1))
    assert [call["properties"]["plan"] for call in world.calls if call["type"] == "track"] == ["Basic, monthly"]


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the beginning last"])
def test_a_name_that_a_price_no_longer_has_is_not_used(*, late: bool) -> None:
    """Invoices, which have the price's id alone, went on with a nickname that was taken away."""
    world = World()
    prices = [
        an_event("price.created", a_price(nickname="Draft"), created=NOW - DAY),
        an_event("price.updated", a_price(), previous={"nickname": "Draft"}, created=NOW),
    ]
    product = {"id": "prod_basic", "object": "product", "name": "Basic"}
    world.deliver(*(prices[::-1] if late else prices), an_event("product.created", product, created=NOW), paid())
    assert told(world, "plan") == ["Basic"]


def test_only_the_name_of_a_price_that_an_event_names_by_id_alone_is_looked_up() -> None:
    """Each event of a subscription read an item for a price whose object stood in the event and had no name."""
    whole, by_id = an_event(CREATED, a_subscription()), an_event("invoice.paid", an_invoice())
    for event, names in ((whole, {"own:test:prod_basic"}), (by_id, {"own:test:price_basic", "own:test:prod_basic"})):
        assert {key for kind, key in keys_of(event) if kind == "product"} == names


def test_a_price_without_a_name_of_its_own_leaves_the_products() -> None:
    world = World()
    world.deliver(
        an_event("price.created", a_price(), created=NOW),
        an_event("product.created", {"id": "prod_basic", "object": "product", "name": "Basic"}, created=NOW),
        an_event(CREATED, a_subscription(), created=NOW + 1),
    )
    assert [call["properties"]["plan"] for call in world.calls if call["type"] == "track"] == ["Basic"]


def test_a_change_that_two_events_state_keeps_its_amount_where_segment_refused_the_first() -> None:
    """The second event of one change took the refused one's place, with an mrr_change of 0: the record had moved on."""
    world = World()
    price, next_price = a_price(2000), a_price(2000, id="price_2")
    world.deliver(an_event(CREATED, a_subscription(an_item(price, 3)), created=NOW))
    before = a_subscription(an_item(price, 1))["items"]
    twins = [
        an_event(
            UPDATED,
            a_subscription(an_item(next_price, 1)),
            previous={"items": before},
            created=NOW + DAY,
            id=f"evt_{one}",
        )
        for one in ("first", "second")
    ]
    world.answer = lambda call: Answer(Meaning.REFUSED, "http_400") if call.body["type"] == "track" else ACCEPTED
    world.batch(twins[0])
    world.answer = lambda _: ACCEPTED
    more = a_subscription(an_item(next_price, 5))
    world.deliver(
        an_event(UPDATED, more, previous={"items": twins[0].object["items"]}, created=NOW + 2 * DAY),
        twins[1],
        twins[0],
    )
    assert told(world) == [60, 80, -40]
    assert shown(world) == 100


@pytest.mark.parametrize("late", [True, False], ids=["after the subscription", "before it"])
def test_a_name_that_comes_after_its_subscription_is_a_trait_with_the_first_invoice(*, late: bool) -> None:
    """The user's plan was the price's id until the next event of the subscription, a month later."""
    world = World()
    named = an_event("product.created", {"id": "prod_basic", "object": "product", "name": "Basic"}, created=NOW)
    begun = an_event(CREATED, a_subscription(), created=NOW)
    world.deliver(*((begun, named) if late else (named, begun)), paid(0))
    assert shown(world, "plan") == "Basic"
