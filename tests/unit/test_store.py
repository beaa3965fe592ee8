"""What is kept between invocations: one contract that the StateTable and its in-memory twin both keep."""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.errors import StoreConflictError, StoreUnavailableError
from stripe_to_segment.segment_side.calls import dedup_key_for
from stripe_to_segment.state.bill import NOT_SENT, Bill
from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.claim import Claim, Receipt
from stripe_to_segment.state.dictionaries import DICTIONARIES
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.encoding import KEEP_DAYS
from stripe_to_segment.state.failed_attempt import FailedAttempt
from stripe_to_segment.state.packing import DEDUP_KEY_DIGITS, compressed, decompressed, packed_ledger, unpacked_ledger
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.state.profile import TRACK, UNSURE, Profile
from stripe_to_segment.state.prune import ENDED
from stripe_to_segment.state.refund import Dispute
from stripe_to_segment.state.settle import settled
from stripe_to_segment.state.store import Learnt
from stripe_to_segment.state.subscription import SubscriptionRecord
from tests.unit.edges import TABLE, Faulty, refusal
from tests.unit.shapes import DAY, NOW, a_subscription, an_event, an_invoice
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.state.memory_store import MemoryStore

    type AnyStore = MemoryStore | DynamoStore
    type Fault = Callable[[str, dict[str, Any]], dict[str, Any] | None]

KEY = "own:live:cus_1"
TODAY = NOW // DAY
SUBSCRIPTION = SubscriptionRecord(
    as_of=(NOW, 1),
    status="active",
    plan="pro",
    mrr=5000,
    currency="usd",
    period="month",
    quantity=3,
    trial_end=None,
    cancels_at=NOW + DAY,
    came_from="digest",
    mrr_sent=4500,
    trial_start=NOW - DAY,
    trialed=NOW,
    converted=NOW,
    moved=NOW,
    on_trial=True,
    basis={"currency": "usd", "items": {"data": [{"quantity": 3}]}},
)
FULL = Profile(
    KEY,
    user_id="user_1",
    anonymous_id="browser_1",
    group_id="group_1",
    opted_out=True,
    customer_created=NOW - DAY,
    fallback_id="cus_1",
    joined=True,
    shown="digest",
    deleted=True,
    subscriptions={"sub_1": SUBSCRIPTION, "sub_2": replace(SUBSCRIPTION, status="canceled", plan=None, mrr=None)},
    paid={"usd": 5000, "jpy": -3},
    ledger={"00ff" * 3: TODAY, "a" * 12: TODAY - 40},
    claims={"b" * 12: Claim({"c" * 12: '{"type":"track"}', "d" * 12: "{}"}, shows=True, groups=True, day=TODAY - 40)},
    discounts={"di_1": '{"id":"SAVE","percent_off":"50","duration":"forever"}'},
    own_discounts=("di_1",),
    amounts={"price_1:eur": "2500"},
    invoiced={"sub_1": NOW},
    subscribed=True,
    sent={"2026-10:eur": [1900, 1900]},
    summed=TODAY - 3,
    delivery="delivery_1",
    lease_until=NOW + 60,
)
FAILED = FailedAttempt("in_1:1", ("in_1:1",), ("invoice",), ("in_1",), NOW, 500, "usd")
ORDER = Learnt("order", "own:live:pi_1", "in_1", NOW)

# DynamoDB's own words for being overloaded.
THROTTLED = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"]


def faulty(table: Any, fault: Fault) -> tuple[DynamoStore, Faulty, list[float]]:
    """A store whose service fails, with its requests and the pauses made."""
    client, pauses = Faulty(table, fault), list[float]()
    served: Any = client
    return DynamoStore(served, TABLE, pause=pauses.append), client, pauses


def failing(operation: str, code: str) -> Fault:
    def fault(asked: str, _: dict[str, Any]) -> None:
        if asked == operation:
            raise refusal(code, operation)

    return fault


def saved(store: AnyStore, *profiles: Profile, now: float = NOW) -> None:
    assert store.save(profiles, [], now) == {}


def profile_in(store: AnyStore, key: str = KEY) -> Profile:
    return store.load([("profile", key)]).profiles[key]


def item_in(table: Any, key: str) -> dict[str, Any]:
    item: dict[str, Any] = table.get_item(TableName=TABLE, Key={"pk": {"S": key}})["Item"]
    return item


# --- The contract of both ---


def test_an_unknown_item_is_absent(store: AnyStore) -> None:
    memory = store.load(
        [("profile", KEY), ("profile", "own:live:cus_2"), ("order", "own:live:pi_1"), ("product", "own:live:prod_1")]
    )
    assert (memory.profiles, memory.orders, memory.product_names) == ({}, {}, {})


def test_asking_for_nothing_gives_nothing(store: AnyStore) -> None:
    assert store.load([]).profiles == {}


def test_a_full_record_comes_back_as_it_was(store: AnyStore) -> None:
    saved(store, FULL)
    assert profile_in(store) == replace(FULL, version=1)


def test_an_empty_record_comes_back_as_it_was(store: AnyStore) -> None:
    saved(store, Profile(KEY))
    assert profile_in(store) == Profile(KEY, version=1)


def test_a_receipt_comes_back_as_it_was_from_another_environment_too(store: AnyStore, request: Any) -> None:
    receipt = Receipt(frozenset({"a" * 12, "00ff" * 3}), frozenset({"b" * 12}), frozenset({"c" * 12}))
    store.put_receipt("delivery_1", receipt, NOW)
    store.put_receipt("delivery_2", Receipt(), NOW)
    expected = {"delivery_1": receipt, "delivery_2": Receipt()}
    assert store.receipts(["delivery_1", "delivery_2", "delivery_3"]) == expected
    if isinstance(store, DynamoStore):
        other = DynamoStore(request.getfixturevalue("table"), TABLE)
        assert other.receipts(["delivery_1", "delivery_2", "delivery_3"]) == expected


