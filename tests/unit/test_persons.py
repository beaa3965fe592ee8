"""A user may be several customers and guests: an opt-out of one silences all of them, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.person import Person
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.state.store import OPT_OUT, Learnt, MemoryStore
from stripe_to_segment.stripe_side.event import StripeEvent
from tests.unit.edges import TABLE, state_table
from tests.unit.shapes import (
    DAY,
    NOW,
    a_charge,
    a_customer,
    a_price,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
)
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    type AnyStore = MemoryStore | DynamoStore

OUT = {"analytics_opt_out": "true"}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with state_table() as dynamodb:
        yield dynamodb


@pytest.fixture
def table(client: Any) -> Any:
    """The client, on a table in which nothing is left from the last test."""
    for item in client.scan(TableName=TABLE)["Items"]:
        client.delete_item(TableName=TABLE, Key={"pk": item["pk"]})
    return client


@pytest.fixture(params=["memory", "table"])
def store(request: pytest.FixtureRequest) -> AnyStore:
    if request.param == "memory":
        return MemoryStore()
    return DynamoStore(request.getfixturevalue("table"), TABLE)


def customer(number: int, created: int = NOW, /, user: str | None = "user_1", **metadata: str) -> StripeEvent:
    named = {} if user is None else {"user_id": user}
    return an_event("customer.created", a_customer(id=f"cus_{number}", metadata={**named, **metadata}), created=created)


def update(number: int, created: int, /, user: str | None = "user_1", **metadata: str) -> StripeEvent:
    body = a_customer(id=f"cus_{number}", metadata={**({} if user is None else {"user_id": user}), **metadata})
    return an_event("customer.updated", body, created=created, previous={"metadata": {}})


def guest(number: int, created: int = NOW, **more: Any) -> StripeEvent:
    session = a_session(
        id=f"cs_guest_{number}",
        customer=None,
        payment_intent=f"pi_guest_{number}",
        client_reference_id="user_1",
        **more,
    )
    return an_event("checkout.session.completed", session, created=created)


def paid(number: int, created: int) -> StripeEvent:
    return an_event("invoice.paid", an_invoice(id=f"in_{number}_{created}", customer=f"cus_{number}"), created=created)


# --- Silence ---


def test_an_opt_out_of_one_customer_silences_the_others_and_the_guest(store: AnyStore) -> None:
    world = World(store)
    world.deliver(customer(1), customer(2, NOW + 1))
    told = len(world.calls)
    world.deliver(update(2, NOW + 2, **OUT))
    world.deliver(paid(1, NOW + 3), guest(1, NOW + 4), customer(3, NOW + 5), paid(3, NOW + 6))
    assert len(world.calls) == told


def test_a_guest_who_opts_out_silences_the_customers(store: AnyStore) -> None:
    world = World(store)
    world.deliver(guest(1, metadata={"analytics_opt_out": "true"}), customer(1, NOW + 1), paid(1, NOW + 2))
    assert world.calls == []


def test_a_guest_who_opts_out_silences_a_customer_that_is_known_already(store: AnyStore) -> None:
    """A user's only customer did not look at the person again, and went on after the user opted out as a guest."""
    world = World(store)
    world.deliver(customer(1), paid(1, NOW + 1))
    told = len(world.calls)
    world.deliver(guest(1, NOW + 2, metadata=OUT), paid(1, NOW + 3), update(1, NOW + 4))
    assert len(world.calls) == told
    world.deliver(guest(2, NOW + 5, metadata={"analytics_opt_out": "false"}), paid(1, NOW + 6))
    assert len(world.calls) > told, "and hears when a guest takes it back"


def test_what_a_guest_says_in_the_customers_first_batch_is_heard_later_too(store: AnyStore) -> None:
    world = World(store)
    world.batch(customer(1), guest(1, NOW + 1, metadata=OUT))
    told = len(world.calls)
    world.deliver(paid(1, NOW + 2))
    assert len(world.calls) == told
    world.deliver(guest(2, NOW + 3, metadata={"analytics_opt_out": "false"}), paid(1, NOW + 4))
    assert len(world.calls) > told


