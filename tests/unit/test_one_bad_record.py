"""One record that cannot be read, mapped or remembered harms only itself; its batch goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import DataObject, booleans, data, sampled_from

from stripe_to_segment.delivery.circuit_breaker import Breaker
from stripe_to_segment.delivery.record import Status
from stripe_to_segment.reconciling import missing
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.encoding import FORMAT
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.state.person import user_digest
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.stripe_side.event import Level, decoded
from stripe_to_segment.stripe_side.listing import record_of
from tests.unit.edges import TABLE
from tests.unit.shapes import NOW, a_charge, a_customer, a_dispute, a_refund, a_subscription, an_event, an_invoice
from tests.unit.worlds import World, names

if TYPE_CHECKING:
    from collections.abc import Collection

    from stripe_to_segment.delivery.record import RecordOutcome
    from stripe_to_segment.state.person import Person
    from stripe_to_segment.stripe_side.event import StripeEvent

DEEP = "@deep"
LONG = "x" * 3000
ORDINARY = "customer.subscription.updated"


def beside(world: World, *bad: str) -> list[RecordOutcome]:
    """Deliver bad records in one batch with a good one, which must arrive."""
    *outcomes, good = world.batch(*bad, an_event("customer.created", a_customer(id="cus_good")))
    assert good.status is Status.DELIVERED
    assert "identify" in names(world.calls)
    return outcomes


def nested(levels: int, text: str) -> str:
    return text.replace(json.dumps(DEEP), '{"a":' * levels + "1" + "}" * levels)


SAMPLES = sorted((Path(__file__).parents[2] / "events").glob("*.json"))


@given(path=sampled_from(SAMPLES), levels=sampled_from([900, 1_000, 2_500, 9_000]), data=data())
def test_wherever_an_event_is_nested_too_deep_the_others_are_delivered_and_reconciled(
    path: Path, levels: int, data: DataObject
) -> None:
    """One event of Stripe's list that was nested too deep ended each run of reconcile at the same place."""
    event = json.loads(path.read_text("utf-8"))
    place, before = event["data"]["object"], event["data"].setdefault("previous_attributes", {})
    while isinstance(place, dict) and place and data.draw(booleans()):
        holder, name = place, data.draw(sampled_from(sorted(place)))
        place = holder[name]
        # An object's own id is text, or it is no event of Stripe's.
        if name != "id":
            holder[name] = DEEP
            before |= {name: DEEP} if holder is event["data"]["object"] else {}
            break
    text = nested(levels, json.dumps(event))
    world = World()
    # With an `enrich` of its own the calls are not checked against the plan, so a property may be missing.
    world.enrich = lambda call, _: call
    beside(world, text)
    body = decoded(text)
    other = an_event("customer.created", a_customer(id="cus_good"))
    assert other.id in {each.id for each in missing([body, other.body], MemoryStore(), World().settings)}


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


MANY = [f"prod_{number:014d}" for number in range(200)]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("product.created", {"id": "prod_1", "name": LONG}),
        ("coupon.created", {"id": "FEW", "percent_off": 5, "duration": "forever", "applies_to": {"products": MANY}}),
    ],
)
def test_a_long_name_and_a_coupon_for_many_products_are_stored(table: Any, kind: str, body: dict[str, Any]) -> None:
    """An import lists a coupon with its products; over 2,000 bytes it was a dead letter, as if it were an id."""
    (outcome,) = World(DynamoStore(table, TABLE)).batch(an_event(kind, body))
    assert outcome.status is Status.DELIVERED
    key = f"own:test:{body['id']}"
    memory = DynamoStore(table, TABLE).load({(kind.partition(".")[0], key)})
    assert LONG in memory.product_names.get(key, "") or MANY[-1] in memory.coupons.get(key, "")


def spoil(table: Any, key: str, **attributes: Any) -> None:
    """Put something else into a customer's record."""
    found = table.get_item(TableName=TABLE, Key={"pk": {"S": f"profile#{key}"}})["Item"]
    table.put_item(TableName=TABLE, Item={**found, **attributes})


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"record": {"B": b"not compressed"}}, "broken_record"),
        ({"record": {"S": "{"}}, "broken_record"),
        ({"keys": {"S": "no bytes"}}, "broken_record"),
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


