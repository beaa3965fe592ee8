"""What becomes known of a discount without an event of its subscription, and what a coupon is limited to."""

from __future__ import annotations

import json
from copy import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.state.profile import new_profile
from stripe_to_segment.state.store import Learnt
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import record_of
from stripe_to_segment.stripe_side.objects import OBJECTS, Lookup
from tests.unit.shapes import (
    DAY,
    NOW,
    a_customer,
    a_price,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
    an_old_subscription,
)
from tests.unit.worlds import World, shown

CREATED, UPDATED, DELETED = (f"customer.subscription.{kind}" for kind in ("created", "updated", "deleted"))
APPLIED, REMOVED = "customer.discount.created", "customer.discount.deleted"
HALF = {"id": "HALF", "object": "coupon", "percent_off": 50, "amount_off": None, "duration": "forever"}
RENEWED = {"items": {"data": [an_item(current_period_start=NOW - 30 * DAY)]}}


def a_discount(coupon: Any = HALF, subscription: str | None = None, **more: Any) -> dict[str, Any]:
    source = {"type": "coupon", "coupon": coupon}
    return {"id": "di_1", "object": "discount", "customer": "cus_basic", "source": source} | {
        "subscription": subscription,
        **more,
    }


def changes(world: World) -> list[tuple[Any, Any]]:
    """Each mrr_change that is not 0, with its movement."""
    tracks = [call["properties"] for call in world.calls if call["type"] == "track"]
    return [(each["mrr_change"], each["mrr_movement"]) for each in tracks if each.get("mrr_change")]


# --- A Customer's own discount ---


def test_a_discount_of_the_customer_changes_the_mrr_at_once() -> None:
    """Nothing was told until the next event of the subscription, of a yearly one up to a year later."""
    world = World()
    world.deliver(an_event(CREATED, a_subscription(), created=NOW))
    world.deliver(an_event(APPLIED, a_discount(), created=NOW + DAY))
    assert (changes(world), shown(world)) == ([(20, "new"), (-10, "contraction")], 10)
    world.deliver(an_event(REMOVED, a_discount(), created=NOW + 2 * DAY))
    assert (changes(world)[2:], shown(world)) == ([(10, "expansion")], 20)
    world.deliver(an_event(UPDATED, a_subscription(), previous=RENEWED, created=NOW + 30 * DAY))
    assert len(changes(world)) == 3


def test_a_discount_of_the_customer_leaves_a_subscription_with_its_own_alone() -> None:
    world = World()
    own = {"id": "di_2", "source": {"type": "coupon", "coupon": HALF | {"id": "TENTH", "percent_off": 10}}}
    world.deliver(an_event(CREATED, a_subscription(discounts=[own]), created=NOW))
    world.deliver(an_event(APPLIED, a_discount(), created=NOW + DAY))
    assert (changes(world), shown(world)) == ([(18, "new")], 18)


@pytest.mark.parametrize("items", [True, False], ids=["with items", "a plan alone"])
@pytest.mark.parametrize("by", [APPLIED, "customer.updated"])
def test_a_discount_of_an_old_api_version_has_no_id_and_counts(by: str, *, items: bool) -> None:
    """Discounts got their ids with 2020-08-27: a Customer's own never lowered the mrr.

    And the mrr of a subscription that states its plan alone was null after any discount's event.
    """
    old = an_old_subscription(id="sub_1", customer="cus_basic")
    body = old if items else {name: value for name, value in old.items() if name != "items"}
    bare = {"object": "discount", "customer": "cus_basic", "coupon": HALF, "start": NOW, "end": None}
    own = bare | {"subscription": None}
    applied = own if by == APPLIED else a_customer(discount=own)
    previous = {} if by == APPLIED else {"previous": {"discount": None}}
    world = World()
    world.deliver(an_event(CREATED, body, created=NOW))
    world.deliver(an_event(APPLIED, bare | {"subscription": "sub_2"}, created=NOW + 1))
    assert (changes(world), shown(world)) == ([(20, "new")], 20), "of another subscription"
    world.deliver(an_event(by, applied, created=NOW + DAY, **previous))
    world.deliver(an_event(UPDATED, body, previous={"metadata": {}}, created=NOW + 2 * DAY))
    assert (sum(change for change, _ in changes(world)), shown(world)) == (10, 10)
    world.deliver(an_event(REMOVED, own, created=NOW + 3 * DAY))
    world.deliver(an_event(UPDATED, body, previous={"metadata": {}}, created=NOW + 4 * DAY))
    assert (sum(change for change, _ in changes(world)), shown(world)) == (20, 20)
    told = [call["properties"] for call in world.calls if call.get("event") in {"Discount Applied", "Discount Removed"}]
    assert all((each["percent_off"], each["duration"]) == (50, "forever") for each in told)


