"""A payment method is added, updated or removed; the expiry of the newest card is a trait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.state.profile import CARDS, Profile
from tests.unit.shapes import DAY, NOW, a_customer, an_event
from tests.unit.worlds import World, names

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

JUNE = "2029-06-30T23:59:59.000Z"


def a_card(expires: tuple[int, int] = (2029, 6), **more: Any) -> dict[str, Any]:
    year, month = expires
    return {
        "id": "pm_basic",
        "object": "payment_method",
        "billing_details": {"email": "jo@example.com", "name": "Jo Example"},
        "card": {"brand": "visa", "exp_month": month, "exp_year": year, "last4": "4242", "fingerprint": "Xt5EWLLDS7FJ"},
        "created": NOW,
        "customer": "cus_basic",
        "metadata": {},
        "type": "card",
    } | more


def attached(at: int = NOW, **more: Any) -> StripeEvent:
    return an_event("payment_method.attached", a_card(**more), created=at)


def detached(at: int = NOW, **more: Any) -> StripeEvent:
    card = a_card(**{"customer": None, **more})
    return an_event("payment_method.detached", card, created=at, previous={"customer": "cus_basic"})


def shown(world: World) -> Any:
    """The trait as the last identify that names it leaves it."""
    traits = [call["traits"] for call in world.calls if call["type"] == "identify"]
    return [each["card_expires_at"] for each in traits if "card_expires_at" in each][-1]


def test_an_added_card_is_sent_as_event_and_trait() -> None:
    identify, track = World().deliver(attached())
    assert identify["traits"]["card_expires_at"] == JUNE
    assert track["event"] == "Payment Method Added"
    assert track["properties"] == {
        "payment_method_id": "pm_basic",
        "payment_method_type": "card",
        "card_brand": "visa",
        "card_expires_at": JUNE,
    }


def test_no_digit_of_a_cards_number_is_sent() -> None:
    world = World()
    world.deliver(attached())
    assert "4242" not in str(world.calls)
    assert "Xt5EWLLDS7FJ" not in str(world.calls)


@pytest.mark.parametrize(
    ("expires", "told"), [((2027, 12), "2027-12-31"), ((2028, 2), "2028-02-29"), ((2027, 1), "2027-01-31")]
)
def test_a_card_is_good_until_its_month_ends(expires: tuple[int, int], told: str) -> None:
    facts = World().tracks(attached(expires=expires))
    assert facts["Payment Method Added"]["card_expires_at"] == f"{told}T23:59:59.000Z"


@pytest.mark.parametrize("expires", [(0, 0), (10_000, 1), (2029, 13), (10**9, 1), (2029, -1)])
def test_an_invalid_month_is_no_expiry(expires: tuple[int, int]) -> None:
    (call,) = World().deliver(attached(expires=expires))
    assert "card_expires_at" not in call["properties"]


def test_a_bank_account_has_no_expiry() -> None:
    (call,) = World().deliver(attached(type="sepa_debit", card=None, sepa_debit={"last4": "3202", "country": "DE"}))
    assert call["properties"] == {"payment_method_id": "pm_basic", "payment_method_type": "sepa_debit"}


@pytest.mark.parametrize(
    ("kind", "automatic"), [("payment_method.updated", False), ("payment_method.automatically_updated", True)]
)
def test_a_new_expiry_is_sent_as_event_and_trait(kind: str, automatic: bool) -> None:
    world = World()
    world.deliver(attached(expires=(2026, 12)))
    renewed = an_event(kind, a_card(), created=NOW + DAY, previous={"card": {"exp_year": 2026, "exp_month": 12}})
    identify, track = world.deliver(renewed)
    assert (track["event"], track["properties"]["automatic"]) == ("Payment Method Updated", automatic)
    assert identify["traits"]["card_expires_at"] == JUNE


def test_a_new_postal_code_changes_no_trait() -> None:
    world = World()
    world.deliver(attached())
    update = an_event("payment_method.updated", a_card(), created=NOW + DAY, previous={"billing_details": {}})
    assert names(world.deliver(update)) == ["Payment Method Updated"]


def test_a_removed_card_belongs_to_its_former_customer() -> None:
    """The object no longer names its customer, so the removal had no customer."""
    world = World()
    world.deliver(an_event("customer.created", a_customer(metadata={"user_id": "u1"})), attached())
    identify, track = world.deliver(detached(NOW + DAY))
    assert (track["event"], track["userId"]) == ("Payment Method Removed", "u1")
    assert identify["traits"]["card_expires_at"] is None


def test_a_removed_payment_method_without_a_customer_states_no_fact() -> None:
    assert World().deliver(an_event("payment_method.detached", a_card(customer=None))) == []


def test_removing_an_unknown_card_leaves_the_trait_unknown() -> None:
    """The customer may have other cards from before the stack: null would say that there is none."""
    (call,) = World().deliver(detached())
    assert call["event"] == "Payment Method Removed"


def test_after_a_removal_the_card_before_counts_again() -> None:
    world = World()
    new = {"id": "pm_new", "expires": (2031, 1)}
    world.deliver(attached(), attached(NOW + DAY, **new))
    assert shown(world) == "2031-01-31T23:59:59.000Z"
    world.deliver(detached(NOW + 2 * DAY, **new))
    assert shown(world) == JUNE


@given(order=st.permutations(range(5)))
def test_the_trait_is_that_of_the_newest_card_in_whatever_order(order: list[int]) -> None:
    world = World()
    events = [
        attached(NOW, id="pm_1", expires=(2026, 1)),
        an_event("payment_method.automatically_updated", a_card((2030, 1), id="pm_1"), created=NOW),
        attached(NOW + DAY, id="pm_2", expires=(2028, 8)),
        attached(NOW + 2 * DAY, id="pm_3", expires=(2027, 7)),
        detached(NOW + 3 * DAY, id="pm_3", expires=(2027, 7)),
    ]
    world.deliver(
        *[events[place] for place in order], an_event("customer.updated", a_customer(), created=NOW + 9 * DAY)
    )
    assert shown(world) == "2028-08-31T23:59:59.000Z"
    assert len([call for call in world.calls if call["type"] == "track"]) == 5


def test_only_the_newest_cards_are_remembered() -> None:
    profile = Profile("key")
    for number in range(CARDS * 2):
        profile = profile.with_card(f"pm_{number}", (NOW + number, 1), NOW + number)
    assert len(profile.cards) == CARDS
    assert profile.card_expires_at == NOW + CARDS * 2 - 1
