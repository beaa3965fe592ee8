"""When a record is seen again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.delivery.record import Record, RecordOutcome, Status
from stripe_to_segment.delivery.retry_delay import GIVE_UP_SECONDS, MOST_RECEIVES, delay, given_up
from stripe_to_segment.settings import Settings
from tests.unit.shapes import DAY, NOW

HOUR = 3600


def outcome(
    status: Status = Status.RETRY,
    reason: str = "http_503",
    *,
    age: float = 0,
    received: int = 1,
    tries: int | None = None,
    wait: int | None = None,
) -> RecordOutcome:
    """A record that was queued so many seconds ago."""
    return RecordOutcome(Record("1", "{}", received, NOW - age), status, reason, wait=wait, tries=tries)


def longest(about: RecordOutcome, **settings: int) -> int:
    """The whole span from which the pause is drawn."""
    return delay(about, Settings(**settings), NOW, lambda: 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("tries", "span"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, HOUR), (9, HOUR), (1000, HOUR)])
def test_the_span_doubles_with_every_try_up_to_an_hour(tries: int, span: int) -> None:
    assert longest(outcome(tries=tries)) == span


@pytest.mark.parametrize(("age", "span"), [(0, 30), (29, 30), (60, 60), (600, 600), (DAY, HOUR)])
def test_without_a_count_the_span_is_as_long_as_the_record_has_waited(age: int, span: int) -> None:
    assert longest(outcome(reason="store_unavailable", age=age)) == span


def test_full_jitter_draws_from_the_whole_span() -> None:
    drawn = [delay(outcome(tries=4), Settings(), NOW, lambda draw=draw: draw) for draw in (0.0, 0.25, 0.5)]  # type: ignore[misc]
    assert drawn == [1, 60, 120]


def test_a_base_of_zero_still_waits_a_second() -> None:
    assert longest(outcome(tries=5), retry_base_seconds=0) == 1


@pytest.mark.parametrize(("wait", "expected"), [(0, 15), (2, 17), (300, 315)])
def test_the_time_that_segment_named_is_kept_and_spread(wait: int, expected: int) -> None:
    assert delay(outcome(tries=1, wait=wait), Settings(), NOW, lambda: 0.5) == expected


def test_repeated_short_retry_afters_still_lengthen_the_pause() -> None:
    """Pauses of two seconds would use up the queue's 1000 receives within hours, and dead-letter good events."""
    assert [longest(outcome(tries=tries, wait=2)) for tries in (1, 2, 3, 8)] == [32, 62, 122, HOUR]


@pytest.mark.parametrize(
    ("tries", "age", "span"), [(1, 0, 30), (1, 100, 100), (1, DAY, 240), (6, 0, 960), (99, 0, HOUR)]
)
def test_a_pause_at_an_open_circuit_counts_the_circuits_tries_and_part_of_the_records_age(
    tries: int, age: int, span: int
) -> None:
    assert longest(outcome(reason="circuit_open", tries=tries, age=age)) == span


def test_a_record_that_waits_for_another_batch_returns_within_seconds() -> None:
    assert [longest(outcome(reason="under_way", received=received)) for received in (1, 50)] == [5, 5]


def test_a_record_that_waits_for_a_dead_batch_returns_when_its_lease_ends() -> None:
    assert longest(outcome(reason="under_way", wait=40)) == 45


@pytest.mark.parametrize("received", [1, 2, 9, 400])
def test_waiting_is_no_failure_and_never_lengthens_a_later_retry(received: int) -> None:
    """Every look at an event that was held, or met a busy customer, doubled the pause of its first real failure."""
    assert longest(outcome(tries=1, received=received, age=25)) == 30


def test_the_longest_wait_is_a_setting() -> None:
    assert longest(outcome(tries=50), retry_cap_seconds=900) == 900


def test_no_record_returns_before_the_retry_after() -> None:
    assert delay(outcome(wait=120), Settings(), NOW, lambda: 0.0) == 121