def test_a_receipt_or_circuit_that_cannot_be_read_delays_no_event(table: Any) -> None:
    store = DynamoStore(table, TABLE)
    table.put_item(TableName=TABLE, Item={"pk": {"S": "circuit#test"}, "failures": {"S": "many"}})
    table.put_item(TableName=TABLE, Item={"pk": {"S": "receipt#1"}, "arrived": {"S": "all"}})
    assert not store.circuits(["test"])["test"].tripped
    assert store.receipts(["1"]) == {}


USER = "person#own:test:" + user_digest("user_1")
OF_A_USER = a_subscription(metadata={"user_id": "user_1"}, status="active")
# A basil payment says in an event of its own which order it is of; a refund names the payment alone.
PAID = {"object": "invoice_payment", "customer": "cus_basic", "invoice": "in_1", "payment": {"payment_intent": "pi_1"}}


def lived(world: World) -> None:
    """Let a user with two customers subscribe and pay, so that an item of each kind is written."""
    world.gate = Breaker(world.store, lambda: world.now, 1)
    world.answer = lambda _: Answer(Meaning.RETRY, "http_429")
    for number in range(2):
        named = a_customer(id=f"cus_early_{number}", metadata={"user_id": "user_1"})
        world.deliver(an_event("customer.created", named))
    world.now += 600
    world.answer = lambda _: Answer(Meaning.ACCEPTED)
    world.gate = None
    world.deliver(
        an_event("product.created", {"id": "prod_basic", "object": "product", "name": "Basic"}),
        an_event("customer.created", a_customer(metadata={"user_id": "user_1"})),
        an_event("customer.subscription.created", OF_A_USER),
        an_event("invoice_payment.paid", PAID),
    )


def items(table: Any) -> dict[str, dict[str, Any]]:
    found = {item["pk"]["S"]: item for item in table.scan(TableName=TABLE)["Items"]}
    assert {key.partition("#")[0] for key in found} == {"profile", "person", "order", "product", "receipt", "circuit"}
    return found


GARBAGE: list[dict[str, Any]] = [
    {"S": "garbage"},
    {"N": "-1.5"},
    {"M": {"a": {"L": [{"NULL": True}]}}},
]


def changed_while_it_is_gone() -> list[StripeEvent]:
    """Events that need every item that `lived` has left."""
    return [
        an_event("customer.subscription.updated", OF_A_USER | {"quantity": 3}, previous={"quantity": 1}),
        an_event("customer.updated", a_customer(metadata={"user_id": "user_1", "analytics_opt_out": "true"})),
        an_event("invoice_payment.paid", PAID),
        an_event("charge.refunded", a_charge(payment_intent="pi_1")),
        an_event("customer.created", a_customer(id="cus_another", metadata={"user_id": "user_1"})),
        an_event("customer.created", a_customer(id="cus_basic", metadata={"user_id": "user_2"})),
    ]


