"""Events in Stripe's list that the ledger lacks are queued, and no others; an interrupted run continues where it
stopped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_to_segment import reconciling
from stripe_to_segment.enqueuing import Enqueued, enqueue
from stripe_to_segment.errors import ConfigurationError, QueueUnavailableError, StripeUnavailableError
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.reconciling import SLICE, STRIPE_KEEPS_SECONDS, Reconciliation, missing, raw, window
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.stripe_api.reader import StripeEvents
from stripe_to_segment.stripe_side.event import event_from, parse_event
from stripe_to_segment_tools.samples.files import samples
from tests.unit.edges import TABLE, state_table
from tests.unit.shapes import DAY, NOW, a_customer, a_session, a_subscription, an_event
from tests.unit.stripe_list import KEY, StripeList
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stripe_to_segment.state.store import Store
    from stripe_to_segment.stripe_side.event import StripeEvent

SAMPLES = sorted((event_from(sample.event) for sample in samples()), key=lambda event: event.created)
# The thirty days in which the most of them happened: what Stripe lists at one time.
BUSIEST = max(
    ([event for event in SAMPLES if 0 <= event.created - first.created < STRIPE_KEEPS_SECONDS] for first in SAMPLES),
    key=len,
)


@pytest.fixture
def stripe() -> Iterator[StripeList]:
    with StripeList(clock=lambda: NOW + DAY) as listing:
        yield listing


@pytest.fixture
def pauses() -> list[float]:
    return []


class Queue:
    """Takes every body; `refusing` makes the next ones fail."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.refusing = 0

    def __call__(self, bodies: Sequence[str]) -> list[Enqueued]:
        results = []
        for body in bodies:
            if self.refusing:
                self.refusing -= 1
                results.append(Enqueued(failure="InternalError"))
            else:
                self.bodies.append(body)
                results.append(Enqueued(f"message {len(self.bodies)}"))
        return results

    @property
    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for body in self.bodies]


def listing(stripe: StripeList, pauses: list[float] | None = None, key: str = KEY, **options: Any) -> StripeEvents:
    return StripeEvents(key, stripe.url, options.pop("types", CATALOG), pause=(pauses or []).append, **options)


def reconciliation(stripe: StripeList, world: World, queue: Queue | None) -> Reconciliation:
    return Reconciliation(listing(stripe).between, world.store, world.settings, queue)


def customers(number: int, spacing: int = 1) -> list[StripeEvent]:
    """Customers that were created one after the other."""
    return [
        an_event("customer.created", a_customer(id=f"cus_{count}"), created=NOW + count * spacing)
        for count in range(number)
    ]


def ids(events: Sequence[StripeEvent]) -> list[str]:
    return [event.id for event in events]


# --- What is missing ---


def bodies(events: Sequence[StripeEvent]) -> list[dict[str, Any]]:
    return [event.body for event in events]


def test_with_an_empty_ledger_every_event_with_calls_or_data_is_missing() -> None:
    world = World()
    lacking = missing(bodies(SAMPLES), world.store, world.settings)
    silent = [event.type for event in SAMPLES if event.id not in ids(lacking)]
    # The sample of a new price has no name yet.
    assert set(silent) <= {"customer.subscription.updated", "customer.updated", "price.created"}


def happen(world: World, events: Sequence[StripeEvent]) -> None:
    """Deliver each a minute after it happened."""
    for event in events:
        world.now = max(event.created + 60, world.now)
        world.deliver(event)


@pytest.mark.parametrize("policy", ["anonymous", "customer_id"])
@pytest.mark.parametrize("keys", ["user_id,userId", "uid"])
@pytest.mark.parametrize("dropped", ["", "Order Completed,Checkout Expired"])
def test_nothing_that_stripe_still_lists_and_was_delivered_is_missing(policy: str, keys: str, dropped: str) -> None:
    """Events that make no call leave no mark in the ledger; they are known by what they taught."""
    world = World(UNKNOWN_USER_POLICY=policy, USER_ID_KEYS=keys, DROP_EVENTS=dropped)
    world.now = 0
    for number, event in enumerate(SAMPLES):
        happen(world, [event])
        listed = [each for each in SAMPLES[: number + 1] if each.created >= event.created - STRIPE_KEEPS_SECONDS]
        assert ids(missing(bodies(listed), world.store, world.settings)) == []