@pytest.mark.parametrize(
    ("age", "hold", "expected"), [(0, 30, 5), (5, 30, 5), (11, 30, 11), (40, 30, 30), (0, 3, 3), (0, 0, 1)]
)
def test_a_record_that_waits_for_an_identity_returns_soon_and_then_less_often(
    age: int, hold: int, expected: int
) -> None:
    assert longest(outcome(Status.WAITING, age=age, received=50), identity_hold_seconds=hold) == expected


@given(
    st.sampled_from(Status),
    st.sampled_from(["http_503", "circuit_open", "under_way", "store_unavailable"]),
    st.none() | st.integers(0, 2000),
    st.none() | st.integers(0, 300),
    st.floats(0, 1),
    st.integers(0, 43_200),
    st.integers(-5, 20 * DAY),
)
def test_the_delay_is_a_second_to_an_hour(
    status: Status, reason: str, tries: int | None, wait: int | None, draw: float, base: int, age: int
) -> None:
    waits = outcome(status, reason, tries=tries, wait=wait, age=age)
    assert 1 <= delay(waits, Settings(retry_base_seconds=base), NOW, lambda: draw) <= HOUR


@pytest.mark.parametrize("counted", [True, False])
def test_fourteen_days_of_outage_stay_below_the_receive_count_of_the_queue(*, counted: bool) -> None:
    """The redrive policy allows 1000 receives, after which SQS itself buries a record without a reason."""
    draw = random.Random(1).random
    for _ in range(50):
        received, waited = 0, 0
        while waited < 14 * DAY:
            received += 1
            about = outcome(tries=received if counted else None, age=waited, received=received)
            waited += delay(about, Settings(), NOW, draw)
        assert received < 800


@pytest.mark.parametrize("reason", ["http_503", "circuit_open", "under_way", "store_unavailable", "no_write_key"])
@pytest.mark.parametrize("cap", [1, 60, 900])
def test_short_pauses_use_up_no_event_before_its_fourteen_days_are_over(reason: str, cap: int) -> None:
    """With RetryCapSeconds=60 an outage of nine hours ended in the dead-letter queue, as if each event crashed."""
    draw, settings = random.Random(1).random, Settings(retry_base_seconds=1, retry_cap_seconds=cap)
    received, waited = 0, 0
    while True:
        received += 1
        about = outcome(reason=reason, tries=received, age=waited, received=received)
        letter = given_up(about, NOW)
        if letter.status is Status.DEAD:
            break
        waited += delay(about, settings, NOW, draw)
    assert (letter.reason, letter.detail) == (reason, "not delivered in 13 days.")
    assert received < 1000


# --- The end ---


@pytest.mark.parametrize("status", [Status.RETRY, Status.WAITING])
@pytest.mark.parametrize("reason", ["http_503", "circuit_open", "under_way", "newer_record", "no_write_key"])
def test_a_record_near_the_end_of_the_queues_retention_is_dead_lettered_with_its_reason(
    status: Status, reason: str
) -> None:
    """After fourteen days SQS deletes a record without a trace, so its loss was never noticed."""
    letter = given_up(outcome(status, reason, age=GIVE_UP_SECONDS), NOW)
    assert (letter.status, letter.reason) == (Status.DEAD, reason)
    assert letter.detail == "not delivered in 13 days."


def test_a_record_that_the_queue_would_bury_by_its_count_is_dead_lettered_with_its_reason() -> None:
    letter = given_up(outcome(reason="store_unavailable", received=MOST_RECEIVES, age=DAY), NOW)
    assert (letter.status, letter.reason) == (Status.DEAD, "store_unavailable")
    assert letter.detail == f"not delivered in {MOST_RECEIVES} receives."


def test_before_the_last_attempt_a_record_waits_and_a_finished_one_stays_finished() -> None:
    young = outcome(age=GIVE_UP_SECONDS - 1)
    assert given_up(young, NOW) is young
    for status in (Status.DELIVERED, Status.IGNORED, Status.DEAD):
        done = outcome(status, age=20 * DAY)
        assert given_up(done, NOW) is done


def test_the_last_attempt_comes_before_the_queues_retention_ends() -> None:
    assert GIVE_UP_SECONDS + HOUR + 420 < 14 * DAY, "the longest pause, and the longest that a batch may be under way"
