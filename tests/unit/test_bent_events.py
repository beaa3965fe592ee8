"""Events with values that Stripe has never sent: the other events of their batch are still delivered."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

from hypothesis import settings

from stripe_to_segment_tools.samples.files import samples
from tests.unit.shapes import a_customer, a_session, an_event
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stripe_to_segment.stripe_side.objects import Lookup

TEXTS = [sample.body.decode() for sample in samples()]
VALUES = json.dumps(
    [None, True, False, 0, -1, 0.5, 1e300, 10**30, "", "\ud800", "NaN", "9" * 400, [], {}, [[]], [None], [1], {"id": 1}]
)


class Nobody:
    """A reader that finds nothing."""

    def read(self, wanted: Iterable[Lookup]) -> Mapping[Lookup, dict[str, Any]]:
        assert all(isinstance(lookup.id, str) for lookup in wanted)
        return {}


def bent(draw: Random) -> str:
    """A sample event with some values, wherever they are, replaced by others."""
    event: dict[str, Any] = json.loads(draw.choice(TEXTS))
    event["id"] = f"evt_{draw.getrandbits(48):x}"
    for _ in range(draw.randint(1, 4)):
        place: Any = event["data"]["object"]
        while True:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.2:
                break
            place = place[key]
        place[key] = draw.choice(json.loads(VALUES))
    return json.dumps(event)


def test_any_value_in_an_event_leaves_its_batch_deliverable() -> None:
    """A Checkout Session whose payment_status was a list made its whole batch fail a thousand times."""
    draw = Random(5)
    for _ in range(settings().max_examples * 2 // 5):
        world = World(reader=Nobody())
        # The plan is for what Stripe sends.
        world.enrich = lambda call, _: call
        for _ in range(10):
            good = an_event("customer.created", a_customer(id=f"cus_{draw.getrandbits(48):x}"))
            *_, verdict = world.batch(*(bent(draw) for _ in range(4)), good)
            assert verdict.status == "delivered"


def test_a_payment_status_that_is_no_text_does_not_count_as_paid() -> None:
    strange = an_event("checkout.session.completed", a_session(payment_status=["paid"]))
    good = an_event("customer.created", a_customer(id="cus_good"))
    world = World(reader=Nobody())
    assert [verdict.status for verdict in world.batch(strange, good)] == ["delivered", "delivered"]
    assert [call.get("event", call["type"]) for call in world.calls] == ["identify", "identify", "Checkout Completed"]
