"""What must hold for every history: our calls, summed up, are the truth.

With `tills.py`, `weather.py` and `at_once.py` the modules here that run the package under test.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record, Status
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.settings import settings_from
from stripe_to_segment.state.encoding import fact_item, profile_item
from stripe_to_segment.state.memory_store import MemoryStore
from tests.simulator.worth import in_major, moment_of, month_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Learnt
    from tests.simulator.history import History
    from tests.simulator.worth import Payment

__all__ = [
    "ACCEPTED",
    "FINE",
    "SETTINGS",
    "Ours",
    "changes_of",
    "in_order",
    "judged",
    "movements_of",
    "payments_of",
    "replayed",
    "shuffled_and_tripled",
    "since",
    "traits_of",
    "with_late_retries",
    "with_the_clock",
]

Json = dict[str, Any]
RETRIED, YEAR = 0.5, 365 * 86_400
FINE = {Status.DELIVERED, Status.IGNORED}
ACCEPTED = Answer(Meaning.ACCEPTED)
SETTINGS = settings_from({"IDENTITY_HOLD_SECONDS": "0", "PAYMENT_HOLD_SECONDS": "0"})


@dataclass(slots=True)
class Ours:
    """Everything sent for one customer, and how its records fared."""

    frozen_at: float
    calls: list[Json] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)
    settings: Settings = SETTINGS
    _records: Iterator[int] = field(default_factory=count)

    def deliver(self, events: Iterable[Json], now: float | None = None) -> list[Json]:
        """One batch; gives the calls it brought."""
        before = len(self.calls)
        records = [Record(f"{next(self._records)}", json.dumps(event)) for event in events]
        delivery = Delivery(self.settings, self.store, self.take, lambda call, _: call)
        for outcome in delivery.deliver(records, self.frozen_at if now is None else now):
            if outcome.status not in FINE:
                self.faults.append(f"record {outcome.record.id} is {outcome.status}: {outcome.reason} {outcome.detail}")
        return self.calls[before:]

    def take(self, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
        """Segment, which takes everything."""
        assert not livemode
        # What stands on the wire, with every number as the decimal that is written there.
        self.calls += [json.loads(call.encoded, parse_float=Decimal, parse_int=Decimal) for call in calls]
        return {call.message_id: ACCEPTED for call in calls}

    def tracks(self) -> Iterator[tuple[Json, Json]]:
        """Each track call with its properties."""
        return ((call, call["properties"]) for call in self.calls if call["type"] == "track")

    def sums(self, unknown: Collection[str] = ()) -> dict[tuple[str, str], Decimal]:
        """Revenue, refunds and mrr by lower-case currency, each as the sum of what our calls say.

        The mrr leaves out the `unknown` subscriptions, whose mrr no payload states any more.
        """
        sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for call, each in self.tracks():
            currency = each.get("currency", "").lower()
            if "revenue" in each:
                sums["revenue", currency] += each["revenue"]
            if call["event"] == "Order Refunded":
                sums["refunds", currency] += each["total"]
            if "mrr_change" in each and each["subscription_id"] not in unknown:
                sums["mrr", currency] += each["mrr_change"]
        return sums


def in_order(history: History, settings: Settings = SETTINGS) -> Ours:
    """One event after the other, as they happened, with the laws that hold after every one of them."""
    ours = Ours(history.happenings[0].body["created"], settings=settings)
    changes: dict[str, Decimal] = defaultdict(Decimal)
    bearers: Counter[int] = Counter()
    doubtful: set[str] = set()
    for happening in history.happenings:
        about = f"after {happening.body['type']} {happening.body['id']}"
        carried = [
            (call["properties"]["mrr_change"], call)
            for call in ours.deliver([happening.body])
            if "mrr_change" in call.get("properties", {})
        ]
        if len(carried) > 1:
            ours.faults.append(f"{about}: {[call['event'] for _, call in carried]} all bear an mrr_change")
        for change, call in carried:
            changes[call["properties"]["subscription_id"]] += change
            bearers[happening.moment] += change != 0
        subscription = happening.subscription
        if subscription is None:
            continue
        currency = history.truth.mrr[subscription][0]
        if happening.mrr is None:
            # Never 0 and never a part of it; sums say nothing about this subscription any more.
            doubtful.add(subscription)
            ours.faults += [f"{about}: {call['event']} bears an mrr_change that nobody knows" for _, call in carried]
        elif happening.closes and subscription not in doubtful:
            truth = in_major(happening.mrr, currency)
            if changes[subscription] != truth:
                ours.faults.append(
                    f"{about}: the changes of {subscription} sum to {changes[subscription]}, not {truth}"
                )
            if bearers[happening.moment] != happening.changed:
                ours.faults.append(f"{about}: {bearers[happening.moment]} bear the change, not {happening.changed:d}")
        if happening.closes:
            ours.faults += _shown_mrr(ours.calls, subscription, happening.mrr, currency, about)
    ours.deliver([history.last])
    return ours


def _shown_mrr(calls: list[Json], subscription: str, minor: int | None, currency: str, about: str) -> Iterator[str]:
    """The newest track of the subscription that states its mrr must be right."""
    said = (call["properties"] for call in reversed(calls) if call["type"] == "track")
    newest = next((each for each in said if each.get("subscription_id") == subscription and "status" in each), None)
    expected = None if minor is None else in_major(minor, currency)
    if newest is not None and newest.get("mrr") != expected:
        yield f"{about}: the newest call of {subscription} says mrr {newest.get('mrr')}, not {expected}"


def replayed(history: History, ours: Ours) -> list[str]:
    """Everything once more, in order: nothing is sent."""
    again = [call for happening in history.happenings for call in ours.deliver([happening.body])]
    again += ours.deliver([history.last])
    return [f"the replay sent {call.get('event', call['type'])} {call['messageId']} again" for call in again]


def shuffled_and_tripled(history: History, seed: int) -> Ours:
    """Every event three times, in any order, in batches of any size; only the last one comes last."""
    rng = Random(f"order {seed}")
    events = [*history.events] * 3
    rng.shuffle(events)
    ours = Ours(history.happenings[0].body["created"])
    while events:
        size = rng.choice((1, 1, 2, 5, 10, 100))
        ours.deliver(events[:size])
        del events[:size]
    ours.deliver([history.last])
    return ours


def since(history: History, first: int) -> list[str]:
    """The faults of a stack that gets the customer's events only from this one on, in order.

    From the first event of a subscription its changes sum to its mrr: what it counted before is its opening balance,
    told once and as such.
    """
    ours = Ours(history.happenings[0].body["created"])
    sums: dict[str, Decimal] = defaultdict(Decimal)
    left_out, unopened = set[str](), set[str]()
    # Two events may state one change, of which the first bears it: nobody begins between them.
    before = history.happenings[first - 1].moment if first else None
    seen = [one for one in history.happenings[first:] if one.moment != before]
    for happening in seen:
        about = f"from {first}, after {happening.body['type']} {happening.body['id']}"
        for call in ours.deliver([happening.body]):
            each = call.get("properties", {})
            sums[each.get("subscription_id", "")] += each.get("mrr_change", 0)
            movement, is_imported = each.get("mrr_movement"), call.get("event") == "Subscription Imported"
            if is_imported and "mrr_change" not in each:
                # What it counted before is unknown: the first change is the opening balance.
                unopened.add(each["subscription_id"])
            if movement is not None:
                opens = is_imported or each["subscription_id"] in unopened
                unopened.discard(each["subscription_id"])
                if opens is not (movement == "opening"):
                    ours.faults.append(f"{about}: {call['event']} is {movement}")
        subscription = happening.subscription
        if subscription is not None and happening.mrr is None:
            left_out.add(subscription)
        if subscription is None or happening.mrr is None or not happening.closes or subscription in left_out:
            continue
        truth = in_major(happening.mrr, history.truth.mrr[subscription][0])
        if sums[subscription] != truth:
            ours.faults.append(f"{about}: the changes of {subscription} sum to {sums[subscription]}, not {truth}")
    imported = Counter(
        each["subscription_id"] for call, each in ours.tracks() if call["event"] == "Subscription Imported"
    )
    ours.faults += [
        f"{subscription} is imported {times} times" for subscription, times in imported.items() if times > 1
    ]
    return ours.faults


def with_late_retries(history: History, seed: int) -> Ours:
    """In order; and events come again between the others, some of them long after, in the shape of their own time.

    A retry states nothing: the most that it may send is an identify with the traits of now.
    """
    rng = Random(f"retries {seed}")
    ours = Ours(history.happenings[0].body["created"])
    waiting: list[tuple[int, Json]] = []
    for number, happening in enumerate(history.happenings):
        ours.deliver([happening.body])
        if rng.random() < RETRIED:
            waiting.append((number + rng.choice((1, 2, 5, 20, 100)), happening.body))
        if happening.closes:
            _retry([body for due, body in waiting if due <= number], ours)
            waiting = [(due, body) for due, body in waiting if due > number]
    _retry([body for _, body in waiting], ours)
    ours.deliver([history.last])
    return ours


def _retry(bodies: Iterable[Json], ours: Ours) -> None:
    for body in bodies:
        told = [call["event"] for call in ours.deliver([body]) if call["type"] == "track"]
        ours.faults += [f"the retry of {body['id']} told {name}" for name in told]


class Expiring(MemoryStore):
    """A store whose items expire as those of the StateTable do."""

    def __init__(self) -> None:
        super().__init__()
        self._until: dict[tuple[str, str], float] = {}

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write them, each with its expiry."""
        items = [(("profile", one.key), profile_item(one, now)) for one in profiles]
        items += [((fact.kind, fact.key), fact_item(fact, now)) for fact in learnt]
        never = {"N": "inf"}
        self._until |= {key: float(item.get("expires_at", never)["N"]) for key, item in items}
        return super().save(profiles, learnt, now)

    def expire(self, now: float) -> None:
        """Delete what has expired."""
        for kind, key in [key for key, until in self._until.items() if until < now]:
            del self._until[kind, key]
            self.profiles.pop(key, None) if kind == "profile" else self.learnt.pop((kind, key), None)


