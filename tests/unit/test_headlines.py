"""The headline of a call states its most important value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment_tools.commands.headlines import headline
from stripe_to_segment_tools.terminal.amounts import amount_text, number


def track(event: str, **properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "userId": "user_42", "properties": properties}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (track("Subscription Upgraded", mrr_change=60, currency="EUR", plan="Team"), "+€60.00 MRR"),
        (track("Subscription Cancelled", mrr_change=-79.5, currency="USD"), "\N{MINUS SIGN}$79.50 MRR"),
        (track("Order Completed", total=1285.2, revenue=1080, currency="EUR"), "€1,285.20"),
        (track("Payment Failed", value=4378, currency="JPY"), "¥4,378"),
        (track("Trial Started", mrr_change=0, currency="USD", plan="Pro"), "Pro"),
        (track("Discount Applied", coupon="TEAM", percent_off=10), "TEAM"),
        (track("Payment Method Added", card_brand="visa"), "visa"),
        (track("Customer Deleted"), ""),
        (track("Own Event", total="12", plan={"a": 1}), ""),
        ({"type": "track", "event": "Own Event", "properties": None}, ""),
        ({"type": "identify", "userId": "user_42", "traits": {"plan": "Team", "name": "Ada"}}, "user_42: plan Team"),
        ({"type": "identify", "userId": "user_42", "traits": {"plan": None}}, "user_42: no plan"),
        ({"type": "identify", "anonymousId": "cus_1", "traits": {"email": "a@example.com"}}, "cus_1: a@example.com"),
        ({"type": "identify", "userId": "user_42", "traits": {}}, "user_42"),
        ({"type": "group", "userId": "user_42", "groupId": "team_7", "traits": {"plan": "Team"}}, "team_7: plan Team"),
    ],
)
def test_a_headline_says_what_matters_most(call: dict[str, Any], text: str) -> None:
    assert headline(call).says == text


def test_a_headline_names_the_event_or_the_kind_of_call_and_the_user() -> None:
    assert (headline(track("Order Completed")).name, headline(track("Order Completed")).who) == (
        "Order Completed",
        "user_42",
    )
    told = headline({"type": "identify", "anonymousId": "cus_1"})
    assert (told.name, told.who) == ("identify", "cus_1")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1285.2", "EUR", "€1,285.20"),
        ("4980", "JPY", "¥4,980"),
        ("1.235", "KWD", "KWD\N{NO-BREAK SPACE}1.235"),
        ("10.5", "RSD", "RSD\N{NO-BREAK SPACE}10.50"),
        ("-3", "UGX", "\N{MINUS SIGN}UGX\N{NO-BREAK SPACE}3.00"),
        ("0.3333", "USD", "$0.3333"),
        ("1E+3", "USD", "$1,000.00"),
    ],
)
def test_an_amount_has_the_decimals_of_its_billing_and_never_fewer_than_it_needs(
    amount: str, currency: str, text: str
) -> None:
    assert amount_text(Decimal(amount), currency) == text


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text()))
def test_only_finite_numbers_are_amounts(value: Any) -> None:
    found = number(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value in {float("inf"), float("-inf")}:
        assert found is None
    elif value == value:  # noqa: PLR0124 - not a number is not itself
        assert found is not None
        assert float(found) == float(value)
    else:
        assert found is None