@pytest.mark.parametrize("old", [False, True], ids=["by id", "as a whole"])
def test_a_change_of_plan_that_brings_a_discount_says_both(*, old: bool) -> None:
    """A dearer plan that a discount made cheaper was a downgrade in which only the plan had changed."""
    world, half = World(), a_discount(subscription="sub_basic")
    dearer = an_item(a_price(3000, id="price_pro"))
    after = {"discount": half} if old else {"discounts": ["di_1"]}
    none: dict[str, Any] = {"discount": None} if old else {"discounts": []}
    before = {"items": {"data": [an_item()]}, **none}
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(APPLIED, half, created=NOW + 1),
        an_event(UPDATED, a_subscription(dearer, **after), previous=before, created=NOW + 1),
    )
    (downgrade,) = (call["properties"] for call in world.calls if call.get("event") == "Subscription Downgraded")
    assert (downgrade["mrr_change"], downgrade["changed"]) == (-5, ["plan", "discount"])


def test_a_discount_that_makes_everything_free_is_one_churn_and_its_end_a_reactivation() -> None:
    world, free = World(), a_discount(HALF | {"id": "FREE", "percent_off": 100})
    world.deliver(
        an_event(CREATED, a_subscription(id="sub_1"), created=NOW),
        an_event(CREATED, a_subscription(id="sub_2"), created=NOW + 1),
        an_event(APPLIED, free, created=NOW + DAY),
        an_event(REMOVED, free, created=NOW + 2 * DAY),
    )
    movements = [movement for _, movement in changes(world)]
    assert movements == ["new", "expansion", "contraction", "churn", "reactivation", "expansion"]
    assert shown(world) == 40


def test_another_coupon_of_a_discount_changes_the_mrr_at_once() -> None:
    """https://docs.stripe.com/api/events/types#event_types-customer.discount.updated: from one coupon to another."""
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW),
        an_event(APPLIED, a_discount(subscription="sub_basic"), created=NOW),
        an_event(
            "customer.discount.updated",
            a_discount(HALF | {"id": "TENTH", "percent_off": 10}, "sub_basic"),
            created=NOW + DAY,
        ),
    )
    assert (changes(world), shown(world)) == ([(10, "new"), (8, "expansion")], 18)


@pytest.mark.parametrize("known", [True, False], ids=["stated", "only named"])
def test_a_discount_that_gets_another_coupon_is_removed_and_applied(*, known: bool) -> None:
    """Nothing but the mrr said that a customer was switched to another coupon, and that not always."""
    world, third = World(), HALF | {"id": "THIRD", "percent_off": 30, "duration": "repeating"}
    coupons = [HALF, third, HALF]
    first = a_discount(HALF if known else "HALF")
    world.deliver(
        *(an_event("coupon.created", each) for each in (HALF, third)),
        an_event(APPLIED, first, created=NOW),
    )
    for number, (old, new) in enumerate(pairwise(coupons)):
        was, now = (a_discount(each if known else each["id"]) for each in (old, new))
        event = an_event(
            "customer.discount.updated", now, previous={"source": was["source"]}, created=NOW + number * DAY + 1
        )
        twin = an_event("customer.discount.updated", now, previous={"source": was["source"]}, created=event.created)
        world.deliver(event, twin)
    world.deliver(an_event(REMOVED, first, created=NOW + 9 * DAY))
    stated = [
        (call["event"], each["discount_id"], each["coupon"], each["percent_off"], each["duration"])
        for call in world.calls
        if call["type"] == "track" and (each := call["properties"])
    ]
    applied, removed = (
        [("Discount " + kind, "di_1", each["id"], each["percent_off"], each["duration"]) for each in coupons]
        for kind in ("Applied", "Removed")
    )
    assert stated == [one for pair in zip(applied, removed, strict=True) for one in pair]


def test_a_discount_that_is_replaced_by_another_of_the_same_coupon_is_removed_and_applied() -> None:
    """Only the coupons were compared."""
    world, again = World(), a_discount(id="di_2")
    world.deliver(an_event(APPLIED, a_discount(), created=NOW))
    world.deliver(an_event("customer.discount.updated", again, previous={"id": "di_1"}, created=NOW + DAY))
    stated = [(one["event"], one["properties"]["discount_id"]) for one in world.calls if one["type"] == "track"]
    assert stated == [("Discount Applied", "di_1"), ("Discount Removed", "di_1"), ("Discount Applied", "di_2")]


@pytest.mark.parametrize("on", [None, "sub_basic"], ids=["the customer", "the subscription"])
def test_a_discount_has_no_longer_the_coupon_that_an_unknown_one_has_replaced(on: str | None) -> None:
    """As long as nothing stated the new coupon, the former one lowered the mrr, and afterwards it still did."""
    world, tenth = World(), HALF | {"id": "TENTH", "percent_off": 10}
    world.deliver(
        an_event(CREATED, a_subscription(discounts=["di_1"] if on else []), created=NOW),
        an_event(APPLIED, a_discount(subscription=on), created=NOW),
        an_event("customer.discount.updated", a_discount("TENTH", on), created=NOW + DAY),
    )
    assert shown(world) is None
    world.deliver(
        an_event("coupon.updated", tenth, created=NOW + 2 * DAY),
        an_event(UPDATED, a_subscription(discounts=["di_1"] if on else []), previous=RENEWED, created=NOW + 3 * DAY),
    )
    assert (sum(change for change, _ in changes(world)), shown(world)) == (18, 18)


