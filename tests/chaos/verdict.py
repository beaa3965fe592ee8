"""What must hold after the faults: nothing is lost, repeated or outdated, and every bad event is a dead letter."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulator import circles, laws
from tests.simulator.tills import at_the_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.local_stack.emulator import Message
    from tests.chaos.poison import Poison
    from tests.simulator.circles import Circle
    from tests.simulator.history import History
    from tests.simulator.till import Till

__all__ = ["Violation", "of_circles", "of_customers", "of_dead_letters", "of_message_ids", "of_tills"]

Json = dict[str, Any]

# What a call says beside its fact: as whom it is sent, and what was known besides when it was made. In another order
# than that of the expectation more or less is known; the sums and the traits have laws of their own.
KNOWLEDGE = {
    "type",
    "userId",
    "anonymousId",
    "context",
    "mrr_change",
    "mrr_movement",
    "previous_mrr",
    "plan",
    "after_trial",
    # A refund that comes before its order's events leaves its shares to the order.
    "revenue_refunded",
    "tax_refunded",
}
KNOWN_OF = {
    # A refund that comes before its order's events knows the payment only.
    "Order Refunded": {"order_id", "of_known_payment"},
    # Why a payment failed is its intent's to say, which may come later.
    "Payment Failed": {"failure_code", "decline_code", "failure_message", "payment_method_type", "card_brand"},
}
# A trial that nobody paid for ends with a pause, and with an end seconds later: the first to arrive tells, each of its
# own moment.
SAID_OF = {
    "Trial Ended": {"messageId", "event", "subscription_id", "trial_start_date", "trial_end_date", "converted"},
    # Told by the payment or by the trial's end, whichever comes last, each of its own moment.
    "Trial Converted": {"messageId", "event", "subscription_id", "trial_end_date"},
}
# What a subscription counted before the first event that came, and changes that no other event tells: both depend on
# what came before. The sums have a law of their own.
BALANCES = ({"billing_date"}, {"discount"}, {"mrr"})

# Whether a trial ended or a moved billing date came is known by what came before: an event that overtakes those tells
# the one for the other. What they bear is in the sums.
ENDS_OF_TRIALS = {"Trial Ended", "Trial Converted"}


@dataclass(frozen=True, slots=True)
class Violation:
    """What does not hold, as one of the kinds that the verdict counts, and whom it concerns."""

    kind: str
    text: str
    customer: str = ""


def of_circles(found: Sequence[Circle], calls: Iterable[Json]) -> Iterator[Violation]:
    """Hold the last identify of each user and the last group call of each group against a recount."""
    every = [_with_decimals(call) for call in calls if call["type"] != "track"]
    for circle in found:
        for fault in circles.faults_of(circle, every):
            yield Violation("stale", fault)


def of_customers(histories: Sequence[History], calls: Iterable[Json], settings: Settings) -> Iterator[Violation]:
    """Hold what Segment has of each customer, in the order in which it came, against what the customer did."""
    whose = {event["id"]: history.customer for history in histories for event in (*history.events, history.last)}
    of_customer: dict[str, list[Json]] = defaultdict(list)
    for call in calls:
        event_id = call["context"]["stripe"]["event_id"]
        if event_id in whose:
            of_customer[whose[event_id]].append(_with_decimals(call))
        else:
            yield Violation("doubled", f"a call of {event_id}, which was never to be delivered")
    for history in histories:
        for kind, text in _of_customer(history, of_customer[history.customer], settings):
            yield Violation(kind, f"{history.customer}: {text}", history.customer)


def _of_customer(history: History, calls: list[Json], settings: Settings) -> Iterator[tuple[str, str]]:
    first = history.happenings[0].body["created"]
    foretold = laws.Ours(first, settings=settings)
    for event in (*history.events, history.last):
        foretold.deliver([event])
    expected = {call["messageId"]: call for call, _ in foretold.tracks()}
    ours = laws.Ours(first, calls=calls)
    arrived = {call["messageId"]: call for call, _ in ours.tracks()}
    for message_id in expected.keys() | arrived.keys():
        call, other = expected.get(message_id), arrived.get(message_id)
        name = (call or other or {})["event"]
        if _balances(call or other or {}) or name in ENDS_OF_TRIALS:
            continue
        if other is None:
            yield "lost", f"{name} {message_id}"
        elif call is None:
            yield "doubled", f"{name} {message_id} is no fact"
        elif _fact(other) != _fact(call):
            yield "wrong", f"{name} {message_id} says {_fact(other)}, not {_fact(call)}"
    if not any(call["type"] == "identify" for call in calls):
        yield "lost", "no identify at all"
        return
    yield from (("wrong", fault) for fault in laws.payments_of(history, ours))
    yield from (("wrong", fault) for fault in laws.changes_of(history, ours))
    yield from (("stale", fault) for fault in laws.traits_of(history, ours))


def _balances(call: Mapping[str, Any]) -> bool:
    return call["event"] == "Subscription Imported" or {*call["properties"].get("changed", ())} in BALANCES


def of_tills(tills: Sequence[Till], calls: Iterable[Json]) -> Iterator[Violation]:
    """Hold the lifetime values that Segment has of each shop's users against the shop's balance."""
    of_a_till = {event.id for till in tills for event in (*till.events, *till.last)}
    theirs = [call for call in calls if call["context"]["stripe"]["event_id"] in of_a_till]
    for fault in at_the_end(tills, theirs):
        yield Violation("stale", fault)


def of_message_ids(rivals: Iterable[tuple[Json, Json]]) -> Iterator[Violation]:
    """No messageId with two contents."""
    for kept, other in rivals:
        differing = sorted(name for name in {*kept, *other} if kept.get(name) != other.get(name))
        yield Violation("doubled", f"messageId {kept['messageId']} came again with other {', '.join(differing)}")


def of_dead_letters(evil: Sequence[Poison], letters: Sequence[Message]) -> Iterator[Violation]:
    """Every poison that got in is a dead letter, with its reason and to the byte, and nothing else is."""
    found: dict[str, set[str]] = defaultdict(set)
    for letter in letters:
        found[letter.body].add(letter.attributes.get("reason", ""))
    expected = {each.body.decode(): {each.reason} for each in evil if each.reason is not None}
    for body, reasons in expected.items():
        if found.get(body) != reasons:
            yield Violation("poison", f"{body[:40]!r}: dead with {found.get(body)}, not {reasons}")
    for body in found.keys() - expected.keys():
        yield Violation("poison", f"dead for no reason of its own, {found[body]}: {body[:120]!r}")


def _fact(call: Mapping[str, Any]) -> Json:
    """What a call says, without what depends on what else was known."""
    said = {**call, **call["properties"]}
    leave = {"properties"} | KNOWLEDGE | KNOWN_OF.get(call["event"], set())
    names = SAID_OF.get(call["event"], said.keys() - leave)
    return {name: said[name] for name in said if name in names}


def _with_decimals(call: Json) -> Json:
    read: Json = json.loads(json.dumps(call, default=float), parse_float=Decimal, parse_int=Decimal)
    return read
