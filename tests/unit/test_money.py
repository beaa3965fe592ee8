"""Amounts are right in every currency Stripe charges in, to the minor unit."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.segment_side.calls import wire
from stripe_to_segment.stripe_side.money import digits, major, minor_decimal, rounded

ZERO_DECIMAL = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"


@pytest.mark.parametrize("currency", ZERO_DECIMAL.split())
def test_a_zero_decimal_currency_is_sent_as_it_is(currency: str) -> None:
    assert major(500, currency) == 500


@pytest.mark.parametrize("currency", ["bhd", "jod", "kwd", "omr", "tnd"])
def test_a_three_decimal_currency_has_three_decimals(currency: str) -> None:
    assert major(5120, currency) == Decimal("5.120")


@pytest.mark.parametrize("currency", ["isk", "ugx", "huf", "twd", "usd", "eur"])
def test_currencies_without_cents_in_iso_still_have_two_decimals_on_stripes_wire(currency: str) -> None:
    assert major(500, currency) == 5


def test_the_case_of_the_currency_does_not_matter() -> None:
    assert digits("JPY") == digits("jpy") == 0


@pytest.mark.parametrize(("minor", "currency"), [(None, "usd"), (100, None)])
def test_an_unknown_amount_or_currency_is_unknown_and_not_zero(minor: int | None, currency: str | None) -> None:
    assert major(minor, currency) is None


@given(st.integers(-(10**12), 10**12), st.sampled_from(["usd", "jpy", "kwd"]))
def test_an_amount_reads_back_from_the_wire_as_the_same_decimal(minor: int, currency: str) -> None:
    amount = major(minor, currency)
    assert Decimal(json.dumps(wire({"": amount})[""])) == amount


def test_19_99_stays_19_99() -> None:
    assert json.dumps(wire({"total": major(1999, "usd")})) == '{"total": 19.99}'


@pytest.mark.parametrize(("exact", "whole"), [("0.5", 0), ("1.5", 2), ("2.5", 2), ("-0.5", 0), ("833.33", 833)])
def test_halves_round_to_even(exact: str, whole: int) -> None:
    assert rounded(Decimal(exact)) == whole


@pytest.mark.parametrize("value", [None, "", "abc", "NaN", "Infinity", True, 1.5, {}])
def test_a_text_that_is_no_decimal_is_unknown(value: object) -> None:
    assert minor_decimal(value) is None


@pytest.mark.parametrize("value", ["1e999999", "-1e999999", "1e-999999", "9" * 400])
def test_a_number_of_a_million_digits_is_unknown_and_never_computed(value: str) -> None:
    """Eight letters kept deliver busy for half a minute, and with it a batch of good events, again and again."""
    assert minor_decimal(value) is None


@pytest.mark.parametrize("value", ["0.000000000001", "999999999999.999999999999"])
def test_every_amount_that_stripe_sends_is_known(value: str) -> None:
    assert minor_decimal(value) == Decimal(value)
