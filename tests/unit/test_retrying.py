"""When a record is seen again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.retrying import backoff, delay
from stripe_to_segment.settings import Settings
from stripe_to_segment.verdicts import Fate, Record, Verdicts

SETTINGS = Settings()
HOUR = 3600


def seconds(fate: Fate, draw: float, *, received: int = 1, wait: int | None = None, hold: int = 30) -> int:
    verdict = Verdicts(Record("1", "{}", received), fate, wait=wait)
    return delay(verdict, Settings(identity_hold_seconds=hold), lambda: draw)


@pytest.mark.parametrize(
    ("received", "span"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, HOUR), (9, HOUR), (1000, HOUR)]
)
def test_the_span_doubles_with_every_receipt_up_to_an_hour(received: int, span: int) -> None:
    assert backoff(received, 30, HOUR, lambda: 1.0) == span


def test_full_jitter_draws_from_the_whole_span() -> None:
    assert [backoff(4, 30, HOUR, lambda draw=draw: draw) for draw in (0.0, 0.25, 0.5)] == [1, 60, 120]  # type: ignore[misc]


def test_a_base_of_zero_still_waits_a_second() -> None:
    assert backoff(5, 0, HOUR, random.random) == 1


@pytest.mark.parametrize(("wait", "expected"), [(0, 15), (2, 17), (300, 315)])
def test_the_time_that_segment_named_is_kept_and_spread(wait: int, expected: int) -> None:
    assert seconds(Fate.RETRY, 0.5, received=1, wait=wait) == expected


def test_what_is_told_to_wait_again_and_again_comes_back_more_and_more_rarely() -> None:
    """Two seconds and a bit each time would use up the queue's 1000 receives within hours, and bury good events."""
    assert [seconds(Fate.RETRY, 1.0, received=received, wait=2) for received in (1, 2, 3, 8)] == [32, 62, 122, HOUR]


@pytest.mark.parametrize(
    ("received", "tries", "span"), [(1, 1, 30), (2, 1, 60), (4, 1, 240), (50, 1, 240), (1, 6, 960), (50, 99, 3590)]
)
def test_what_waits_for_others_to_try_counts_their_tries_and_only_a_few_of_its_own(
    received: int, tries: int, span: int
) -> None:
    verdict = Verdicts(Record("1", "{}", received), Fate.RETRY, "circuit_open", wait=10, tries=tries)
    assert delay(verdict, SETTINGS, lambda: 1.0) == 10 + span


@pytest.mark.parametrize(("received", "span"), [(1, 2), (2, 4), (6, 60), (50, 60)])
def test_what_waits_for_another_batch_to_be_done_looks_again_within_seconds(received: int, span: int) -> None:
    verdict = Verdicts(Record("1", "{}", received), Fate.RETRY, "under_way")
    assert delay(verdict, SETTINGS, lambda: 1.0) == span


def test_the_longest_wait_is_a_setting() -> None:
    verdict = Verdicts(Record("1", "{}", received=50), Fate.RETRY, "http_503")
    assert delay(verdict, Settings(retry_cap_seconds=900), lambda: 1.0) == 900


def test_nobody_comes_back_before_the_time_that_segment_named() -> None:
    assert seconds(Fate.RETRY, 0.0, wait=120) == 121


@pytest.mark.parametrize(
    ("received", "hold", "expected"), [(1, 30, 5), (2, 30, 10), (3, 30, 20), (4, 30, 30), (1, 3, 3), (1, 0, 1)]
)
def test_what_waits_for_an_identity_looks_again_soon_and_then_more_rarely(
    received: int, hold: int, expected: int
) -> None:
    assert seconds(Fate.WAITING, 0.9, received=received, hold=hold) == expected


@given(
    st.sampled_from(Fate),
    st.integers(-1, 2000),
    st.none() | st.integers(0, 300),
    st.floats(0, 1),
    st.integers(0, 43_200),
)
def test_the_delay_is_a_second_to_an_hour(fate: Fate, received: int, wait: int | None, draw: float, base: int) -> None:
    verdict = Verdicts(Record("1", "{}", received), fate, wait=wait)
    assert 1 <= delay(verdict, Settings(retry_base_seconds=base), lambda: draw) <= HOUR


def test_three_days_of_outage_stay_below_the_receive_count_of_the_queue() -> None:
    """The redrive policy allows 1000 receives, after which SQS itself buries a record without a reason."""
    draw = random.Random(1).random  # noqa: S311 - no secret depends on it
    for _ in range(50):
        received, waited = 0, 0
        while waited < 3 * 86_400:
            received += 1
            waited += backoff(received, SETTINGS.retry_base_seconds, SETTINGS.retry_cap_seconds, draw)
        assert received < 250
