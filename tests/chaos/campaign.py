"""One run: deploy the real template locally, send events out of order, inject faults on both sides, and judge."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count, takewhile
from random import Random
from typing import TYPE_CHECKING, Any

from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.local_stack import LocalStack, Secret
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.receiver import Receiver
from stripe_to_segment_tools.samples.files import body_of
from tests.chaos.faults import AWS, FAULTS, SEGMENT, Dice
from tests.chaos.poison import KINDS, poisons
from tests.chaos.proxy import FaultyProxy, aws_place, segment_place
from tests.chaos.sabotage import Saboteur
from tests.chaos.traffic import COPIES, Sending, Stripe, mixed
from tests.chaos.verdict import Violation, of_circles, of_customers, of_dead_letters, of_message_ids, of_tills
from tests.simulator.circles import a_circle
from tests.simulator.history import a_history
from tests.simulator.till import a_till

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.chaos.faults import Fault
    from tests.chaos.poison import Poison
    from tests.simulator.circles import Circle
    from tests.simulator.history import History
    from tests.simulator.till import Till

__all__ = ["Reporting", "Result", "run"]

DAY = 86_400
SECRET = Secret()
PARAMETERS = LOCAL_PARAMETERS | {"DeliverTimeout": "30", "MaximumConcurrency": "4", "RetryCapSeconds": "4"}
# SQS delivers the batch of a killed function again when the visibility timeout ends. On AWS that is six times the
# function's timeout; here it is shorter.
VISIBILITY_SECONDS = 15
# One poison event for this many events, and at least one of each kind.
POISONOUS = 60
# One shop (a till of about forty events) for this many events.
A_TILL = 500
# One circle of users with several customers for this many single customers.
CIRCLES = 10
# How many events are sent once more at the end, without faults.
REPLAYED = 200
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Reporting:
    """The callbacks for progress: the local stack's steps, and the name, size and progress of each part."""

    step: Callable[[str, float | None], None] = lambda _name, _seconds: None
    part: Callable[[str, int], Callable[[int], None]] = lambda _name, _total: lambda _done: None


