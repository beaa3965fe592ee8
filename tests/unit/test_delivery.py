"""A batch is delivered once, in one request, and each record's status is what its answers and the StateTable allow."""

from __future__ import annotations

import json
from collections import defaultdict
from copy import replace
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.circuit_breaker import Pause
from stripe_to_segment.errors import StoreConflictError, StoreUnavailableError
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.claim import Receipt
from stripe_to_segment.state.memory_store import MemoryStore
from tests.unit.shapes import NOW, a_customer, a_price, a_session, a_subscription, an_event, an_invoice, an_item
from tests.unit.worlds import ACCEPTED, World, changes, names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt, Memory

CREATED, UPDATED, DELETED = (f"customer.subscription.{kind}" for kind in ("created", "updated", "deleted"))
DOWN = Answer(Meaning.RETRY, "http_503")
REFUSED = Answer(Meaning.REFUSED, "http_400", "no")


def statuses(outcomes: Iterable[Any]) -> list[str]:
    return [outcome.status.value for outcome in outcomes]


def test_a_batch_is_one_request() -> None:
    world = World()
    world.batch(*(an_event("customer.created", a_customer(id=f"cus_{n}")) for n in range(100)))
    assert [len(request) for request in world.requests] == [100]


def test_live_and_test_calls_are_sent_apart() -> None:
    world = World()
    world.batch(*(an_event("customer.created", a_customer(), livemode=mode) for mode in (True, False)))
    assert [call["livemode"] for call in world.calls] == [True, False]


def test_a_second_delivery_of_an_event_sends_nothing() -> None:
    world = World()
    event = an_event(CREATED, a_subscription())
    world.batch(event)
    (again,) = world.batch(event)
    assert (again.status, again.reason) == ("ignored", "already_delivered")
    assert len(world.calls) == 2


def test_the_same_event_twice_in_one_batch_is_sent_once() -> None:
    world = World()
    event = an_event(CREATED, a_subscription())
    assert statuses(world.batch(event, event)) == ["delivered", "delivered"]
    assert names(world.calls) == ["identify", "Subscription Created"]


def test_the_same_event_twice_in_one_batch_survives_an_outage() -> None:
    """The second copy, with nothing to send, counted as delivered, and its mark made a dead letter of the first."""
    world = World()
    event = an_event(CREATED, a_subscription())
    world.answer = lambda _: DOWN
    assert statuses(world.batch(event, event)) == ["retry", "retry"]
    world.answer = lambda _: ACCEPTED
    assert statuses(world.batch(event, event)) == ["delivered", "delivered"]
    assert names(world.calls) == ["identify", "Subscription Created"]


def test_two_events_about_one_fact_in_one_batch_survive_an_outage() -> None:
    world = World()
    twins = [an_event("invoice.paid", an_invoice()) for _ in range(2)]
    world.answer = lambda _: DOWN
    world.batch(*twins)
    world.answer = lambda _: ACCEPTED
    world.batch(twins[1])
    assert names(world.calls) == ["identify", "Order Completed"]


def test_two_event_objects_about_one_change_are_one_fact() -> None:
    world = World()
    world.batch(an_event("invoice.paid", an_invoice()))
    world.batch(an_event("invoice.paid", an_invoice()))
    assert names(world.calls) == ["identify", "Order Completed"]


def test_a_retry_after_an_outage_sends_the_same_message_ids() -> None:
    world = World()
    event = an_event(CREATED, a_subscription())
    world.answer = lambda _: DOWN
    assert statuses(world.batch(event)) == ["retry"]
    world.answer = lambda _: ACCEPTED
    assert statuses(world.batch(event)) == ["delivered"]
    assert world.requests[0] == world.requests[1]


def test_only_what_did_not_arrive_is_sent_again() -> None:
    world = World()
    event = an_event(CREATED, a_subscription())
    world.answer = lambda call: DOWN if call.body["type"] == "identify" else ACCEPTED
    world.batch(event)
    world.answer = lambda _: ACCEPTED
    world.batch(event)
    assert names(world.calls) == ["Subscription Created", "identify"]