@pytest.mark.parametrize("named", ["at its end alone", "at its beginning alone"])
def test_a_discount_of_the_customer_ends_in_an_api_version_that_names_it_otherwise(named: str) -> None:
    """Only one of the two versions gives it an id, so its end was taken for that of another one: it went on."""
    world, plain = World(), {name: value for name, value in a_discount().items() if name != "id"}
    first, second = (plain, a_discount()) if named == "at its end alone" else (a_discount(), plain)
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(APPLIED, first, created=NOW + DAY),
        an_event(REMOVED, second, created=NOW + 2 * DAY),
        an_event("customer.updated", a_customer(discount=None), previous={"discount": second}, created=NOW + 2 * DAY),
    )
    assert (changes(world), shown(world)) == ([(20, "new"), (-10, "contraction"), (10, "expansion")], 20)


def test_a_discount_without_an_id_has_its_own_coupon_where_another_ended_in_its_second() -> None:
    """Before 2020-08-27 both are named after the Customer: the new one had the coupon of the old one."""
    world, tenth = World(), HALF | {"id": "TENTH", "percent_off": 10}
    bare = {"object": "discount", "customer": "cus_basic", "subscription": None, "end": None}
    old, new = bare | {"coupon": HALF, "start": NOW + 1}, bare | {"coupon": tenth, "start": NOW + DAY}
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(APPLIED, old, created=NOW + 1),
        an_event(REMOVED, old, created=NOW + DAY),
        an_event(APPLIED, new, created=NOW + DAY),
    )
    assert shown(world) == 18


def test_a_new_discount_of_the_customer_takes_the_place_of_the_last() -> None:
    """A Customer has one; without the end of the first, both lowered the mrr."""
    world = World()
    tenth = a_discount(HALF | {"id": "TENTH", "percent_off": 10}, id="di_2")
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(APPLIED, a_discount(), created=NOW + 1),
        an_event(APPLIED, tenth, created=NOW + 2),
        an_event(REMOVED, a_discount(), created=NOW + 2),
    )
    assert shown(world) == 18


@pytest.mark.parametrize("late", [False, True], ids=["the customer first", "the subscription first"])
@pytest.mark.parametrize("kind", ["customer.created", "customer.updated"])
def test_a_discount_that_only_the_customers_event_states_changes_the_mrr_at_once(kind: str, *, late: bool) -> None:
    """Without `customer.discount.*` the mrr of a yearly subscription stayed gross for up to a year."""
    world = World()
    stated = an_event(kind, a_customer(discount=a_discount()), previous={"discount": None}, created=NOW)
    begins = an_event(CREATED, a_subscription(), created=NOW)
    world.deliver(*((begins, stated) if late else (stated, begins)))
    assert (sum(change for change, _ in changes(world)), shown(world)) == (10, 10)
    gone = an_event("customer.updated", a_customer(discount=None), previous={"discount": a_discount()}, created=NOW + 9)
    world.deliver(gone, an_event("customer.deleted", a_customer(discount=a_discount()), created=NOW + DAY))
    assert (changes(world)[-1], shown(world)) == ((10, "expansion"), 20)


TENTH = HALF | {"id": "TENTH", "percent_off": 10}
BARE = {"object": "discount", "customer": "cus_basic", "subscription": None}
SWITCHED = {
    "in place": [
        an_event(APPLIED, a_discount(), created=NOW + 1),
        an_event("customer.updated", a_customer(discount=a_discount()), previous={"discount": None}, created=NOW + 1),
        an_event("customer.discount.updated", a_discount(TENTH), created=NOW + DAY),
    ],
    "one after the other, without ids": [
        an_event(APPLIED, BARE | {"coupon": HALF}, created=NOW + 1),
        an_event(REMOVED, BARE | {"coupon": HALF}, created=NOW + DAY - 1),
        an_event(APPLIED, BARE | {"coupon": TENTH}, created=NOW + DAY),
    ],
}


@pytest.mark.parametrize("by", SWITCHED)
@given(data=st.data())
def test_the_newest_coupon_of_a_customers_discount_counts_in_any_order(by: str, data: st.DataObject) -> None:
    """The coupon of the event that came last counted, also where it was a late or a repeated one."""
    world, events = World(), [an_event(CREATED, a_subscription(), created=NOW), *SWITCHED[by]]
    for event in data.draw(st.permutations(events * 2)):
        world.batch(event)
    assert (sum(change for change, _ in changes(world)), shown(world)) == (18, 18)


STEPS = st.lists(
    st.tuples(st.sampled_from(["apply", "remove", "switch", "email"]), st.sampled_from([0, 0, 1, DAY])), max_size=7
)