def test_a_guests_refund_is_silenced_by_what_came_after_the_payment(store: AnyStore) -> None:
    world = World(store)
    world.deliver(guest(1), customer(1, NOW + 1, **OUT))
    told = len(world.calls)
    refund = a_charge(customer=None, payment_intent="pi_guest_1")
    world.deliver(an_event("charge.refunded", refund, created=NOW + 2))
    assert len(world.calls) == told


def test_in_one_batch_what_follows_an_opt_out_is_silent(store: AnyStore) -> None:
    world = World(store)
    world.batch(customer(1, NOW, **OUT), customer(2, NOW + 1), guest(1, NOW + 2), paid(2, NOW + 3))
    assert world.calls == []


def test_a_customer_known_before_its_user_brings_its_opt_out_along(store: AnyStore) -> None:
    """What only the customer's record knew was forgotten as soon as the user was another record's too."""
    world = World(store)
    world.deliver(customer(1, user=None, **OUT))
    session = a_session(customer="cus_1", client_reference_id="user_1", mode="subscription", subscription="sub_basic")
    world.deliver(an_event("checkout.session.completed", session, created=NOW + 1), customer(2, NOW + 2))
    assert world.calls == []


def test_the_newest_word_counts_whoever_says_it(store: AnyStore) -> None:
    world = World(store)
    world.deliver(customer(1, **OUT), customer(2, NOW + 1))
    assert world.calls == []
    world.deliver(update(2, NOW + 5, analytics_opt_out="false"), paid(1, NOW + 6))
    assert {call["userId"] for call in world.calls} == {"user_1"}
    late = update(1, NOW + 3, **OUT)
    heard = len(world.calls)
    world.deliver(late, paid(1, NOW + 7))
    assert len(world.calls) > heard, "an older word takes nothing back"


def test_an_opt_out_is_one_users_in_one_mode_and_account() -> None:
    world = World(CONNECT_EVENTS="accept")
    world.deliver(customer(1, **OUT))
    world.deliver(customer(2, NOW + 1, user="user_2"))
    live = an_event("customer.created", a_customer(id="cus_3", metadata={"user_id": "user_1"}), livemode=True)
    other = an_event("customer.created", a_customer(id="cus_4", metadata={"user_id": "user_1"}), account="acct_1")
    world.deliver(live, other)
    assert {call["userId"] for call in world.calls} == {"user_2", "user_1", "acct_1:user_1"}


def test_who_writes_the_accounts_prefix_himself_is_the_same_user(store: AnyStore) -> None:
    """The calls of both go out under one userId, and an opt-out of one left the other talking."""
    world = World(store, CONNECT_EVENTS="accept")
    for number, user in enumerate(("u1", "acct_1:u1"), 1):
        metadata = {"user_id": user, **(OUT if number == 1 else {})}
        body = a_customer(id=f"cus_{number}", metadata=metadata)
        world.deliver(an_event("customer.created", body, created=NOW + number, account="acct_1"))
    assert world.calls == []


def test_with_the_platforms_users_an_opt_out_holds_for_every_account() -> None:
    world = World(CONNECT_EVENTS="accept", CONNECT_USERS="platform")
    world.deliver(customer(1, **OUT))
    other = an_event("customer.created", a_customer(id="cus_4", metadata={"user_id": "user_1"}), account="acct_1")
    world.deliver(other)
    assert world.calls == []


def test_who_moves_to_another_user_takes_no_opt_out_along(store: AnyStore) -> None:
    world = World(store)
    world.deliver(customer(1, **OUT), update(1, NOW + 1, user="user_2"), customer(2, NOW + 2, user="user_2"))
    assert {call["userId"] for call in world.calls} == {"user_2"}
    told = len(world.calls)
    world.deliver(customer(3, NOW + 3))
    assert len(world.calls) == told, "the user who opted out stays silent"