def test_a_refused_call_dead_letters_only_its_own_event() -> None:
    world = World()
    world.answer = lambda call: REFUSED if call.body.get("event") == "Checkout Completed" else ACCEPTED
    bad, good = world.batch(
        an_event("checkout.session.completed", a_session()), an_event("customer.created", a_customer())
    )
    assert (bad.status, bad.reason, bad.detail) == ("dead", "http_400", "no")
    assert good.status == "delivered"


def test_an_event_is_dead_lettered_only_when_none_of_its_calls_may_still_arrive() -> None:
    world = World()
    world.answer = lambda call: REFUSED if call.body["type"] == "identify" else DOWN
    assert statuses(world.batch(an_event(CREATED, a_subscription()))) == ["retry"]


def test_retry_after_reaches_the_outcome() -> None:
    world = World()
    world.answer = lambda _: Answer(Meaning.RETRY, "http_429", retry_after=120)
    (outcome,) = world.batch(an_event(CREATED, a_subscription()))
    assert outcome.wait == 120


@pytest.mark.parametrize(
    ("body", "reason"),
    [("{", "not_json"), ("[]", "not_an_event"), ("null", "not_an_event"), ('{"a": NaN}', "not_json")],
)
def test_a_record_that_is_no_event_is_dead_lettered_with_the_reason(body: str, reason: str) -> None:
    bad, good = World().batch(body, an_event("customer.created", a_customer()))
    assert {(outcome.status, outcome.reason) for outcome in (bad, good)} == {("dead", reason), ("delivered", "")}


def test_an_event_of_another_mode_or_account_is_ignored() -> None:
    live = an_event(CREATED, a_subscription(), livemode=True)
    connected = an_event(CREATED, a_subscription(), account="acct_other")
    assert statuses(World(STRIPE_MODE="test").batch(live, connected)) == ["ignored", "ignored"]


def test_an_error_in_enrich_dead_letters_the_event_without_the_errors_text() -> None:
    world = World()

    def broken(_call: dict[str, Any], _event: dict[str, Any]) -> None:
        raise ValueError("jo@example.com")

    world.enrich = broken
    (outcome,) = world.batch(an_event(CREATED, a_subscription()))
    assert (outcome.status, outcome.reason) == ("dead", "enrich_failed")
    assert "ValueError" in outcome.detail
    assert "jo@example.com" not in outcome.detail


@pytest.mark.parametrize("result", ["text", {}, {"type": "track"}, {"type": "identify", "messageId": "mine"}])
def test_an_enrich_that_returns_no_call_dead_letters_the_event(result: object) -> None:
    world = World()
    world.enrich = lambda *_: result
    assert statuses(world.batch(an_event("customer.created", a_customer()))) == ["dead"]


def test_an_enrich_may_change_or_drop_a_call() -> None:
    world = World()
    world.enrich = lambda call, event: (
        None if call["type"] == "identify" else {**call, "properties": {"type": event["type"]}}
    )
    world.batch(an_event(CREATED, a_subscription()))
    assert [call["properties"] for call in world.calls] == [{"type": CREATED}]


class BrokenStore(MemoryStore):
    """A StateTable that does not answer."""

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:  # noqa: ARG002 - it never answers
        raise StoreUnavailableError("down")


def test_a_statetable_that_does_not_answer_means_waiting_and_nothing_is_sent() -> None:
    world = World(BrokenStore())
    assert statuses(world.batch(an_event(CREATED, a_subscription()))) == ["retry"]
    assert world.requests == []


class UnreadStore(MemoryStore):
    """A StateTable whose reads all fail."""

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        raise AssertionError(keys)


class ClosedFor:
    """A gate that keeps one mode's events back."""

    def __init__(self, *, livemode: bool) -> None:
        self.livemode = livemode
        self.heard: list[tuple[bool, list[str]]] = []

    def asks(self, _: Iterable[bool]) -> list[str]:
        return []

    def waits(self, modes: Iterable[bool], _: object) -> dict[bool, Pause | None]:
        return {mode: Pause(90, 2) if mode is self.livemode else None for mode in modes}

    def note(self, answers: Iterable[Answer], *, livemode: bool) -> None:
        self.heard.append((livemode, [answer.meaning.value for answer in answers]))


