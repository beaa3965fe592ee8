"""A user may have several customers and guest payments: an opt-out of one applies to all of them."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.errors import StoreConflictError, StoreUnavailableError
from stripe_to_segment.reasons import Reason
from stripe_to_segment.state.claim import Receipt
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment.state.person import MOST_GUESTS, MOST_SIBLINGS, Person
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.state.store import OPT_OUT, Learnt
from stripe_to_segment.stripe_side.event import StripeEvent
from tests.unit.edges import TABLE
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
from tests.unit.worlds import ACCEPTED, World, shown

if TYPE_CHECKING:
    from stripe_to_segment.segment_side.answers import Answer

    type AnyStore = MemoryStore | DynamoStore

OUT = {"analytics_opt_out": "true"}


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


# --- Repeats ---


def test_an_event_that_changed_nothing_sends_nothing_again_after_another_customer_of_the_user_paid(
    store: AnyStore,
) -> None:
    """The traits of the user differed from those that this customer had shown last, though the other customer had shown
    them, so each repeat of such an event sent one more identify and one more group call."""
    world = World(store)
    body = a_customer(id="cus_1", metadata={"user_id": "user_1", "group_id": "acme"})
    nothing_new = an_event("customer.updated", body, created=NOW + 2, previous={"balance": 0})
    world.deliver(customer(1, group_id="acme"), paid(1, NOW + 1), nothing_new)
    world.deliver(customer(2, NOW + 3, group_id="acme"), paid(2, NOW + 4))
    world.deliver(an_event("customer.subscription.created", a_subscription(customer="cus_2"), created=NOW + 5))
    told = len(world.calls)
    world.deliver(nothing_new)
    assert world.calls[told:] == []


# --- Silence ---


def test_an_opt_out_of_one_customer_applies_to_the_others_and_the_guest(store: AnyStore) -> None:
    world = World(store)
    world.deliver(customer(1), customer(2, NOW + 1))
    told = len(world.calls)
    world.deliver(update(2, NOW + 2, **OUT))
    world.deliver(paid(1, NOW + 3), guest(1, NOW + 4), customer(3, NOW + 5), paid(3, NOW + 6))
    assert len(world.calls) == told


def test_an_opt_out_as_a_guest_applies_to_the_users_customers(store: AnyStore) -> None:
    world = World(store)
    world.deliver(guest(1, metadata={"analytics_opt_out": "true"}), customer(1, NOW + 1), paid(1, NOW + 2))
    assert world.calls == []


def test_an_opt_out_as_a_guest_applies_to_a_customer_that_is_already_known(store: AnyStore) -> None:
    """A user's only customer did not read the person again, and its calls were sent after the user opted out as a
    guest."""
    world = World(store)
    world.deliver(customer(1), paid(1, NOW + 1))
    told = len(world.calls)
    world.deliver(guest(1, NOW + 2, metadata=OUT), paid(1, NOW + 3), update(1, NOW + 4))
    assert len(world.calls) == told
    world.deliver(guest(2, NOW + 5, metadata={"analytics_opt_out": "false"}), paid(1, NOW + 6))
    assert len(world.calls) > told, "and hears when a guest takes it back"


def test_an_opt_out_as_a_guest_in_the_customers_first_batch_applies_later_too(store: AnyStore) -> None:
    world = World(store)
    world.batch(customer(1), guest(1, NOW + 1, metadata=OUT))
    told = len(world.calls)
    world.deliver(paid(1, NOW + 2))
    assert len(world.calls) == told
    world.deliver(guest(2, NOW + 3, metadata={"analytics_opt_out": "false"}), paid(1, NOW + 4))
    assert len(world.calls) > told


def test_an_opt_out_after_a_guests_payment_applies_to_its_refund(store: AnyStore) -> None:
    world = World(store)
    world.deliver(guest(1), customer(1, NOW + 1, **OUT))
    told = len(world.calls)
    refund = a_charge(customer=None, payment_intent="pi_guest_1")
    world.deliver(an_event("charge.refunded", refund, created=NOW + 2))
    assert len(world.calls) == told


def test_in_one_batch_no_event_after_an_opt_out_is_sent(store: AnyStore) -> None:
    world = World(store)
    world.batch(customer(1, NOW, **OUT), customer(2, NOW + 1), guest(1, NOW + 2), paid(2, NOW + 3))
    assert world.calls == []


def test_an_opt_out_from_before_the_user_was_known_applies_to_the_user(store: AnyStore) -> None:
    """An opt-out in the customer's record was lost as soon as the user had another record too."""
    world = World(store)
    world.deliver(customer(1, user=None, **OUT))
    session = a_session(customer="cus_1", client_reference_id="user_1", mode="subscription", subscription="sub_basic")
    world.deliver(an_event("checkout.session.completed", session, created=NOW + 1), customer(2, NOW + 2))
    assert world.calls == []