def test_an_opt_out_outlives_the_record(table: Any) -> None:
    world = World(DynamoStore(table, TABLE))
    world.deliver(customer(1, **OUT))
    for item in table.scan(TableName=TABLE)["Items"]:
        key = item["pk"]["S"]
        if key.startswith(("profile#", "person#")):
            assert "expires_at" not in item, key
    table.delete_item(TableName=TABLE, Key={"pk": {"S": "profile#own:test:cus_1"}})
    world.deliver(customer(2, NOW + 400 * DAY), paid(2, NOW + 401 * DAY))
    assert world.calls == []


def test_no_key_of_a_person_tells_the_user(table: Any) -> None:
    World(DynamoStore(table, TABLE)).deliver(customer(1, **OUT))
    (person,) = [item for item in table.scan(TableName=TABLE)["Items"] if item["pk"]["S"].startswith("person#")]
    assert "user_1" not in str(person)


def test_in_log_mode_no_person_is_written(store: AnyStore) -> None:
    world = World(store)
    world.remembers = False
    world.deliver(customer(1, **OUT), customer(2))
    assert store.persons(["own:test:" + "0" * 32]) == {}
    assert "user_1" in {call["userId"] for call in world.calls}, "nothing is remembered in log mode"


# --- What it costs ---


class Counted(MemoryStore):
    """Counts the requests for persons."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def persons(self, keys: Any) -> Any:
        self.asked.append("persons")
        return super().persons(keys)

    def tie(self, pairs: Any) -> Any:
        self.asked.append("tie")
        return super().tie(pairs)

    def share(self, person: str, records: Any, now: float) -> Any:
        self.asked.append("share")
        return super().share(person, records, now)


def test_a_user_with_one_customer_costs_one_write_and_nothing_afterwards() -> None:
    store = Counted()
    world = World(store)
    world.deliver(customer(1))
    assert store.asked == ["tie"]
    world.deliver(*(paid(1, NOW + number) for number in range(5)), update(1, NOW + 9))
    assert store.asked == ["tie"]


def test_a_second_customer_is_marked_once_and_then_read() -> None:
    store = Counted()
    world = World(store)
    world.deliver(customer(1), customer(2, NOW + 1))
    assert store.asked == ["tie", "tie", "share"]
    world.deliver(customer(3, NOW + 2))
    assert store.asked == ["tie", "tie", "share", "tie", "share"], "only who does not know it yet is marked"
    world.deliver(paid(1, NOW + 3))
    assert store.asked[5:] == ["persons"]


class Overtaken(MemoryStore):
    """Another batch delivers a payment of the first customer while this one marks its record."""

    rival: World | None = None

    def share(self, person: str, records: Any, now: float) -> Any:
        if self.rival is not None:
            rival, self.rival = self.rival, None
            rival.deliver(paid(1, NOW + 2))
        return super().share(person, records, now)


def test_what_was_written_while_a_record_was_marked_is_not_overwritten() -> None:
    """The older reading was written under the newer version, and the payment was gone from the lifetime value."""
    store = Overtaken()
    world = World(store)
    world.deliver(customer(1), paid(1, NOW + 1))
    store.rival = World(store)
    world.batch(customer(2, NOW + 3), paid(1, NOW + 4))
    assert store.profiles[FIRST].paid == {"usd": 6000}
    assert store.profiles[FIRST].shared


# --- The store's contract ---

PERSON, FIRST, SECOND = "own:test:" + "a" * 32, "own:test:cus_1", "own:test:cus_2"


def test_ties_come_together_and_go_again(store: AnyStore) -> None:
    assert store.tie([(PERSON, FIRST), (PERSON, SECOND)])[PERSON].records == {FIRST, SECOND}
    assert store.tie([(PERSON, FIRST)])[PERSON].records == {FIRST, SECOND}, "tied twice is tied once"
    store.untie([(PERSON, FIRST), (PERSON, "own:test:cus_9"), ("own:test:nobody", FIRST)])
    assert store.persons([PERSON, "own:test:nobody"])[PERSON] == Person(frozenset({SECOND}))


def test_an_id_that_stands_for_everybody_does_not_outgrow_the_table(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's item would have grown with every customer, and once it was full refused all their events."""
    # All 500 are as many requests.
    for module in ("store", "dynamodb"):
        monkeypatch.setattr(f"stripe_to_segment.state.{module}.MOST_RECORDS", 100)
    everybody = [(PERSON, f"own:test:cus_{number:05}") for number in range(120)]
    for start in range(0, len(everybody), 40):
        store.tie(everybody[start : start + 40])
    known = store.persons([PERSON])[PERSON]
    assert 100 <= len(known.records) <= 100 + 8, "a few may come in at once"
    assert store.tie([(PERSON, "own:test:cus_late")])[PERSON].records == known.records