def test_while_the_circuit_is_open_nothing_is_looked_up_mapped_or_sent() -> None:
    world = World(UnreadStore())
    world.gate = ClosedFor(livemode=True)
    (outcome,) = world.batch(an_event("customer.created", a_customer(), livemode=True))
    assert (outcome.status, outcome.reason, outcome.wait, outcome.tries) == ("retry", "circuit_open", 90, 2)
    assert world.requests == []


def test_a_closed_gate_for_one_mode_lets_the_other_through_and_gets_its_answers() -> None:
    world = World()
    world.gate = gate = ClosedFor(livemode=True)
    outcomes = world.batch(*(an_event("customer.created", a_customer(), livemode=mode) for mode in (True, False)))
    assert statuses(outcomes) == ["retry", "delivered"]
    assert [call["livemode"] for call in world.calls] == [False]
    assert gate.heard == [(False, ["accepted"])]


def test_the_circuit_breaker_is_also_called_when_nothing_was_sent() -> None:
    world, event = World(), an_event("customer.created", a_customer(), livemode=False)
    world.deliver(event)
    world.gate = gate = ClosedFor(livemode=True)
    assert world.deliver(event) == []
    assert gate.heard == [(False, [])]


class UnwritableStore(MemoryStore):
    """A StateTable that refuses records."""

    def save(self, profiles: Sequence[Profile], *_: Any) -> dict[str, Exception]:
        return {profile.key: StoreUnavailableError("down") for profile in profiles}


def test_calls_whose_claim_cannot_be_written_are_not_sent() -> None:
    """Calls were sent before the claim was written, so after a crash in between they were sent again with other
    content."""
    world = World(UnwritableStore())
    (outcome,) = world.batch(an_event(CREATED, a_subscription()))
    assert (outcome.status, outcome.reason) == ("retry", "store_unavailable")
    assert world.requests == []


class UnreceiptedStore(MemoryStore):
    """A StateTable that takes records, but no receipt."""

    def put_receipt(self, *_: Any) -> None:
        raise StoreUnavailableError("down")


def test_calls_without_a_receipt_are_sent_again_with_the_same_message_ids() -> None:
    world = World(UnreceiptedStore())
    event = an_event(CREATED, a_subscription())
    for _ in range(2):
        (outcome,) = world.batch(event)
        assert (outcome.status, outcome.reason) == ("retry", "store_unavailable")
    assert world.requests[0] == world.requests[1]


def test_calls_sent_before_the_function_died_are_sent_again_unchanged() -> None:
    """Meanwhile the user had become known, so Segment got one messageId with two contents."""
    world = World(UnreceiptedStore())
    paid, session = an_event("invoice.paid", an_invoice()), an_event("checkout.session.completed", a_session())
    world.batch(paid)
    world.batch(an_event("customer.updated", a_customer(metadata={"user_id": "u1", "group_id": "g1"})))
    world.batch(session, paid)
    said = [call for call in world.calls if call.get("event") == "Order Completed" and "anonymousId" in call]
    first, *others = [call for call in said if call["messageId"] == said[0]["messageId"]]
    assert first["anonymousId"] == "cus_basic"
    assert others == [first]


def test_a_fact_of_two_events_is_sent_as_the_first_one_stated_it() -> None:
    world = World(UnreceiptedStore())
    world.batch(an_event("invoice.paid", an_invoice()))
    world.batch(an_event("customer.updated", a_customer(metadata={"user_id": "u1"})))
    world.batch(an_event("invoice.paid", an_invoice(), created=NOW + 1))
    said = [call for call in world.calls if call.get("event") == "Order Completed"]
    assert len(said) == 2
    assert said[0] == said[1]


def test_an_identify_that_is_mapped_again_has_the_current_traits() -> None:
    world = World()
    world.answer = lambda _: DOWN
    first = an_event(CREATED, a_subscription())
    world.batch(first)
    world.answer = lambda _: ACCEPTED
    world.batch(an_event(CREATED, a_subscription(an_item(a_price(5000)), id="sub_second"), created=NOW + 1))
    world.batch(first)
    assert [call["traits"]["mrr"] for call in world.calls if call["type"] == "identify"] == [70, 70]


