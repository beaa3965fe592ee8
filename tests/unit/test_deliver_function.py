"""The deliver function as Lambda runs it: it takes a batch, sends calls, and reports the outcome of each record."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import record_of
from stripe_to_segment_tools.receiver.behaviour import Behaviour, Mode
from stripe_to_segment_tools.receiver.runner import Receiver
from stripe_to_segment_tools.samples.files import sqs_batch
from tests.unit.edges import (
    FUNCTIONS,
    REGION,
    TABLE,
    Faulty,
    SecretsManager,
    Spoken,
    Sqs,
    load_function,
    refusal,
    speaking,
)
from tests.unit.shapes import a_charge, a_customer, a_session, a_subscription, an_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIVE, TEST = "l" * 32, "t" * 32
EVENTS, DEAD_LETTERS = "https://sqs/events", "https://sqs/dead-letters"
# Nothing with this in it may reach a log.
PRIVATE = "DoNotLogThis"


class Context:
    """Lambda's context of the invocation."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class Stack:
    """The function between its queues, its table, its secret and Segment."""

    def __init__(self, spoken: Spoken, table: Any, receiver: Receiver) -> None:
        self.spoken = spoken
        self.receiver = receiver
        self.sqs = Sqs()
        self.secrets = SecretsManager(
            json.dumps({"segment_write_key": LIVE, "segment_test_write_key": TEST, "stripe_signing_secrets": []})
        )
        self.broken_table: set[str] = set()
        self.table = Faulty(table, self._fault)
        self.handles: dict[str, str] = {}
        self.ids: list[str] = []
        self.app = load_function("deliver")

    def _fault(self, operation: str, _: dict[str, Any]) -> None:
        if operation in self.broken_table:
            raise refusal("ThrottlingException", operation)

    def client(self, service: str) -> Any:
        return {"sqs": self.sqs, "secretsmanager": self.secrets, "dynamodb": self.table}[service]

    def deliver(
        self, *bodies: str, received: int = 1, context: Context | None = None, queue: str = "events"
    ) -> list[int]:
        """The places of the records that the function reports as failed."""
        batch = sqs_batch([body.encode() for body in bodies], f"arn:aws:sqs:{REGION}:1:{queue}", int(time.time()))
        for record in batch["Records"]:
            record["attributes"]["ApproximateReceiveCount"] = str(received)
        self.ids = [record["messageId"] for record in batch["Records"]]
        self.handles = {record["messageId"]: record["receiptHandle"] for record in batch["Records"]}
        answer = self.app.handler(batch, context or Context())
        assert list(answer) == ["batchItemFailures"]
        assert all(set(failure) == {"itemIdentifier"} for failure in answer["batchItemFailures"])
        failed = [self.ids.index(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]]
        assert len(set(failed)) == len(failed)
        return sorted(failed)

    def delay(self, place: int) -> int:
        """For how long a record of the last batch was hidden."""
        return self.sqs.visibility[self.handles[self.ids[place]]]

    @property
    def arrived(self) -> list[str]:
        """The calls that Segment has, each with its source."""
        return [f"{kept.source} {kept.call.get('event', kept.call['type'])}" for kept in self.receiver.record.calls]

    @property
    def dead(self) -> list[tuple[str, dict[str, str]]]:
        """The dead letters with their attributes."""
        return [
            (
                message["MessageBody"],
                {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()},
            )
            for message in self.sqs.sent
            if message["QueueUrl"] == DEAD_LETTERS
        ]

    @property
    def items(self) -> int:
        """How many items the table holds."""
        return len(self.table._client.scan(TableName=TABLE)["Items"])


type Build = Callable[..., Stack]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver(sources={"live": LIVE, "test": TEST}) as running:
        yield running


