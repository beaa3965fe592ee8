"""While an import's queue is full, events are delivered as soon as without it: both share only records and Segment."""

from __future__ import annotations

import json
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import record_of
from tests.simulator.function_in_time import FINE
from tests.unit.shapes import DAY, NOW, a_customer, an_event, an_invoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.function_in_time import Pack

    type Making = Callable[..., Pack]

CUSTOMERS, INVOICES = 600, 4
EVENTS, EVERY = 30, 0.3


def records(level: Level) -> list[str]:
    """The records of an import: the invoices of all customers, as Stripe lists them."""
    found = []
    for number in range(CUSTOMERS * INVOICES):
        customer, place = number % CUSTOMERS, number // CUSTOMERS
        at = NOW - (60 + 30 * place) * DAY
        paid: dict[str, Any] = {"status": "paid", "status_transitions": {"paid_at": at}, "created": at}
        paid |= {"payments": {"data": [{"status": "paid", "payment": {"payment_intent": f"pi_{number}"}}]}}
        invoice = an_invoice(id=f"in_{number}", customer=f"cus_{customer}", **paid)
        record = record_of(invoice, level, NOW, livemode=False, integrations={"All": False})
        found.append(json.dumps(record))
    return found


def latencies(made: Making, queued: list[str], *, one_queue: bool = False) -> list[float]:
    """The seconds from the queue to Segment of events of the imported customers, in order of size."""
    pack, rng = made(lambda _: FINE, timed=True), Random(1)
    for body in queued:
        (pack.queue if one_queue else pack.imports).send(body, NOW)
    for number in range(EVENTS):
        customer = a_customer(id=f"cus_{rng.randrange(CUSTOMERS)}", metadata={"user_id": f"u_{number}"})
        event = an_event("customer.updated", customer, id=f"evt_{number}", created=NOW, previous={"email": "x"})
        pack.queue.send(json.dumps(event.body), NOW + number * EVERY)
    pack.drain()
    assert pack.queue.given_up == pack.imports.given_up == []
    assert pack.queue.dead_letters == []
    assert len(pack.segment.calls) >= EVENTS
    if queued and not one_queue:
        assert pack.imports.last_delivered > NOW + EVENTS * EVERY * 0.8, "the import lasts as long as the events"
    return sorted(pack.queue.latencies[-EVENTS:])


@pytest.mark.parametrize("level", [Level.STATE, Level.HISTORY])
def test_events_of_imported_customers_are_as_early_as_without_the_import(made: Making, level: Level) -> None:
    """Half of them after 2.9 s without and 3.0 s beside a state (3.2 s a history), nearly all of it a batch's window.

    The difference is that of batches which write the record of one customer at the same moment.
    """
    alone, beside = latencies(made, []), latencies(made, records(level))
    assert median(beside) < median(alone) + 0.5
    assert beside[-1] < alone[-1] + 1, "the slowest"


def test_in_one_queue_events_would_wait_for_the_import(made: Making) -> None:
    assert median(latencies(made, records(Level.STATE), one_queue=True)) > median(latencies(made, [])) + 1
