"""With an API key, the Stripe API gives the terms that no webhook has: tiers, coupons, amounts in other currencies."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.stripe_side.objects import Lookup
from stripe_to_segment.stripe_side.tiers import cost_of, tiers_of
from tests.unit.shapes import DAY, NOW, a_plan, a_price, a_subscription, an_event, an_item
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CREATED, UPDATED = "customer.subscription.created", "customer.subscription.updated"
TERMS = {"subscription_terms", "coupon", "currency_tiers"}
TIERS: list[Any] = [
    {"up_to": 10, "unit_amount": 500, "unit_amount_decimal": "500", "flat_amount": 1000, "flat_amount_decimal": "1000"},
    {"up_to": None, "unit_amount": None, "unit_amount_decimal": "250.5", "flat_amount": None},
]


class Api:
    """The Stripe API, which knows these objects."""

    def __init__(self, **bodies: dict[str, Any]) -> None:
        self.bodies = bodies
        self.asked: list[tuple[str, str]] = []

    def read(self, wanted: Iterable[Lookup]) -> Mapping[Lookup, dict[str, Any]]:
        lookups = list(wanted)
        self.asked += [(lookup.kind, lookup.id) for lookup in lookups]
        return {lookup: self.bodies[lookup.id] for lookup in lookups if lookup.id in self.bodies}

    @property
    def about_terms(self) -> list[tuple[str, str]]:
        return [(kind, key) for kind, key in self.asked if kind in TERMS]


def tiered(mode: str, **more: Any) -> dict[str, Any]:
    return a_price(None, billing_scheme="tiered", tiers_mode=mode, id="price_tiers", **more)


def mrrs(world: World) -> list[Any]:
    calls = [call for call in world.calls if call["type"] == "track" and call["event"] != "Subscription Imported"]
    return [call["properties"].get("mrr") for call in calls]


@pytest.mark.parametrize(
    ("mode", "quantity", "cost"),
    [
        ("graduated", 1, "1500"),
        ("graduated", 10, "6000"),
        ("graduated", 12, "6501"),
        ("volume", 10, "6000"),
        ("volume", 12, "3006"),
        ("volume", 1, "1500"),
    ],
)
def test_a_period_of_a_tiered_price_costs_what_its_tiers_say(mode: str, quantity: int, cost: str) -> None:
    """https://docs.stripe.com/products-prices/pricing-models#tiered-pricing."""
    written = tiers_of({"tiers_mode": mode, "tiers": TIERS})
    assert written is not None
    assert cost_of(written, quantity) == Decimal(cost)


def test_without_tiers_or_units_the_cost_is_unknown() -> None:
    assert tiers_of({"tiers_mode": "graduated"}) is None
    written = tiers_of({"tiers_mode": "graduated", "tiers": TIERS[:1]})
    assert written is not None
    assert [cost_of(written, quantity) for quantity in (0, 11)] == [None, None]


@pytest.mark.parametrize("mode", ["graduated", "volume"])
def test_no_units_of_a_tiered_price_cost_nothing_unless_its_first_tier_has_a_fee(mode: str) -> None:
    free, fee = TIERS[1] | {"up_to": 10}, TIERS[0]
    for first, cost in ((free, 0), (fee, None)):
        written = tiers_of({"tiers_mode": mode, "tiers": [first, TIERS[1]]})
        assert written is not None
        assert cost_of(written, 0) == cost


@given(quantity=st.integers(1, 500), bounds=st.lists(st.integers(1, 400), unique=True, max_size=4))
def test_tiers_of_one_amount_are_a_flat_price(quantity: int, bounds: list[int]) -> None:
    ends: list[int | None] = [*sorted(bounds), None]
    tiers: Any = [{"up_to": end, "unit_amount": 700, "flat_amount": None} for end in ends]
    for mode in ("graduated", "volume"):
        written = tiers_of({"tiers_mode": mode, "tiers": tiers})
        assert written is not None
        assert cost_of(written, quantity) == 700 * quantity


def test_tiers_are_read_once_for_an_event_and_give_the_mrr_before_and_after() -> None:
    price = tiered("graduated")
    api = Api(sub_basic=a_subscription(an_item({**price, "tiers": TIERS}, 12)))
    world = World(reader=api)
    world.deliver(an_event(CREATED, a_subscription(an_item(price, 12)), created=NOW))
    before = a_subscription(an_item(price, 12))["items"]
    changed = a_subscription(an_item(price, 10))
    world.deliver(an_event(UPDATED, changed, previous={"items": before}, created=NOW + DAY))
    assert api.about_terms == [("subscription_terms", "sub_basic")] * 2
    assert mrrs(world) == [65.01, 60]
    changes = [call["properties"]["mrr_change"] for call in world.calls if "mrr_change" in call.get("properties", {})]
    assert changes == [65.01, -5.01]
    assert [call["event"] for call in world.calls if call["type"] == "track"][1] == "Subscription Downgraded"