def with_the_clock(history: History) -> Ours:
    """In order and each in its own time, the last two years later: what expires is forgotten."""
    store = Expiring()
    ours = Ours(0, store=store)
    last = {**history.last, "created": history.last["created"] + 2 * YEAR}
    for body in [*(happening.body for happening in history.happenings), last]:
        store.expire(body["created"])
        ours.deliver([body], body["created"] + 5)
    return ours


def judged(history: History, ours: Ours, *, ordered: bool) -> list[str]:
    """The faults of a run, from the sums down to each payment; none where every law holds."""
    return [
        *ours.faults,
        *payments_of(history, ours, ordered=ordered),
        *changes_of(history, ours),
        *traits_of(history, ours),
        *_identifiers(ours),
    ]


def payments_of(history: History, ours: Ours, *, ordered: bool = False) -> list[str]:
    """The faults of the money: each payment, each refund and each failed attempt once."""
    return [
        *_payments(history, ours),
        *(unbalanced(properties for _, properties in ours.tracks()) if ordered else ()),
        *_refunds(history, ours, ordered=ordered),
        *_failures(history, ours),
    ]


def unbalanced(tracks: Iterable[Json]) -> Iterator[str]:
    """The payments of which total is not revenue, tax and shipping, where the call states all of them.

    Out of order, a call may make up for the revenue of a part that was stated before its invoice was known.
    """
    amounts = "total", "revenue", "tax", "shipping"
    for each in tracks:
        if all(name in each for name in amounts):
            total, *shares = (Decimal(str(each[name])) for name in amounts)
            if total != sum(shares):
                yield f"order {each['order_id']}: revenue, tax and shipping {shares} are not the total, {total}"