@pytest.fixture
def build(table: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Makes the stack with settings of choice."""
    receiver.record.clear()
    receiver.record.behaviour = Behaviour()
    made: list[Stack] = []
    with speaking() as spoken:

        def make(**environment: str) -> Stack:
            given = {
                "KEYS_SECRET_ARN": "arn:keys",
                "EVENTS_QUEUE_URL": EVENTS,
                "DEAD_LETTER_QUEUE_URL": DEAD_LETTERS,
                "STATE_TABLE": TABLE,
                "SEGMENT_ENDPOINT": receiver.url,
                "IDENTITY_HOLD_SECONDS": "0",
                "PAYMENT_HOLD_SECONDS": "0",
            }
            for name, value in {**given, **environment}.items():
                monkeypatch.setenv(name, value)
            monkeypatch.syspath_prepend(str(FUNCTIONS / "deliver"))
            monkeypatch.delitem(sys.modules, "enrich", raising=False)
            stack = Stack(spoken, table, receiver)
            monkeypatch.setattr("stripe_to_segment.aws.client", stack.client)
            made.append(stack)
            return stack

        yield make
    sys.modules.pop("enrich", None)
    for stack in made:
        stack.app.session.close()


@pytest.fixture
def stack(build: Build) -> Stack:
    return build()


def body(kind: str, about: dict[str, Any], **more: Any) -> str:
    return json.dumps(an_event(kind, about, **more).body, indent=2, ensure_ascii=False)


def deleted(number: int = 1, **more: Any) -> str:
    """An event that becomes one track call, and private things in it that become none."""
    customer = a_customer(id=f"cus_{number}", email=f"{PRIVATE}@example.com", name=PRIVATE)
    return body("customer.deleted", customer, **more)


def poison(number: int = 9) -> str:
    """An event whose call Segment will refuse."""
    return body("checkout.session.expired", a_session(id=f"cs_{number}", customer=f"cus_{number}", status="expired"))


REFUSING = Behaviour(Mode.STATUS, status=400, event="Checkout Expired")


# --- Delivered ---


def test_a_batch_becomes_one_request_and_nothing_fails(stack: Stack) -> None:
    assert stack.deliver(*(deleted(number) for number in range(20))) == []
    assert stack.arrived == ["test Customer Deleted"] * 20
    assert len(stack.receiver.record.requests) == 1
    assert stack.receiver.record.violations == []
    assert (stack.sqs.sent, stack.sqs.visibility) == ([], {})
    assert stack.table.operations.count("batch_get_item") == len(["the circuit and all the customers"])
    assert stack.spoken.metrics["EventsDelivered"] == 20


def test_an_event_through_eventbridge_gives_the_same_calls(stack: Stack) -> None:
    """A rule puts the event's detail into the queue, written without spaces."""
    assert stack.deliver(json.dumps(json.loads(deleted()), separators=(",", ":"))) == []
    assert stack.arrived == ["test Customer Deleted"]


def test_live_and_test_events_of_one_batch_go_to_their_own_sources(stack: Stack) -> None:
    assert stack.deliver(deleted(1, livemode=True), deleted(2)) == []
    assert stack.arrived == ["live Customer Deleted", "test Customer Deleted"]


def test_what_was_delivered_is_not_sent_again(stack: Stack) -> None:
    event = deleted()
    assert [stack.deliver(event), stack.deliver(event, received=2)] == [[], []]
    assert len(stack.receiver.record.requests) == 1
    assert stack.spoken.metrics["EventsSkipped"] == 1


def test_data_from_one_event_is_used_in_a_later_batch(stack: Stack) -> None:
    session = a_session(client_reference_id="user_1", customer="cus_1")
    stack.deliver(body("checkout.session.completed", session))
    stack.deliver(deleted(1))
    assert stack.receiver.record.calls[-1].call["userId"] == "user_1"


@pytest.mark.parametrize("invocation", [1, 2, 3])
def test_a_warm_function_serves_batch_after_batch(stack: Stack, invocation: int) -> None:
    for number in range(invocation):
        assert stack.deliver(deleted(number)) == []
    assert stack.secrets.calls == 1
    assert len(stack.arrived) == invocation


# --- Waiting ---


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_fails_the_records_and_hides_them_for_a_while(stack: Stack, status: int) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.STATUS, status=status)
    assert stack.deliver(deleted(1), deleted(2), received=3) == [0, 1]
    assert all(1 <= stack.delay(place) <= 120 for place in (0, 1))
    assert stack.sqs.sent == []
    assert stack.spoken.metrics["EventsRetried"] == 2