def test_without_a_key_a_tiered_price_has_no_mrr() -> None:
    world = World()
    world.deliver(an_event(CREATED, a_subscription(an_item(tiered("volume"), 12))))
    assert mrrs(world) == [None]


@pytest.mark.parametrize("amount", ["unit_amount", "amount"])
def test_tiers_that_an_old_webhook_states_give_the_mrr_without_a_key(amount: str) -> None:
    """Until 2020-08-27 plans have their tiers in events too, and until 2018-08-23 with other names of the amounts."""
    tiers = [{"up_to": 10, amount: 500}, {"up_to": None, amount: 250}]
    plan = a_plan(None, billing_scheme="tiered", tiers_mode="graduated", tiers=tiers, id="price_tiers")
    world, item = World(), an_item(tiered("graduated"), 12, plan=plan)
    world.deliver(
        an_event(CREATED, a_subscription(item), created=NOW),
        an_event(
            UPDATED,
            a_subscription(item | {"quantity": 4}),
            previous={"items": {"data": [item], "has_more": False}},
            created=NOW + DAY,
        ),
        an_event(CREATED, a_subscription(item, id="sub_other", currency="eur"), created=NOW + 2 * DAY),
    )
    assert mrrs(world) == [55, 20, None], "those of another currency are unknown"


def test_a_coupon_with_only_its_discounts_id_is_looked_up_and_stored() -> None:
    """A coupon that is older than the stack left the mrr absent for good."""
    coupon = {"id": "co_half", "object": "coupon", "percent_off": 50.0, "duration": "forever"}
    discount = {"id": "di_old", "object": "discount", "source": {"type": "coupon", "coupon": coupon}}
    api = Api(sub_basic=a_subscription(discounts=[discount]))
    world = World(reader=api)
    world.deliver(an_event(CREATED, a_subscription(discounts=["di_old"]), created=NOW))
    renewed = a_subscription(discounts=["di_old"], metadata={"note": "1"})
    world.deliver(an_event(UPDATED, renewed, previous={"metadata": {"note": None}}, created=NOW + DAY))
    assert mrrs(world) == [10]
    assert api.about_terms == [("subscription_terms", "sub_basic")], "it is remembered"


def test_an_items_coupon_with_only_an_id_in_the_answer_is_looked_up_too() -> None:
    coupon = {"id": "co_half", "object": "coupon", "percent_off": 50.0, "duration": "forever"}
    discount = {"id": "di_item", "object": "discount", "source": {"type": "coupon", "coupon": "co_half"}}
    api = Api(sub_basic=a_subscription(an_item(discounts=[discount])), co_half=coupon)
    world = World(reader=api)
    world.deliver(an_event(CREATED, a_subscription(an_item(discounts=["di_item"]))))
    assert mrrs(world) == [10]
    assert api.about_terms == [("subscription_terms", "sub_basic"), ("coupon", "co_half")]


def test_a_price_in_another_currency_has_the_amount_from_the_api() -> None:
    options = {"usd": {"unit_amount": 2000}, "eur": {"unit_amount": 1800, "unit_amount_decimal": "1800"}}
    api = Api(sub_basic=a_subscription(an_item(a_price(currency_options=options)), currency="eur"))
    world = World(reader=api)
    world.deliver(an_event(CREATED, a_subscription(currency="eur")))
    assert mrrs(world) == [18]


def test_a_subscription_with_all_terms_in_its_payload_is_not_looked_up() -> None:
    api = Api()
    World(reader=api).deliver(an_event(CREATED, a_subscription()))
    assert api.about_terms == []


def test_one_request_gives_all_terms() -> None:
    assert Lookup("subscription_terms", "sub_1", livemode=False, account=None).path == (
        "/v1/subscriptions/sub_1?expand[]=discounts.source.coupon.applies_to"
        "&expand[]=discounts.source.coupon.currency_options&expand[]=items.data.discounts"
        "&expand[]=items.data.price.tiers&expand[]=items.data.price.currency_options"
    )


# --- In another currency than the price's or the coupon's own ---

FOREIGN = {"usd": {}, "eur": {"tiers": [{"up_to": None, "unit_amount": 400, "flat_amount": 900}]}}


