"""Monthly recurring revenue is what Stripe's dashboard shows, and unknown if a payload cannot state it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from stripe_to_segment.stripe_side.discount import Coupon, Remembered
from stripe_to_segment.stripe_side.mrr import MonthlyValue, Terms, monthly_value
from stripe_to_segment.stripe_side.subscription import items_of
from tests.unit.shapes import a_plan, a_price, a_subscription, an_item, an_old_subscription


def value_of(subscription: Any, terms: Terms | None = None) -> MonthlyValue:
    return monthly_value(subscription, items_of(subscription), terms or Terms())


def amount_of(*items: dict[str, Any], **more: Any) -> int | None:
    return value_of(a_subscription(*items, **more)).amount


@pytest.mark.parametrize(
    ("interval", "count", "amount", "monthly"),
    [
        ("month", 1, 2000, 2000),
        ("month", 3, 6000, 2000),
        ("month", 6, 6000, 1000),
        ("year", 1, 12000, 1000),
        ("year", 1, 10000, 833),
        ("year", 2, 24000, 1000),
        ("week", 1, 1000, 4333),
        ("week", 2, 1000, 2167),
        ("day", 1, 100, 3042),
        ("year", 1, 30, 2),
        ("year", 1, 42, 4),
    ],
)
def test_every_interval_is_normalised_to_a_month_half_to_even(
    interval: str, count: int, amount: int, monthly: int
) -> None:
    price = a_price(amount, interval, recurring={"interval_count": count})
    assert amount_of(an_item(price)) == monthly


def test_items_are_summed_with_their_quantities() -> None:
    assert amount_of(an_item(a_price(1000), 3), an_item(a_price(12000, "year"), 2)) == 3000 + 2000


def test_the_sum_is_rounded_once_and_not_each_item() -> None:
    thirds = [an_item(a_price(100, "year")) for _ in range(3)]
    assert amount_of(*thirds) == 25


def test_metered_items_count_nothing_beside_licensed_ones() -> None:
    metered = a_price(7, recurring={"usage_type": "metered"})
    assert amount_of(an_item(a_price(2000)), an_item(metered, None)) == 2000


def test_a_metered_subscription_has_no_recurring_revenue() -> None:
    assert amount_of(an_item(a_price(None, recurring={"usage_type": "metered"}), None)) == 0


def test_tiers_make_the_mrr_unknown_and_never_zero() -> None:
    tiered = a_price(None, billing_scheme="tiered", tiers_mode="graduated")
    assert amount_of(an_item(tiered, 5), an_item(a_price(1000))) is None


def test_a_tiered_price_with_a_stray_amount_is_still_unknown() -> None:
    assert amount_of(an_item(a_price(0, billing_scheme="tiered"))) is None


def test_a_price_outranks_a_plan_beside_it() -> None:
    item = an_item(a_price(2000)) | {"plan": a_plan(None, billing_scheme="tiered", interval="year", interval_count=7)}
    assert amount_of(item) == 2000


def test_a_cut_list_of_items_makes_the_value_unknown_and_not_partial() -> None:
    cut = {"object": "list", "data": [an_item()], "has_more": True}
    assert value_of(a_subscription(items=cut)).amount is None


def test_a_price_below_a_cent_is_read_from_its_decimal() -> None:
    assert amount_of(an_item(a_price(None, unit_amount_decimal="0.5"), 1000)) == 500


@pytest.mark.parametrize(("rounding", "monthly"), [("up", 3000), ("down", 2000)])
def test_packages_are_rounded_as_the_price_says(rounding: str, monthly: int) -> None:
    assert amount_of(an_item(a_price(1000, transform_quantity={"divide_by": 10, "round": rounding}), 25)) == monthly


def test_old_plans_count_like_prices() -> None:
    assert value_of(an_old_subscription(a_plan(1500), quantity=2)).amount == 3000


def test_a_plan_on_the_subscription_alone_counts_too() -> None:
    subscription = an_old_subscription(a_plan(12000, "year"))
    del subscription["items"]
    assert value_of(subscription).amount == 1000


@pytest.mark.parametrize(
    "discount",
    [
        {"discount": {"id": "di_1", "coupon": {"id": "SAVE", "duration": "forever", "percent_off": 25.5}}},
        {
            "discounts": [
                {
                    "id": "di_1",
                    "source": {"type": "coupon", "coupon": {"id": "SAVE", "duration": "forever", "percent_off": 25.5}},
                }
            ]
        },
        {
            "discounts": ["di_1"],
            "discount": {"id": "di_1", "coupon": {"id": "SAVE", "duration": "forever", "percent_off": 25.5}},
        },
    ],
    ids=["as before 2025", "as since 2025-09-30", "both at once"],
)
def test_a_stated_percentage_is_taken_off_once_in_every_shape(discount: dict[str, Any]) -> None:
    assert value_of(a_subscription(an_item(a_price(2000)), **discount)) == MonthlyValue(1490, 2000)


def test_a_fixed_amount_comes_off_once_a_period() -> None:
    discount = {
        "discounts": [{"id": "di_1", "source": {"coupon": {"id": "TEN", "duration": "forever", "amount_off": 1200}}}]
    }
    assert amount_of(an_item(a_price(12000, "year")), **discount) == 900


@pytest.mark.parametrize(
    ("monthly", "yearly", "off", "mrr"),
    [
        # Eleven invoices of 2 are free, and the twelfth of 2 + 240 is 5 less: 264 - 22 - 5 = 237 a year.
        (200, 24_000, 500, 1975),
        # Nothing comes off the monthly invoices over nothing.
        (0, 24_000, 500, 1958),
        (2000, 24_000, 500, 3500),
    ],
)
def test_a_fixed_amount_comes_off_each_invoice_and_is_never_more_than_it(
    monthly: int, yearly: int, off: int, mrr: int
) -> None:
    """The amount was subtracted for each month, although the monthly invoices were over less, or over nothing."""
    discount = {"discounts": [{"id": "di_1", "coupon": {"id": "OFF", "duration": "forever", "amount_off": off}}]}
    items = an_item(a_price(monthly)), an_item(a_price(yearly, "year"), id="si_2")
    assert amount_of(*items, **discount) == mrr


def test_an_items_own_discount_leaves_the_other_items_alone() -> None:
    half = [{"id": "di_1", "coupon": {"id": "HALF", "duration": "forever", "percent_off": 50}}]
    assert amount_of(an_item(a_price(1000), discounts=half), an_item(a_price(1000))) == 1500


def test_a_discount_never_makes_the_value_negative() -> None:
    discount = {"discounts": [{"id": "di_1", "coupon": {"id": "BIG", "duration": "forever", "amount_off": 99999}}]}
    assert amount_of(an_item(a_price(1000)), **discount) == 0


@pytest.mark.parametrize("named", [["di_1"], [{"id": "di_1", "source": {"type": "coupon", "coupon": "SAVE"}}]])
def test_a_discount_known_by_id_only_leaves_the_value_unknown_and_never_gross(named: list[Any]) -> None:
    """The mrr was gross, in the very API version that `register` chooses, and half of it was never earned."""
    assert value_of(a_subscription(discounts=named)) == MonthlyValue(None, gross=2000, discount_unknown=True)


HALF = Coupon("SAVE", Decimal(50), None, duration="forever").written


@pytest.mark.parametrize(
    ("named", "remembered"),
    [
        (["di_1"], Remembered(discounts=frozenset({("di_1", HALF)}))),
        ([{"id": "di_1", "source": {"coupon": "SAVE"}}], Remembered(coupons=frozenset({("SAVE", HALF)}))),
        (["di_1"], Remembered(frozenset({("di_1", '{"id":"SAVE"}')}), frozenset({("SAVE", HALF)}))),
        ([], Remembered(frozenset({("di_1", HALF)}), own=("di_1",))),
    ],
    ids=["its discount", "its coupon", "the coupon of its discount", "the Customer's own discount"],
)
def test_a_discount_that_another_payload_stated_is_subtracted(named: list[Any], remembered: Remembered) -> None:
    subscription = a_subscription(discounts=named)
    assert value_of(subscription, Terms(remembered=remembered)).amount == 1000


def test_a_customers_own_discount_leaves_a_subscription_with_one_alone() -> None:
    """https://docs.stripe.com/billing/subscriptions/coupons: the subscription's takes precedence."""
    subscription = a_subscription(discounts=[{"id": "di_2", "coupon": {"duration": "once", "percent_off": 10}}])
    terms = Terms(remembered=Remembered(frozenset({("di_1", HALF)}), own=("di_1",)))
    assert value_of(subscription, terms).amount == 2000