def test_records_that_came_often_part_before_one_of_them_can_end_the_function(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `enrich` that never ended on one event held up others of its batch: they came back with it each time, until
    all of them were dead letters."""

    def die(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(stack.app, "Delivery", die)
    events = [json.dumps(an_event("customer.created", a_customer(id=f"cus_{one}")).body) for one in range(20)]
    for received, parted in ((11, 20), (10, 0)):
        stack.sqs.visibility.clear()
        with pytest.raises(Exception, match="MemoryError"):
            stack.deliver(*events, received=received)
        delays = [*stack.sqs.visibility.values()]
        assert len(delays) == parted
        assert len({*delays}) >= parted * 3 // 4
        assert all(60 < delay <= 11 * (60 + 2) for delay in delays), "not while this invocation may still go on"
    with pytest.raises(Exception, match="MemoryError"):
        stack.deliver(events[0], received=500)
    assert stack.sqs.visibility == {}, "alone it takes nothing along"


def test_the_time_that_segment_names_is_kept(stack: Stack) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.STATUS, status=429, retry_after=200)
    assert stack.deliver(deleted()) == [0]
    assert 201 <= stack.delay(0) <= 230


def test_after_a_429_the_next_batches_send_no_request(stack: Stack) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.STATUS, status=429, retry_after=200)
    assert [stack.deliver(deleted(number)) for number in range(3)] == [[0]] * 3
    assert len(stack.receiver.record.requests) == 1
    assert 200 <= stack.delay(0) <= 231
    assert stack.spoken.metrics["CircuitOpened"] == 1


def test_segment_being_down_is_an_outage(stack: Stack) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.DOWN)
    assert stack.deliver(deleted()) == [0]
    stack.receiver.record.behaviour = Behaviour()
    assert stack.deliver(deleted(), received=2) == []
    assert stack.arrived == ["test Customer Deleted"]


def test_nobody_answering_at_segments_address_is_an_outage(build: Build) -> None:
    stack = build(SEGMENT_ENDPOINT="http://127.0.0.1:9")
    assert stack.deliver(deleted(1), deleted(2)) == [0, 1]
    assert stack.dead == []


def test_a_redirect_waits_for_the_right_address(stack: Stack) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.STATUS, status=308)
    assert stack.deliver(deleted()) == [0]
    assert "SEGMENT_ENDPOINT" in stack.spoken.text


def test_without_time_left_nothing_is_sent_and_everything_comes_again(stack: Stack) -> None:
    assert stack.deliver(deleted(1), deleted(2), context=Context(8.5)) == [0, 1]
    assert stack.receiver.record.requests == []


def test_only_records_whose_calls_did_not_arrive_fail(stack: Stack) -> None:
    """The live source is up, the test source's key is refused: nothing of it may touch the live records."""
    stack.secrets.text = json.dumps({"segment_write_key": LIVE, "segment_test_write_key": "…"})
    assert stack.deliver(deleted(1), deleted(2, livemode=True), deleted(3)) == [0, 2]
    assert stack.arrived == ["live Customer Deleted"]


def test_an_event_whose_user_may_still_be_named_waits_a_few_seconds(build: Build) -> None:
    stack = build(IDENTITY_HOLD_SECONDS="30")
    created = body("customer.subscription.created", a_subscription(), created=int(time.time()))
    assert stack.deliver(created) == [0]
    assert stack.delay(0) == 5
    assert stack.arrived == []
    assert stack.spoken.metrics["EventsHeld"] == 1


@pytest.mark.parametrize(
    ("secret", "named"),
    [({}, "segment_test_write_key is empty"), ({"segment_test_write_key": "…"}, "bad_write_key")],
)
def test_without_a_usable_key_events_wait_with_a_clear_error(stack: Stack, secret: dict[str, str], named: str) -> None:
    stack.secrets.text = json.dumps(secret)
    assert stack.deliver(deleted()) == [0]
    assert (stack.dead, stack.arrived) == ([], [])
    assert named in stack.spoken.text
    assert stack.spoken.metrics["WriteKeyRejected"] == 1
    assert any(line["level"] == "ERROR" for line in stack.spoken.lines)


@pytest.mark.parametrize("text", [None, f"no JSON {PRIVATE}"])
def test_a_secret_that_cannot_be_read_makes_events_wait(stack: Stack, text: str | None) -> None:
    stack.secrets.text = text
    assert stack.deliver(deleted(1), deleted(2)) == [0, 1]
    assert stack.dead == []
    assert PRIVATE not in stack.spoken.text


def test_a_key_that_was_not_moved_yet_is_used(build: Build) -> None:
    """After the update that made two secrets of one, the new one is empty: nothing would have been sent."""
    stack = build(FORMER_SECRET_ARN="arn:former")
    former = json.dumps({"segment_write_key": LIVE, "stripe_signing_secrets": []})
    stack.secrets.text, stack.secrets.texts = "{}", {"arn:former": former}
    assert stack.deliver(deleted(1, livemode=True)) == []
    assert stack.arrived == ["live Customer Deleted"]


def test_a_secret_that_cannot_be_read_again_keeps_no_event_waiting(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack.deliver(deleted(1, livemode=True)) == []
    stack.secrets.text = None
    monkeypatch.setattr(stack.app.secret, "_clock", lambda: time.time() + 300)
    assert stack.deliver(deleted(2, livemode=True)) == []
    assert stack.spoken.metrics["SecretRefreshFailed"] == 1
    assert stack.arrived == ["live Customer Deleted"] * 2


def test_test_events_are_skipped_where_only_the_live_source_is_named(stack: Stack) -> None:
    stack.secrets.text = json.dumps({"segment_write_key": LIVE})
    assert stack.deliver(deleted(1), deleted(2, livemode=True)) == []
    assert stack.arrived == ["live Customer Deleted"]
    assert stack.dead == []


def test_a_table_that_cannot_be_read_fails_everything_and_nothing_is_sent(stack: Stack) -> None:
    stack.broken_table = {"batch_get_item"}
    assert stack.deliver(deleted(1), deleted(2)) == [0, 1]
    assert stack.receiver.record.requests == []
    stack.broken_table = set()
    assert stack.deliver(deleted(1), deleted(2), received=2) == []
    assert len(stack.arrived) == 2


def test_a_table_that_cannot_be_written_brings_the_records_back_with_the_same_calls(stack: Stack) -> None:
    events = deleted(1), deleted(2)
    stack.broken_table = {"put_item"}
    assert stack.deliver(*events) == [0, 1]
    stack.broken_table = set()
    assert stack.deliver(*events, received=2) == []
    assert stack.arrived == ["test Customer Deleted"] * 2
    assert stack.receiver.record.violations == []


def test_data_of_an_event_that_could_not_be_stored_is_stored_in_the_next_attempt(stack: Stack) -> None:
    """Only the customer's record was looked at: the event counted as done, and the refund after it named no order."""
    paid = {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "customer": "cus_1"}
    event = body("invoice_payment.paid", paid | {"payment": {"type": "payment_intent", "payment_intent": "pi_basic"}})
    stack.broken_table = {"update_item"}
    assert stack.deliver(event) == [0]
    stack.broken_table = set()
    assert stack.deliver(event, received=2) == []
    stack.deliver(body("charge.refunded", a_charge(customer="cus_1"), previous={"amount_refunded": 0}))
    assert stack.receiver.record.calls[-1].call["properties"]["order_id"] == "in_1"


def test_a_delay_that_cannot_be_set_still_reports_the_record(stack: Stack) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.STATUS, status=500)
    stack.sqs.broken = {"change_message_visibility_batch"}
    assert stack.deliver(deleted()) == [0]


def test_what_an_import_listed_goes_back_into_its_own_queue(build: Build) -> None:
    """A receipt handle is its queue's: with the other queue's address nothing would have been hidden."""
    imports = "https://sqs.eu-central-1.amazonaws.com/1/import"
    stack = build(IMPORT_QUEUE_URL=imports)
    stack.receiver.record.behaviour = Behaviour(Mode.STATUS, status=500)
    record = record_of(a_customer(), Level.TRAITS, 1_700_000_000, livemode=False)
    assert stack.deliver(json.dumps(record), queue="import") == [0]
    assert stack.delay(0) > 0
    assert stack.sqs.hidden_in == {imports}
    assert stack.deliver(deleted()) == [0]
    assert stack.sqs.hidden_in == {imports, EVENTS}


# --- Hopeless ---


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("no JSON {", "not_json"),
        ('{"id": NaN}', "not_json"),
        ("[]", "not_an_event"),
        ("null", "not_an_event"),
        ("[" * 200_000, "nested_too_deep"),
    ],
)
def test_what_is_no_event_goes_to_the_dead_letter_queue_as_it_came(stack: Stack, raw: str, reason: str) -> None:
    assert stack.deliver(raw, deleted()) == []
    ((letter, attributes),) = stack.dead
    assert letter == raw
    assert (attributes["reason"], attributes["source_message_id"]) == (reason, stack.ids[0])
    assert "event_id" not in attributes
    assert stack.arrived == ["test Customer Deleted"], "and the good event beside it is delivered"
    assert stack.spoken.metrics["EventsDeadLettered"] == 1