@settings(max_examples=settings().max_examples * 3 // 10)
@given(st.sets(st.sampled_from(range(len(BUSIEST)))))
def test_whatever_was_left_out_is_missing_and_queueing_it_fills_the_gap(left_out: set[int]) -> None:
    world, everything = World(), World()
    world.now = everything.now = 0
    happen(everything, BUSIEST)
    happen(world, [event for number, event in enumerate(BUSIEST) if number not in left_out])
    gap = missing(bodies(BUSIEST), world.store, world.settings)
    happen(world, gap)
    assert tracked(world) == tracked(everything), "every fact was told, and once"
    assert refunded_and_failed(world) in {0, 2}, "a refund whose failure came first was never told, nor is its failure"
    assert ids(missing(bodies(BUSIEST), world.store, world.settings)) == []


FAILED = {event.object["id"] for event in SAMPLES if event.type == "refund.failed"}


def of_failed_refund(call: dict[str, Any]) -> bool:
    return call.get("properties", {}).get("refund_id") in FAILED


# The opening balance of a subscription; a part of an invoice, which is in the whole where that comes first.
DEPENDING = {"Subscription Imported", "Invoice Payment Received"}


def tracked(world: World) -> list[tuple[str, str]]:
    """The tracks, but for those that depend on which event comes first."""
    told = [
        call
        for call in world.calls
        if call["type"] == "track" and call["event"] not in DEPENDING and not of_failed_refund(call)
    ]
    return sorted((call["event"], call["messageId"]) for call in told)


def refunded_and_failed(world: World) -> int:
    return sum(map(of_failed_refund, world.calls))


def test_an_event_skipped_for_its_unknown_user_is_missing_once_the_user_is_known() -> None:
    world = World(UNKNOWN_USER_POLICY="skip")
    skipped = an_event("customer.subscription.created", a_subscription())
    world.deliver(skipped)
    assert missing([skipped.body], world.store, world.settings) == []
    world.deliver(an_event("checkout.session.completed", a_session(client_reference_id="user_1")))
    assert ids(missing([skipped.body], world.store, world.settings)) == [skipped.id]


def test_what_is_missing_comes_in_the_order_in_which_it_happened() -> None:
    world = World()
    deleted = an_event("customer.deleted", a_customer())
    created = an_event("customer.created", a_customer())
    earlier = an_event("checkout.session.completed", a_session(), created=NOW - 1)
    lacking = missing(bodies([deleted, created, earlier]), world.store, world.settings)
    assert ids(lacking) == ids([earlier, created, deleted])


def test_events_that_this_stack_does_not_take_are_not_missing() -> None:
    world = World(STRIPE_MODE="live")
    assert missing(bodies([an_event("customer.created", a_customer())]), world.store, world.settings) == []
    connected = an_event("customer.created", a_customer(), account="acct_1")
    assert missing(bodies([connected]), World().store, World().settings) == []


@pytest.mark.parametrize("kind", ["memory", "table"])
def test_a_name_is_missing_only_where_no_newer_one_is_known(kind: str) -> None:
    old, new = (
        an_event("product.updated", {"id": "prod_1", "object": "product", "name": name}, created=created)
        for name, created in (("Old", NOW - 60), ("New", NOW))
    )
    for known, lacking in ((new, []), (old, [new.id])):
        with state_table() as client:
            store: Store = MemoryStore() if kind == "memory" else DynamoStore(client, TABLE)
            world = World(store)
            world.deliver(known)
            assert ids(missing(bodies([old, new]), store, world.settings)) == lacking


def test_an_event_on_which_the_mapper_fails_is_left_to_deliver(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reconciling, "translate", fail)
    event = an_event("customer.created", a_customer())
    assert ids(missing([event.body], World().store, World().settings)) == [event.id]


def test_a_body_that_is_no_event_is_not_missing() -> None:
    assert missing([{"object": "event", "id": "evt_1"}], World().store, World().settings) == []


def test_the_event_is_queued_with_the_apis_own_values() -> None:
    event = an_event("customer.created", a_customer(name="Zoë 🐝 \uffff", metadata={"rate": 19.6}))
    assert parse_event(raw(event)).body == event.body
    assert raw(event).isascii()


# --- Slices of time ---


def test_what_is_missing_is_queued_and_a_second_run_finds_it_delivered(stripe: StripeList) -> None:
    world, queue = World(), Queue()
    events = customers(5)
    stripe.happened(*events)
    world.deliver(*events[1:4])
    steps = list(reconciliation(stripe, world, queue).between(NOW, NOW + 60))
    assert queue.ids == ids([events[0], events[4]])
    assert sum(step.listed for step in steps) == 5
    world.batch(*queue.bodies)
    again = Queue()
    assert not [step.missing for step in reconciliation(stripe, world, again).between(NOW, NOW + 60) if step.missing]
    assert again.bodies == []


def test_reading_a_step_queues_nothing(stripe: StripeList) -> None:
    stripe.happened(*customers(1))
    (step,) = reconciliation(stripe, World(), None).between(NOW, NOW + 60)
    assert len(step.missing) == 1


def test_only_the_time_asked_for_is_looked_at(stripe: StripeList) -> None:
    stripe.happened(*customers(4, spacing=10))
    queue = Queue()
    list(reconciliation(stripe, World(), queue).between(NOW + 10, NOW + 30))
    assert queue.ids == ids([parse_event(json.dumps(body)) for body in stripe.events[1:3]])


def test_a_busy_time_is_cut_smaller_until_a_slice_fits(stripe: StripeList) -> None:
    stripe.happened(*customers(SLICE * 2 + 7))
    queue = Queue()
    steps = list(reconciliation(stripe, World(), queue).between(NOW - DAY, NOW + DAY))
    assert max(step.listed for step in steps) <= SLICE
    assert queue.ids == [event["id"] for event in stripe.events]
    assert [step.until for step in steps[:-1]] == [step.since for step in steps[1:]], "without a gap"


def test_a_second_that_holds_more_than_a_slice_is_taken_whole(stripe: StripeList) -> None:
    stripe.happened(*customers(SLICE + 1, spacing=0))
    queue = Queue()
    list(reconciliation(stripe, World(), queue).between(NOW - 10, NOW + 10))
    assert sorted(queue.ids) == sorted(event["id"] for event in stripe.events)


def test_an_interrupted_run_continues_after_its_last_slice(stripe: StripeList) -> None:
    stripe.happened(*customers(48, spacing=3600))
    queue = Queue()
    first = next(reconciliation(stripe, World(), queue).between(NOW, NOW + 3 * DAY))
    list(reconciliation(stripe, World(), queue).between(first.until, NOW + 3 * DAY))
    assert queue.ids == [event["id"] for event in stripe.events]


def test_a_slice_that_sqs_did_not_accept_is_not_done(stripe: StripeList) -> None:
    stripe.happened(*customers(2))
    queue = Queue()
    queue.refusing = 1
    with pytest.raises(QueueUnavailableError, match="1 of 2 events: InternalError"):
        list(reconciliation(stripe, World(), queue).between(NOW, NOW + 60))


def test_thirty_days_and_no_more_are_asked_for_and_not_the_last_hour() -> None:
    """Stripe's list has no older events, so a day more would have looked complete."""
    now = 1_800_000_000
    assert window(0, 0, now) == (now - 2_592_000, now - 3_600)
    assert window(None, now - 7_200, now) == (now - 7_200, now - 3_600)


def test_an_event_that_sqs_does_not_accept_is_named_and_delays_no_other(stripe: StripeList) -> None:
    large = an_event("customer.created", a_customer(id="cus_large", description="x" * 1_100_000))
    small = an_event("customer.created", a_customer(id="cus_small"))
    stripe.happened(large, small)
    queue = Queue()
    (step,) = reconciliation(stripe, World(), queue).between(NOW, NOW + 60)
    assert queue.ids == [small.id]
    assert ids(step.oversize) == [large.id]


def test_a_scheduled_run_starts_where_the_last_one_stopped_but_within_stripes_list() -> None:
    began = NOW - 60 * DAY
    assert window(None, began, NOW) == (NOW - STRIPE_KEEPS_SECONDS, NOW - 3600)
    assert window(NOW - 7200, began, NOW) == (NOW - 7200, NOW - 3600)
    assert window(NOW - 90 * DAY, began, NOW) == (NOW - STRIPE_KEEPS_SECONDS, NOW - 3600)
    assert window(None, NOW - DAY, NOW) == (NOW - DAY, NOW - 3600), "what happened before the stack is not missing"


# --- Stripe's list ---


def test_every_page_of_every_type_is_read_twenty_types_at_a_time(stripe: StripeList) -> None:
    stripe.happened(*customers(250))
    stripe.happened(an_event("customer.subscription.deleted", a_subscription()))
    found = listing(stripe).between(NOW, NOW + 300)
    assert found is not None
    assert sorted(event["id"] for event in found) == sorted(event["id"] for event in stripe.events)
    types = [query["types"] for query in stripe.asked]
    assert max(len(chunk) for chunk in types) <= 20
    assert {name for chunk in types for name in chunk} == set(CATALOG)


def test_more_than_wanted_is_not_read_to_the_end(stripe: StripeList) -> None:
    stripe.happened(*customers(450))
    assert listing(stripe, types=["customer.created"]).between(NOW, NOW + 500, 100) is None
    assert len(stripe.asked) == 2


def test_only_what_an_endpoint_missed_is_listed_where_that_is_asked_for(stripe: StripeList) -> None:
    event_with, missed = customers(2)
    stripe.happened(event_with)
    stripe.happened(missed, delivered=False)
    found = listing(stripe, undelivered=True).between(NOW, NOW + 60)
    assert found is not None
    assert [event["id"] for event in found] == [missed.id]
    assert stripe.asked[0]["delivery_success"] == ["false"]


@pytest.mark.parametrize("status", [429, 500, 503, 409])
def test_stripe_is_asked_again_where_that_may_help(stripe: StripeList, pauses: list[float], status: int) -> None:
    stripe.happened(*customers(1))
    stripe.failures = [status, status]
    events = StripeEvents(KEY, stripe.url, ["customer.created"], pause=pauses.append).between(NOW, NOW + 60)
    assert events is not None
    assert len(events) == 1
    assert pauses == [0.5, 1]


def test_requests_to_stripe_stop_after_some_attempts(stripe: StripeList, pauses: list[float]) -> None:
    stripe.failures = [500] * 99
    with pytest.raises(StripeUnavailableError, match="in 6 attempts: APIError, HTTP 500"):
        StripeEvents(KEY, stripe.url, ["customer.created"], pause=pauses.append).between(NOW, NOW + 60)
    assert sum(pauses) < 60, "a run of the function has minutes"


def test_a_server_that_is_not_there_is_asked_again_too(pauses: list[float]) -> None:
    with pytest.raises(StripeUnavailableError, match="APIConnectionError"):
        StripeEvents(KEY, "http://127.0.0.1:1", ["customer.created"], pause=pauses.append).between(NOW, NOW + 60)
    assert len(pauses) == 6


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_stripe_refuses_is_a_configuration_error(stripe: StripeList, status: int) -> None:
    stripe.failures = [status]
    with pytest.raises(ConfigurationError, match="needs read access to Events") as caught:
        listing(stripe).between(NOW, NOW + 60)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_request_that_stripe_does_not_understand_is_not_repeated(stripe: StripeList, pauses: list[float]) -> None:
    stripe.failures = [400]
    with pytest.raises(StripeUnavailableError, match="HTTP 400"):
        StripeEvents(KEY, stripe.url, ["customer.created"], pause=pauses.append).between(NOW, NOW + 60)
    assert pauses == []


# --- Into the queue ---


class Sqs:
    """SendMessageBatch with its conditions."""

    def __init__(self, *failing: str) -> None:
        self.batches: list[list[str]] = []
        self.failing = failing

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        assert QueueUrl == "url"
        assert 1 <= len(Entries) <= 10
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        assert sum(len(entry["MessageBody"].encode()) for entry in Entries) <= 1_048_576
        if "everything" in self.failing:
            raise RuntimeError("no network")
        self.batches.append([entry["MessageBody"] for entry in Entries])
        failed = [entry for entry in Entries if entry["MessageBody"] in self.failing]
        return {
            "Successful": [
                {"Id": entry["Id"], "MessageId": entry["MessageBody"]} for entry in Entries[::-1] if entry not in failed
            ],
            "Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in failed],
        }


@given(st.lists(st.integers(1, 700_000), max_size=40))
def test_bodies_go_in_order_as_many_at_once_as_sqs_takes(sizes: list[int]) -> None:
    sqs: Any = Sqs()
    texts = [str(number % 10) * size for number, size in enumerate(sizes)]
    assert [result.message_id for result in enqueue(sqs, "url", texts)] == texts
    assert [body for batch in sqs.batches for body in batch] == texts


def test_refused_messages_are_distinguished_from_accepted_ones() -> None:
    refusing, broken = cast("Any", Sqs("b")), cast("Any", Sqs("everything"))
    results = enqueue(refusing, "url", ["a", "b", "c"])
    assert results == [Enqueued("a"), Enqueued(failure="InternalError"), Enqueued("c")]
    assert enqueue(broken, "url", ["a"]) == [Enqueued(failure="RuntimeError")]
