"""The law of the till: what each user's last identify shows is what the balance transactions sum to, before fees."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulator.at_once import at_once
from tests.simulator.laws import unbalanced
from tests.simulator.till import GUEST, balance_of
from tests.simulator.worth import in_major
from tests.unit.worlds import ACCEPTED, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.stripe_side.event import StripeEvent
    from tests.simulator.at_once import Chances
    from tests.simulator.till import Till

__all__ = [
    "HOLD",
    "HOLDS",
    "at_the_end",
    "crossed",
    "deliver",
    "doubled",
    "held_up",
    "in_order",
    "lifetime_values",
    "mixed_up",
    "refunded",
    "replayed",
    "summed",
    "true",
]

HOLD = 300
# What goes back of a payment waits longer than the payment.
HOLDS = (HOLD, HOLD + HOLD // 2)
# Of calls that Segment answers, in bad weather.
ACCEPTING = 0.8


def lifetime_values(calls: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """What the last identify of each user shows, by user and lower-case currency, without zeros."""
    last: dict[str, Mapping[str, Any]] = {}
    for call in calls:
        if call["type"] == "identify":
            stranger = call.get("anonymousId", "")
            who = call.get("userId", stranger)
            if who != stranger:
                # From now on this is the user's history.
                last.pop(stranger, None)
            last[who] = call["traits"].get("lifetime_value_by_currency") or last.get(who, {})
    return {
        (user, code.lower()): Decimal(str(amount))
        for user, amounts in last.items()
        for code, amount in amounts.items()
        if amount
    }


def true[Key: (str, tuple[str, str])](minor: Mapping[Key, int]) -> dict[Key, Decimal]:
    """Amounts in major units, without zeros; the keys are currencies, or end with one."""
    return {key: in_major(amount, _currency_of(key)) for key, amount in minor.items() if amount}


def _currency_of(key: str | tuple[str, str]) -> str:
    return key if isinstance(key, str) else key[1]


def summed(world: World, name: str) -> dict[str, Decimal]:
    """The sums of a property over all calls, by currency, without zeros."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for call in world.calls:
        told = call.get("properties", {})
        if name in told:
            sums[told["currency"].lower()] += Decimal(str(told[name]))
    return {currency: amount for currency, amount in sums.items() if amount}