def _payments(history: History, ours: Ours) -> Iterator[str]:
    """Each payment's revenue stands on exactly one call, in its month and currency."""
    said: dict[str, list[tuple[str, str, Decimal, Decimal]]] = defaultdict(list)
    for call, each in ours.tracks():
        if "revenue" in each and (each["revenue"] or each["total"]):
            said[each["order_id"]].append((each["currency"], call["timestamp"][:7], each["total"], each["revenue"]))
    expected = {order: [_as_said(payment)] for order, payment in history.truth.payments.items()}
    for order in said.keys() | expected.keys():
        if sorted(said.get(order, [])) != expected.get(order, []):
            yield f"order {order}: revenue {said.get(order)}, not {expected.get(order)}"


def _failures(history: History, ours: Ours) -> Iterator[str]:
    """Each failed attempt is one Payment Failed, although session, invoice and intent all state it."""
    said = Counter(
        (each["currency"], call["timestamp"], each["value"])
        for call, each in ours.tracks()
        if call["event"] == "Payment Failed"
    )
    expected = Counter(
        (one.currency.upper(), moment_of(one.at), in_major(one.amount, one.currency)) for one in history.truth.failures
    )
    for attempt in said.keys() | expected.keys():
        if said[attempt] != expected[attempt]:
            yield f"failed attempt {attempt}: told {said[attempt]} times, not {expected[attempt]}"


def _as_said(payment: Payment) -> tuple[str, str, Decimal, Decimal]:
    return (
        payment.currency.upper(),
        month_of(payment.at),
        in_major(payment.collected, payment.currency),
        in_major(payment.revenue, payment.currency),
    )


