"""Days of outage and their end, in simulated time, over the deliver function's own code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.simulator.function_in_time import FINE, MOST_RECEIVES
from tests.simulator.queue_in_time import Says
from tests.unit.shapes import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.function_in_time import Pack

    type Making = Callable[[Callable[[float], Says]], Pack]

MINUTE, HOUR, DAY = 60, 3600, 86_400
# A sample. A hundred thousand take a minute or two: make test PYTEST=tests/simulator/test_outage.py BACKLOG=100000
BACKLOG = int(os.environ.get("BACKLOG", "4000"))
# The payments of a busy customer in a second; ten in `make test-fast`.
OFTEN = min(settings().max_examples, 25)
# Of events that wait for days, each costs thousands of receives.
WAITING = 20


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


def test_more_events_than_sqs_hides_at_a_time_are_delivered_after_an_outage(made: Making) -> None:
    """SQS hands out nothing while 120,000 records are hidden, here 120, as all are that wait for their next attempt."""
    back = NOW + 2 * HOUR
    pack = made(lambda now: FINE if now >= back else Says(503))
    pack.queue.in_flight = 120
    pack.arrive(400, every=10)
    pack.drain()

    assert pack.queue.given_up == []
    assert pack.queue.dead_letters == []
    assert pack.segment.calls.total() == len(pack.segment.calls) == 400, "each call once"
    assert pack.queue.last_delivered < back + HOUR + 5 * MINUTE, "once the hidden ones are through, so are the others"


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
    # All at once they would be eight requests within a second.
    pack.arrive(800)
    pack.drain()

    assert len(pack.segment.calls) == 800
    taken = pack.asked(200)
    assert max(sum(1 for other in taken if at <= other < at + 1) for at in taken) <= pack.queue.pollers
    assert pack.queue.last_delivered < back + 5 * MINUTE + HOUR


@pytest.mark.parametrize("at_once", [True, False], ids=["created at once", "created as they come"])
@pytest.mark.parametrize(
    ("user", "seconds", "receives"),
    # What names no user waits once for it, and only after a minute does that count for little.
    [("user_busy", 24, 1.2), (None, 60, 3)],
    ids=["known user", "unknown user"],
)
def test_a_busy_customer_is_done_half_a_minute_after_its_last_event(
    made: Making, user: str | None, seconds: int, receives: float, *, at_once: bool
) -> None:
    """Batches with the same customer went back to the queue again and again: 780 s, and 11.7 receives an event."""
    events = OFTEN * seconds
    pack = made(lambda _: FINE)
    pack.pay_often(events, seconds, user=user, at_once=at_once)
    pack.drain()

    # A payment each, and the lifetime value after it.
    assert pack.segment.calls.total() == len(pack.segment.calls) == 2 * events, "each call once"
    assert pack.queue.last_delivered - NOW < seconds + 30
    assert pack.queue.received <= receives * events
