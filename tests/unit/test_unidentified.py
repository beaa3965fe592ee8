"""`unidentified` says how much money belongs to customers without a known user, in each currency and mode."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import TABLE
from tests.unit.shapes import a_price, a_session, a_subscription, an_event, an_invoice, an_item
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with deployed() as stack:
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield World(store_of(stack))


def store_of(stack: Deployed) -> DynamoStore:
    return DynamoStore(stack.dynamodb, TABLE)


def said(*words: str) -> Any:
    result = CliRunner().invoke(app, ["unidentified", *words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def subscribed(world: World, name: str, amount: int, currency: str = "usd", user: str = "") -> None:
    """A customer subscribes, and pays the first month."""
    about = {"customer": f"cus_{name}", "metadata": {"user_id": user} if user else {}}
    item = an_item(a_price(amount, currency=currency))
    world.deliver(
        an_event("customer.subscription.created", a_subscription(item, id=f"sub_{name}", currency=currency, **about)),
        an_event(
            "invoice.paid",
            an_invoice(
                id=f"in_{name}", currency=currency, total=amount, amount_paid=amount, amount_due=amount, **about
            ),
        ),
    )


def test_the_share_of_those_without_a_user_by_currency(world: World) -> None:
    subscribed(world, "ada", 3000, user="u_ada")
    subscribed(world, "bob", 1000)
    subscribed(world, "mori", 500, currency="jpy")
    assert said()["test"] == {
        "customers": 3,
        "without_user": 2,
        "mrr_unknown": 0,
        "mrr_unknown_without_user": 0,
        "currencies": {
            "JPY": {"mrr": 500, "mrr_without_user": 500, "lifetime_value": 500, "lifetime_value_without_user": 500},
            "USD": {"mrr": 40, "mrr_without_user": 10, "lifetime_value": 40, "lifetime_value_without_user": 10},
        },
        "largest": [
            {"id": "cus_mori", "currency": "JPY", "mrr": 500, "lifetime_value": 500},
            {"id": "cus_bob", "currency": "USD", "mrr": 10, "lifetime_value": 10},
        ],
    }


def test_the_largest_are_listed_and_no_more_than_wanted(world: World) -> None:
    for number in range(1, 5):
        subscribed(world, str(number), 100 * number)
    assert [one["id"] for one in said("--top", "2")["test"]["largest"]] == ["cus_4", "cus_3"]
    assert said("--top", "0")["test"]["largest"] == []


def test_a_guest_is_somebody_without_a_user_until_a_session_names_one(world: World) -> None:
    guest = {"customer": None, "mode": "payment", "payment_status": "paid", "amount_total": 700, "currency": "usd"}
    world.deliver(an_event("checkout.session.completed", a_session(id="cs_1", payment_intent="pi_1", **guest)))
    named = a_session(id="cs_2", payment_intent="pi_2", client_reference_id="u_1", **guest)
    world.deliver(an_event("checkout.session.completed", named))
    found = said()["test"]
    assert (found["customers"], found["without_user"]) == (2, 1)
    assert found["currencies"]["USD"]["lifetime_value_without_user"] == 7
    assert found["largest"][0]["id"] == "pi_1"


def test_a_customer_who_is_named_later_is_no_longer_without_a_user(world: World) -> None:
    subscribed(world, "bob", 1000)
    assert said()["test"]["without_user"] == 1
    subscribed(world, "bob", 1000, user="u_bob")
    assert said()["test"]["without_user"] == 0


def test_an_unknown_mrr_is_no_mrr_of_0(world: World) -> None:
    """A subscription of tiers, whose amount no event states, counted as 0: the share of unknown users was too small."""
    subscribed(world, "ada", 3000, user="u_ada")
    tiered = {**a_price(), "billing_scheme": "tiered", "unit_amount": None, "unit_amount_decimal": None}
    body = a_subscription(an_item(tiered), id="sub_bob", customer="cus_bob")
    world.deliver(an_event("customer.subscription.created", body))
    found = said()["test"]
    assert (found["mrr_unknown"], found["mrr_unknown_without_user"]) == (1, 1)
    shown = CliRunner().invoke(app, ["unidentified"]).stdout
    assert "not in these sums: 1 live subscription of unknown mrr, 1 of them without a known user" in shown


def test_for_a_person_the_output_is_a_table(world: World) -> None:
    subscribed(world, "ada", 3000, user="u_ada")
    subscribed(world, "bob", 1000)
    shown = CliRunner().invoke(app, ["unidentified"]).stdout
    assert "test mode: 2 customers and guests, 1 of them without a known user" in shown
    assert "10.00 (25.0%)" in shown
    assert "cus_bob" in shown


@pytest.mark.usefixtures("world")
def test_where_nobody_is_known_it_says_what_to_do() -> None:
    assert "run `stripe-to-segment import`" in CliRunner().invoke(app, ["unidentified"]).stdout