def test_a_group_call_that_did_not_arrive_is_sent_in_the_next_attempt() -> None:
    """The record already had the group id, so the second attempt did not send the group call."""
    world = World()
    event = an_event("customer.updated", a_customer(metadata={"user_id": "u1", "group_id": "g1"}))
    world.answer = lambda _: DOWN
    world.batch(event)
    world.answer = lambda _: ACCEPTED
    world.batch(event)
    assert [call["groupId"] for call in world.calls if call["type"] == "group"] == ["g1"]


def test_a_dead_lettered_event_is_mapped_again_when_it_is_redriven() -> None:
    """A call that Segment refused is not sent again unchanged, because its cause was fixed before the redrive."""
    world, event = World(), an_event("invoice.paid", an_invoice())
    world.answer = lambda _: REFUSED
    assert statuses(world.batch(event)) == ["dead"]
    world.answer = lambda _: ACCEPTED
    world.enrich = lambda call, _: {**call, "properties": {"mended": True}}
    assert statuses(world.batch(event)) == ["delivered"]
    assert [call["properties"] for call in world.calls if call["type"] == "track"] == [{"mended": True}]


def test_of_two_copies_in_a_batch_neither_counts_the_others_failed_call_as_sent() -> None:
    """The second copy had only the track, which arrived, so the event counted as delivered and the identify was
    lost."""
    world = World()
    world.batch(an_event(CREATED, a_subscription()))
    more = an_event(UPDATED, a_subscription(an_item(quantity=3)), previous={"quantity": 1}, created=NOW + 1)
    world.answer = lambda call: DOWN if call.body["type"] == "identify" else ACCEPTED
    assert statuses(world.batch(more, more)) == ["retry", "delivered"]
    world.answer = lambda _: ACCEPTED
    world.batch(more)
    assert [call["traits"]["mrr"] for call in world.calls if call["type"] == "identify"] == [20, 60]


class UnansweredStore(MemoryStore):
    """A StateTable whose first answer to a write gets lost, so that the SDK's second attempt meets the first."""

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        first = not self.profiles
        errors = super().save(profiles, learnt, now)
        return {profile.key: StoreConflictError(profile.key) for profile in profiles} if first else errors


def test_a_claim_whose_answer_was_lost_counts_as_this_batchs_own() -> None:
    """The batch waited for its own claim until the lease ended."""
    world = World(UnansweredStore())
    world.lease = 60
    assert statuses(world.batch(an_event(CREATED, a_subscription()))) == ["delivered"]
    assert names(world.calls) == ["identify", "Subscription Created"]


def test_a_redriven_event_states_the_same_mrr_change() -> None:
    """The record knew of it by then: a late upgrade counted once more, an end took away what came after it."""
    world = World()
    world.batch(an_event(CREATED, a_subscription()))
    world.batch(an_event(DELETED, a_subscription(status="canceled", ended_at=NOW + 9), created=NOW + 9))
    seats = an_item(quantity=3)
    late = an_event(UPDATED, a_subscription(seats), previous={"items": {"data": [an_item()]}}, created=NOW + 5)
    world.answer = lambda _: REFUSED
    assert statuses(world.batch(late)) == ["dead"]
    world.answer = lambda _: ACCEPTED
    world.enrich = lambda call, _: {**call, "mended": True}
    world.batch(late)
    assert changes(world) == [20, -20, 0]
    assert [call.get("mended") for call in world.calls if call.get("event") == "Subscription Upgraded"] == [True]


def test_a_redriven_cancellation_takes_away_the_same_mrr() -> None:
    world = World()
    world.batch(an_event(CREATED, a_subscription()))
    end = an_event(DELETED, a_subscription(status="canceled", ended_at=NOW + 9), created=NOW + 9)
    seats = an_item(quantity=3)
    late = an_event(UPDATED, a_subscription(seats), previous={"items": {"data": [an_item()]}}, created=NOW + 5)
    world.answer = lambda _: REFUSED
    world.batch(end)
    world.answer = lambda _: ACCEPTED
    world.batch(late)
    world.batch(end)
    assert changes(world) == [20, 0, -20]