def test_a_refused_event_goes_there_with_the_status_and_the_others_arrive(stack: Stack) -> None:
    stack.receiver.record.behaviour = REFUSING
    bad = poison()
    assert stack.deliver(*(deleted(number) for number in range(5)), bad, deleted(6)) == []
    ((letter, attributes),) = stack.dead
    assert letter == bad
    assert attributes == {
        "reason": "http_400",
        "event_id": json.loads(bad)["id"],
        "event_type": "checkout.session.expired",
        "source_message_id": stack.ids[5],
    }
    assert stack.arrived == ["test Customer Deleted"] * 6


def test_a_200_that_is_not_ok_dead_letters_only_the_bad_event(stack: Stack) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.OK_FALSE, event="Checkout Expired")
    assert stack.deliver(deleted(1), poison(), deleted(2)) == []
    assert [attributes["reason"] for _, attributes in stack.dead] == ["not_ok"]
    assert stack.arrived == ["test Customer Deleted"] * 2


def test_what_cannot_be_put_there_is_tried_again(stack: Stack) -> None:
    stack.sqs.broken = {"send_message"}
    assert stack.deliver("no JSON", deleted(), "null") == [0, 2]
    assert stack.delay(0) >= 1
    assert stack.spoken.metrics["DeadLetterFailed"] == 2