@settings(deadline=None)
@given(steps=STEPS, by=st.sampled_from([(True, True), (True, False), (False, True)]), data=st.data())
def test_a_customers_discounts_within_one_second_count_in_any_order(
    steps: list[tuple[str, int]], by: tuple[bool, bool], data: st.DataObject
) -> None:
    """One that was made and removed in a second stayed where its end came first; so did the first of two."""
    events, at, own = [an_event(CREATED, a_subscription(), created=NOW)], NOW, dict[str, Any]()
    for number, (step, later) in enumerate(steps):
        # Nothing says which coupon of one discount came first within a second.
        at += (later or 1) if step == "switch" else later
        was, customer = own, a_customer(discount=own or None)
        if step == "apply":
            own = a_discount(HALF | {"id": f"C{number}", "percent_off": 10 * number + 5}, id=f"di_{number}", start=at)
            told = [(APPLIED, own), *([(REMOVED, was)] if was else [])]
        elif was and step == "remove":
            own, told = {}, [(REMOVED, was)]
        elif was and step == "switch":
            own = was | a_discount(HALF | {"id": f"S{number}", "percent_off": 3}, id=was["id"], start=was["start"])
            told = [("customer.discount.updated", own)]
        else:
            told = []
        events += [an_event(kind, body, created=at) for kind, body in told if by[0]]
        if told and by[1]:
            changed, gone = (
                customer | {"discount": own or None},
                {key: was[key] for key in was if own.get(key) != was[key]},
            )
            previous = {"discount": gone or None}
            events.append(an_event("customer.updated", changed, previous=previous, created=at))
        elif step == "email":
            events.append(an_event("customer.updated", customer, previous={"email": "old@example.com"}, created=at))
    mrr = 20 - (own["source"]["coupon"]["percent_off"] / 5 if own else 0)
    world = World()
    for event in data.draw(st.permutations(events * 2)):
        world.batch(event)
    assert (sum(change for change, _ in changes(world)), shown(world)) == (pytest.approx(mrr), pytest.approx(mrr))


def test_of_two_discounts_of_one_second_only_the_newer_one_counts_before_the_end_of_the_other_comes() -> None:
    """Both are kept until then, because either may be the one that has ended."""
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(APPLIED, a_discount(HALF, id="di_1"), created=NOW + 1),
        an_event(APPLIED, a_discount(TENTH, id="di_2"), created=NOW + 1),
    )
    assert (changes(world), shown(world)) == ([(20, "new"), (-10, "contraction"), (8, "expansion")], 18)
    world.deliver(an_event(REMOVED, a_discount(HALF, id="di_1"), created=NOW + 1))
    assert shown(world) == 18


def test_a_late_beginning_does_not_bring_back_the_coupon_that_its_discount_had_then() -> None:
    """Of a subscription's discount whose coupon was switched the first one counted again."""
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW),
        an_event("customer.discount.updated", a_discount(TENTH, "sub_basic"), created=NOW + DAY),
        an_event(APPLIED, a_discount(HALF, "sub_basic"), created=NOW),
        an_event(UPDATED, a_subscription(discounts=["di_1"]), previous=RENEWED, created=NOW + 2 * DAY),
    )
    assert (sum(change for change, _ in changes(world)), shown(world)) == (18, 18)
    applied = next(call["properties"] for call in world.calls if call.get("event") == "Discount Applied")
    assert (applied["coupon"], applied["percent_off"]) == ("HALF", 50), "it had the percentage of the newer coupon"


# --- A Customer's own discount from before the stack ---


class OldCustomer:
    """The Stripe API with a Customer who has this discount, and with the coupon HALF; keeps what is asked."""

    def __init__(self, own: Any) -> None:
        self.own = own
        self.asked: list[str] = []

    def read(self, wanted: Any) -> Any:
        self.asked += [lookup.kind for lookup in wanted]
        known = {"customer": a_customer(discount=self.own), "coupon": HALF}
        return {lookup: known[lookup.kind] for lookup in wanted if lookup.kind in known}


@pytest.mark.parametrize("coupon", [HALF, "HALF"], ids=["stated", "named"])
@pytest.mark.parametrize("kind", [CREATED, UPDATED, DELETED])
def test_the_own_discount_of_a_customer_that_is_read_lowers_the_mrr(kind: str, coupon: Any) -> None:
    """Of a discount from before the stack no event tells, and the mrr was gross although the Customer was read."""
    api = OldCustomer(a_discount(coupon, start=NOW - 300 * DAY))
    world = World(reader=api)
    body = a_subscription(**({"status": "canceled", "ended_at": NOW} if kind == DELETED else {}))
    world.deliver(an_event(kind, body, created=NOW, previous={"metadata": {}}))
    assert (
        changes(world)
        == {
            CREATED: [(10, "new")],
            UPDATED: [(10, "opening")],
            DELETED: [(10, "opening"), (-10, "churn")],
        }[kind]
    )
    assert api.asked.count("customer") == 1
    if coupon is HALF:
        assert api.asked == ["customer", "product"], "no further request"
    world.deliver(an_event(REMOVED, a_discount(start=NOW - 300 * DAY), created=NOW + DAY))
    assert shown(world) == (0 if kind == DELETED else 20)


def test_an_own_discount_that_began_after_the_event_is_left_to_its_own_event() -> None:
    """The Customer is read later than the event happened."""
    world = World(reader=OldCustomer(a_discount(start=NOW + DAY)))
    world.deliver(an_event(CREATED, a_subscription(), created=NOW))
    assert (changes(world), shown(world)) == ([(20, "new")], 20)
    world.deliver(an_event(APPLIED, a_discount(start=NOW + DAY), created=NOW + DAY))
    assert (changes(world)[1:], shown(world)) == ([(-10, "contraction")], 10)


