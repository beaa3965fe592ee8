"""Days of outage and their end, in simulated time, over the deliver function's own code."""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.circuit_breaker import Breaker
from stripe_to_segment.observability import logger
from stripe_to_segment.state.store import MemoryStore
from tests.simulator.queue_in_time import Clock, Endpoint, Queue, Says
from tests.unit.edges import FUNCTIONS, REGION, SecretsManager, load_function, speaking
from tests.unit.shapes import NOW, a_customer, an_event, an_invoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    type Making = Callable[[Callable[[float], Says]], Pack]

MINUTE, HOUR, DAY = 60, 3600, 86_400
# As the template has them; tests/template holds them there.
MOST_RECEIVES, RETENTION, VISIBILITY = 1000, 14 * DAY, 360
FINE = Says(200)
# A sample. A hundred thousand take a minute or two: make test PYTEST=tests/simulator/test_outage.py BACKLOG=100000
BACKLOG = int(os.environ.get("BACKLOG", "4000"))
# Of events that wait for days, each costs thousands of receives.
WAITING = 20


@dataclass(slots=True)
class Pack:
    """The deliver function between a queue and a Segment of which the test decides the mood."""

    clock: Clock
    queue: Queue
    segment: Endpoint
    app: Any

    def arrive(self, number: int, every: float = 0.0) -> None:
        """So many customers are created, one every so many seconds."""
        event = json.dumps(an_event("customer.created", a_customer(id="cus_0"), id="evt_0").body)
        for one in range(number):
            self.queue.send(event.replace("cus_0", f"cus_{one}").replace("evt_0", f"evt_{one}"), NOW + one * every)

    def drain(self) -> None:
        """Until the queue is empty."""
        self.queue.drain(self.app.handler)

    def asked(self, *statuses: int | None) -> list[float]:
        """When Segment answered so."""
        return [at for at, status in self.segment.asked if status in statuses]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Making]:
    for name in ("KEYS_SECRET_ARN", "EVENTS_QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "STATE_TABLE"):
        monkeypatch.setenv(name, name.lower())
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.syspath_prepend(str(FUNCTIONS / "deliver"))

    def make(mood: Callable[[float], Says]) -> Pack:
        clock = Clock(NOW)
        queue = Queue(clock, MOST_RECEIVES, RETENTION, VISIBILITY)
        segment = Endpoint(clock, mood)
        app = load_function("deliver")
        secrets = SecretsManager(json.dumps({"segment_write_key": "l" * 32, "segment_test_write_key": "t" * 32}))
        store = MemoryStore()
        environment = threading.local()

        def breaker() -> Breaker:
            """Each poller is an environment of its own, which knows of the others through the store alone."""
            if not hasattr(environment, "breaker"):
                environment.breaker = Breaker(store, clock.time, app.settings.retry_base_seconds)
            known: Breaker = environment.breaker
            return known

        for name, replacement in {"time": clock, "store": lambda: store, "breaker": breaker}.items():
            monkeypatch.setattr(app, name, replacement)
        monkeypatch.setattr("stripe_to_segment.aws.client", {"sqs": queue, "secretsmanager": secrets}.__getitem__)
        app.session.mount("https://", segment)
        return Pack(clock, queue, segment, app)

    level = logger.log_level
    logger.setLevel(logging.CRITICAL)
    with speaking():
        yield make
    logger.setLevel(level)


def test_three_days_without_segment_lose_and_dead_letter_nothing(made: Making) -> None:
    back = NOW + 3 * DAY
    moods = [Says(None, 10.0), Says(503), Says(429, retry_after=2)]
    pack = made(lambda now: FINE if now >= back else moods[int((now - NOW) // DAY)])
    pack.arrive(WAITING, every=3 * DAY / WAITING)
    pack.drain()

    assert pack.queue.given_up == []
    assert pack.queue.dead_letters == []
    assert pack.segment.calls.total() == len(pack.segment.calls) == WAITING, "each call once"
    assert pack.queue.last_delivered < back + 5 * MINUTE + HOUR, "as late as the longest pauses of both, not later"
    assert pack.queue.most_received < MOST_RECEIVES / 4


def test_three_days_of_waiting_cost_little(made: Making) -> None:
    back = NOW + 3 * DAY
    pack = made(lambda now: FINE if now >= back else Says(None, 10.0))
    pack.arrive(WAITING, every=60)
    pack.drain()

    # One request each five minutes, whatever waits; and an hour's pause, half of it on average, between two receives.
    assert len(pack.asked(None)) < 3 * DAY / (5 * MINUTE) + 20
    assert pack.queue.received < WAITING * 3 * DAY / (HOUR / 2) * 1.2
    assert pack.queue.busy < 10.5 * len(pack.segment.asked), "only who asks Segment is paid for waiting"


def test_after_a_short_outage_all_events_are_delivered_within_minutes(made: Making) -> None:
    back = NOW + 2 * MINUTE
    pack = made(lambda now: FINE if now >= back else Says(503))
    pack.arrive(500, every=0.2)
    pack.drain()

    assert len(pack.segment.calls) == 500
    assert pack.queue.last_delivered < back + 15 * MINUTE


def test_a_backlog_drains_under_a_rate_limit_without_bursts(made: Making) -> None:
    taken: list[float] = []

    def twenty_a_second(now: float) -> Says:
        taken[:] = [at for at in taken if at > now - 1]
        if len(taken) == 20:
            return Says(429, 0.05, retry_after=3)
        taken.append(now)
        return FINE

    pack = made(twenty_a_second)
    pack.arrive(BACKLOG)
    pack.drain()

    assert pack.queue.given_up == []
    assert pack.queue.dead_letters == []
    assert pack.segment.calls.total() == len(pack.segment.calls) == BACKLOG, "each call once"
    # Requests under way get the same answer as the first; no other is sent before the three seconds are over.
    pauses: list[float] = []
    for at in pack.asked(429):
        if not pauses or at > pauses[-1] + 3:
            pauses.append(at + 0.05)
    assert pauses
    assert [at for at, _ in pack.segment.asked if any(told < at < told + 3 for told in pauses)] == []
    assert len(pack.asked(429)) <= len(pauses) * pack.queue.pollers
    assert pack.clock.now - NOW < 10 * MINUTE
    assert pack.queue.invocations < 10 * len(pack.asked(200)), "the circuit does not spin invocations"


def test_after_an_outage_the_backlog_comes_back_spread_over_an_hour(made: Making) -> None:
    """Their pauses alone keep the events that wait from all coming at once."""
    back = NOW + 3 * HOUR
    pack = made(lambda now: FINE if now >= back else Says(503))
    # All at once they would be a dozen requests within a second.
    pack.arrive(1_200)
    pack.drain()

    assert len(pack.segment.calls) == 1_200
    taken = pack.asked(200)
    assert max(sum(1 for other in taken if at <= other < at + 1) for at in taken) <= pack.queue.pollers
    assert pack.queue.last_delivered < back + 5 * MINUTE + HOUR


def test_a_busy_customer_is_done_half_a_minute_after_its_last_event(made: Making) -> None:
    """Batches with the same customer went back to the queue again and again: 780 s, and 11.7 receives an event."""
    pack = made(lambda _: FINE)
    event = json.dumps(an_event("invoice.paid", an_invoice(customer="cus_busy"), id="evt_0").body)
    for one in range(3_000):
        body = event.replace("in_basic", f"in_{one}").replace("evt_0", f"evt_{one}")
        pack.queue.send(body, NOW + one * 120 / 3_000)
    pack.drain()

    # A payment each, and the lifetime value after it.
    assert pack.segment.calls.total() == len(pack.segment.calls) == 6_000, "each call once"
    assert pack.queue.last_delivered - NOW < 150
    assert pack.queue.received <= 3 * 3_000