def _refunds(history: History, ours: Ours, *, ordered: bool) -> Iterator[str]:
    """Each refund once, under its order's id wherever the payloads join them."""
    said: dict[tuple[str, Decimal], list[tuple[str, str, Decimal]]] = defaultdict(list)
    for call, each in ours.tracks():
        if call["event"] == "Order Refunded":
            key = each["charge_id"], each["refunded_total"]
            said[key].append((each["currency"], call["timestamp"][:7], each["total"]))
            joined = {
                in_major(total, one.currency): one.order
                for (charge, total), one in history.truth.refunds.items()
                if charge == key[0]
            }
            if ordered and joined.get(key[1]) not in {None, each["order_id"]}:
                yield f"refund of {key[0]}: order_id {each['order_id']}, not {joined[key[1]]}"
    expected = {
        (charge, in_major(total, one.currency)): [
            (one.currency.upper(), month_of(one.at), in_major(one.amount, one.currency))
        ]
        for (charge, total), one in history.truth.refunds.items()
    }
    for key in said.keys() | expected.keys():
        if said.get(key, []) != expected.get(key, []):
            yield f"refund {key}: {said.get(key)}, not {expected.get(key)}"


def changes_of(history: History, ours: Ours) -> Iterator[str]:
    """The running sum of each subscription's changes is its mrr."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for _, each in ours.tracks():
        if "mrr_change" in each:
            sums[each["subscription_id"]] += each["mrr_change"]
    left_out = {one.subscription for one in history.happenings if one.subscription and one.mrr is None}
    for subscription, (currency, minor) in history.truth.mrr.items():
        if subscription not in left_out and minor is not None and sums[subscription] != in_major(minor, currency):
            yield f"the changes of {subscription} sum to {sums[subscription]}, not {in_major(minor, currency)}"


def movements_of(history: History, ours: Ours) -> Iterator[str]:
    """Month by month the movements sum to the growth of the MRR, and each is what the customer's total says.

    Of a run in order: an event that overtakes another states the change of both, at its own time.
    """
    worth: dict[str, int] = {}
    currency = next(currency for currency, _ in history.truth.mrr.values())
    growth: dict[str, Decimal] = defaultdict(Decimal)
    kinds: dict[str, set[str]] = {}
    subscribed = False
    for one in history.happenings:
        if one.subscription is None or one.mrr is None or not one.closes:
            continue
        before = sum(worth.values())
        worth[one.subscription] = one.mrr
        after = sum(worth.values())
        growth[month_of(one.body["created"])] += in_major(after - before, currency)
        if after != before:
            kinds.setdefault(moment_of(one.body["created"]), set()).add(_kind(before, after, subscribed=subscribed))
        subscribed = subscribed or after > 0
    told: dict[str, Decimal] = defaultdict(Decimal)
    for call, each in ours.tracks():
        change, movement = each.get("mrr_change", 0), each.get("mrr_movement")
        told[call["timestamp"][:7]] += change
        if bool(change) is (movement is None):
            yield f"{call['event']} with mrr_change {change} is {movement}"
        elif movement is not None and movement not in kinds.get(call["timestamp"], set()):
            yield f"{call['event']} at {call['timestamp']} is {movement}, not {kinds.get(call['timestamp'])}"
    for month in {*growth, *told}:
        if growth[month] != told[month]:
            yield f"the movements of {month} sum to {told[month]}, not {growth[month]}"


def _kind(before: int, after: int, *, subscribed: bool) -> str:
    if before == 0:
        return "reactivation" if subscribed else "new"
    if after == 0:
        return "churn"
    return "expansion" if after > before else "contraction"


def traits_of(history: History, ours: Ours) -> Iterator[str]:
    """The last identify shows the mrr of all live subscriptions, the customer's worth so far and the newest card."""
    identifies = (call["traits"] for call in ours.calls if call["type"] == "identify")
    every = [traits for traits in identifies if traits.get("stripe_customer_id") == history.customer]
    shown = every[-1]
    mrr = [minor for _, minor in history.truth.mrr.values()]
    currency = next(currency for currency, _ in history.truth.mrr.values())
    expected = None if None in mrr else in_major(sum(minor or 0 for minor in mrr), currency)
    if shown.get("mrr") != expected:
        yield f"the last identify shows mrr {shown.get('mrr')}, not {expected}"
    if shown.get("card_expires_at") != history.truth.card_expires_at:
        yield f"the card expires {shown.get('card_expires_at')}, not {history.truth.card_expires_at}"
    shown_in = shown.get("currency", currency).lower()
    worth = in_major(history.truth.lifetime_value(shown_in), shown_in)
    if shown.get("lifetime_value", 0) != worth:
        yield f"the last identify shows a lifetime_value of {shown.get('lifetime_value')}, not {worth}"


def _identifiers(ours: Ours) -> Iterator[str]:
    """No messageId twice: the ledger keeps what was delivered from being sent again."""
    for message, times in Counter(call["messageId"] for call in ours.calls).items():
        if times > 1:
            yield f"messageId {message} was sent {times} times"
