"""An event is the same in each form of its JSON.

From the webhook, from EventBridge, or from Stripe's list of events.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.stripe_side.event import parse_event
from stripe_to_segment_tools.samples.files import samples
from tests.unit.shapes import a_customer, an_event
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable


def with_numbers(value: Any, change: Callable[[int], object]) -> Any:
    """A JSON value with each of its whole numbers written in another way."""
    if isinstance(value, dict):
        return {key: with_numbers(entry, change) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_numbers(entry, change) for entry in value]
    return change(value) if isinstance(value, int) and not isinstance(value, bool) else value


def with_exponents(body: Any) -> str:
    """JSON with each of its whole numbers written like 2.0E3."""
    marked = with_numbers(body, lambda number: f"⟨{number:.15E}⟩")
    return re.sub(r'"⟨(.*?)⟩"', r"\1", json.dumps(marked, ensure_ascii=False))


@pytest.mark.parametrize(
    "rewritten",
    [
        lambda body: json.dumps(body, sort_keys=True, separators=(",", ":")),
        lambda body: json.dumps(body, ensure_ascii=False, indent=4),
        lambda body: json.dumps(with_numbers(body, float)),
        with_exponents,
    ],
    ids=["sorted", "spread out", "2000.0", "2E3"],
)
def test_deliver_reads_an_event_the_same_whoever_wrote_its_json(rewritten: Callable[[Any], str]) -> None:
    """An event whose whole numbers came as 2000.0 was no event, and became a dead letter."""
    for sample in samples():
        as_sent, other = World(), World()
        as_sent.now = other.now = sample.event["created"] + 60
        as_sent.batch(sample.body.decode())
        other.batch(rewritten(sample.event))
        assert other.calls == as_sent.calls, sample.name
        assert json.dumps(other.calls) == json.dumps(as_sent.calls), sample.name


def test_a_number_too_large_for_a_float_keeps_every_digit() -> None:
    customer = an_event("customer.created", a_customer(balance=2**63 - 1, rate=19.6))
    assert parse_event(json.dumps(customer.body)).object["balance"] == 2**63 - 1
    assert parse_event(json.dumps(customer.body)).object["rate"] == 19.6


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63))
def test_a_number_keeps_its_value(number: float) -> None:
    event = an_event("customer.created", a_customer(balance=number))
    assert parse_event(json.dumps(event.body)).object["balance"] == number