def test_a_marked_record_keeps_what_it_holds_and_is_new_to_whoever_read_it_before(store: AnyStore) -> None:
    assert store.save([Profile(FIRST, user_id="user_1")], [], NOW) == {}
    store.tie([(PERSON, FIRST), (PERSON, SECOND)])
    versions = store.share(PERSON, [FIRST], NOW)
    (profile,) = store.load([FIRST], [], []).profiles.values()
    assert (profile.user_id, profile.shared, profile.version) == ("user_1", True, versions[FIRST])
    assert store.persons([PERSON])[PERSON].marked == {FIRST}
    stale = Profile(FIRST, user_id="user_9", version=1)
    assert set(store.save([stale], [], NOW)) == {FIRST}, "an older reading is not written"
    assert store.save([profile], [], NOW) == {}
    assert store.load([FIRST], [], []).profiles[FIRST].shared, "the mark stays"


def test_a_record_that_is_about_to_be_written_is_marked_too(store: AnyStore) -> None:
    """Two invocations meet: one ties the second customer before the other has written the first."""
    store.tie([(PERSON, FIRST), (PERSON, SECOND)])
    store.share(PERSON, [FIRST], NOW)
    assert set(store.save([Profile(FIRST, user_id="user_1")], [], NOW)) == {FIRST}
    begun = store.load([FIRST], [], []).profiles[FIRST]
    assert (begun.shared, begun.user_id) == (True, None)


def test_the_newest_opt_out_is_kept_and_nothing_of_the_ties_lost(store: AnyStore) -> None:
    store.tie([(PERSON, FIRST)])
    for said, as_of in (("true", NOW), ("false", NOW - 5)):
        assert store.save([], [Learnt(OPT_OUT, PERSON, said, as_of)], NOW) == {}
    assert store.persons([PERSON])[PERSON] == Person(frozenset({FIRST}), opted_out=True, as_of=NOW)
    store.save([], [Learnt(OPT_OUT, PERSON, "false", NOW + 5)], NOW)
    assert store.persons([PERSON])[PERSON].opted_out is False


# --- The law ---

KINDS = ["customer", "paid", "guest", "out", "in", "guest out", "guest in", "anonymous"]
steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 3), st.booleans()), min_size=1, max_size=14)


def told_of(history: list[tuple[str, int]]) -> list[tuple[StripeEvent, bool]]:
    """The events of a history, a second apart, and whether the user has opted out by then."""
    events = list[tuple[StripeEvent, bool]]()
    out = False
    for moment, (kind, number) in enumerate(history):
        at = NOW + moment
        match kind:
            case "customer":
                event = customer(number, at)
            case "paid":
                event = paid(number, at)
            case "guest":
                event = guest(moment, at)
            case "anonymous":
                event = customer(number + 10, at, user=None)
            case "guest out" | "guest in":
                out = kind == "guest out"
                event = guest(moment, at, metadata={"analytics_opt_out": str(out).lower()})
            case _:
                out = kind == "out"
                event = update(number, at, analytics_opt_out=str(out).lower())
        events.append((event, out))
    return events


def silent_in(world: World, events: list[tuple[StripeEvent, bool]]) -> None:
    """Nothing of the user may have been told by the events from the time of an opt-out."""
    quiet = {event.id for event, out in events if out}
    told = {call["context"]["stripe"]["event_id"] for call in world.calls if call.get("userId") == "user_1"}
    assert not told & quiet