@pytest.mark.parametrize("answer", [DOWN, REFUSED], ids=["tried again", "redriven"])
def test_a_trait_beside_a_group_call_is_not_lost_with_a_failure(answer: Answer) -> None:
    """Another event's identify came in between, which knew everything but the new address."""
    world = World()
    world.batch(an_event(CREATED, a_subscription()))
    moved = an_event("customer.updated", a_customer(email="new@example.com", metadata={"group_id": "g1"}))
    world.answer = lambda _: answer
    world.batch(moved)
    world.answer = lambda _: ACCEPTED
    world.batch(an_event(CREATED, a_subscription(id="sub_second"), created=NOW + 1))
    before = len(world.calls)
    world.batch(moved)
    told = world.calls[before:]
    assert [call["traits"]["email"] for call in told if call["type"] == "identify"] == ["new@example.com"]
    assert [call["groupId"] for call in told if call["type"] == "group"] == ["g1"]


def test_an_identify_with_another_context_has_another_message_id() -> None:
    """The group was learnt between two attempts: one messageId, two contents."""
    world, event = World(UnreceiptedStore()), an_event(CREATED, a_subscription())
    world.batch(an_event("customer.created", a_customer()))
    world.batch(event)
    world.batch(an_event("customer.updated", a_customer(metadata={"group_id": "g1"}), created=NOW + 1))
    world.batch(event)
    contents: dict[str, set[str]] = defaultdict(set)
    for call in world.calls:
        contents[call["messageId"]].add(json.dumps(call))
    assert {message for message, found in contents.items() if len(found) > 1} == set()
    of_event = [call for call in world.calls if call["context"]["stripe"]["event_id"] == event.id]
    first, again = (call for call in of_event if call["type"] == "identify")
    assert first["traits"] == again["traits"]
    assert (first["context"].get("groupId"), again["context"].get("groupId")) == (None, "g1")


class WatchedStore(MemoryStore):
    """Calls a function before a receipt is written."""

    def __init__(self, before_receipt: Callable[[], None]) -> None:
        super().__init__()
        self.before_receipt = before_receipt

    def put_receipt(self, *arguments: Any) -> None:
        self.before_receipt()
        super().put_receipt(*arguments)


def test_while_one_batch_sends_calls_of_a_customer_the_others_wait() -> None:
    """Two identifies overtook each other, and the one that arrived last had fewer traits."""
    seen: list[str] = []
    second = an_event(CREATED, a_subscription(an_item(a_price(5000)), id="sub_second"), created=NOW + 1)
    somebody_else = an_event("customer.created", a_customer(id="cus_else"))

    def meanwhile() -> None:
        if not seen:
            seen.append("nobody's yet")
            seen.extend(outcome.reason for outcome in world.batch(second, somebody_else))

    world = World(WatchedStore(meanwhile))
    world.lease = 60
    world.batch(an_event(CREATED, a_subscription()))
    assert seen[1:] == ["under_way", ""], "other customers are not concerned"
    assert statuses(world.batch(second)) == ["delivered"]
    shown = [call["traits"] for call in world.calls if call["type"] == "identify"]
    assert [traits["mrr"] for traits in shown if "mrr" in traits] == [20, 70]


def test_a_batch_waits_for_a_dead_one_only_until_its_lease_ends() -> None:
    world = World(UnreceiptedStore())
    world.lease = 60
    world.batch(an_event(CREATED, a_subscription()))
    later = an_event("invoice.paid", an_invoice(), created=NOW + 1)
    waits = []
    for seconds in (0, 59, 1):
        world.now += seconds
        waits.append(world.batch(later)[0].reason)
    assert waits == ["under_way", "under_way", "store_unavailable"], "the last one was told, and not confirmed either"
    assert names(world.calls)[-1] == "Order Completed"


def test_a_batch_that_waits_for_another_first_releases_the_customers_it_has_sent() -> None:
    """Two batches with the same two customers, one sent by each, waited half a minute for each other."""
    world = World()
    world.lease = 60
    theirs = an_event("customer.created", a_customer(id="cus_theirs"))
    ours, again = an_event(CREATED, a_subscription()), an_event("invoice.paid", an_invoice(), created=NOW + 1)
    later = an_event("customer.updated", a_customer(id="cus_theirs", name="Later"), created=NOW + 1)

    def meanwhile(_: float) -> float:
        world.wait = None
        waited.extend(outcome.status for outcome in world.batch(again))
        world.store.put_receipt(other, Receipt(), world.now)
        return world.now + 1

    waited: list[str] = []
    world.batch(theirs)
    (profile,) = world.store.load([("profile", "own:test:cus_theirs")]).profiles.values()
    other = "another batch's"
    world.store.save([replace(profile, delivery=other, lease_until=world.now + 60)], [], world.now)
    world.wait = meanwhile
    assert statuses(world.batch(ours, later)) == ["delivered", "delivered"]
    assert waited == ["delivered"]