def test_a_receipt_is_kept_as_long_as_the_ledger(table: Any) -> None:
    DynamoStore(table, TABLE).put_receipt("delivery_1", Receipt(), NOW)
    assert item_in(table, "receipt#delivery_1")["expires_at"] == {"N": str(NOW + 40 * DAY)}


def test_a_known_receipt_is_not_read_again(table: Any) -> None:
    """An environment mostly meets its own deliveries, and a receipt never changes."""
    store, client, _ = faulty(table, lambda *_: None)
    store.put_receipt("delivery_1", Receipt(), NOW)
    DynamoStore(table, TABLE).put_receipt("delivery_2", Receipt(), NOW)
    for _ in range(2):
        assert set(store.receipts(["delivery_1", "delivery_2"])) == {"delivery_1", "delivery_2"}
    assert client.operations == ["put_item", "batch_get_item"]


def test_more_receipts_than_the_cache_holds_are_all_returned(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each receipt that was read replaced another one that was needed, whose events were then sent again."""
    monkeypatch.setattr("stripe_to_segment.state.dynamodb.RECEIPTS", 5)
    names = [f"delivery_{number}" for number in range(8)]
    store = DynamoStore(table, TABLE)
    for name in names:
        store.put_receipt(name, Receipt(frozenset({"a" * 12})), NOW)
    for asked in (names, [names[-5], *names[:1]], names[:6]):
        assert set(store.receipts(asked)) == set(asked)


def test_of_the_receipts_of_a_busy_day_only_the_latest_are_kept_in_memory(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stripe_to_segment.state.dynamodb.RECEIPTS", 5)
    store = DynamoStore(table, TABLE)
    for number in range(6):
        store.put_receipt(f"delivery_{number}", Receipt(), NOW)
    assert [*store._receipts] == [f"delivery_{number}" for number in range(1, 6)]


def test_a_name_once_read_is_not_read_again_for_five_minutes(table: Any) -> None:
    """Nearly each event of a subscription reads the names of the same few products and prices."""
    seconds, name = iter((0.0, 299.0, 301.0, 302.0)), Learnt("product", "own:live:prod_1", "Basic", NOW)
    client: Any = Faulty(table, lambda *_: None)
    store = DynamoStore(client, TABLE, clock=lambda: next(seconds))
    DynamoStore(table, TABLE).save([], [name], NOW)
    for _ in range(4):
        memory = store.load([("product", name.key)])
        assert (memory.product_names, memory.as_of) == ({name.key: "Basic"}, {("product", name.key): NOW})
    assert client.operations == ["batch_get_item"] * 2


def test_a_name_that_this_environment_learns_or_does_not_know_is_read(table: Any) -> None:
    name = Learnt("product", "own:live:prod_1", "Basic", NOW)
    store = DynamoStore(table, TABLE, clock=lambda: 0.0)
    assert store.load([("product", name.key)]).product_names == {}
    DynamoStore(table, TABLE).save([], [name], NOW)
    assert store.load([("product", name.key)]).product_names == {name.key: "Basic"}
    store.save([], [replace(name, value="Pro", as_of=NOW + 1)], NOW)
    assert store.load([("product", name.key)]).product_names == {name.key: "Pro"}


def test_circuits_are_read_along_with_the_records(table: Any) -> None:
    """Read in a request of their own, a batch of a hundred customers took one request more than it may."""
    store, client, _ = faulty(table, lambda *_: None)
    assert store.put_circuit("live", Circuit(4, NOW + 30), Circuit(), NOW)
    memory = store.load([("profile", KEY), ("circuit", "live"), ("circuit", "test")])
    assert memory.circuits == {"live": Circuit(4, NOW + 30), "test": Circuit()}
    assert client.operations == ["put_item", "batch_get_item"]


def test_a_circuit_is_closed_until_something_is_written(store: AnyStore) -> None:
    assert store.circuits(["live"])["live"] == Circuit()


def test_a_circuit_comes_back_as_it_was_and_for_its_mode_only(store: AnyStore) -> None:
    assert store.put_circuit("live", Circuit(4, NOW + 30, probing=True), Circuit(), NOW)
    assert store.circuits(["live", "test"]) == {"live": Circuit(4, NOW + 30, probing=True), "test": Circuit()}


@pytest.mark.parametrize(
    "seen", [Circuit(), Circuit(4, NOW), Circuit(3, NOW + 30), Circuit(4, NOW + 30, probing=True)], ids=str
)
def test_a_circuit_that_somebody_else_changed_meanwhile_is_left_as_it_is(store: AnyStore, seen: Circuit) -> None:
    assert store.put_circuit("live", Circuit(4, NOW + 30), Circuit(), NOW)
    assert not store.put_circuit("live", Circuit(9, NOW + 99), seen, NOW)
    assert store.circuits(["live"])["live"] == Circuit(4, NOW + 30)


def test_a_circuit_closes_and_opens_again(store: AnyStore) -> None:
    states = [Circuit(), Circuit(3, NOW), Circuit(3, NOW + 60, probing=True), Circuit(), Circuit(1, NOW), Circuit()]
    for seen, circuit in itertools.pairwise(states):
        assert store.put_circuit("live", circuit, seen, NOW)
        assert store.circuits(["live"])["live"] == circuit


def test_a_circuits_item_expires(table: Any) -> None:
    DynamoStore(table, TABLE).put_circuit("live", Circuit(3, NOW), Circuit(), NOW)
    assert item_in(table, "circuit#live")["expires_at"] == {"N": str(NOW + DAY)}


def test_each_write_is_a_version(store: AnyStore) -> None:
    for version in range(1, 5):
        saved(store, replace(FULL, version=version - 1, user_id=f"user_{version}"))
        assert profile_in(store).version == version
    assert profile_in(store).user_id == "user_4"


@pytest.mark.parametrize("version", [0, 1, 3, 99])
def test_a_record_read_at_another_version_is_not_written(store: AnyStore, version: int) -> None:
    saved(store, FULL)
    saved(store, replace(FULL, version=1))
    errors = store.save([replace(FULL, version=version, user_id="stale")], [], NOW)
    assert isinstance(errors[KEY], StoreConflictError)
    assert profile_in(store) == replace(FULL, version=2)


def test_a_record_that_is_gone_is_not_written_over(store: AnyStore) -> None:
    errors = store.save([replace(FULL, version=4)], [], NOW)
    assert isinstance(errors[KEY], StoreConflictError)
    assert store.load([("profile", KEY)]).profiles == {}


def test_of_two_first_writers_one_wins(store: AnyStore) -> None:
    first = store.save([replace(FULL, user_id="first")], [], NOW)
    second = store.save([replace(FULL, user_id="second")], [], NOW)
    assert (first, list(second)) == ({}, [KEY])
    assert profile_in(store).user_id == "first"


def test_of_two_writers_of_one_version_one_wins_and_the_other_can_come_again(store: AnyStore) -> None:
    saved(store, FULL)
    read = profile_in(store)
    assert store.save([replace(read, group_id="first")], [], NOW) == {}
    assert isinstance(store.save([replace(read, user_id="second")], [], NOW)[KEY], StoreConflictError)
    assert store.save([replace(profile_in(store), user_id="second")], [], NOW) == {}
    assert (profile_in(store).group_id, profile_in(store).user_id) == ("first", "second")


def test_a_conflict_delays_no_other_record(store: AnyStore) -> None:
    saved(store, FULL)
    other = Profile("own:live:cus_2", user_id="user_2")
    errors = store.save([replace(FULL, version=7), other], [ORDER], NOW)
    assert list(errors) == [KEY]
    memory = store.load([("profile", other.key), ("order", ORDER.key)])
    assert memory.profiles[other.key].user_id == "user_2"
    assert memory.orders == {ORDER.key: "in_1"}


def test_a_record_is_not_written_by_a_batch_that_did_not_know_of_the_stored_invoice(store: AnyStore) -> None:
    """It would list the payment by itself for good, because the event that joins the two was delivered before."""
    itself = replace(ORDER, value="pi_1", as_of=NOW + 9, owner=KEY, instead_of="")
    saved(store, Profile(KEY))
    assert store.save([], [ORDER], NOW) == {}
    errors = store.save([profile_in(store)], [itself], NOW)
    assert {key: type(error) for key, error in errors.items()} == dict.fromkeys((KEY, ORDER.key), StoreConflictError)
    assert profile_in(store).version == 1
    memory = store.load([("order", ORDER.key)])
    assert memory.agreed(itself) == replace(itself, value="in_1", as_of=NOW)
    assert store.save([profile_in(store)], [memory.agreed(itself)], NOW) == {}
    assert store.load([("order", ORDER.key)]).owners == {ORDER.key: KEY}


def test_an_invoice_takes_the_place_of_a_payment_only_where_the_batch_knew_of_the_payment(store: AnyStore) -> None:
    """A payment stayed an order of its own: the batch that joined it to its invoice had not read the record with it."""
    joins = replace(ORDER, as_of=NOW + 9, instead_of="")
    assert store.save([], [replace(ORDER, value="pi_1", owner=KEY)], NOW) == {}
    assert {key: type(error) for key, error in store.save([], [joins], NOW).items()} == {ORDER.key: StoreConflictError}
    memory = store.load([("order", ORDER.key)])
    assert memory.orders == {ORDER.key: "pi_1"}
    assert store.save([], [memory.agreed(joins)], NOW) == {}
    assert store.load([("order", ORDER.key)]).orders == {ORDER.key: "in_1"}
    assert store.save([], [replace(joins, value="in_2", as_of=NOW)], NOW) == {}, "a newer invoice stays"


def test_the_owner_of_an_order_is_not_written_over_by_a_batch_that_did_not_know_of_it(store: AnyStore) -> None:
    """A refund that named no customer became the owner again, after its customer had been found."""
    owned = [replace(ORDER, value="pi_1", owner=owner, instead_of="") for owner in ("own:live:pi_1", KEY)]
    assert store.save([], owned[1:], NOW) == {}
    errors = store.save([Profile("own:live:pi_1")], owned[:1], NOW)
    assert errors.keys() == {"own:live:pi_1", ORDER.key}
    assert {type(error) for error in errors.values()} == {StoreConflictError}
    memory = store.load([("order", ORDER.key), ("profile", "own:live:pi_1")])
    assert (memory.owners, memory.profiles) == ({ORDER.key: KEY}, {})
    assert store.save([], [memory.agreed(owned[0])], NOW) == {}, "who knows of the owner may name another"


def test_learnt_facts_are_found_under_their_kind(store: AnyStore) -> None:
    name = Learnt("product", "own:live:prod_1", "Pro", NOW)
    assert store.save([], [ORDER, name], NOW) == {}
    memory = store.load([(kind, key) for kind in ("order", "product") for key in (ORDER.key, name.key)])
    assert memory.orders == {ORDER.key: "in_1"}
    assert memory.product_names == {name.key: "Pro"}
    assert memory.as_of == {("order", ORDER.key): NOW, ("product", name.key): NOW}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_the_newest_name_wins_in_whatever_order_it_comes(store: AnyStore, order: list[int], together: bool) -> None:
    names = [Learnt("product", "own:live:prod_1", f"name {number}", NOW + number) for number in order]
    for batch in [names] if together else [[name] for name in names]:
        assert store.save([], batch, NOW) == {}
    assert store.load([("product", "own:live:prod_1")]).product_names == {"own:live:prod_1": "name 3"}


def test_of_two_names_of_one_second_the_later_wins(store: AnyStore) -> None:
    for name in ("first", "second"):
        store.save([], [Learnt("product", "own:live:prod_1", name, NOW)], NOW)
    assert store.load([("product", "own:live:prod_1")]).product_names == {"own:live:prod_1": "second"}


@pytest.mark.parametrize("stored", ["pi_1", "in_1"])
@pytest.mark.parametrize(("value", "owner"), [*itertools.product(("pi_1", "in_1", "in_2"), ("", "cus_1", "cus_2"))])
def test_an_order_that_would_stay_as_it_is_is_not_written_again(
    store: AnyStore, stored: str, value: str, owner: str
) -> None:
    """A refund wrote the order of its payment again, as it was, and paid for it."""
    key = "own:live:pi_1"
    store.save([], [Learnt("order", key, stored, NOW, "cus_1")], NOW)
    known = store.load([("order", key)])
    fact = known.agreed(Learnt("order", key, value, NOW + DAY, owner))
    needed = known.needs(fact)
    store.save([], [fact], NOW)
    after = store.load([("order", key)])
    assert needed is ((after.orders, after.owners) != (known.orders, known.owners))
    # It is kept for a year from when it was written last.
    assert known.needs(replace(fact, as_of=NOW + 31 * DAY))


def test_what_nobody_stored_has_to_be_written(store: AnyStore) -> None:
    assert store.load([("order", "own:live:pi_1")]).needs(Learnt("order", "own:live:pi_1", "pi_1", NOW))
    store.save([], [Learnt("product", "own:live:prod_1", "Basic", NOW)], NOW)
    # Its time decides which of two names is the newer one.
    assert store.load([("product", "own:live:prod_1")]).needs(Learnt("product", "own:live:prod_1", "Basic", NOW + 1))


def test_a_bookmark_is_where_the_newest_run_left_it(store: AnyStore) -> None:
    assert store.bookmark("reconcile") is None
    for reached in (NOW, NOW + 60, NOW - 60):
        assert store.save([], [Learnt("bookmark", "reconcile", str(reached), reached)], NOW) == {}
    assert store.bookmark("reconcile") == NOW + 60
    assert store.bookmark("backfill") is None


def test_the_ledger_remembers_forty_days(store: AnyStore) -> None:
    marks = {f"{age:012x}": TODAY - age for age in (0, 1, 39, 40, 41, 400)}
    saved(store, Profile(KEY, ledger=marks))
    assert sorted(TODAY - day for day in profile_in(store).ledger.values()) == [0, 1, 39, 40]


def test_the_ledger_remembers_the_newest_thousand_tracks_longer(store: AnyStore) -> None:
    """So that an import of the history, or a second one, sends nothing again that is older than forty days."""
    tracks = {f"{age:012x}": TODAY - age + TRACK for age in range(1_100)}
    saved(store, Profile(KEY, ledger={**tracks, "f" * 12: TODAY - 50}))
    kept = profile_in(store).ledger
    assert sorted(TODAY + TRACK - day for day in kept.values()) == [*range(1_041)]


def test_a_customer_with_hundreds_of_events_a_day_keeps_a_record_that_dynamodb_accepts(table: Any) -> None:
    """Beyond 400 KB no write was taken: the customer's events came again and again, and after a day counted twice."""
    marks = {f"{number:012x}": TODAY - number // 1_200 for number in range(48_000)}
    store = DynamoStore(table, TABLE)
    saved(store, Profile(KEY, ledger=marks))
    kept = profile_in(store).ledger
    assert list(kept.items()) == list(marks.items())[:30_000], "the newest"
    saved(store, profile_in(store).with_delivered(["f" * 12], TODAY))
    assert len(profile_in(store).ledger) == 30_000
    assert profile_in(store).ledger["f" * 12] == TODAY


def test_a_customer_with_hundreds_of_subscriptions_too_keeps_a_record_that_dynamodb_accepts(table: Any) -> None:
    """A full ledger was bounded alone: beside Stripe's 500 subscriptions it was over 400 KB, and no write was taken."""
    live = {f"sub_1{number:023}": replace(SUBSCRIPTION, plan="A plan with a name" * 2) for number in range(500)}
    gone = replace(SUBSCRIPTION, status="canceled")
    ended = {f"sub_2{number:023}": replace(gone, as_of=(NOW - 2000 + number, 2)) for number in range(2000)}
    random = Random(1)
    full = Profile(
        KEY,
        subscriptions=ended | live,
        ledger={f"{number:012x}": TODAY - number // 1_000 for number in range(30_000)},
        claims={
            f"{number:012x}": Claim({"c" * 12: random.randbytes(500).hex()}, shows=True, joins=True, day=TODAY)
            for number in range(1_000)
        },
        shown="digest",
        joined=True,
    )
    store = DynamoStore(table, TABLE)
    saved(store, full)
    kept = profile_in(store)
    assert live.items() <= kept.subscriptions.items(), "who has something now is never forgotten"
    assert set(kept.subscriptions) - set(live) == set(list(ended)[-400:]), "of the others the last to end"
    assert kept.claims
    assert (kept.shown, kept.joined) == (UNSURE, False), "what those that were left out had shown"
    assert list(kept.claims.items()) == list(full.claims.items())[-len(kept.claims) :], "the newest"
    assert kept.ledger, "what was delivered last is still known"
    assert list(kept.ledger.items()) == list(full.ledger.items())[: len(kept.ledger)], "the newest"
    saved(store, kept.with_delivered(["f" * 12], TODAY))
    assert profile_in(store).ledger["f" * 12] == TODAY


def test_of_subscriptions_that_ended_long_ago_the_newest_stay_and_every_live_one(store: AnyStore) -> None:
    """An event that a dead letter kept for weeks began an ended subscription anew, with its mrr."""
    ended = replace(SUBSCRIPTION, status="canceled")
    long_ago = {f"ended {one}": replace(ended, as_of=(NOW - (41 + one) * DAY, 1)) for one in range(30)}
    live = {"old and live": replace(SUBSCRIPTION, as_of=(NOW - 500 * DAY, 1))}
    saved(store, Profile(KEY, subscriptions=long_ago | live))
    assert set(profile_in(store).subscriptions) == {"old and live", *list(long_ago)[: ENDED - 1]}
    recently = {f"recently {one}": replace(ended, as_of=(NOW - 39 * DAY, 1)) for one in range(30)}
    saved(store, replace(profile_in(store), subscriptions=long_ago | live | recently))
    assert set(profile_in(store).subscriptions) == {"old and live", *recently}


@pytest.mark.parametrize("days", [39, 41])
def test_a_failed_attempt_stays_for_forty_days_of_the_records_own_time(store: AnyStore, days: int) -> None:
    """By the clock, a history that came a year late lost it, and the next event of the attempt sent it again."""
    attempt = replace(FAILED, at=NOW - (400 + days) * DAY)
    later = {"later": replace(SUBSCRIPTION, as_of=(NOW - 400 * DAY, 1))}
    saved(store, Profile(KEY, failed=(attempt.written(),), subscriptions=later))
    assert len(profile_in(store).failed) == (1 if days == 39 else 0)


def test_accounts_and_modes_never_mix(store: AnyStore) -> None:
    scopes = ["own:live", "own:test", "acct_1:live", "acct_1:test", "acct_2:live"]
    for number, scope in enumerate(scopes):
        learnt = [
            Learnt("order", f"{scope}:pi_1", f"order {number}", NOW),
            Learnt("product", f"{scope}:prod_1", f"name {number}", NOW),
        ]
        assert store.save([Profile(f"{scope}:cus_1", user_id=f"user {number}")], learnt, NOW) == {}
    for number, scope in enumerate(scopes):
        memory = store.load([("profile", f"{scope}:cus_1"), ("order", f"{scope}:pi_1"), ("product", f"{scope}:prod_1")])
        assert memory.profiles[f"{scope}:cus_1"].user_id == f"user {number}"
        assert memory.orders == {f"{scope}:pi_1": f"order {number}"}
        assert memory.product_names == {f"{scope}:prod_1": f"name {number}"}


def test_more_than_a_hundred_records_are_read_and_written_at_once(store: AnyStore) -> None:
    profiles = [Profile(f"own:live:cus_{number}", user_id=str(number)) for number in range(230)]
    saved(store, *profiles)
    found = store.load([("profile", profile.key) for profile in profiles]).profiles
    assert {key: profile.user_id for key, profile in found.items()} == {p.key: p.user_id for p in profiles}


# --- The table ---


def test_a_hundred_keys_cost_one_request(table: Any) -> None:
    store, client, _ = faulty(table, lambda *_: None)
    repeated = [("order", "own:live:pi_1")] * 100
    store.load([*(("profile", f"own:live:cus_{number}") for number in range(60)), *repeated])
    store.load([(kind, str(number)) for kind in ("profile", "order", "product") for number in range(50)])
    assert client.operations == ["batch_get_item"] * 3


def test_reads_are_consistent(table: Any) -> None:
    seen: list[dict[str, Any]] = []
    store, _, _ = faulty(table, lambda _, arguments: seen.append(arguments))
    store.load([("profile", KEY)])
    assert seen[0]["RequestItems"][TABLE]["ConsistentRead"] is True


def test_keys_left_unprocessed_are_asked_for_again_with_growing_pauses(table: Any) -> None:
    asked: list[int] = []

    def halving(operation: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        if operation != "batch_get_item":
            return None
        request = arguments["RequestItems"][TABLE]
        asked.append(len(request["Keys"]))
        if len(asked) > 3:
            return None
        half = len(request["Keys"]) // 2
        answer: dict[str, Any] = table.batch_get_item(RequestItems={TABLE: {**request, "Keys": request["Keys"][:half]}})
        return {**answer, "UnprocessedKeys": {TABLE: {**request, "Keys": request["Keys"][half:]}}}

    store, _, pauses = faulty(table, halving)
    profiles = [Profile(f"own:live:cus_{number}") for number in range(80)]
    saved(store, *profiles)
    assert len(store.load([("profile", profile.key) for profile in profiles]).profiles) == 80
    assert asked == [80, 40, 20, 10]
    assert pauses == sorted(pauses) == [0.05, 0.1, 0.2]


def test_keys_that_stay_unprocessed_make_events_wait(table: Any) -> None:
    def nothing(_: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"Responses": {TABLE: []}, "UnprocessedKeys": arguments["RequestItems"]}

    store, client, pauses = faulty(table, nothing)
    with pytest.raises(StoreUnavailableError, match="throttled"):
        store.load([("profile", KEY)])
    assert len(client.operations) == 5
    assert sum(pauses) < 2


@pytest.mark.parametrize(
    "code", [*THROTTLED, "InternalServerError", "AccessDeniedException", "ResourceNotFoundException"]
)
def test_a_table_that_does_not_answer_is_unavailable_for_reading(table: Any, code: str) -> None:
    store, _, _ = faulty(table, failing("batch_get_item", code))
    with pytest.raises(StoreUnavailableError, match=code):
        store.load([("profile", KEY)])


@pytest.mark.parametrize("code", [*THROTTLED, "InternalServerError", "ValidationException"])
def test_a_table_that_does_not_answer_is_unavailable_for_writing(table: Any, code: str) -> None:
    store, _, _ = faulty(table, failing("put_item", code))
    errors = store.save([FULL], [], NOW)
    assert isinstance(errors[KEY], StoreUnavailableError)
    assert code in str(errors[KEY])


def test_a_network_error_is_an_unavailable_table_too(table: Any) -> None:
    def fault(operation: str, _: dict[str, Any]) -> None:
        raise ConnectionError(operation)

    store, _, _ = faulty(table, fault)
    assert isinstance(store.save([FULL], [], NOW)[KEY], StoreUnavailableError)
    with pytest.raises(StoreUnavailableError, match="ConnectionError"):
        store.load([("profile", KEY)])


def test_a_failed_write_delays_no_other_record(table: Any) -> None:
    def fault(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "put_item" and arguments["Item"]["pk"]["S"].endswith("cus_1"):
            raise refusal("ThrottlingException", "PutItem")

    store, _, _ = faulty(table, fault)
    assert list(store.save([FULL, Profile("own:live:cus_2")], [], NOW)) == [KEY]
    assert profile_in(store, "own:live:cus_2").version == 1


def test_a_record_is_written_after_the_facts_of_its_event(table: Any) -> None:
    """Both were written at once: with the record in place the event counted as done, and its order was never learnt."""

    def fault(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "update_item" and arguments["Key"]["pk"]["S"].startswith("order#"):
            raise refusal("ThrottlingException", "UpdateItem")

    store, _, _ = faulty(table, fault)
    other = Profile("own:live:cus_2")
    errors = store.save([FULL, other], [replace(ORDER, owner=KEY)], NOW)
    assert set(errors) == {KEY, ORDER.key}
    assert all(isinstance(error, StoreUnavailableError) for error in errors.values())
    assert store.load([("profile", KEY), ("profile", other.key)]).profiles.keys() == {other.key}, (
        "the others are not held up"
    )


@pytest.mark.parametrize(
    ("profile", "days"),
    [
        (Profile(KEY, user_id="user_1"), KEEP_DAYS),
        (Profile(KEY, subscriptions={"sub_1": replace(SUBSCRIPTION, status="canceled")}), KEEP_DAYS),
        (Profile(KEY, deleted=True), 40),
        (Profile(KEY, subscriptions={"sub_1": replace(SUBSCRIPTION, status="incomplete")}), KEEP_DAYS),
    ],
    ids=["no subscription", "ended", "deleted customer", "never paid"],
)
def test_a_customer_without_subscriptions_expires(table: Any, profile: Profile, days: int) -> None:
    saved(DynamoStore(table, TABLE), profile)
    assert item_in(table, f"profile#{KEY}")["expires_at"] == {"N": str(NOW + days * DAY)}


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "paused"])
@pytest.mark.parametrize("deleted", [True, False])
def test_a_customer_with_a_subscription_never_expires(table: Any, status: str, deleted: bool) -> None:
    store = DynamoStore(table, TABLE)
    saved(store, Profile(KEY))
    live = {"sub_1": replace(SUBSCRIPTION, status=status)}
    saved(store, Profile(KEY, subscriptions=live, deleted=deleted, version=1))
    assert "expires_at" not in item_in(table, f"profile#{KEY}")


def test_an_order_is_kept_for_three_years_and_what_is_sold_for_good(table: Any) -> None:
    sold = [Learnt(kind, "own:live:1", "Pro", NOW) for kind in ("product", "coupon", "bookmark")]
    DynamoStore(table, TABLE).save([], [ORDER, *sold], NOW + 0.5)
    assert item_in(table, f"order#{ORDER.key}")["expires_at"] == {"N": str(NOW + KEEP_DAYS * DAY)}
    assert not [fact.kind for fact in sold if "expires_at" in item_in(table, f"{fact.kind}#{fact.key}")]


def test_a_month_of_one_customers_facts_fits_the_first_kilobyte() -> None:
    assert len(dedup_key_for("a fact")) == DEDUP_KEY_DIGITS
    assert len(packed_ledger({f"{number:012x}": TODAY for number in range(60)})) == 480


def test_the_compression_dictionaries_never_change() -> None:
    """Nobody could read a record that was written with others; new words need a dictionary of their own."""
    digests = [
        "fbc9c20422db071dc9757723dc74e7345d90ba710d624db5604f36f6b7730797",
        "99bc5303e0939e3ec1d444df07194ee9ed4ea7644bf3dbf9e6f3d5975d2d921d",
        "0cac53a7df399b7a80cd1ffb821441868a7b1c54719a9d34a34036df2ca9bddf",
        "2c7e226eaf45f52c88946089a54fa552370ad9a375c817c8da43749f54703f40",
    ]
    assert [hashlib.sha256(one).hexdigest() for one in DICTIONARIES] == digests


@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_records_compressed_with_any_dictionary_are_read(dictionary: bytes) -> None:
    packer = zlib.compressobj(zdict=dictionary)
    text = '{"user_id":"user_1"}\n{"type":"track"}'
    assert decompressed(packer.compress(text.encode()) + packer.flush()) == text.split("\n")


def test_an_mrr_of_0_is_not_an_unknown_mrr(table: Any) -> None:
    """What is unknown of a subscription is left out of the item."""
    store = DynamoStore(table, TABLE)
    subscriptions = {
        "sub_1": SubscriptionRecord((5, 1), "trialing", mrr=0, mrr_sent=0, trial_end=NOW),
        "sub_2": SubscriptionRecord((5, 1), "active", quantity=0, on_trial=True),
        "sub_3": SubscriptionRecord(
            (5, 1), "active", mrr=1, came_from="a b", beside=SubscriptionRecord((5, 1), mrr=0, mrr_sent=0)
        ),
    }
    store.save([Profile(KEY, subscriptions=subscriptions)], [], NOW)
    assert profile_in(store).subscriptions == subscriptions


def test_a_record_of_the_first_release_is_read(table: Any) -> None:
    """It was plain JSON, and had no claims."""
    item = {
        "pk": {"S": f"profile#{KEY}"},
        "version": {"N": "3"},
        "record": {"S": json.dumps({"user_id": "user_1", "shown": "digest", "promised": {"b" * 16: [TODAY, 5]}})},
        "ledger": {"B": bytes.fromhex("a" * 16) + TODAY.to_bytes(2)},
    }
    table.put_item(TableName=TABLE, Item=item)
    expected = Profile(KEY, user_id="user_1", shown="digest", ledger={"a" * 12: TODAY}, summed=0, version=3)
    assert profile_in(DynamoStore(table, TABLE)) == expected


def test_deduplication_keys_of_sixteen_digits_are_read_by_their_first_twelve(table: Any) -> None:
    """Formats before 4 wrote them so. What was sent is not sent again, and a receipt of that time ends its claims."""
    store = DynamoStore(table, TABLE)
    record = {
        "claims": {"e" * 16: {"tracks": ["f" * 16], "day": TODAY}},
        "withheld": {"d" * 16: ["refused", "revenue", "2026-10", "eur", 5, "in_1"]},
        "delivery": "delivery_1",
    }
    item = {
        "pk": {"S": f"profile#{KEY}"},
        "format": {"N": "3"},
        "version": {"N": "3"},
        "record": {"B": compressed([json.dumps(record), "{}"])},
        "ledger": {"B": b"".join(bytes.fromhex(one * 16) + TODAY.to_bytes(2) for one in "ab")},
    }
    receipt = {
        "pk": {"S": "receipt#delivery_1"},
        "format": {"N": "3"},
        "arrived": {"B": bytes.fromhex("e" * 16 + "f" * 16)},
        "given_up": {"B": b""},
        "unwanted": {"B": b""},
    }
    table.put_item(TableName=TABLE, Item=item)
    profile = profile_in(store)
    assert profile.ledger == {"a" * 12: TODAY, "b" * 12: TODAY}
    assert profile.claims == {"e" * 12: Claim({"f" * 12: "{}"}, day=TODAY)}
    assert {*profile.withheld} == {"d" * 12}
    table.put_item(TableName=TABLE, Item=receipt)
    after = settled(profile, store.receipts(["delivery_1"])["delivery_1"])
    assert after.claims == {}
    assert {*after.ledger} == {one * 12 for one in "abef"}
    saved(store, after)
    assert profile_in(store).ledger == after.ledger


def test_renamed_fields_keep_the_names_under_which_other_releases_store_them(table: Any) -> None:
    """Otherwise an update would forget who a customer is, and which refunds were sent."""
    failed = {
        "told_as": "in_1:1",
        "keys": ["in_1:1"],
        "stated_by": ["invoice"],
        "names": ["in_1"],
        "at": NOW,
        "value": 500,
        "currency": "usd",
    }
    stored = {
        "told": {"user_id": NOW},
        "stranger": "cus_1",
        "failed": [failed],
        "subscriptions": {"sub_1": {"as_of": [NOW, 1], "mrr": 5000, "told": 4500, "untold": True}},
        "payments": {
            "in_1": {"currency": "usd", "refunds": {"re_1": {"amount": 5, "told_by": "evt_1"}}},
            "in_2": {"currency": "usd", "parts": {"pi_2": {"amount": 7, "told_by": "?"}}},
        },
    }
    item = {
        "pk": {"S": f"profile#{KEY}"},
        "version": {"N": "3"},
        "record": {"S": json.dumps(stored)},
        "ledger": {"B": b""},
    }
    table.put_item(TableName=TABLE, Item=item)
    store = DynamoStore(table, TABLE)
    profile = profile_in(store)
    assert (profile.as_of, profile.fallback_id) == ({"user_id": NOW}, "cus_1")
    assert FailedAttempt.read(profile.failed[0]) == FAILED
    assert (profile.subscriptions["sub_1"].mrr_sent, profile.subscriptions["sub_1"].unsent) == (4500, True)
    payments = dict(profile.listed_payments())
    assert payments["in_1"].refunds["re_1"].stated_by == "evt_1"
    assert payments["in_2"].parts["pi_2"].stated_by == NOT_SENT
    payments_again = {order: payment.written() for order, payment in payments.items()}
    saved(store, replace(profile, payments=payments_again, failed=(FAILED.written(),)))
    written = json.loads(decompressed(item_in(table, f"profile#{KEY}")["record"]["B"])[0])
    assert {name: written[name] for name in stored} == stored


def test_a_payment_that_its_order_states_is_written_without_the_orders_id(table: Any) -> None:
    """The id stands before it already; written with it, by an older release, the payment is read all the same."""
    store = DynamoStore(table, TABLE)
    by_itself, by_another, by_none = (
        Payment("usd", counted=True, total=500, paid_at=NOW, stated_by=stated).written()
        for stated in ("in_1", "pi_2", "")
    )
    payments = {"in_1": by_itself, "in_2": by_another, "in_3": by_none}
    saved(store, Profile(KEY, payments=payments))
    assert profile_in(store).payments == payments
    item = item_in(table, f"profile#{KEY}")
    written = json.loads(decompressed(item["record"]["B"])[0])
    assert [one.get("stated_by") for one in written["payments"].values()] == ["=", "pi_2", None]
    item["record"] = {"S": json.dumps(written | {"payments": payments})}
    table.put_item(TableName=TABLE, Item=item)
    assert profile_in(store).payments == payments


def test_sums_begin_where_a_release_first_kept_them(table: Any) -> None:
    """The audit must not take what an older release has sent for missing."""
    store, first = DynamoStore(table, TABLE), Profile(KEY, user_id="user_1")
    saved(store, first)
    assert profile_in(store).summed == 1, "a new record has all sums"
    told = replace(profile_in(store), sent={"2026-10:eur": [1900]})
    saved(store, told)
    assert "summed" not in json.loads(decompressed(item_in(table, f"profile#{KEY}")["record"]["B"])[0])
    assert profile_in(store) == replace(told, version=2), "the sums say it without the day"
    old = {"pk": {"S": f"profile#{KEY}"}, "version": {"N": "3"}, "record": {"S": "{}"}, "ledger": {"B": b""}}
    table.put_item(TableName=TABLE, Item=old)
    claimed = profile_in(store).with_claim("e" * 12, Claim({"f" * 12: "{}"}), TODAY)
    assert (profile_in(store).summed, claimed.summed) == (0, TODAY)
    saved(store, claimed)
    assert profile_in(store).summed == TODAY


def test_a_record_with_a_claim_costs_one_write_unit(table: Any) -> None:
    """DynamoDB charges for each kilobyte: uncompressed, a record with two calls took three."""
    world = World(DynamoStore(table, TABLE))
    event = an_event("customer.subscription.created", a_subscription())
    world.batch(event, an_event("invoice.paid", an_invoice()))
    (profile,) = world.store.load([("profile", event.profile_key)]).profiles.values()
    assert sum(len(claim.tracks) for claim in profile.claims.values()) == 2
    item = item_in(table, f"profile#{event.profile_key}")
    assert sum(len(name) + len(next(iter(value.values()))) for name, value in item.items()) < 1024


def test_a_claim_is_settled_by_the_receipt_of_its_delivery() -> None:
    tracks, day = {"1" * 12: "{}", "2" * 12: "{}"}, TODAY - 1
    claimed = Profile(
        KEY,
        joined=True,
        shown="digest",
        ledger={"f" * 12: TODAY - 2},
        claims={"e" * 12: Claim(tracks, shows=True, joins=True, day=day)},
        delivery="delivery_1",
    )
    whole = settled(claimed, Receipt(frozenset({"e" * 12, *tracks})))
    assert (whole.claims, whole.delivery, whole.shown, whole.joined) == ({}, "", "digest", True)
    assert list(whole.ledger.items())[-1] == ("f" * 12, TODAY - 2), "the newest marks come first"
    assert whole.ledger == {"e" * 12: day, **dict.fromkeys(tracks, day + TRACK), "f" * 12: TODAY - 2}

    partly = settled(claimed, Receipt(frozenset({"1" * 12})))
    assert set(partly.ledger) == {"1" * 12, "f" * 12}
    assert partly.claims == {"e" * 12: Claim(tracks, day=day)}
    assert (partly.shown, partly.joined, partly.delivery) == (UNSURE, False, "")
    assert settled(partly, None) == partly, "what was settled stays so"

    given_up = settled(claimed, Receipt(given_up=frozenset({"e" * 12})))
    assert given_up.claims == {"e" * 12: Claim(tracks, given_up=True, day=day)}
    assert (given_up.ledger, given_up.shown, given_up.joined) == (claimed.ledger, UNSURE, False)
    assert settled(claimed, Receipt(unwanted=frozenset({"e" * 12}))) == replace(given_up, claims={})

    unknown = settled(claimed, None)
    assert (unknown.delivery, unknown.ledger, set(unknown.claims)) == ("delivery_1", claimed.ledger, {"e" * 12})
    assert (unknown.shown, unknown.joined) == (UNSURE, False)


def test_what_a_record_has_claimed_counts_in_the_record_that_took_it_over() -> None:
    """A taker that could not be written at first got claims that count no longer, and no record had their amounts."""
    properties = {"total": 5, "currency": "USD"}
    call = {"event": "Order Completed", "timestamp": "2026-10-01T00:00:00.000Z", "properties": properties}
    claims = {"e" * 12: Claim({"1" * 12: json.dumps(call)}, day=TODAY)}
    claimed, arrived = Profile(KEY, claims=claims, delivery="delivery_1"), Receipt(frozenset({"e" * 12, "1" * 12}))
    moved = claimed.moved("own:test:in_1")
    assert moved.claims == claims
    assert (len(settled(claimed, arrived).sent), settled(moved, arrived).sent) == (1, {})


def test_of_a_claim_with_only_an_identify_just_the_attempt_is_kept() -> None:
    profile = Profile(KEY, claims={"e" * 12: Claim(shows=True, day=TODAY)}, delivery="delivery_1")
    assert settled(profile, Receipt()) == Profile(KEY, shown=UNSURE, claims={"e" * 12: Claim(day=TODAY)})


def test_a_claim_counts_the_attempts() -> None:
    profile = Profile(KEY)
    for tries in range(3):
        profile = settled(profile.with_claim("e" * 12, Claim({"f" * 12: "{}"}, shows=True), TODAY), Receipt())
        assert profile.claims["e" * 12].tries == tries


@given(st.dictionaries(st.binary(min_size=6, max_size=6).map(bytes.hex), st.integers(0, 2**16 - 1)))
def test_a_ledger_is_packed_without_loss(ledger: dict[str, int]) -> None:
    packed = packed_ledger(ledger)
    assert unpacked_ledger(packed) == ledger
    assert len(packed) == 8 * len(ledger)


def test_unknown_fields_in_a_record_of_another_release_are_ignored(table: Any) -> None:
    """A field that the release before did not write, or the one after does, failed every batch with that customer."""
    record = {"user_id": "u1", "favourite": "blue", "subscriptions": {"sub_1": {"as_of": [5, 1], "colour": 3}}}
    item = {
        "pk": {"S": f"profile#{KEY}"},
        "version": {"N": "7"},
        "record": {"S": json.dumps(record)},
        "ledger": {"B": b""},
    }
    table.put_item(TableName=TABLE, Item=item)
    profile = DynamoStore(table, TABLE).load([("profile", KEY)]).profiles[KEY]
    assert (profile.user_id, profile.version, profile.subscriptions["sub_1"].as_of) == ("u1", 7, (5, 1))


def test_unknown_fields_inside_of_a_stored_payment_are_ignored() -> None:
    """A field more in an open invoice made the record of its customer unreadable for the release before."""
    entry = {"amount": 500, "withdrawn": 500, "colour": 3}
    bill = {"due": 2000, "total": 2000, "net": 1900}
    written = {"refunds": {"re_1": entry}, "disputes": {"dp_1": entry}, "parts": {"inpay_1": entry}}
    payment = Payment.read({"currency": "usd", **written, "bill": {**bill, "colour": 3}, "colour": 3})
    assert payment.bill == Bill(**bill)
    assert payment.disputes == {"dp_1": Dispute(withdrawn=500)}
    assert payment.refunds["re_1"].amount == payment.parts["inpay_1"].amount == 500