@pytest.mark.parametrize(("mode", "mrr"), [("graduated", 57), ("volume", 57)])
def test_tiers_in_another_currency_are_those_of_its_option(mode: str, mrr: int) -> None:
    """The mrr of a tiered price in another currency than its own stayed absent, also with a key."""
    price = tiered(mode)
    whole = a_subscription(an_item({**price, "tiers": TIERS}, 12), currency="eur")
    api = Api(sub_basic=whole, price_tiers={**price, "currency_options": FOREIGN})
    world = World(reader=api)
    world.deliver(an_event(CREATED, a_subscription(an_item(price, 12), currency="eur")))
    assert mrrs(world) == [mrr]
    assert api.about_terms == [("subscription_terms", "sub_basic"), ("currency_tiers", "price_tiers")]


def test_without_the_tiers_of_the_billed_currency_the_mrr_is_unknown() -> None:
    price = tiered("volume")
    whole = a_subscription(an_item({**price, "tiers": TIERS}, 12), currency="eur")
    for api in (
        None,
        Api(sub_basic=whole),
        Api(sub_basic=whole, price_tiers={**price, "currency_options": {"gbp": {}}}),
    ):
        world = World(reader=api)
        world.deliver(an_event(CREATED, a_subscription(an_item(price, 12), currency="eur")))
        assert mrrs(world) == [None]


def five_off(**more: Any) -> dict[str, Any]:
    """A coupon over 5.00 US dollars, as webhooks state it; the API expands what it takes off in euros."""
    return {
        "id": "co_five",
        "object": "coupon",
        "amount_off": 500,
        "currency": "usd",
        "duration": "forever",
        "percent_off": None,
    } | more


IN_EUROS = five_off(currency_options={"usd": {"amount_off": 500}, "eur": {"amount_off": 400}})
EUROS = an_item({**a_price(2000), "currency": "eur"})


@pytest.mark.parametrize("shape", ["in full", "of a coupon's id", "by id", "the older field"])
def test_a_fixed_amount_in_another_currency_is_that_of_its_option(shape: str) -> None:
    """A coupon of 5 US dollars on a subscription in euros left the mrr absent, also with a key."""
    whole = {"id": "di_1", "object": "discount", "source": {"type": "coupon", "coupon": IN_EUROS}}
    discounts: dict[str, Any] = {
        "in full": {"discounts": [{**whole, "source": {"type": "coupon", "coupon": five_off()}}]},
        "of a coupon's id": {"discounts": [{**whole, "source": {"type": "coupon", "coupon": "co_five"}}]},
        "by id": {"discounts": ["di_1"]},
        "the older field": {"discounts": None, "discount": {"id": "di_1", "object": "discount", "coupon": five_off()}},
    }
    api = Api(sub_basic=a_subscription(EUROS, currency="eur", discounts=[whole]))
    world = World(reader=api)
    world.deliver(an_event(CREATED, a_subscription(EUROS, currency="eur", **discounts[shape]), created=NOW))
    renewed = a_subscription(EUROS, currency="eur", metadata={"note": "1"}, **discounts[shape])
    world.deliver(an_event(UPDATED, renewed, previous={"metadata": {"note": None}}, created=NOW + DAY))
    assert mrrs(world) == [16]
    assert api.about_terms.count(("subscription_terms", "sub_basic")) == 1, "it is remembered"


def test_a_customers_own_fixed_amount_in_another_currency_is_looked_up_by_its_coupon() -> None:
    """The subscription does not name the Customer's own discount, so the API does not return it with it."""
    own = {"id": "di_own", "object": "discount", "customer": "cus_basic", "coupon": five_off(), "subscription": None}
    api = Api(sub_basic=a_subscription(EUROS, currency="eur"), co_five=IN_EUROS)
    world = World(reader=api)
    world.deliver(an_event("customer.discount.created", own, created=NOW))
    for moment in (NOW + 1, NOW + DAY):
        kind, previous = (CREATED, {}) if moment == NOW + 1 else (UPDATED, {"previous": {"metadata": {"note": None}}})
        body = a_subscription(EUROS, currency="eur", metadata={"note": "1"}, created=NOW)
        world.deliver(an_event(kind, body, created=moment, **previous))
    assert mrrs(world)[1:] == [16]
    assert api.about_terms == [("coupon", "co_five")], "it is remembered"


def test_without_a_key_a_fixed_amount_in_another_currency_is_unknown() -> None:
    world = World()
    discount = {"id": "di_1", "object": "discount", "coupon": five_off()}
    world.deliver(an_event(CREATED, a_subscription(EUROS, currency="eur", discounts=[discount])))
    assert mrrs(world) == [None]