def test_an_own_discount_that_an_event_has_ended_since_is_not_taken_from_the_api() -> None:
    """What is read may be older than the newest event."""
    world = World(reader=OldCustomer(a_discount(start=NOW - DAY)))
    world.batch(
        an_event(REMOVED, a_discount(start=NOW - DAY), created=NOW),
        an_event(CREATED, a_subscription(), created=NOW + 1),
    )
    assert (changes(world), shown(world)) == ([(20, "new")], 20)


def test_a_customer_that_can_be_read_only_later_corrects_the_mrr_with_the_next_invoice() -> None:
    world = World()
    world.deliver(an_event(CREATED, a_subscription(), created=NOW))
    world.reader = OldCustomer(a_discount(start=NOW - DAY))
    world.deliver(an_event("invoice.paid", an_invoice(), created=NOW + DAY))
    assert (changes(world), shown(world)) == ([(20, "new"), (-10, "contraction")], 10)


@pytest.mark.parametrize("holder", ["subscription_item", "invoice", "invoice_item", "checkout_session"])
def test_a_discount_on_something_else_is_not_the_customers_own(holder: str) -> None:
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(APPLIED, a_discount(**{holder: "it_1"}), created=NOW + 1),
    )
    assert shown(world) == 20


def test_a_subscription_without_seats_stays_without_when_its_discount_becomes_known() -> None:
    """A quantity of 0 was not kept, and counted as 1."""
    world = World()
    items = (an_item(a_price(1000), 0), an_item(a_price(500), 1, id="si_2"))
    world.deliver(
        an_event(CREATED, a_subscription(*items, discounts=["di_1"]), created=NOW),
        an_event(APPLIED, a_discount(subscription="sub_basic"), created=NOW + 1),
    )
    assert shown(world) == 2.5


# --- Coupons that are only named ---


def test_a_coupon_that_is_stated_after_its_discount_counts_from_the_next_event_on() -> None:
    """In the newest API version a discount has its coupon's id alone; what was told of it later was not used."""
    world = World()
    world.deliver(
        an_event(APPLIED, a_discount("HALF", "sub_basic"), created=NOW),
        an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW),
    )
    assert shown(world) is None
    world.deliver(an_event("coupon.updated", HALF, created=NOW + 1))
    world.deliver(an_event(UPDATED, a_subscription(discounts=["di_1"]), previous=RENEWED, created=NOW + DAY))
    assert (changes(world), shown(world)) == ([(10, "new")], 10)


def test_the_mrr_is_absent_from_the_moment_a_discount_of_the_customer_is_only_named() -> None:
    """It stayed gross until the subscription's next event."""
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW), an_event(APPLIED, a_discount("HALF"), created=NOW + DAY)
    )
    assert (changes(world), shown(world)) == ([(20, "new")], None)
    world.deliver(an_event("coupon.updated", HALF, created=NOW + 2 * DAY))
    world.deliver(an_event(UPDATED, a_subscription(), previous=RENEWED, created=NOW + 3 * DAY))
    assert (changes(world)[1:], shown(world)) == ([(-10, "contraction")], 10)


def test_the_end_of_a_discount_that_was_only_named_leaves_the_sum_as_it_was() -> None:
    world = World()
    world.deliver(
        an_event(CREATED, a_subscription(), created=NOW),
        an_event(APPLIED, a_discount("HALF"), created=NOW + DAY),
        an_event(REMOVED, a_discount("HALF"), created=NOW + 2 * DAY),
    )
    assert (changes(world), shown(world)) == ([(20, "new")], 20)


def test_a_customers_object_names_the_coupon_of_its_discount() -> None:
    """The id was dropped where the coupon stood there without its terms."""
    world = World()
    world.deliver(
        an_event("coupon.created", HALF, created=NOW - DAY),
        an_event("customer.created", a_customer(discount=a_discount("HALF")), created=NOW),
        an_event(CREATED, a_subscription(), created=NOW + 1),
    )
    assert shown(world) == 10


def test_the_coupon_of_a_customers_own_discount_is_read_from_the_api() -> None:
    """The subscription, which was read, does not name it."""

    class Api:
        def read(self, wanted: Any) -> Any:
            return {lookup: HALF for lookup in wanted if lookup.kind == "coupon" and lookup.id == "HALF"}

    world = World(reader=Api())
    world.deliver(
        an_event(APPLIED, a_discount("HALF"), created=NOW), an_event(CREATED, a_subscription(), created=NOW + 1)
    )
    assert shown(world) == 10


def test_the_coupon_that_a_discount_names_is_read_when_it_is_applied() -> None:
    asked: list[Any] = []

    class Api:
        def read(self, wanted: Any) -> Any:
            asked.extend(lookup for lookup in wanted if lookup.kind == "coupon")
            return {lookup: HALF for lookup in wanted if lookup.kind == "coupon"}

    world = World(reader=Api())
    world.deliver(an_event(CREATED, a_subscription(), created=NOW))
    world.deliver(an_event(APPLIED, a_discount("HALF"), created=NOW + DAY))
    world.deliver(an_event(UPDATED, a_subscription(), previous=RENEWED, created=NOW + 2 * DAY))
    applied = next(call["properties"] for call in world.calls if call.get("event") == "Discount Applied")
    assert (applied["percent_off"], shown(world), len(asked)) == (50, 10, 1)


