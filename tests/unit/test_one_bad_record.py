"""One record that cannot be read, mapped or remembered harms only itself; its batch goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.encoding import FORMAT
from tests.unit.edges import TABLE, state_table
from tests.unit.shapes import a_customer, a_subscription, an_event, an_invoice
from tests.unit.worlds import World, names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.delivery.record import RecordOutcome

DEEP = "@deep"
LONG = "x" * 3000
ORDINARY = "customer.subscription.updated"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with state_table() as dynamodb:
        yield dynamodb


@pytest.fixture
def table(client: Any) -> Any:
    for item in client.scan(TableName=TABLE)["Items"]:
        client.delete_item(TableName=TABLE, Key={"pk": item["pk"]})
    return client


def beside(world: World, *bad: str) -> list[RecordOutcome]:
    """Deliver bad records in one batch with a good one, which must arrive."""
    *outcomes, good = world.batch(*bad, an_event("customer.created", a_customer(id="cus_good")))
    assert good.status is Status.DELIVERED
    assert "identify" in names(world.calls)
    return outcomes


def nested(levels: int, text: str) -> str:
    return text.replace(json.dumps(DEEP), '{"a":' * levels + "1" + "}" * levels)


@pytest.mark.parametrize("levels", [1_000, 1_500, 4_000, 9_000])
def test_an_event_nested_too_deep_is_a_dead_letter_with_its_reason(levels: int) -> None:
    """What an update changed is laid over the object level by level; a thousand levels ended the whole batch."""
    subscription = a_subscription(metadata=DEEP, cancellation_details=DEEP)
    event = an_event(ORDINARY, subscription, previous={"metadata": DEEP, "quantity": 2})
    (outcome,) = beside(World(), nested(levels, json.dumps(event.body)))
    assert (outcome.status, outcome.reason) == (Status.DEAD, "nested_too_deep")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("customer.subscription.created", a_subscription(customer=f"cus_{LONG}")),
        ("customer.created", a_customer(id=f"cus_{LONG}")),
        ("customer.subscription.created", a_subscription(items={"data": [{"price": {"product": f"prod_{LONG}"}}]})),
        ("invoice_payment.paid", {"customer": "cus_1", "invoice": "in_1", "payment": {"payment_intent": f"pi_{LONG}"}}),
        ("invoice_payment.paid", {"customer": "cus_1", "invoice": f"in_{LONG}", "payment": {"payment_intent": "pi_1"}}),
        ("invoice.paid", an_invoice(customer=None, payment_intent=f"pi_{LONG}")),
    ],
    ids=["customer", "customer itself", "product", "order", "order's invoice", "guest"],
)
def test_an_id_that_no_key_can_hold_is_a_dead_letter_with_its_reason(
    table: Any, kind: str, body: dict[str, Any]
) -> None:
    """DynamoDB refuses a read with one key over 2,048 bytes as a whole, so the whole batch waited for ever."""
    world = World(DynamoStore(table, TABLE))
    (outcome,) = beside(world, json.dumps(an_event(kind, body).body))
    assert (outcome.status, outcome.reason) == (Status.DEAD, "oversize_id")


def spoil(table: Any, key: str, **attributes: Any) -> None:
    """Put something else into a customer's record."""
    found = table.get_item(TableName=TABLE, Key={"pk": {"S": f"profile#{key}"}})["Item"]
    table.put_item(TableName=TABLE, Item={**found, **attributes})


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"record": {"B": b"not compressed"}}, "broken_record"),
        ({"record": {"S": "{"}}, "broken_record"),
        ({"ledger": {"S": "no bytes"}}, "broken_record"),
        ({"version": {"S": "one"}}, "broken_record"),
        ({"format": {"N": str(FORMAT + 1)}, "record": {"M": {}}}, "newer_record"),
        ({"format": {"N": str(FORMAT + 9)}}, "newer_record"),
    ],
    ids=["no zlib", "no JSON", "no ledger", "no version", "another shape", "newer"],
)
def test_events_of_a_customer_whose_record_cannot_be_read_wait_with_the_reason(
    table: Any, attributes: dict[str, Any], reason: str
) -> None:
    """One record that a newer release had written ended every batch with an event of its customer."""
    world = World(DynamoStore(table, TABLE))
    world.deliver(an_event("customer.created", a_customer()))
    spoil(table, "own:test:cus_basic", **attributes)
    told = len(world.calls)
    (outcome,) = beside(world, json.dumps(an_event("customer.subscription.created", a_subscription()).body))
    assert (outcome.status, outcome.reason) == (Status.RETRY, reason)
    assert len(world.calls) == told + 1, "nothing is told of a customer of whom nothing is known"


def test_once_the_newer_release_is_back_the_event_is_delivered(table: Any) -> None:
    world = World(DynamoStore(table, TABLE))
    world.deliver(an_event("customer.created", a_customer()))
    kept = table.get_item(TableName=TABLE, Key={"pk": {"S": "profile#own:test:cus_basic"}})["Item"]
    spoil(table, "own:test:cus_basic", format={"N": str(FORMAT + 1)})
    event = an_event("customer.subscription.created", a_subscription())
    assert world.batch(event)[0].status is Status.RETRY
    table.put_item(TableName=TABLE, Item=kept)
    assert world.batch(event)[0].status is Status.DELIVERED


def test_a_receipt_or_circuit_that_cannot_be_read_holds_up_nobody(table: Any) -> None:
    store = DynamoStore(table, TABLE)
    table.put_item(TableName=TABLE, Item={"pk": {"S": "circuit#test"}, "failures": {"S": "many"}})
    table.put_item(TableName=TABLE, Item={"pk": {"S": "receipt#1"}, "arrived": {"S": "all"}})
    assert not store.circuits(["test"])["test"].tripped
    assert store.receipts(["1"]) == {}


def test_a_record_says_its_format(table: Any) -> None:
    World(DynamoStore(table, TABLE)).deliver(an_event("customer.created", a_customer()))
    item = table.get_item(TableName=TABLE, Key={"pk": {"S": "profile#own:test:cus_basic"}})["Item"]
    assert item["format"] == {"N": str(FORMAT)}


@pytest.mark.parametrize("ends", [SystemExit, RecursionError, MemoryError])
def test_an_enrich_that_ends_the_program_ends_its_own_event_alone(ends: type[BaseException]) -> None:
    world = World()

    def enrich(call: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        if event["data"]["object"]["id"] == "cus_bad":
            raise ends
        return call

    world.enrich = enrich
    bad, good = world.batch(*(an_event("customer.created", a_customer(id=f"cus_{name}")) for name in ("bad", "good")))
    assert (bad.status, bad.reason) == (Status.DEAD, "enrich_failed")
    assert good.status is Status.DELIVERED