def test_the_newest_opt_out_statement_counts_from_any_customer(store: AnyStore) -> None:
    world = World(store)
    world.deliver(customer(1, **OUT), customer(2, NOW + 1))
    assert world.calls == []
    world.deliver(update(2, NOW + 5, analytics_opt_out="false"), paid(1, NOW + 6))
    assert {call["userId"] for call in world.calls} == {"user_1"}
    late = update(1, NOW + 3, **OUT)
    heard = len(world.calls)
    world.deliver(late, paid(1, NOW + 7))
    assert len(world.calls) > heard, "an older word takes nothing back"


def test_an_opt_out_applies_to_one_user_in_one_mode_and_account() -> None:
    world = World(CONNECT_EVENTS="accept")
    world.deliver(customer(1, **OUT))
    world.deliver(customer(2, NOW + 1, user="user_2"))
    live = an_event("customer.created", a_customer(id="cus_3", metadata={"user_id": "user_1"}), livemode=True)
    other = an_event("customer.created", a_customer(id="cus_4", metadata={"user_id": "user_1"}), account="acct_1")
    world.deliver(live, other)
    assert {call["userId"] for call in world.calls} == {"user_2", "user_1", "acct_1:user_1"}


def test_a_user_id_that_already_has_the_accounts_prefix_is_the_same_user(store: AnyStore) -> None:
    """The calls of both have one userId, but an opt-out of one did not apply to the other."""
    world = World(store, CONNECT_EVENTS="accept")
    for number, user in enumerate(("u1", "acct_1:u1"), 1):
        metadata = {"user_id": user, **(OUT if number == 1 else {})}
        body = a_customer(id=f"cus_{number}", metadata=metadata)
        world.deliver(an_event("customer.created", body, created=NOW + number, account="acct_1"))
    assert world.calls == []


def test_with_the_platforms_users_an_opt_out_applies_to_every_account() -> None:
    world = World(CONNECT_EVENTS="accept", CONNECT_USERS="platform")
    world.deliver(customer(1, **OUT))
    other = an_event("customer.created", a_customer(id="cus_4", metadata={"user_id": "user_1"}), account="acct_1")
    world.deliver(other)
    assert world.calls == []


def test_a_customer_that_moves_to_another_user_leaves_the_opt_out_behind(store: AnyStore) -> None:
    world = World(store)
    world.deliver(customer(1, **OUT), update(1, NOW + 1, user="user_2"), customer(2, NOW + 2, user="user_2"))
    assert {call["userId"] for call in world.calls} == {"user_2"}
    told = len(world.calls)
    world.deliver(customer(3, NOW + 3))
    assert len(world.calls) == told, "the user who opted out stays silent"


def test_an_opt_out_stays_when_the_record_is_deleted(table: Any) -> None:
    world = World(DynamoStore(table, TABLE))
    world.deliver(customer(1, **OUT))
    for item in table.scan(TableName=TABLE)["Items"]:
        key = item["pk"]["S"]
        if key.startswith(("profile#", "person#")):
            assert "expires_at" not in item, key
    table.delete_item(TableName=TABLE, Key={"pk": {"S": "profile#own:test:cus_1"}})
    world.deliver(customer(2, NOW + 400 * DAY), paid(2, NOW + 401 * DAY))
    assert world.calls == []


def test_no_key_of_a_person_reveals_the_user(table: Any) -> None:
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


def test_a_write_during_the_marking_of_a_record_is_not_overwritten() -> None:
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


def test_ties_are_added_and_removed(store: AnyStore) -> None:
    assert store.tie([(PERSON, FIRST), (PERSON, SECOND)])[PERSON].records == {FIRST, SECOND}
    assert store.tie([(PERSON, FIRST)])[PERSON].records == {FIRST, SECOND}, "tied twice is tied once"
    store.untie([(PERSON, FIRST), (PERSON, "own:test:cus_9"), ("own:test:nobody", FIRST)])
    assert store.persons([PERSON, "own:test:nobody"])[PERSON] == Person(frozenset({SECOND}))