@settings(max_examples=settings().max_examples * 3 // 2)
@given(steps)
def test_after_an_opt_out_nothing_goes_out_under_the_user_until_it_is_taken_back(
    history: list[tuple[str, int, bool]],
) -> None:
    world, events = World(), told_of([(kind, number) for kind, number, _ in history])
    world.deliver(*(event for event, _ in events))
    silent_in(world, events)


@settings(max_examples=settings().max_examples * 3 // 2)
@given(steps)
def test_after_an_opt_out_nothing_goes_out_however_the_events_are_batched(history: list[tuple[str, int, bool]]) -> None:
    world = World()
    events = told_of([(kind, number) for kind, number, _ in history if not kind.endswith("in")])
    batch = list[StripeEvent]()
    ends = [ends for kind, _, ends in history if not kind.endswith("in")]
    for (event, _), last in zip(events, ends, strict=True):
        batch.append(event)
        if last:
            world.batch(*batch)
            batch.clear()
    world.batch(*batch)
    silent_in(world, events)


# --- Traits of the person ---


def test_the_end_of_one_customer_does_not_speak_for_the_others_of_its_user() -> None:
    """A user who moved from monthly to yearly on a second Stripe customer was shown as cancelled while paying."""
    world = World()
    who = {"metadata": {"user_id": "user_1"}}
    first, second = {"id": "sub_1", "customer": "cus_1", **who}, {"id": "sub_2", "customer": "cus_2", **who}
    yearly = an_item(a_price(30000, "year", lookup_key="pro_yearly"))
    world.deliver(
        an_event("customer.subscription.created", a_subscription(**first), created=NOW),
        an_event("invoice.paid", an_invoice(customer="cus_1", amount_paid=3000), created=NOW + 1),
        an_event("customer.subscription.created", a_subscription(yearly, **second), created=NOW + DAY),
        an_event("invoice.paid", an_invoice(id="in_2", customer="cus_2", amount_paid=30000), created=NOW + DAY),
        an_event(
            "customer.subscription.deleted",
            a_subscription(**first, status="canceled", ended_at=NOW + 2 * DAY),
            created=NOW + 2 * DAY,
        ),
    )
    (traits,) = [call["traits"] for call in world.calls if call["type"] == "identify"][-1:]
    assert {name: traits[name] for name in ("plan", "mrr", "subscription_count", "subscription_status")} == {
        "plan": "pro_yearly",
        "mrr": 25,
        "subscription_count": 1,
        "subscription_status": "active",
    }
    assert traits["lifetime_value"] == 330


def test_customers_of_one_user_that_come_in_one_batch_are_summed_up_too() -> None:
    world = World()
    world.batch(
        *(
            an_event(
                "customer.subscription.created",
                a_subscription(id=f"sub_{name}", customer=f"cus_{name}", metadata={"user_id": "user_1"}),
                created=NOW + number,
            )
            for number, name in enumerate("abc")
        )
    )
    shown = [call["traits"]["mrr"] for call in world.calls if call["type"] == "identify"]
    assert shown == [20, 40, 60]


def test_mrr_in_several_currencies_is_shown_in_each_also_when_one_is_gone() -> None:
    """Of 30 dollars and 50 euros only one was in the traits."""
    world = World()
    euros = an_item(a_price(5000, currency="eur"))
    world.deliver(
        an_event("customer.subscription.created", a_subscription(id="sub_1"), created=NOW),
        an_event("customer.subscription.created", a_subscription(euros, id="sub_2", currency="eur"), created=NOW),
        an_event(
            "customer.subscription.deleted",
            a_subscription(id="sub_1", status="canceled", ended_at=NOW + DAY),
            created=NOW + DAY,
        ),
    )
    shown = [call["traits"].get("mrr_by_currency") for call in world.calls if call["type"] == "identify"]
    assert shown == [{"USD": 20}, {"EUR": 50, "USD": 20}, {"EUR": 50, "USD": 0}]