def test_a_coupon_that_the_same_batch_states_is_known() -> None:
    """What names no user came last in a batch, also names and coupons."""
    world = World()
    subscription = a_subscription(discounts=[a_discount("HALF")], metadata={"user_id": "u_1"})
    product = {"id": "prod_basic", "object": "product", "name": "Basic"}
    world.batch(
        an_event(CREATED, subscription, created=NOW),
        an_event("coupon.created", HALF, created=NOW),
        an_event("product.created", product, created=NOW),
    )
    assert (shown(world), shown(world, "plan")) == (10, "Basic")


@pytest.mark.parametrize("coupon", [HALF, "HALF"])
@pytest.mark.parametrize("together", [True, False])
def test_a_new_subscription_has_its_mrr_at_once_if_its_discount_came_with_it(coupon: Any, *, together: bool) -> None:
    """Stripe states the discount a moment before the subscription, and names no user in it.

    So it came after the subscription in a batch, or waited for the user: every subscription that began with a coupon
    was created without an mrr, and corrected half a minute later.
    """
    world = World(IDENTITY_HOLD_SECONDS="30")
    applied = an_event(APPLIED, a_discount(coupon, "sub_basic"), created=NOW + 55)
    created = an_event(CREATED, a_subscription(discounts=["di_1"], metadata={"user_id": "u_1"}), created=NOW + 55)
    world.batch(an_event("coupon.created", HALF, created=NOW))
    for batch in [(applied, created)] if together else [(applied,), (created,)]:
        world.batch(*batch)
    assert (changes(world), shown(world)) == ([(10, "new")], 10)
    world.now += 60
    world.deliver(applied, created)
    assert changes(world) == [(10, "new")]
    assert [call["event"] for call in world.calls if call["type"] == "track"] == [
        "Subscription Created",
        "Discount Applied",
    ]


class Loads(MemoryStore):
    """Counts the requests for records."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0

    def load(self, keys: Any) -> Any:
        self.loads += 1
        return super().load(keys)


def test_only_a_coupon_that_no_event_has_stated_costs_a_second_request() -> None:
    store = Loads()
    world = World(store)
    renewal = an_event(UPDATED, a_subscription(discounts=["di_1"]), previous=RENEWED, created=NOW + DAY)

    def loads(*events: Any) -> int:
        before = store.loads
        world.deliver(*events)
        return store.loads - before

    assert loads(an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW)) == 1
    assert loads(an_event(APPLIED, a_discount("HALF", "sub_basic"), created=NOW)) == 1
    assert loads(renewal) == 2, "its own event may have told since"
    assert loads(an_event("coupon.created", HALF, created=NOW)) == 1
    assert loads(an_event(UPDATED, renewal.object, previous=RENEWED, created=NOW + 2 * DAY)) == 2
    assert loads(an_event(UPDATED, renewal.object, previous=RENEWED, created=NOW + 3 * DAY)) == 1
    assert shown(world) == 10


# --- Stored by releases that kept less ---

OLD_COUPON = '{"id":"HALF","percent_off":"50","duration":"forever"}'


@pytest.mark.parametrize("on", ["subscription", "customer"])
@pytest.mark.parametrize(
    ("discount", "coupon", "mrr"),
    [
        (OLD_COUPON, None, 10),
        ('{"id":"HALF"}', OLD_COUPON, 10),
        ('{"id":"HALF"}', '{"id":"HALF","percent_off":"50","duration":"forever","created":1}', 10),
        (f'{{"id":"HALF","start":{NOW}}}', OLD_COUPON, 10),
        ('{"id":"HALF"}', None, None),
        ('{"id":"HALF","percent_off":"50"}', None, None),
        ('{"id":"HALF","amount_off":500,"duration":"forever"}', None, 15),
    ],
)
def test_stored_coupons_and_discounts_without_their_times_count(
    discount: str, coupon: str | None, mrr: int | None, on: str
) -> None:
    """Older releases kept neither when a coupon was made nor when its discount began."""
    world, key = World(), "own:test:cus_basic"
    own = ("di_1",) if on == "customer" else ()
    record = replace(new_profile(key), discounts={"di_1": discount}, own_discounts=own)
    world.store.save([record], [], NOW)
    if coupon:
        world.store.save([], [Learnt("coupon", "own:test:HALF", coupon, NOW - DAY)], NOW)
    body = a_subscription(discounts=[] if own else ["di_1"])
    world.deliver(an_event(CREATED, body, created=NOW))
    assert shown(world) == mrr
    begun = a_discount("HALF", None if own else "sub_basic", start=NOW - DAY)
    world.deliver(
        an_event(APPLIED, begun, created=NOW - DAY), an_event("coupon.created", HALF | {"created": NOW - DAY})
    )
    world.deliver(an_event(UPDATED, body, previous=RENEWED, created=NOW + DAY))
    expected = 15 if mrr == 15 else 10
    assert (sum(change for change, _ in changes(world)), shown(world)) == (expected, expected)
    world.deliver(an_event(REMOVED, begun, created=NOW + 2 * DAY))
    gone = an_event(UPDATED, a_subscription(), previous={"discounts": body["discounts"]}, created=NOW + 2 * DAY)
    world.deliver(gone)
    assert (sum(change for change, _ in changes(world)), shown(world)) == (20, 20)


# --- Coupons that are limited to products ---

BASE = an_item(a_price(10_000, id="price_base", product="prod_base"), id="si_base")
EXTRA = an_item(a_price(2_000, id="price_extra", product="prod_extra"), id="si_extra")
LIMITED = HALF | {"applies_to": {"products": ["prod_extra"]}}


@pytest.mark.parametrize(
    ("coupon", "mrr"),
    [
        (LIMITED, 110),
        (HALF | {"applies_to": {"products": ["prod_other"]}}, 120),
        (LIMITED | {"percent_off": None, "amount_off": 500, "currency": "usd"}, 115),
        (LIMITED | {"percent_off": None, "amount_off": 5_000, "currency": "usd"}, 100),
    ],
    ids=["a percentage", "another product", "an amount", "more than the product costs"],
)
def test_a_coupon_that_is_limited_to_products_leaves_the_others_alone(coupon: dict[str, Any], mrr: int) -> None:
    """https://docs.stripe.com/api/coupons/object#coupon_object-applies_to: it lowered every item."""
    world = World()
    world.deliver(an_event(CREATED, a_subscription(BASE, EXTRA, discounts=[a_discount(coupon)]), created=NOW))
    assert shown(world) == mrr