def test_a_person_to_which_a_record_was_tied_since_is_not_claimed(store: AnyStore) -> None:
    """A batch with a payment as a guest did not mark it, and its later calls showed it without that payment."""
    nobody = Person().with_guest("pi_1", {"usd": 100})
    store.tie([(PERSON, FIRST)])
    assert set(store.claim({PERSON: nobody}, "d1", NOW)) == {PERSON}
    read = store.persons([PERSON])[PERSON]
    store.tie([(PERSON, SECOND)])
    assert set(store.claim({PERSON: read}, "d1", NOW)) == {PERSON}
    assert store.claim(store.persons([PERSON]), "d1", NOW) == {}
    store.untie([(PERSON, FIRST), (PERSON, SECOND)])
    assert store.claim(store.persons([PERSON]), "d2", NOW) == {}


def test_an_id_shared_by_all_customers_does_not_exceed_the_item_size(
    store: AnyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's item would have grown with every customer, and once it was full refused all their events."""
    # All 500 are as many requests.
    for module in ("memory_store", "stored_persons"):
        monkeypatch.setattr(f"stripe_to_segment.state.{module}.MOST_RECORDS", 100)
    everybody = [(PERSON, f"own:test:cus_{number:05}") for number in range(120)]
    for start in range(0, len(everybody), 40):
        store.tie(everybody[start : start + 40])
    known = store.persons([PERSON])[PERSON]
    assert 100 <= len(known.records) <= 100 + 8, "a few may come in at once"
    assert store.tie([(PERSON, "own:test:cus_late")])[PERSON].records == known.records


def test_marking_a_record_keeps_its_data_and_raises_its_version(store: AnyStore) -> None:
    assert store.save([Profile(FIRST, user_id="user_1")], [], NOW) == {}
    store.tie([(PERSON, FIRST), (PERSON, SECOND)])
    versions = store.share(PERSON, [FIRST], NOW)
    (profile,) = store.load([("profile", FIRST)]).profiles.values()
    assert (profile.user_id, profile.shared, profile.version) == ("user_1", True, versions[FIRST])
    assert store.persons([PERSON])[PERSON].marked == {FIRST}
    stale = Profile(FIRST, user_id="user_9", version=1)
    assert set(store.save([stale], [], NOW)) == {FIRST}, "an older reading is not written"
    assert store.save([profile], [], NOW) == {}
    assert store.load([("profile", FIRST)]).profiles[FIRST].shared, "the mark stays"


def test_a_record_that_is_about_to_be_written_is_marked_too(store: AnyStore) -> None:
    """Two invocations meet: one ties the second customer before the other has written the first."""
    store.tie([(PERSON, FIRST), (PERSON, SECOND)])
    store.share(PERSON, [FIRST], NOW)
    assert set(store.save([Profile(FIRST, user_id="user_1")], [], NOW)) == {FIRST}
    begun = store.load([("profile", FIRST)]).profiles[FIRST]
    assert (begun.shared, begun.user_id) == (True, None)


def test_the_newest_opt_out_and_all_ties_are_kept(store: AnyStore) -> None:
    store.tie([(PERSON, FIRST)])
    for said, as_of in (("true", NOW), ("false", NOW - 5)):
        assert store.save([], [Learnt(OPT_OUT, PERSON, said, as_of)], NOW) == {}
    assert store.persons([PERSON])[PERSON] == Person(frozenset({FIRST}), opted_out=True, as_of=NOW)
    store.save([], [Learnt(OPT_OUT, PERSON, "false", NOW + 5)], NOW)
    assert store.persons([PERSON])[PERSON].opted_out is False


# --- The law ---

KINDS = ["customer", "paid", "guest", "out", "in", "guest out", "guest in", "anonymous"]
steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 3), st.booleans()), min_size=1, max_size=14)


def event_with(history: list[tuple[str, int]]) -> list[tuple[StripeEvent, bool]]:
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


def sent_against_an_opt_out(world: World, events: list[tuple[StripeEvent, bool]]) -> set[str]:
    """The events from the time of an opt-out on that have sent something about the user."""
    quiet = {event.id for event, out in events if out}
    told = {call["context"]["stripe"]["event_id"] for call in world.calls if call.get("userId") == "user_1"}
    return told & quiet