def test_an_enrich_that_raises_dead_letters_its_event_without_the_errors_text(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enrich(call: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
        if call["anonymousId"] == "cus_2":
            raise KeyError(PRIVATE)
        return call

    monkeypatch.setattr(stack.app, "enrich", enrich)
    assert stack.deliver(deleted(1), deleted(2), deleted(3)) == []
    ((letter, attributes),) = stack.dead
    assert json.loads(letter)["data"]["object"]["id"] == "cus_2"
    assert attributes["reason"] == "enrich_failed"
    assert PRIVATE not in json.dumps(attributes) + stack.spoken.text
    assert len(stack.arrived) == 2


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_an_enrich_that_returns_no_json_dead_letters_its_event(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr(stack.app, "enrich", lambda call, _: {**call, "properties": {"revenue": value}})
    assert stack.deliver(deleted()) == []
    assert [attributes["reason"] for _, attributes in stack.dead] == ["enrich_failed"]


def test_a_call_too_large_for_a_request_is_dead_lettered_with_its_size(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack.app, "enrich", lambda call, _: {**call, "properties": {"filling": "x" * 40_000}})
    assert stack.deliver(deleted()) == []
    ((_, attributes),) = stack.dead
    assert attributes["reason"] == "too_large"
    assert attributes["detail"].endswith("bytes; Segment takes 32000")
    assert stack.receiver.record.requests == []


def test_the_shipped_enrich_changes_nothing(stack: Stack) -> None:
    call, event = {"type": "track", "messageId": "1"}, {"id": "evt_1"}
    assert stack.app.enrich(call, event) is call
    assert (call, event) == ({"type": "track", "messageId": "1"}, {"id": "evt_1"})


# --- Log mode ---


def test_log_mode_sends_nothing_and_stores_nothing(build: Build) -> None:
    stack = build(DELIVERY_MODE="log")
    assert stack.deliver(deleted(1), deleted(2, livemode=True)) == []
    assert stack.receiver.record.requests == []
    assert stack.items == 0
    assert stack.spoken.text.count("DELIVERY_MODE is log") == 2
    assert build(DELIVERY_MODE="send").deliver(deleted(1)) == [], "so that going live later sends it"
    assert stack.arrived == ["test Customer Deleted"]


# --- What is said ---


def test_no_body_no_trait_and_no_key_is_ever_logged(stack: Stack, capfd: pytest.CaptureFixture[str]) -> None:
    updated = body(
        "customer.updated", a_customer(id="cus_7", email=f"{PRIVATE}@example.com", name=f"{PRIVATE} 🦊"), previous={}
    )
    broken = f'{{"name": "{PRIVATE}"'
    for behaviour in (
        Behaviour(),
        Behaviour(Mode.STATUS, status=500),
        Behaviour(Mode.STATUS, status=400),
        Behaviour(Mode.STATUS, status=401),
        Behaviour(Mode.OK_FALSE),
        Behaviour(Mode.DOWN),
        Behaviour(Mode.PARTIAL),
    ):
        stack.receiver.record.behaviour = behaviour
        stack.deliver(deleted(), updated, broken)
    captured = capfd.readouterr()
    said = stack.spoken.text + captured.out + captured.err
    assert PRIVATE not in said
    assert LIVE not in said
    assert TEST not in said
    assert not any(PRIVATE in json.dumps(attributes) for _, attributes in stack.dead)


def test_each_record_has_a_line_and_the_batch_where_something_comes_again(stack: Stack) -> None:
    stack.receiver.record.behaviour = Behaviour(Mode.STATUS, status=500)
    stack.deliver(deleted(1), "null", received=4)
    first, second, batch = stack.spoken.lines
    assert (first["outcome"], first["reason"], first["received"]) == ("retry", "http_500", 4)
    assert (second["outcome"], second["reason"], second["message_id"]) == ("dead", "not_an_event", stack.ids[1])
    assert (batch["message"], batch["records"], batch["again"]) == ("batch done", 2, 1)
    stack.receiver.record.behaviour = Behaviour()
    stack.deliver(deleted(1))
    assert len(stack.spoken.lines) == 4, "what arrived has said all of it"
