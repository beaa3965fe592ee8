"""The checks after a run: no call is lost, repeated or outdated, and every poison event is a dead letter."""

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

# Fields that depend on the order of the events: the identity, and what the profile held when the call was made. The
# expected calls come from another order, so these fields are not compared. The sums and the traits have their own laws.
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
    # If a refund comes before its order, the order's call states the refund's shares.
    "revenue_refunded",
    "tax_refunded",
}
KNOWN_OF = {
    # If a refund comes before its order, it states only the payment.
    "Order Refunded": {"order_id", "of_known_payment"},
    # The payment intent's event has the reason of a failed payment, and may come later.
    "Payment Failed": {"failure_code", "decline_code", "failure_message", "payment_method_type", "card_brand"},
}
# For these events only the named fields are compared. An unpaid trial ends with a pause and, seconds later, with an end
# of the subscription: the one that arrives first makes the call, with its own time.
SAID_OF = {
    "Trial Ended": {"messageId", "event", "subscription_id", "trial_start_date", "trial_end_date", "converted"},
    # The payment and the trial's end are both needed: the one that arrives last makes the call, with its own time.
    "Trial Converted": {"messageId", "event", "subscription_id", "trial_end_date"},
}
# `changed` of calls that depend on the order of arrival, like Subscription Imported. They are not compared; the sums
# have their own law.
BALANCES = ({"billing_date"}, {"discount"}, {"mrr"})

# Events that depend on the order of arrival too: out of order, the end of a trial can look like a moved billing date,
# and the reverse. They are not compared; the sums cover their amounts.
ENDS_OF_TRIALS = {"Trial Ending Soon", "Trial Ended", "Trial Converted"}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: its kind, which the verdict counts, a description, and the customer."""

    kind: str
    text: str
    customer: str = ""


def of_circles(found: Sequence[Circle], calls: Iterable[Json]) -> Iterator[Violation]:
    """Compare the last identify of each user and the last group call of each group with a recount."""
    every = [_with_decimals(call) for call in calls if call["type"] != "track"]
    for circle in found:
        for fault in circles.faults_of(circle, every):
            yield Violation("stale", fault)


def of_customers(histories: Sequence[History], calls: Iterable[Json], settings: Settings) -> Iterator[Violation]:
    """Compare the calls of each customer, in order of arrival, with what the customer did."""
    whose = {event["id"]: history.customer for history in histories for event in (*history.events, history.last)}
    of_customer: dict[str, list[Json]] = defaultdict(list)
    for call in calls:
        event_id = call["context"]["stripe"]["event_id"]
        if event_id in whose:
            of_customer[whose[event_id]].append(_with_decimals(call))
        else:
            yield Violation("doubled", f"a call of {event_id}, which must not be delivered")
    for history in histories:
        for kind, text in _of_customer(history, of_customer[history.customer], settings):
            yield Violation(kind, f"{history.customer}: {text}", history.customer)


def _of_customer(history: History, calls: list[Json], settings: Settings) -> Iterator[tuple[str, str]]:
    first = history.happenings[0].body["created"]
    predicted = laws.Ours(first, settings=settings)
    for event in (*history.events, history.last):
        predicted.deliver([event])
    expected = {call["messageId"]: call for call, _ in predicted.tracks()}
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
            yield "doubled", f"{name} {message_id} is not expected"
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
    """Compare the lifetime values of each shop's users with the shop's balance."""
    of_a_till = {event.id for till in tills for event in (*till.events, *till.last)}
    theirs = [call for call in calls if call["context"]["stripe"]["event_id"] in of_a_till]
    for fault in at_the_end(tills, theirs):
        yield Violation("stale", fault)


def of_message_ids(rivals: Iterable[tuple[Json, Json]]) -> Iterator[Violation]:
    """Report each messageId that came with two contents."""
    for kept, other in rivals:
        differing = sorted(name for name in {*kept, *other} if kept.get(name) != other.get(name))
        yield Violation("doubled", f"messageId {kept['messageId']} came again with other {', '.join(differing)}")


def of_dead_letters(evil: Sequence[Poison], letters: Sequence[Message]) -> Iterator[Violation]:
    """Check that the dead letters are exactly the accepted poison events, byte for byte, with their reasons."""
    found: dict[str, set[str]] = defaultdict(set)
    for letter in letters:
        found[letter.body].add(letter.attributes.get("reason", ""))
    expected = {each.body.decode(): {each.reason} for each in evil if each.reason is not None}
    for body, reasons in expected.items():
        if found.get(body) != reasons:
            yield Violation("poison", f"{body[:40]!r}: dead-lettered with {found.get(body)}, not {reasons}")
    for body in found.keys() - expected.keys():
        yield Violation("poison", f"dead-lettered without being poison, {found[body]}: {body[:120]!r}")


def _fact(call: Mapping[str, Any]) -> Json:
    """The fields of a call that do not depend on the order of the events."""
    said = {**call, **call["properties"]}
    leave = {"properties"} | KNOWLEDGE | KNOWN_OF.get(call["event"], set())
    names = SAID_OF.get(call["event"], said.keys() - leave)
    return {name: said[name] for name in said if name in names}


def _with_decimals(call: Json) -> Json:
    read: Json = json.loads(json.dumps(call, default=float), parse_float=Decimal, parse_int=Decimal)
    return read