def refunded(calls: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """What our calls say was refunded and did not fail, by lower-case currency, without zeros."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for call in calls:
        sign = {"Order Refunded": 1, "Refund Failed": -1}.get(call.get("event", ""))
        if sign is not None:
            sums[call["properties"]["currency"].lower()] += sign * Decimal(str(call["properties"]["total"]))
    return {currency: amount for currency, amount in sums.items() if amount}


def deliver(world: World, events: list[StripeEvent]) -> list[StripeEvent]:
    """Deliver a batch; gives what has to come again."""
    again = {"waiting", "retry"}
    return [event for event, done in zip(events, world.batch(*events), strict=True) if done.status.value in again]


def in_order(till: Till) -> tuple[World, list[str]]:
    """Each moment's events in any order, and what waits for others again; the faults after every moment."""
    world, faults = World(PAYMENT_HOLD_SECONDS=str(HOLD)), list[str]()
    balance: dict[tuple[str, str], int] = defaultdict(int)
    for moment in till.moments:
        for key, minor in moment.moved.items():
            balance[key] += minor if key[0] != GUEST else 0
        world.now = moment.at + 1
        held = [event for one in moment.events for event in deliver(world, [one])]
        for after in HOLDS:
            world.now = moment.at + after + 1
            held = deliver(world, held)
        about = f"after {', '.join(event.type for event in moment.events)} at {moment.at}"
        if held:
            faults.append(f"{about}: something still waits")
        faults += _faults(lifetime_values(world.calls), true(balance), f"{about}: lifetime_value")
    faults += _faults(summed(world, "revenue"), true(till.revenue), "revenue")
    faults += unbalanced(call["properties"] for call in world.calls if call["type"] == "track")
    faults += _faults(summed(world, "revenue_refunded"), true(till.returned), "revenue_refunded")
    faults += _faults(refunded(world.calls), true(till.refunded), "refunds")
    strangers = {call["anonymousId"] for call in world.calls if "userId" not in call}
    faults += [f"{who} is no guest and has no user" for who in sorted(strangers) if not who.startswith("cs_")]
    return world, faults


def mixed_up(till: Till, order: Random, down: Answer | None = None, hold: int = HOLD) -> tuple[World, list[str]]:
    """Every event three times in any order, in batches of any size, long after the hold; the faults at the end.

    `down` is what Segment answers to every fifth call.
    """
    world = World(PAYMENT_HOLD_SECONDS=str(hold))
    events = till.events * 3
    order.shuffle(events)
    world.now = till.moments[-1].at + 1_000
    world.answer = lambda _: ACCEPTED if down is None or order.random() < ACCEPTING else down
    while events:
        size = order.choice((1, 2, 5, 20))
        events = [*events[size:], *deliver(world, events[:size])]
    return world, [*_sums_at_the_end(till, world.calls), *replayed(till, world)]


def held_up(till: Till, order: Random) -> tuple[World, list[str]]:
    """Every event twice in any order, in batches of any size, while it may wait for the others; the faults at the end.

    Then each payment's revenue stands on its calls once. A purchase is rounded for itself, so it may be a minor unit
    too much where other parts of its invoice were stated before the two were joined.
    """
    world = World(PAYMENT_HOLD_SECONDS=str(HOLD))
    events = till.events * 2
    order.shuffle(events)
    world.now = world.queued_at = till.moments[-1].at + 1_000
    for later in (0, 1, HOLD, HOLD):
        world.now += later
        left, events = events, []
        while left:
            size = order.choice((1, 2, 5, 20))
            events += deliver(world, left[:size])
            left = left[size:]
    faults = [f"{event.type} {event.id} still waits" for event in events]
    faults += _faults(summed(world, "revenue"), true(till.revenue), "revenue", apart=len(till.deposits))
    return world, [*faults, *_sums_at_the_end(till, world.calls), *replayed(till, world)]


def replayed(till: Till, world: World) -> Iterator[str]:
    """The calls that every event of the till sends once more: none may."""
    world.answer = lambda _: ACCEPTED
    for event in till.events:
        before = len(world.calls)
        world.batch(event)
        for call in world.calls[before:]:
            yield f"the replay of {event.type} {event.id} sent {call.get('event', call['type'])}"


def crossed(till: Till, seed: str, chances: Chances) -> list[str]:
    """Every event three times, through several functions at once; the faults at the end and of a replay."""
    ours = at_once([event.body for event in till.events], Random(f"at once {seed}"), chances)
    faults = [*ours.faults, *_sums_at_the_end(till, ours.calls), *doubled(till, ours.calls)]
    for event in till.events:
        sent = [call.get("event", call["type"]) for call in ours.deliver([event.body])]
        faults += [f"the replay of {event.type} {event.id} sent {name}" for name in sent]
    return faults


def doubled(till: Till, calls: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The orders that our calls state more than once, or never.

    Their revenue is without tax; an intent that is stated before its invoice says nothing of tax. Of an invoice in
    parts, a part may be stated by its intent too, if that comes before the invoice is known and does not wait; so may a
    purchase that was attached to it later.
    """
    parts = Counter(till.paid_by.values())
    said: dict[str, list[Decimal]] = defaultdict(list)
    for call in calls:
        told = call.get("properties", {})
        if "total" in told and "refund_id" not in told and call["event"] != "Order Refunded":
            minor = Decimal(str(told.get("revenue", 0))) / in_major(1, told["currency"].lower())
            said[till.paid_by.get(told["order_id"], told["order_id"])].append(minor)
    for order in till.sold.keys() | said.keys():
        _, total = till.sold.get(order, (0, 0))
        once = parts[order] == 1 and order not in till.deposits
        if not said[order] or (once and sum(said[order]) > total):
            yield f"order {order} is stated with revenue {said[order]}, of {total}, in minor units"


def _sums_at_the_end(till: Till, calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lifetime values and the refunds that differ, once every event of the till was delivered."""
    return [*at_the_end([till], calls), *_faults(refunded(calls), true(till.refunded), "refunds")]


def at_the_end(tills: Iterable[Till], calls: Iterable[Mapping[str, Any]]) -> list[str]:
    """Whose lifetime value differs from the balance, once everything was delivered."""
    truth = {key: amount for till in tills for key, amount in true(balance_of(till)).items()}
    return [*_faults(lifetime_values(calls), truth, "lifetime_value")]


def _faults[Key: (str, tuple[str, str])](
    said: Mapping[Key, Decimal], truth: Mapping[Key, Decimal], about: str, *, apart: int = 0
) -> Iterator[str]:
    """What differs by more than so many minor units."""
    for key in sorted(said.keys() | truth.keys(), key=str):
        if abs(said.get(key, Decimal()) - truth.get(key, Decimal())) > in_major(apart, _currency_of(key)):
            yield f"{about} of {key} is {said.get(key, 0)}, not {truth.get(key, 0)}"