class RacedStore(MemoryStore):
    """Lets another invocation write the record between our read and our write, once."""

    def __init__(self, rival: World, event: Any) -> None:
        super().__init__()
        rival.store = self
        self.rival, self.event, self.raced = rival, event, False

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        if not self.raced:
            self.raced = True
            self.rival.batch(self.event)
        return super().save(profiles, learnt, now)


def test_two_invocations_on_one_customer_end_with_the_traits_of_both() -> None:
    """Each would have sent traits without the other's subscription; who comes second shows them together."""
    rival = World()
    second = an_event(CREATED, a_subscription(an_item(a_price(5000)), id="sub_second"))
    world = World(RacedStore(rival, second))
    assert statuses(world.batch(an_event(CREATED, a_subscription(id="sub_first")))) == ["delivered"]
    assert [call["traits"]["mrr"] for call in world.calls if call["type"] == "identify"] == [70]
    assert names(world.calls).count("Subscription Created") == 1
    (profile,) = world.store.load([("profile", "own:test:cus_basic")]).profiles.values()
    assert set(profile.subscriptions) == {"sub_first", "sub_second"}


def test_a_429_pauses_the_mode_also_for_records_that_are_mapped_again() -> None:
    """Two invocations met on one customer of a batch, so one record is mapped again.

    It must not send another request.
    """
    met = a_subscription(customer="cus_met")
    world = World(RacedStore(World(), an_event(CREATED, a_subscription(customer="cus_met", id="sub_second"))))
    gate = world.gate = ClosedFor(livemode=True)
    gate.note = lambda *_, livemode: setattr(gate, "livemode", livemode)  # type: ignore[method-assign]
    world.answer = lambda _: Answer(Meaning.RETRY, "http_429", retry_after=90)
    outcomes = world.batch(an_event(CREATED, met), an_event(CREATED, a_subscription()))
    assert [(outcome.reason, outcome.wait) for outcome in outcomes] == [("circuit_open", 90), ("http_429", 90)]
    assert len(world.requests) == 1


def test_traits_that_never_arrived_are_shown_by_a_later_try_even_of_an_older_event() -> None:
    """An upgrade failed at Segment, and a renewal after it succeeded: the renewal itself changes no trait."""
    world = World()
    pro = an_item(a_price(5000, id="price_pro"))
    world.batch(an_event(CREATED, a_subscription()))
    upgrade = an_event(UPDATED, a_subscription(pro), previous={"items": {"data": [an_item()]}}, created=NOW + 1)
    world.answer = lambda _: DOWN
    world.batch(upgrade)
    world.answer = lambda _: ACCEPTED
    world.batch(an_event(UPDATED, a_subscription(pro), previous={"latest_invoice": "in_0"}, created=NOW + 2))
    world.batch(upgrade)
    assert [call["traits"]["mrr"] for call in world.calls if call["type"] == "identify"][-1] == 50
    assert names(world.calls).count("Subscription Upgraded") == 1


def test_a_correction_that_did_not_arrive_is_made_by_the_next_try() -> None:
    """The end came before an upgrade and subtracted 20.

    The upgrade's call brings the sum to 0, and Segment was down.
    """
    world = World()
    pro = an_item(a_price(5000, id="price_pro"))
    world.batch(an_event(CREATED, a_subscription()))
    ended = a_subscription(pro, status="canceled", ended_at=NOW + 9)
    world.batch(an_event("customer.subscription.deleted", ended, created=NOW + 9))
    late = an_event(UPDATED, a_subscription(pro), previous={"items": {"data": [an_item()]}}, created=NOW + 5)
    world.answer = lambda _: DOWN
    world.batch(late)
    world.answer = lambda _: ACCEPTED
    world.batch(late)
    changes = [call["properties"]["mrr_change"] for call in world.calls if call["type"] == "track"]
    assert sum(changes) == 0