def test_the_products_of_a_coupon_are_read_from_the_api() -> None:
    """No webhook states them."""
    expanded = a_subscription(BASE, EXTRA, discounts=[a_discount(LIMITED)])

    class Api:
        def read(self, wanted: Any) -> Any:
            return {lookup: expanded for lookup in wanted if lookup.kind == "subscription_terms"}

    world = World(reader=Api())
    world.deliver(an_event(CREATED, a_subscription(BASE, EXTRA, discounts=["di_1"]), created=NOW))
    assert shown(world) == 110
    world.reader = None
    world.deliver(
        an_event(UPDATED, a_subscription(EXTRA, discounts=["di_1"]), previous={"items": {"data": []}}, created=NOW + 1)
    )
    assert shown(world) == 10
    path = Lookup("coupon", "HALF", livemode=True, account=None).path
    assert path == "/v1/coupons/HALF?expand[]=applies_to&expand[]=currency_options"
    assert OBJECTS["coupon"].listing == "expand[]=data.applies_to&expand[]=data.currency_options"


@pytest.mark.parametrize("named", [True, False], ids=["named", "stated"])
def test_the_products_of_a_coupon_that_an_event_has_stated_are_read_from_the_api_too(*, named: bool) -> None:
    """Only a coupon that nothing had stated was read, so one that was made after the deployment had no limit."""

    class Api:
        def read(self, wanted: Any) -> Any:
            return {lookup: LIMITED for lookup in wanted if lookup.kind == "coupon"}

    world = World(reader=Api())
    world.deliver(
        an_event("coupon.created", HALF, created=NOW - DAY),
        an_event(CREATED, a_subscription(BASE, EXTRA, discounts=["di_1"]), created=NOW),
        an_event(APPLIED, a_discount("HALF" if named else HALF, "sub_basic"), created=NOW),
    )
    assert (sum(change for change, _ in changes(world)), shown(world)) == (110, 110)


def test_a_coupon_that_one_customers_event_states_is_known_for_another_that_only_names_it() -> None:
    """An endpoint that moves to a newer API version has the coupon's id alone for everybody who comes later."""
    world, newer = World(), HALF | {"percent_off": 10, "created": NOW}
    for number, coupon in enumerate((HALF, newer), 1):
        customer, named = f"cus_{number}", f"cus_{number}_named"
        world.deliver(
            an_event(APPLIED, a_discount(coupon, "sub_1", customer=customer), created=NOW),
            an_event(CREATED, a_subscription(id="sub_2", customer=named, discounts=["di_2"]), created=NOW + DAY),
            an_event(APPLIED, a_discount("HALF", "sub_2", customer=named, id="di_2"), created=NOW + DAY),
        )
        assert shown(world) == (10, 18)[number - 1], "the newest coupon of this id"


def test_a_known_limit_outranks_a_payload_that_does_not_state_it() -> None:
    """An import lists coupons with their products, and subscriptions with whole coupons without them."""
    world = World()
    whole = a_subscription(BASE, EXTRA, discounts=[a_discount()])
    world.deliver(an_event("coupon.created", LIMITED, created=NOW), an_event(CREATED, whole, created=NOW))
    assert shown(world) == 110
    named = a_subscription(EXTRA, discounts=["di_1"])
    world.deliver(an_event(UPDATED, named, previous={"items": {"data": []}}, created=NOW + 1))
    assert shown(world) == 10