@pytest.mark.parametrize(
    ("policy", "duration", "amount"),
    [
        ("forever", "forever", 1000),
        ("forever", "once", 2000),
        ("forever", "repeating", 2000),
        ("forever", None, None),
        ("forever", "until_cancelled", None),
        ("all", "once", 1000),
        ("all", "repeating", 1000),
        ("none", "forever", 2000),
    ],
)
def test_the_duration_of_a_coupon_says_whether_it_lowers_the_mrr(
    policy: str, duration: str | None, amount: int | None
) -> None:
    """By Stripe's rule, unless `MrrDiscounts` says otherwise. https://support.stripe.com/questions/billing-analytics

    A coupon of a duration that is newer than this package was taken for one that ends, and the mrr stayed gross.
    """
    coupon = {"id": "HALF", "percent_off": 50, "duration": duration}
    subscription = a_subscription(discounts=[{"id": "di_1", "coupon": coupon}])
    assert value_of(subscription, Terms(policy)).amount == amount


@pytest.mark.parametrize(
    "terms",
    [
        {"billing_scheme": "by_outcome"},
        {"recurring": {"usage_type": "prepaid"}},
        {"transform_quantity": {"divide_by": 10, "round": "half_up"}},
    ],
)
def test_an_amount_under_terms_that_stripe_may_add_is_unknown(terms: dict[str, Any]) -> None:
    """Stripe's enums are open, and any value that was not known meant an amount for each unit, rounded down."""
    assert amount_of(an_item(a_price(2000, **terms), 15)) is None