@dataclass(slots=True)
class Result:
    """The size of a run, its faults, and its violations.

    `replaced` counts the closed kept connections to Segment that the function replaced at once. `broken` counts the
    times a customer's record was unreadable, `went_on` those during which calls of other customers arrived.
    """

    events: int = 0
    customers: int = 0
    copies: int = 0
    poisons: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    injected: Counter[Fault] = field(default_factory=Counter)
    hit: dict[Fault, set[str]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    replaced: int = 0
    broken: int = 0
    went_on: int = 0
    calls: int = 0
    repeats: int = 0
    dead_letters: int = 0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    @property
    def missing(self) -> list[Fault]:
        """The faults that no request met, so the run says nothing about them."""
        return [fault for fault in FAULTS if not self.injected[fault]]

    def survivors(self, fault: Fault) -> set[str]:
        """The customers that the fault hit and that have no violation."""
        return self.hit.get(fault, set()) - {violation.customer for violation in self.violations}


@dataclass(frozen=True, slots=True)
class _World:
    stack: LocalStack
    segment: Receiver
    proxies: tuple[FaultyProxy, ...]
    saboteur: Saboteur
    stripe: Stripe
    reporting: Reporting

    def send(self, name: str, sendings: Sequence[Sending]) -> None:
        """Send all copies and wait until the queue is empty."""
        self.stripe.send(sendings, self.reporting.part(name, len(sendings)))
        waiting = self.stripe.waiting()
        progress, patience = self.reporting.part("wait for the queue to empty", waiting), PATIENCE_SECONDS
        last = time.monotonic()
        while waiting and time.monotonic() < last + patience:
            time.sleep(0.5)
            self.stack.check_alive()
            before, waiting = waiting, self.stripe.waiting()
            if waiting != before:
                progress(before - waiting)
                last = time.monotonic()

    @contextmanager
    def injecting(self) -> Iterator[None]:
        """Inject faults inside the `with` block."""
        for proxy in self.proxies:
            proxy.injecting = True
        try:
            with self.saboteur:
                yield
        finally:
            for proxy in self.proxies:
                proxy.injecting = False


def run(events: int, seed: int, reporting: Reporting = Reporting()) -> Result:
    """Send at least `events` events of simulated customers, each three times, and check what Segment received.

    The seed chooses customers, order and faults. It does not choose which of two concurrent requests comes first.
    """
    # The histories begin tomorrow: the profile forgets a subscription that ended long ago, and would count its late
    # events as new.
    start = int(time.time()) // DAY * DAY + DAY
    histories = _histories(events, seed, start)
    tills = [
        a_till(Random(f"till {seed} {number}"), start=start, name=f"_{seed}_{number}")
        for number in range(-(-events // A_TILL))
    ]
    circles = [a_circle(1000 * seed + number, start=start) for number in range(max(4, len(histories) // CIRCLES))]
    sent = sum(len(history.events) for history in histories) + sum(len(till.events) for till in tills)
    sent += sum(len(circle.events) for circle in circles)
    evil = poisons(max(len(KINDS), sent // POISONOUS), int(time.time()))
    rng = Random(f"traffic {seed}")
    storm = mixed([*histories, *circles], tills, evil, rng)
    final = [*(history.last for history in histories), *(event.body for till in tills for event in till.last)]
    last = [Sending(body_of(event), door=True) for event in final] * COPIES
    outcome = Result(events=sent + len(final), customers=len(final), copies=len(storm) + len(last))
    outcome.poisons = len(evil)
    with _world(histories, seed, reporting) as world:
        started = time.monotonic()
        with world.injecting():
            world.send("send every event three times", storm)
            world.send("send each customer's last event", last)
        outcome.seconds = time.monotonic() - started
        outcome.violations += _unfinished(world)
        outcome.violations += _judged(world, histories, tills, circles, evil)
        outcome.violations += _replayed(world, rng.sample(storm, min(REPLAYED, len(storm))))
        _count(outcome, world, histories)
    return outcome


def _histories(events: int, seed: int, start: int) -> list[History]:
    """As many customers as it takes to have this many events."""
    total = 0

    def needed(history: History) -> bool:
        nonlocal total
        before, total = total, total + len(history.events)
        return before < events

    return [*takewhile(needed, (a_history(number, start=start) for number in count(1000 * seed)))]


@contextmanager
def _world(histories: Sequence[History], seed: int, reporting: Reporting) -> Iterator[_World]:
    sources = {"live": SECRET.segment_write_key, "test": SECRET.segment_test_write_key}
    with ExitStack() as running:
        segment = running.enter_context(Receiver(sources=sources))
        to_segment = running.enter_context(FaultyProxy(Dice(SEGMENT, seed), segment_place))
        to_aws = running.enter_context(FaultyProxy(Dice(AWS, seed), aws_place))
        to_segment.upstream = segment.url
        stack = LocalStack(to_segment.url, parameters=PARAMETERS, secret=SECRET, report=reporting.step)
        running.enter_context(stack)
        to_aws.upstream = stack.endpoint_url
        _lead_through(to_aws.url, stack)
        stack.clients.sqs.set_queue_attributes(
            QueueUrl=stack.events_queue_url, Attributes={"VisibilityTimeout": f"{VISIBILITY_SECONDS}"}
        )
        customers = [history.customer for history in histories]
        saboteur = Saboteur(stack, to_aws, customers, Random(f"saboteur {seed}"))
        yield _World(stack, segment, (to_aws, to_segment), saboteur, Stripe(stack, SECRET), reporting)


def _lead_through(proxy: str, stack: LocalStack) -> None:
    """Send the functions' AWS requests, and no others, through the proxy.

    The SDK tries twice instead of five or ten times, so that more faults reach the code under test.
    """
    for function in (stack.receive_function, stack.deliver_function):
        variables = stack.environment(function) | {"AWS_ENDPOINT_URL": proxy, "AWS_MAX_ATTEMPTS": "2"}
        stack.clients.functions.update_function_configuration(
            FunctionName=function, Environment={"Variables": variables}
        )
        stack.publish(function)


def _unfinished(world: _World) -> Iterator[Violation]:
    for message in world.stack.queued().events:
        yield Violation("queue", f"still queued after {message.receive_count} attempts: {message.body[:80]!r}")


def _judged(
    world: _World,
    histories: Sequence[History],
    tills: Sequence[Till],
    circles: Sequence[Circle],
    evil: Sequence[Poison],
) -> Iterator[Violation]:
    settings = settings_from(world.stack.environment(world.stack.deliver_function))
    calls = [kept.call for kept in world.segment.record.calls]
    elsewhere = {event.id for till in tills for event in (*till.events, *till.last)}
    elsewhere |= {event["id"] for circle in circles for event in circle.events}
    of_histories = [call for call in calls if call["context"]["stripe"]["event_id"] not in elsewhere]
    yield from of_customers(histories, of_histories, settings)
    yield from of_tills(tills, calls)
    yield from of_circles(circles, calls)
    yield from of_message_ids(world.segment.record.rivals)
    yield from of_dead_letters(evil, world.stack.queued().dead_letters)
    for key in world.saboteur.written_over:
        yield Violation("wrong", f"{key} was overwritten while it was unreadable", key.rpartition(":")[2])
    for text in world.segment.record.violations:
        # of_message_ids reports these, with the fields that differ.
        if not text.endswith("with other content"):
            yield Violation("wrong", text)


def _replayed(world: _World, sendings: Sequence[Sending]) -> Iterator[Violation]:
    """Send delivered events again without faults; every call that this sends is a violation."""
    before = len(world.segment.record.requests)
    whole = [sending for sending in sendings if "poison" not in json.loads(sending.body)["id"]]
    world.send("send some events again", whole)
    for request in world.segment.record.requests[before:]:
        new = [_short(kept.call) for kept in world.segment.record.calls if kept.request == request.number]
        text = f"a replay sent {', '.join(new)}, and {request.calls - len(new)} calls that were sent before"
        yield Violation("doubled", text)


def _short(call: Mapping[str, Any]) -> str:
    return f"{call.get('event', call['type'])} {call['messageId']} of {call['context']['stripe']['event_id']}"


def _count(outcome: Result, world: _World, histories: Sequence[History]) -> None:
    outcome.answers = world.stripe.answers
    for proxy in world.proxies:
        outcome.injected += proxy.injected
        outcome.requests += proxy.requests
        outcome.hit |= proxy.hit
        outcome.kills += proxy.kills
    outcome.replaced = world.proxies[1].replaced
    events_of = {history.customer: {event["id"] for event in history.events} for history in histories}
    for customer, since, until in world.saboteur.spans:
        arrived = (
            kept.call["context"]["stripe"]["event_id"]
            for kept in world.segment.record.calls
            if since < kept.received_at < until
        )
        outcome.broken += 1
        outcome.went_on += any(event not in events_of[customer] for event in arrived)
    outcome.calls = len(world.segment.record.calls)
    outcome.repeats = sum(len(request.repeated) for request in world.segment.record.requests)
    outcome.dead_letters = len(world.stack.queued().dead_letters)
