"""The circuit breaker: a failure that one invocation sees pauses all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.delivery.circuit_breaker import PROBE_SECONDS, Breaker, Pause
from stripe_to_segment.errors import StoreUnavailableError
from stripe_to_segment.segment_side.answers import RETRY_AFTER_CAP, Answer, Meaning
from stripe_to_segment.state.circuit import FAILURES
from stripe_to_segment.state.memory_store import MemoryStore
from tests.unit.shapes import NOW

if TYPE_CHECKING:
    from tests.unit.edges import Spoken

pytestmark = pytest.mark.usefixtures("spoken")

BASE = 30
TAKEN = Answer(Meaning.ACCEPTED)
DOWN = Answer(Meaning.RETRY, "http_503")
SILENT = Answer(Meaning.RETRY, "no_answer")
SLOWER = Answer(Meaning.RETRY, "http_429", retry_after=7)


@dataclass(slots=True)
class Stack:
    """Several environments of the deliver function, one StateTable, one clock."""

    now: float = NOW
    store: MemoryStore = field(default_factory=MemoryStore)

    def environment(self) -> Breaker:
        return Breaker(self.store, lambda: self.now, BASE)

    def opened(self) -> Breaker:
        """An environment whose failures have opened the circuit."""
        breaker = self.environment()
        for _ in range(FAILURES):
            fail(breaker)
        return breaker


def pause_of(breaker: Breaker, *, livemode: bool = True) -> Pause | None:
    """The pause for events, after the circuits that must be looked up were read."""
    known = breaker.waits([livemode], {})[livemode]
    names = breaker.asks([livemode])
    return (
        breaker.waits([livemode], breaker._store.load([("circuit", name) for name in names]).circuits)[livemode]
        if names
        else known
    )


def waited(breaker: Breaker, *, livemode: bool = True) -> int | None:
    """For how many seconds events have to wait."""
    pause = pause_of(breaker, livemode=livemode)
    return None if pause is None else pause.seconds


def fail(breaker: Breaker, answer: Answer = DOWN) -> None:
    assert waited(breaker) is None
    breaker.note([answer], livemode=True)


def test_a_circuit_that_was_not_looked_up_lets_all_through_and_nobody_probes() -> None:
    stack = Stack()
    breaker = stack.opened()
    stack.now += BASE
    assert breaker.waits([True, False], {}) == {True: None, False: None}
    assert set(breaker.asks([True, False])) == {"live", "test"}
    assert not stack.store.last_circuits["live"].probing


def test_without_failures_no_circuit_is_written() -> None:
    stack = Stack()
    breaker = stack.environment()
    for _ in range(5):
        assert waited(breaker) is None
        breaker.note([TAKEN], livemode=True)
    assert stack.store.last_circuits == {}, "the healthy path must not write to the store"


def test_one_failure_pauses_no_other_batch() -> None:
    stack = Stack()
    fail(stack.environment())
    assert waited(stack.environment()) is None


@pytest.mark.parametrize("answer", [DOWN, SILENT])
def test_failures_in_a_row_open_the_circuit_for_all_batches(answer: Answer) -> None:
    stack = Stack()
    for _ in range(FAILURES):
        fail(stack.environment(), answer)
    assert waited(stack.environment()) == BASE


def test_a_success_between_failures_keeps_the_circuit_closed() -> None:
    stack = Stack()
    for _ in range(10):
        for answer in (DOWN, DOWN, TAKEN):
            fail(stack.environment(), answer)
    assert waited(stack.environment()) is None


def test_a_refused_call_shows_that_the_endpoint_works() -> None:
    stack = Stack()
    for _ in range(10):
        fail(stack.environment(), Answer(Meaning.REFUSED, "http_400"))
    assert stack.store.last_circuits == {}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(Meaning.MISCONFIGURED, "http_401"),
        Answer(Meaning.MISCONFIGURED, "no_write_key"),
        Answer(Meaning.RETRY, "out_of_time"),
    ],
)
def test_a_configuration_error_or_a_lack_of_time_changes_no_circuit(answer: Answer) -> None:
    stack = Stack()
    for _ in range(10):
        fail(stack.environment(), answer)
    assert stack.store.last_circuits == {}


def test_one_429_opens_the_circuit_for_as_long_as_it_says() -> None:
    stack = Stack()
    fail(stack.environment(), SLOWER)
    assert waited(stack.environment()) == 7
    stack.now += 6.5
    assert waited(stack.environment()) == 1


def test_a_429_among_accepted_calls_opens_the_circuit() -> None:
    stack = Stack()
    breaker = stack.environment()
    waited(breaker)
    breaker.note([TAKEN, SLOWER], livemode=True)
    assert waited(stack.environment()) == 7


def test_a_429_without_a_time_pauses_for_the_base() -> None:
    stack = Stack()
    fail(stack.environment(), Answer(Meaning.RETRY, "http_429"))
    assert waited(stack.environment()) == BASE


def test_the_retry_after_of_a_503_counts_as_well() -> None:
    stack = Stack()
    fail(stack.environment(), Answer(Meaning.RETRY, "http_503", retry_after=120))
    assert waited(stack.environment()) == 120


def test_a_short_retry_after_again_and_again_still_lengthens_the_pause() -> None:
    stack = Stack()
    pauses = []
    for _ in range(8):
        fail(stack.environment(), Answer(Meaning.RETRY, "http_429", retry_after=2))
        pauses.append(waited(stack.environment()))
        stack.now += pauses[-1] or 0
    assert pauses == [2, 60, 120, 240, 300, 300, 300, 300]


def test_live_and_test_events_have_a_circuit_each() -> None:
    stack = Stack()
    stack.opened()
    assert waited(stack.environment(), livemode=False) is None


def test_after_the_pause_exactly_one_batch_probes() -> None:
    stack = Stack()
    stack.opened()
    stack.now += BASE
    waits = [waited(stack.environment()) for _ in range(10)]
    assert waits == [None] + [0] * 9


def test_of_two_batches_that_read_the_same_circuit_only_one_probes() -> None:
    stack = Stack()
    one, other = stack.opened(), stack.environment()
    waited(other)
    stack.now += BASE
    seen = stack.store.last_circuits["live"]
    # As if both had read before either wrote.
    stack.store.circuits = lambda names: dict.fromkeys(names, seen)  # type: ignore[method-assign]
    assert [waited(one), waited(other)] == [None, 0]


def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    stack = Stack()
    stack.opened()
    stack.now += BASE
    fail(stack.environment(), TAKEN)
    assert [waited(stack.environment()) for _ in range(10)] == [None] * 10


def test_a_probe_that_fails_doubles_the_pause_up_to_five_minutes() -> None:
    stack = Stack()
    stack.opened()
    pauses = []
    for _ in range(6):
        pauses.append(waited(stack.environment()))
        stack.now += pauses[-1] or 0
        fail(stack.environment())
    assert pauses == [30, 60, 120, 240, 300, 300]


def test_a_pause_counts_the_failures_of_segment_since_it_began() -> None:
    stack = Stack()
    stack.opened()
    tries = []
    for _ in range(3):
        pause = pause_of(stack.environment())
        assert pause is not None
        tries.append(pause.tries)
        stack.now += pause.seconds
        fail(stack.environment())
    assert tries == [1, 2, 3]


def test_a_probe_without_an_answer_is_followed_by_another() -> None:
    stack = Stack()
    stack.opened()
    stack.now += BASE
    assert waited(stack.environment()) is None
    stack.now += PROBE_SECONDS - 1
    assert waited(stack.environment()) == 0
    stack.now += 1
    assert waited(stack.environment()) is None


@pytest.mark.parametrize("answers", [[], [Answer(Meaning.MISCONFIGURED, "http_401")]], ids=["nothing to send", "401"])
def test_a_probe_that_sent_nothing_lets_the_next_batch_probe(answers: list[Answer]) -> None:
    """A batch of duplicates was chosen to probe and sent nothing, so all others waited a minute for its answer."""
    stack = Stack()
    stack.opened()
    stack.now += BASE
    alone = stack.environment()
    assert waited(alone) is None
    alone.note(answers, livemode=True)
    assert [waited(stack.environment()) for _ in range(3)] == [None, 0, 0]


def test_an_answer_from_before_the_circuit_opened_does_not_close_it() -> None:
    stack = Stack()
    slow = stack.environment()
    assert waited(slow) is None
    stack.opened()
    slow.note([TAKEN], livemode=True)
    assert waited(stack.environment()) == BASE


def test_an_environment_that_knows_that_the_circuit_is_open_does_not_read_it() -> None:
    stack = Stack()
    breaker = stack.opened()
    assert list(breaker.asks([True, False])) == ["test"]
    assert waited(breaker) == BASE


def test_a_store_that_fails_breaks_nothing_and_is_named(spoken: Spoken) -> None:
    stack = Stack()

    def broken(*_: object) -> Any:
        raise StoreUnavailableError("throttled")

    stack.store.put_circuit = broken  # type: ignore[method-assign, assignment]
    for _ in range(FAILURES + 1):
        fail(stack.environment())
    assert waited(stack.environment()) is None, "nobody knows of it, so everybody sends"
    reasons = [line["reason"] for line in spoken.lines if line["message"] == "circuit not written down"]
    assert reasons == ["throttled"] * (FAILURES + 1)


def test_opening_and_closing_are_logged_and_counted(spoken: Spoken) -> None:
    stack = Stack()
    stack.opened()
    stack.now += BASE
    fail(stack.environment(), TAKEN)
    told: list[dict[str, Any]] = [line for line in spoken.lines if "endpoint" in line["message"]]
    assert [(line["message"], line["failures"]) for line in told] == [
        ("the endpoint is left alone for a while", FAILURES),
        ("the endpoint answers again", FAILURES),
    ]
    assert told[0]["seconds"] == BASE


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([TAKEN, DOWN, SILENT, SLOWER]), st.floats(0, 40)), max_size=60
    )
)
def test_no_batch_sends_while_it_is_open_and_no_pause_exceeds_the_cap(steps: list[tuple[int, Answer, float]]) -> None:
    stack = Stack()
    environments = [stack.environment() for _ in range(4)]
    for which, answer, passed in steps:
        before = stack.store.circuits(["live"])["live"]
        wait = waited(environments[which])
        if before.tripped and before.until > stack.now:
            assert wait is not None
            assert wait <= RETRY_AFTER_CAP
        if wait is None:
            environments[which].note([answer], livemode=True)
        stack.now += passed


def test_ten_pollers_send_no_more_requests_to_a_dead_endpoint_than_one() -> None:
    stack, random = Stack(), Random(1)
    environments = [stack.environment() for _ in range(10)]
    asked: list[float] = []
    while stack.now < NOW + 86_400:
        breaker = random.choice(environments)
        if waited(breaker) is None:
            asked.append(stack.now)
            breaker.note([DOWN], livemode=True)
        stack.now += random.uniform(0, 20)
    assert len(asked) < 86_400 / RETRY_AFTER_CAP + 10
    assert min(later - earlier for earlier, later in pairwise(asked[10:])) >= RETRY_AFTER_CAP