def test_a_price_in_another_currency_has_the_amount_from_an_invoice() -> None:
    """A price shows its base currency, and 30 dollars were taken for 30 euros where 25 were billed."""
    subscription = a_subscription(an_item(a_price(3000, currency="usd", id="price_1")), currency="eur")
    told = Terms(amounts=frozenset({("price_1:eur", "2500")}))
    assert value_of(subscription).amount is None
    assert value_of(subscription, told).amount == 2500


def test_no_units_cost_nothing_in_any_currency() -> None:
    """An add-on without units in another currency than its price's own left the mrr absent."""
    none = an_item(a_price(3000, currency="usd", id="price_1"), 0)
    seats = an_item(a_price(2000, currency="eur", id="price_2"))
    assert value_of(a_subscription(seats, none, currency="eur")).amount == 2000


def test_a_fixed_amount_in_another_currency_is_not_taken_off_as_if_it_were_this_one() -> None:
    """Five euros off a subscription in dollars made it five dollars cheaper; no event states its value in dollars."""
    coupon = {"id": "FIVE", "amount_off": 500, "currency": "eur", "duration": "forever"}
    assert value_of(a_subscription(discounts=[{"id": "di_1", "coupon": coupon}])) == MonthlyValue(
        None, 2000, discount_unknown=True
    )


@pytest.mark.parametrize(
    ("status", "counted"),
    [
        ("active", 2000),
        ("past_due", 2000),
        ("trialing", 0),
        ("unpaid", 0),
        ("paused", 0),
        ("incomplete", 0),
        ("canceled", 0),
    ],
)
def test_only_active_and_past_due_subscriptions_count(status: str, counted: int) -> None:
    assert value_of(a_subscription()).counted(status) == counted


def test_the_mrr_at_a_status_that_stripe_may_add_is_unknown() -> None:
    """It was 0, so a subscription that went on was churn."""
    assert value_of(a_subscription()).counted("winding_down") is None