@settings(max_examples=settings().max_examples * 3 // 2)
@given(steps)
def test_after_an_opt_out_nothing_is_sent_of_the_user_until_it_is_withdrawn(
    history: list[tuple[str, int, bool]],
) -> None:
    world, events = World(), event_with([(kind, number) for kind, number, _ in history])
    world.deliver(*(event for event, _ in events))
    assert sent_against_an_opt_out(world, events) == set()


@settings(max_examples=settings().max_examples * 3 // 2)
@given(steps)
def test_after_an_opt_out_nothing_is_sent_however_the_events_are_batched(history: list[tuple[str, int, bool]]) -> None:
    world = World()
    events = event_with([(kind, number) for kind, number, _ in history if not kind.endswith("in")])
    batch = list[StripeEvent]()
    ends = [ends for kind, _, ends in history if not kind.endswith("in")]
    for (event, _), last in zip(events, ends, strict=True):
        batch.append(event)
        if last:
            world.batch(*batch)
            batch.clear()
    world.batch(*batch)
    assert sent_against_an_opt_out(world, events) == set()


# --- Traits of the person ---


def test_the_end_of_one_customers_subscription_leaves_those_of_the_users_other_customers() -> None:
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


@pytest.mark.parametrize("names", [("sub_1", "sub_2"), ("sub_2", "sub_1")])
@pytest.mark.parametrize(
    ("other", "status"),
    [("unpaid", "trialing"), ("paused", "trialing"), ("free", "trialing"), ("active", "active"), (None, "trialing")],
)
def test_a_running_trial_is_shown_beside_any_other_subscription(
    names: tuple[str, str], other: str | None, status: str
) -> None:
    """Of two subscriptions without an mrr the user had that of the lower id, and the trial of the other was hidden."""
    world, who, plan = World(), {"metadata": {"user_id": "user_1"}}, a_price(0 if other == "free" else 2000)
    trial = {"status": "trialing", "trial_start": NOW, "trial_end": NOW + 7 * DAY, "created": NOW}
    old = {"status": "active" if other == "free" else other}
    if other is not None:
        first = a_subscription(an_item(plan), id=names[0], customer="cus_1", **who, **old)
        world.deliver(an_event("customer.subscription.created", first, created=NOW - DAY))
    second = a_subscription(an_item(a_price(lookup_key="pro")), id=names[1], customer="cus_2", **who, **trial)
    world.deliver(an_event("customer.subscription.created", second, created=NOW))
    assert (shown(world, "subscription_status"), shown(world, "plan") == "pro") == (status, status == "trialing")
    assert shown(world, "trial_ends_at") == "2026-11-25T11:06:40.000Z"


def test_customers_of_one_user_in_one_batch_are_added_up() -> None:
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


def test_mrr_is_sent_in_each_currency_also_after_one_ended() -> None:
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


def subscribed(number: int, at: int, user: str = "user_1", **more: Any) -> StripeEvent:
    body = a_subscription(id=f"sub_{number}", customer=f"cus_{number}", metadata={"user_id": user, **more})
    return an_event("customer.subscription.created", body, created=at)


def shown_to(world: World, who: str, kind: str = "identify") -> dict[str, Any]:
    """The traits of a user or a group as the calls leave them."""
    name = {"identify": "userId", "group": "groupId"}[kind]
    return {
        key: value
        for call in world.calls
        if call["type"] == kind and call.get(name) == who
        for key, value in call["traits"].items()
    }


def test_a_guests_payment_and_its_refund_count_in_the_users_lifetime_value(store: AnyStore) -> None:
    world = World(store)
    world.deliver(customer(1), paid(1, NOW + 1), guest(1, NOW + 2))
    assert shown_to(world, "user_1")["lifetime_value"] == 70
    refund = a_charge(customer=None, payment_intent="pi_guest_1", amount_refunded=1000, refunded=False)
    world.deliver(an_event("charge.refunded", refund, created=NOW + 3, previous={"amount_refunded": 0}))
    assert shown_to(world, "user_1")["lifetime_value"] == 60
    world.deliver(paid(1, NOW + 4))
    assert shown_to(world, "user_1")["lifetime_value"] == 80, "the customer's next event knows of the guest"


def test_the_traits_of_a_group_cover_all_its_customers(store: AnyStore) -> None:
    """The group call of one customer said the account had what that one has."""
    world = World(store)
    world.deliver(*(subscribed(number, NOW + number, f"user_{number}", group_id="team_1") for number in (1, 2)))
    assert (shown_to(world, "team_1", "group")["mrr"], shown_to(world, "team_1", "group")["seats"]) == (40, 2)
    assert shown_to(world, "team_1", "group")["subscription_count"] == 2


def test_the_lifetime_value_of_a_group_is_what_all_its_customers_have_paid(store: AnyStore) -> None:
    """It was a trait of users alone. A customer who moves takes the own part along."""
    world = World(store)
    world.deliver(*(subscribed(number, NOW + number, f"user_{number}", group_id="team_1") for number in (1, 2)))
    in_euros = an_invoice(id="in_eur", customer="cus_2", currency="eur", total=9000)
    world.deliver(paid(1, NOW + 3), paid(2, NOW + 4), an_event("invoice.paid", in_euros, created=NOW + 5))
    team = shown_to(world, "team_1", "group")
    assert (team["lifetime_value"], team["currency"]) == (40, "USD")
    assert team["lifetime_value_by_currency"] == {"EUR": 90, "USD": 40}
    moved = a_customer(id="cus_2", metadata={"user_id": "user_2", "group_id": "team_2"})
    before = {"metadata": {"user_id": "user_2", "group_id": "team_1"}}
    world.deliver(an_event("customer.updated", moved, created=NOW + 6, previous=before))
    teams = [shown_to(world, name, "group") for name in ("team_1", "team_2")]
    assert [team["lifetime_value"] for team in teams] == [20, 20]
    assert [team["lifetime_value_by_currency"]["EUR"] for team in teams] == [0, 90]


def test_a_user_whom_a_customer_leaves_gets_the_remaining_traits(store: AnyStore) -> None:
    world = World(store)
    world.deliver(*(subscribed(number, NOW + number, group_id="team_1") for number in (1, 2)))
    moved = a_customer(id="cus_2", metadata={"user_id": "user_2", "group_id": "team_2"})
    before = {"metadata": {"user_id": "user_1", "group_id": "team_1"}}
    world.deliver(an_event("customer.updated", moved, created=NOW + 5, previous=before))
    assert [shown_to(world, who)["mrr"] for who in ("user_1", "user_2")] == [20, 20]
    assert [shown_to(world, who, "group")["mrr"] for who in ("team_1", "team_2")] == [20, 20]


def test_what_a_user_has_left_is_in_its_own_currency() -> None:
    """The currency of the customer that left stood beside the remaining amount in another one."""
    world = World()
    in_euros = an_invoice(id="in_2", customer="cus_2", currency="eur", total=9000)
    world.deliver(customer(1), customer(2, NOW + 1), paid(1, NOW + 2), an_event("invoice.paid", in_euros))
    assert shown_to(world, "user_1")["currency"] == "EUR"
    world.deliver(update(2, NOW + 5, user="user_2"))
    left = shown_to(world, "user_1")
    assert (left["lifetime_value"], left["currency"]) == (20, "USD")
    assert left["lifetime_value_by_currency"] == {"EUR": 0, "USD": 20}


def test_a_user_whom_the_only_customer_leaves_has_no_traits_left(store: AnyStore) -> None:
    world = World(store)
    world.deliver(subscribed(1, NOW), paid(1, NOW + 1), update(1, NOW + 2, user="user_2"))
    left = shown_to(world, "user_1")
    assert {name: left[name] for name in ("plan", "plans", "mrr", "subscription_count", "lifetime_value")} == {
        "plan": None,
        "plans": [],
        "mrr": 0,
        "subscription_count": 0,
        "lifetime_value": 0,
    }
    assert (left["mrr_by_currency"], left["lifetime_value_by_currency"]) == ({"USD": 0}, {"USD": 0})
    farewell = [call for call in world.calls if call.get("userId") == "user_1"][-1]
    assert "externalIds" not in farewell["context"], "the customer is somebody else's now"


def test_a_customer_that_leaves_and_returns_in_one_batch_is_still_tied(store: AnyStore) -> None:
    """The tie to the user whom a customer left was taken away after it had come back."""
    world = World(store)
    world.deliver(subscribed(1, NOW), subscribed(2, NOW + 1))
    world.batch(update(2, NOW + 2, user="user_2"), update(2, NOW + 3))
    world.deliver(paid(1, NOW + 4))
    assert shown_to(world, "user_1")["mrr"] == 40


def test_a_write_during_the_marking_by_a_guests_payment_is_not_overwritten() -> None:
    """A guest's payment marked the user's customer, and wrote an older reading of it under the newer version."""

    class Overtaken(MemoryStore):
        overtaken: World | None = None

        def persons(self, keys: Any) -> Any:
            if self.overtaken is not None:
                world, self.overtaken = self.overtaken, None
                world.deliver(paid(1, NOW + 2))
            return super().persons(keys)

    store = Overtaken()
    world = World(store)
    world.deliver(customer(1), paid(1, NOW + 1))
    store.overtaken = World(store)
    world.batch(guest(1, NOW + 3), paid(1, NOW + 4))
    (profile,) = [one for one in store.profiles.values() if one.key.endswith("cus_1")]
    assert profile.paid == {"usd": 6000}
    assert shown_to(world, "user_1")["lifetime_value"] == 110


def test_a_record_that_was_not_written_counts_in_no_other_record_of_the_user() -> None:
    """A batch with two customers of one user could write only one record, but sent the sum over both."""

    class Throttled(MemoryStore):
        failing = True

        def save(self, profiles: Any, learnt: Any, now: float) -> dict[str, Exception]:
            failed = [one for one in profiles if self.failing and one.key.endswith("cus_2")]
            written = [one for one in profiles if one not in failed]
            errors: dict[str, Exception] = {one.key: StoreUnavailableError("throttled") for one in failed}
            return {**super().save(written, learnt, now), **errors}

    store = Throttled()
    world = World(store)
    world.batch(subscribed(1, NOW), subscribed(2, NOW + 1))
    assert world.calls == []
    store.failing = False
    world.batch(subscribed(1, NOW), subscribed(2, NOW + 1))
    assert shown_to(world, "user_1")["mrr"] == 40


def test_a_batch_waits_for_another_that_sends_calls_of_the_same_user() -> None:
    store = MemoryStore()
    first, second = World(store), World(store)
    first.deliver(subscribed(1, NOW), subscribed(2, NOW + 1))
    first.lease = second.lease = 60
    outcomes = list[RecordOutcome]()

    def meanwhile(_call: Any) -> Answer:
        if not outcomes:
            outcomes.extend(second.batch(paid(2, NOW + 3)))
        return ACCEPTED

    first.answer = meanwhile
    first.batch(paid(1, NOW + 2))
    assert [(one.status, one.reason) for one in outcomes] == [(Status.RETRY, Reason.UNDER_WAY)]
    second.deliver(paid(2, NOW + 3))
    assert shown_to(second, "user_1")["lifetime_value"] == 40


# --- The limits ---


class Requests(Counted):
    """Counts the records that are read, too."""

    def load(self, keys: Any) -> Any:
        self.asked.append(f"load {sum(kind == 'profile' for kind, _ in keys)}")
        return super().load(keys)

    def claim(self, persons: Any, delivery: str, lease_until: int) -> Any:
        self.asked.append("claim")
        return super().claim(persons, delivery, lease_until)


def test_twenty_customers_of_one_user_cost_two_reads_and_one_write_more() -> None:
    store = Requests()
    world = World(store)
    world.deliver(*(subscribed(number, NOW + number) for number in range(20)))
    store.asked.clear()
    world.deliver(paid(7, NOW + 99))
    assert store.asked == ["load 1", "persons", "load 20", "claim"]
    assert shown_to(world, "user_1")["mrr"] == 400


def test_a_user_with_one_customer_costs_no_further_request() -> None:
    store = Requests()
    world = World(store)
    world.deliver(subscribed(1, NOW, group_id="team_1"))
    store.asked.clear()
    world.deliver(paid(1, NOW + 1))
    assert store.asked == ["load 1"]


def test_beyond_the_limit_each_customer_has_its_own_traits() -> None:
    world = World()
    world.deliver(*(subscribed(number, NOW + number) for number in range(MOST_SIBLINGS + 1)))
    assert shown_to(world, "user_1")["mrr"] == 20


def test_payments_as_a_guest_beyond_those_listed_stay_in_the_sum() -> None:
    person = Person()
    for number in range(MOST_GUESTS + 5):
        person = person.with_guest(f"pi_{number}", {"usd": 100})
    assert person.paid_as_guest() == {"usd": 100 * (MOST_GUESTS + 5)}
    assert len(person.guests) == MOST_GUESTS + 1
    assert person.paid_as_guest(without="pi_504") == {"usd": 100 * (MOST_GUESTS + 4)}


def test_a_person_is_claimed_once_for_each_version(store: AnyStore) -> None:
    store.tie([(PERSON, FIRST)])
    read = store.persons([PERSON])[PERSON]
    assert store.claim({PERSON: read.with_guest("pi_1", {"usd": 5})}, "d1", NOW) == {}
    assert [type(error) for error in store.claim({PERSON: read}, "d2", NOW).values()] == [StoreConflictError]
    now = store.persons([PERSON])[PERSON]
    assert (now.delivery, now.lease_until, now.version, now.guests) == ("d1", NOW, 1, {"pi_1": {"usd": 5}})
    assert store.claim({PERSON: now}, "d2", NOW) == {}
    assert now.records == {FIRST}


def test_a_second_customer_of_a_subscriber_is_expansion_and_no_new_subscriber() -> None:
    """Movements were those of the customer: a user who moved to a second one was new twice, and lost while paying."""
    world = World()
    gone = a_subscription(
        id="sub_1", customer="cus_1", metadata={"user_id": "user_1"}, status="canceled", ended_at=NOW + DAY
    )
    again = subscribed(3, NOW + 3 * DAY)
    end = {**gone, "id": "sub_2", "customer": "cus_2", "ended_at": NOW + 2 * DAY}
    world.deliver(
        subscribed(1, NOW),
        subscribed(2, NOW + 1),
        an_event("customer.subscription.deleted", gone, created=NOW + DAY),
        an_event("customer.subscription.deleted", end, created=NOW + 2 * DAY),
        again,
    )
    told = [call["properties"]["mrr_movement"] for call in world.calls if "mrr_movement" in call.get("properties", {})]
    assert told == ["new", "expansion", "contraction", "churn", "reactivation"]


def test_what_another_batch_wrote_just_before_its_receipt_is_in_the_traits() -> None:
    """The other customer was read before that batch had written it, and the receipt afterwards: so nothing waited.

    The lifetime value was that of the time before, and stayed so.
    """

    class Finishing(MemoryStore):
        """Another batch has claimed the person: it writes its customer and its receipt while the receipt is read."""

        written: Profile | None = None

        def receipts(self, deliveries: Any) -> Any:
            if self.written is not None and "other" in deliveries:
                self.profiles[self.written.key], self.known_receipts["other"] = self.written, Receipt()
            return super().receipts(deliveries)

    store = Finishing()
    world = World(store)
    world.lease = 60
    world.deliver(customer(1), customer(2, NOW + 1), paid(1, NOW + 2), paid(2, NOW + 3))
    (key,) = [key for key, person in store.known_persons.items() if person.several]
    assert store.claim({key: store.known_persons[key]}, "other", world.now + 60) == {}
    first = store.profiles["own:test:cus_1"]
    store.written = replace(
        first,
        paid={"usd": 3 * first.paid["usd"]},
        delivery="other",
        lease_until=world.now + 60,
        version=first.version + 1,
    )
    (record,) = world.batch(paid(2, NOW + 4))
    assert record.status is Status.DELIVERED
    shown = [call["traits"] for call in world.calls if call["type"] == "identify"]
    values = [traits["lifetime_value"] for traits in shown if "lifetime_value" in traits]
    assert values[-1] == 5 * values[-2] / 2


def test_a_new_customer_of_a_user_waits_for_a_batch_that_is_sending_calls_of_the_other_one() -> None:
    """That batch knew the other one alone: it has claimed no person, and its traits would arrive last."""
    store = MemoryStore()
    world = World(store)
    world.lease = 60
    world.deliver(customer(1), paid(1, NOW + 2))
    first = store.profiles["own:test:cus_1"]
    store.profiles[first.key] = replace(first, delivery="other", lease_until=world.now + 60)
    (record,) = world.batch(customer(2, NOW + 3))
    assert (record.status, record.reason) == (Status.RETRY, Reason.UNDER_WAY)
    store.known_receipts["other"] = Receipt()
    (record,) = world.batch(customer(2, NOW + 3))
    assert record.status is Status.DELIVERED