def test_a_known_limit_stays_where_a_later_event_does_not_name_its_coupon() -> None:
    """The payload that the mrr is worked out from again has the coupon without its products."""
    world = World()
    other = a_discount(HALF | {"id": "OTHER"}, id="di_9")
    whole = a_subscription(BASE, EXTRA, discounts=[a_discount()])
    world.deliver(an_event("coupon.created", LIMITED, created=NOW), an_event(CREATED, whole, created=NOW))
    world.deliver(an_event(APPLIED, other, created=NOW + 1), an_event(REMOVED, other, created=NOW + 2))
    assert (changes(world), shown(world)) == ([(110, "new")], 110)


def test_another_coupon_under_the_id_of_a_deleted_one_is_not_limited_by_it() -> None:
    world = World()
    whole = a_subscription(BASE, EXTRA, discounts=[a_discount(HALF | {"percent_off": 10})])
    world.deliver(an_event("coupon.created", LIMITED, created=NOW), an_event(CREATED, whole, created=NOW))
    assert shown(world) == 108


@pytest.mark.parametrize("batched", [False, True], ids=["one by one", "in one batch"])
def test_a_discount_keeps_the_coupon_that_it_began_with_where_another_has_its_id_now(*, batched: bool) -> None:
    """A coupon was deleted and another one made under its id: its 10 % were taken for the 50 % of the discount.

    In a batch the coupons come first, and only the newest of an id is stored: then the mrr is unknown.
    """
    world = World()
    discount = a_discount("HALF", "sub_basic", start=NOW + 5)
    events = [
        an_event("coupon.created", HALF | {"created": NOW}, created=NOW),
        an_event(APPLIED, discount, created=NOW + 5),
        an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW + 5),
        an_event("coupon.created", HALF | {"percent_off": 10, "created": NOW + DAY}, created=NOW + DAY),
        an_event(UPDATED, a_subscription(discounts=["di_1"]), previous=RENEWED, created=NOW + 2 * DAY),
    ]
    if batched:
        world.batch(*events)
    else:
        world.deliver(*events)
    assert shown(world) == (None if batched else 10)


def test_an_unknown_discount_that_is_removed_is_no_change_of_the_items() -> None:
    """`changed` said items."""
    world = World()
    world.deliver(an_event(CREATED, a_subscription(discounts=["di_1"]), created=NOW))
    properties = world.tracks(an_event(UPDATED, a_subscription(), previous={"discounts": ["di_1"]}, created=NOW + DAY))[
        "Subscription Changed"
    ]
    assert (properties["changed"], properties["mrr_change"]) == (["discount"], 20)


# --- With an import ---


def test_a_discount_between_an_import_and_the_first_event_is_part_of_the_opening_balance() -> None:
    """The opening balance is told with the subscription's first event, as it is then."""
    world = World()
    world.batch(json.dumps(record_of(a_subscription(), Level.STATE, NOW, livemode=False)))
    world.deliver(an_event(APPLIED, a_discount(), created=NOW + DAY))
    world.deliver(an_event(DELETED, a_subscription(status="canceled", ended_at=NOW + 2 * DAY), created=NOW + 2 * DAY))
    assert changes(world) == [(10, "opening"), (-10, "churn")]


# --- In whatever order ---

LIVES = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "seats", "apply", "remove"]), st.integers(0, 2), st.integers(1, 5)),
    max_size=14,
)


@settings(deadline=None)
@given(lives=LIVES, order=st.randoms(use_true_random=False), shuffled=st.booleans())
def test_the_changes_sum_to_the_mrr_with_a_discount_of_the_customer(lives: Any, order: Any, *, shuffled: bool) -> None:
    """Three subscriptions, which begin, change and end while the Customer's own discount comes and goes."""
    world, at, seats, ever, applied, started = World(), NOW, dict[int, int](), dict[int, int](), False, NOW
    events = []

    def is_true() -> None:
        mrr = sum(seats.values()) * (10 if applied else 20)
        assert sum(change for change, _ in changes(world)) == mrr
        assert not ever or shown(world) == mrr

    for kind, number, quantity in lives:
        at += DAY
        body = a_subscription(an_item(quantity=quantity), id=f"sub_{number}", created=NOW, start_date=NOW)
        if kind == "begin" and number not in ever:
            seats[number] = ever[number] = quantity
            events.append(an_event(CREATED, body, created=at))
        elif kind == "seats" and number in seats:
            previous = {"items": {"data": [an_item(quantity=seats[number])]}}
            seats[number] = quantity
            events.append(an_event(UPDATED, body, previous=previous, created=at))
        elif kind == "end" and number in seats:
            del seats[number]
            events.append(an_event(DELETED, body | {"status": "canceled", "ended_at": at}, created=at))
        elif kind in {"apply", "remove"} and applied is (kind == "remove"):
            applied = not applied
            # No id of a discount comes twice.
            started = at if applied else started
            own = a_discount(id=f"di_{started}", start=started)
            events.append(an_event(APPLIED if applied else REMOVED, own, created=at))
        else:
            continue
        if not shuffled:
            world.deliver(events[-1])
            is_true()
    if shuffled:
        events *= 2
        order.shuffle(events)
        world.deliver(*events)
        is_true()
