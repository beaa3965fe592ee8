"""The tests' own world holds each form of a call against the tracking plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.segment_side.calls import Call, encode
from tests.unit.shapes import a_customer, an_event, an_invoice
from tests.unit.worlds import World, keeps_to_the_plan

if TYPE_CHECKING:
    from collections.abc import Callable


def the_call() -> Call:
    world = World()
    world.deliver(an_event("customer.created", a_customer()), an_event("invoice.paid", an_invoice()))
    body: Any = world.calls[-1]
    del body["livemode"]
    return Call(body, encode(body))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body["properties"].pop("order_id"),
        lambda body: body["properties"].update(surprise=1),
        lambda body: body["properties"].update(total="7900"),
        lambda body: body["properties"].update(currency="dollars"),
    ],
    ids=["one is missing", "one too many", "another type", "another form"],
)
def test_a_call_of_another_form_is_held_against_the_plan_also_after_a_good_one(
    spoil: Callable[[dict[str, Any]], object],
) -> None:
    call, settings = the_call(), World().settings
    keeps_to_the_plan(call, settings)
    body = json.loads(call.encoded)
    spoil(body)
    with pytest.raises(AssertionError, match="against the tracking plan"):
        keeps_to_the_plan(Call(body, encode(body)), settings)