def test_an_invalid_attribute_of_an_item_affects_only_the_events_that_need_it(table: Any) -> None:
    """A person or an order that could not be read ended every batch with an event of theirs.

    And a newer release's persons and receipts were not recognised as such.
    """
    lived(World(DynamoStore(table, TABLE)))
    good = items(table)
    one_of_each = {key.partition("#")[0]: item for key, item in good.items() if "cus_early" not in key}
    places = [
        (key, name, value)
        for key, item in one_of_each.items()
        for name in (*item.keys() - {"pk"}, "format")
        for value in [*GARBAGE, {"N": str(FORMAT + 1)}]
        if name == "format" or value in GARBAGE
    ]
    # Sorted, because a set's order is another one each time: the fast profile takes every fifth.
    for key, name, value in sorted(places, key=str)[:: max(1, 50 // settings().max_examples)]:
        item = one_of_each[key]
        spoiled = {**item, name: value}
        now = [every if every is not item else spoiled for every in good.values()]
        table.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": every}} for every in now]})
        world = World(DynamoStore(table, TABLE))
        # The records with events of these customers are done.
        world.now += 3600
        verdicts = beside(world, *(json.dumps(event.body) for event in changed_while_it_is_gone()))
        for verdict in verdicts:
            assert verdict.status is not Status.DEAD, (key, name, value, verdict)
            assert verdict.status is not Status.RETRY or verdict.reason in {"newer_record", "broken_record"}, (
                key,
                name,
                value,
                verdict.reason,
                verdict.detail,
            )
        table.delete_item(TableName=TABLE, Key={"pk": {"S": "profile#own:test:cus_another"}})


@pytest.mark.parametrize("kind", ["profile", "person", "order", "product", "receipt"])
def test_an_event_that_needs_an_item_of_a_newer_release_waits_and_leaves_the_item_unchanged(
    table: Any, kind: str
) -> None:
    lived(World(DynamoStore(table, TABLE)))
    newer = [
        {**item, "format": {"N": str(FORMAT + 1)}} for key, item in items(table).items() if key.startswith(f"{kind}#")
    ]
    for item in newer:
        table.put_item(TableName=TABLE, Item=item)
    world = World(DynamoStore(table, TABLE))
    verdicts = beside(world, *(json.dumps(event.body) for event in changed_while_it_is_gone()))
    assert {verdict.reason for verdict in verdicts if verdict.status is Status.RETRY} == {"newer_record"}
    found = items(table)
    assert [found[item["pk"]["S"]] for item in newer] == newer


@pytest.mark.parametrize("kind", ["profile", "person", "order"])
def test_a_missed_event_whose_item_cannot_be_read_is_queued(table: Any, kind: str) -> None:
    """Nobody can say whether such a record knows of an event, so reconcile passed it over, and never came back."""
    lived(World(DynamoStore(table, TABLE)))
    for key, item in items(table).items():
        if key.startswith(f"{kind}#"):
            table.put_item(TableName=TABLE, Item=item | {"format": {"N": str(FORMAT + 1)}})
    refund = an_event("charge.refunded", a_charge(payment_intent="pi_1"))
    other = an_event("customer.created", a_customer(id="cus_good"))
    found = missing([refund.body, other.body], DynamoStore(table, TABLE), World().settings)
    assert {event.id for event in found} == {refund.id, other.id}


def test_what_a_newer_release_has_listed_waits_for_it() -> None:
    """It was a dead letter, while the guide on versions promises that an older release waits."""
    listed = record_of(a_customer(), Level.STATE, NOW, livemode=False)
    (outcome,) = beside(World(), json.dumps({**listed, "format": 2, "level": "more", "data": {"object": "new"}}))
    assert (outcome.status, outcome.reason) == (Status.RETRY, "newer_record")
    (outcome,) = beside(World(), json.dumps({**listed, "format": 1}))
    assert outcome.status is not Status.RETRY


COUPON = {"id": "C10", "percent_off": 10, "duration": "forever"}
NAMED = {"id": "di_1", "customer": "cus_basic", "start": NOW, "source": {"type": "coupon", "coupon": "C10"}}
DISCOUNTED = OF_A_USER | {"discounts": ["di_1"]}
REFUND = {"id": "re_1", "amount": 500, "currency": "usd", "status": "succeeded", "created": NOW}


def linked(world: World) -> None:
    """A user with two customers, one with a discount that only names its coupon, and a refund before its payment."""
    world.deliver(
        an_event("customer.discount.created", NAMED),
        an_event("customer.subscription.created", DISCOUNTED),
        an_event("coupon.created", COUPON),
        an_event("customer.created", a_customer(id="cus_b", metadata={"user_id": "user_1"})),
        an_event("invoice_payment.paid", PAID | {"customer": None}),
        an_event("invoice.paid", an_invoice(id="in_1")),
        an_event("refund.created", REFUND | {"payment_intent": "pi_2"}),
    )


@pytest.mark.parametrize(
    "attributes", [{"format": {"N": str(FORMAT + 1)}}, {"version": {"S": "x"}, "as_of": {"S": "x"}}]
)
@pytest.mark.parametrize(
    ("item", "kind", "body"),
    [
        ("profile#own:test:cus_b", "customer.subscription.updated", DISCOUNTED | {"quantity": 3}),
        ("profile#own:test:cus_b", "customer.created", a_customer(id="cus_c", metadata={"user_id": "user_1"})),
        ("profile#own:test:pi_2", "invoice.paid", an_invoice(id="in_2", payment_intent="pi_2")),
        ("order#own:test:in_1", "charge.dispute.created", a_dispute(payment_intent="pi_1")),
        ("order#own:test:in_1", "refund.created", REFUND | {"id": "re_2", "payment_intent": "pi_1"}),
        ("coupon#own:test:C10", "customer.subscription.updated", DISCOUNTED | {"quantity": 3}),
    ],
    ids=["the user's other", "of a new one's user", "taken over", "a dispute's owner", "a refund's owner", "coupon"],
)
def test_an_event_waits_for_an_item_that_others_lead_to(
    table: Any, item: str, kind: str, body: dict[str, Any], attributes: dict[str, Any]
) -> None:
    """Such an item counted as none: lifetime_value and mrr lacked the other customer's, a dispute was nobody's."""
    world = World(DynamoStore(table, TABLE))
    linked(world)
    kept = table.get_item(TableName=TABLE, Key={"pk": {"S": item}})["Item"]
    table.put_item(TableName=TABLE, Item=kept | attributes)
    world = World(DynamoStore(table, TABLE))
    world.now += 3600
    event = an_event(kind, body)
    (outcome,) = beside(world, json.dumps(event.body))
    reason = "newer_record" if "format" in attributes else "broken_record"
    assert (outcome.status, outcome.reason, outcome.detail) == (Status.RETRY, reason, item)
    assert len(world.calls) == 1, "nothing but the good event's"
    table.put_item(TableName=TABLE, Item=kept)
    assert world.batch(event)[0].status is Status.DELIVERED


def test_every_item_says_its_format(table: Any) -> None:
    lived(World(DynamoStore(table, TABLE)))
    DynamoStore(table, TABLE).put_bookmark("own:test", 1, 1)
    for item in table.scan(TableName=TABLE)["Items"]:
        assert item["format"] == {"N": str(FORMAT)}, item["pk"]


def test_an_unforeseen_error_dead_letters_one_event_alone() -> None:
    """An error outside the mapper ended the whole batch, which came again and again with the same error."""
    world = World()

    class OneBadPerson(MemoryStore):
        def persons(self, keys: Collection[str]) -> dict[str, Person]:
            if any(key.endswith(user_digest("user_bad")) for key in keys):
                raise ZeroDivisionError
            return super().persons(keys)

    world.store, world.remembers = OneBadPerson(), False
    events = [
        an_event("customer.created", a_customer(id=f"cus_{number}", metadata={"user_id": f"user_{name}"}))
        for number, name in enumerate(("good", "bad", "good", "fine"))
    ]
    assert [verdict.reason for verdict in world.batch(*events)] == ["", "mapper_failed", "", ""]


@pytest.mark.parametrize("takers", [{"pi_1": "in_1", "in_1": "pi_1"}, {"pi_1": "in_1", "in_1": "in_2", "in_2": "in_1"}])
@pytest.mark.parametrize("kept", ["pi_1", "in_1"])
def test_of_records_that_lead_in_a_circle_each_stands_for_itself(takers: dict[str, str], kept: str) -> None:
    """Each names another as the one that has taken it over, which only damage can do.

    Following them to the end was a dead letter, as an event that was nested too deep.
    """
    world = World(PAYMENT_HOLD_SECONDS="0")
    records = [Profile(f"own:test:{one}", moved_to=f"own:test:{other}") for one, other in takers.items()]
    world.store.save(records, [], world.now)
    events = [
        an_event("refund.created", a_refund(payment_intent=kept)),
        an_event("charge.dispute.created", a_dispute(payment_intent=kept)),
    ]
    for event in events:
        (outcome,) = beside(world, json.dumps(event.body))
        assert outcome.status is Status.DELIVERED
    assert {"Order Refunded", "Payment Disputed"} <= {*names(world.calls)}
    told = len(world.calls)
    assert [each.status for each in world.batch(*events)] == [Status.IGNORED, Status.IGNORED]
    assert len(world.calls) == told


@pytest.mark.parametrize("ends", [SystemExit, RecursionError, MemoryError])
def test_an_enrich_that_exits_affects_only_its_own_event(ends: type[BaseException]) -> None:
    world = World()

    def enrich(call: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        if event["data"]["object"]["id"] == "cus_bad":
            raise ends
        return call

    world.enrich = enrich
    bad, good = world.batch(*(an_event("customer.created", a_customer(id=f"cus_{name}")) for name in ("bad", "good")))
    assert (bad.status, bad.reason) == (Status.DEAD, "enrich_failed")
    assert good.status is Status.DELIVERED