def test_a_history_whose_joining_failed_is_joined_by_the_next_try() -> None:
    world = World()
    world.batch(an_event(CREATED, a_subscription()))
    session = an_event("checkout.session.completed", a_session(client_reference_id="u1"))
    world.answer = lambda _: DOWN
    world.batch(session)
    world.answer = lambda _: ACCEPTED
    world.batch(session)
    joins = [call for call in world.calls if call.get("userId") == "u1" and call.get("anonymousId") == "cus_basic"]
    assert [call["type"] for call in joins] == ["identify"]


def test_an_mrr_that_became_unknown_is_sent_as_null() -> None:
    world = World()
    world.batch(an_event(CREATED, a_subscription()))
    tiered = an_item(a_price(None, billing_scheme="tiered", id="price_tiers"))
    world.batch(an_event(UPDATED, a_subscription(tiered), previous={"items": {"data": [an_item()]}}, created=NOW + 1))
    shown = [call["traits"] for call in world.calls if call["type"] == "identify"]
    assert [traits["mrr"] for traits in shown] == [20, None]


def test_an_order_of_a_guest_whom_nobody_knows_has_no_lifetime_value() -> None:
    (identify, *_) = World().deliver(an_event("checkout.session.completed", a_session(customer=None)))
    assert "lifetime_value" not in identify["traits"]


def test_an_order_of_a_known_guest_counts_in_the_users_lifetime_value() -> None:
    guest = a_session(customer=None, client_reference_id="u1")
    (identify, *_) = World().deliver(an_event("checkout.session.completed", guest))
    assert identify["userId"] == "u1"
    assert identify["traits"]["lifetime_value"] == 50


def test_product_names_learnt_from_events_name_the_plan() -> None:
    world = World()
    world.batch(an_event("product.updated", {"id": "prod_basic", "object": "product", "name": "Basic Plan"}))
    facts = world.tracks(an_event(CREATED, a_subscription()))
    assert facts["Subscription Created"]["plan"] == "Basic Plan"


def test_an_older_product_event_does_not_restore_an_old_name() -> None:
    world = World()
    for name, created in (("New", NOW), ("Old", NOW - 60)):
        product = {"id": "prod_basic", "object": "product", "name": name}
        world.batch(an_event("product.updated", product, created=created))
    assert world.tracks(an_event(CREATED, a_subscription()))["Subscription Created"]["plan"] == "New"


def test_no_event_ever_goes_out_without_an_id_a_name_and_a_time() -> None:
    world = World()
    world.batch(an_event(CREATED, a_subscription()), an_event("invoice.paid", an_invoice()))
    for call in world.calls:
        assert call.get("userId") or call.get("anonymousId")
        assert call["timestamp"] == "2026-11-18T11:06:40.000Z"
        assert call["context"]["library"]["name"] == "stripe-to-segment"
        assert call["context"]["active"] is False
        assert len(call["messageId"]) == 36


def test_renaming_dropping_and_routing_are_settings() -> None:
    world = World(
        RENAME_EVENTS='{"Order Completed": "Purchase Completed"}',
        DROP_EVENTS="Checkout Completed",
        INTEGRATIONS='{"*": {"All": true}, "Order Completed": {"All": false, "Amplitude": true}}',
    )
    calls = world.deliver(an_event("checkout.session.completed", a_session()))
    assert names(calls) == ["identify", "Purchase Completed"]
    assert [call["integrations"] for call in calls] == [{"All": True}, {"All": False, "Amplitude": True}]


def test_renaming_an_event_does_not_send_it_again() -> None:
    world = World()
    event = an_event("invoice.paid", an_invoice())
    world.batch(event)
    world.settings = replace(world.settings, rename_events={"Order Completed": "Purchase Completed"})
    world.batch(an_event("invoice.paid", an_invoice()))
    assert names(world.calls) == ["identify", "Order Completed"]


def test_two_stacks_give_different_message_ids() -> None:
    event = an_event("invoice.paid", an_invoice())
    found = {World(SOURCE_NAME=name).deliver(event)[0]["messageId"] for name in ("staging", "production", "staging")}
    assert len(found) == 2
