"""A claimed call is stored without the personal data of its event, which fills it in again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stripe_to_segment.mapping.attribution import NOTHING, Attribution
from stripe_to_segment.mapping.blanks import BLANK, Blanks
from stripe_to_segment.segment_side.calls import fitting

BLANKS = Blanks(Attribution({"ip": "203.0.113.7", "locale": "de"}), {"email": "ann@example.com", "name": "Ann"})


def body_with(context: Any, **more: Any) -> Any:
    return {"type": "track", "messageId": "1", "context": context, "event": "Order Completed", **more}


@pytest.mark.parametrize(
    ("context", "stored"),
    [
        (
            {"ip": "203.0.113.7", "locale": "de", "traits": {"plan": "Pro", "email": "ann@example.com"}},
            {"ip": BLANK, "locale": "de", "traits": {"plan": "Pro", "email": BLANK}},
        ),
        ({"traits": {"email": "changed@example.com"}}, {"traits": {"email": "changed@example.com"}}),
        ({"traits": {}}, {"traits": {}}),
        ({"traits": ["Ann"]}, {"traits": ["Ann"]}),
        ("Ann", "Ann"),
    ],
)
def test_only_the_values_of_the_event_are_left_out(context: Any, stored: Any) -> None:
    call = fitting(body_with(context))
    assert json.loads(BLANKS.written(call)) == body_with(stored)
    assert BLANKS.read(BLANKS.written(call)).encoded == call.encoded


@pytest.mark.parametrize(
    "elsewhere",
    [{"name": "Ann"}, {"products": [{"name": "Ann"}]}, {"said": '"name":"Ann"'}, {"traits": {"name": "Ann"}}],
)
def test_the_same_value_elsewhere_in_the_call_stays(elsewhere: dict[str, Any]) -> None:
    body = body_with({"campaign": {"name": "Ann"}, "traits": {"name": "Ann"}}, properties=elsewhere)
    call = fitting(body)
    assert json.loads(BLANKS.written(call)) == {
        **body,
        "context": {"campaign": {"name": "Ann"}, "traits": {"name": BLANK}},
    }
    assert BLANKS.read(BLANKS.written(call)).encoded == call.encoded


def test_a_value_that_this_event_does_not_have_is_absent() -> None:
    written = BLANKS.written(fitting(body_with({"traits": {"plan": "Pro", "name": "Ann"}})))
    other = Blanks(NOTHING, {"email": "ann@example.com"})
    assert not other.has_all_of(written)
    assert other.read(written).body == body_with({"traits": {"plan": "Pro"}})
