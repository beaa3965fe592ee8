"""What has to hold where a history is cut at any moment and imported: from then on every number is the truth.

Each law gives its faults in words; `order` decides where the history is cut and what becomes of the import.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import TYPE_CHECKING

from tests.simulator import laws
from tests.simulator.circles import a_circle, faults_of
from tests.simulator.imported import cut
from tests.simulator.till import DAY, a_till
from tests.simulator.tills import HOLD, HOLDS, at_the_end
from tests.simulator.worth import in_major
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tests.simulator.circles import Circle
    from tests.simulator.history import History
    from tests.simulator.imported import Cut
    from tests.simulator.till import Till

    type Json = dict[str, Any]

__all__ = ["of_circle", "of_customer", "of_till", "played"]

PAYMENTS = {"Order Completed", "Subscription Renewed", "Invoice Paid", "Invoice Payment Received"}


def of_customer(history: History, order: int, level: str | None) -> tuple[Cut, list[str]]:
    """The faults of one customer: changes of mrr, payments, traits."""
    run, ours = cut(history.events, _random(order), level), laws.Ours(history.happenings[0].body["created"])
    for batch in run.batches:
        ours.deliver(batch)
    ours.deliver([history.last])
    return run, [*ours.faults, *_changes(history, ours, run, level), *_money(history, ours, level)]


def of_till(seed: int, order: int, level: str) -> tuple[Cut, list[str]] | None:
    """The faults of a shop's till: sessions, invoices and intents of their own, with refunds, disputes, credit notes.

    No faults for a till whose payments nothing joins to their orders: there a list states no more than the events.
    """
    till = a_till(Random(seed), payments=4)
    if not (till.joined and till.referenced):
        return None
    # Only while they may wait for each other, a purchase and the invoice to which it was attached are stated once.
    run, world, faults = played(till, order, level, waits=bool(till.deposits) or order % 2 == 1)
    world.deliver(*till.last)
    return run, [*faults, *_receipts(till, world, level), *at_the_end([till], world.calls)]


def played(till: Till, order: int, level: str, *, waits: bool) -> tuple[Cut, World, list[str]]:
    """A till that is cut and imported, what became of it, and what still waits at the end."""
    world = World(PAYMENT_HOLD_SECONDS=str(HOLD))
    world.now = till.moments[-1].at + 2 * DAY
    world.queued_at = world.now if waits else 0
    run = cut([event.body for event in till.events], _random(order), level)
    held: list[str] = []
    for batch in run.batches:
        held += _held(world, [json.dumps(body) for body in batch])
    held, arrived = _held(world, held), world.now
    for after in HOLDS:
        world.now = arrived + after
        held = _held(world, held)
    return run, world, [f"{body} still waits" for body in held]


def _held(world: World, bodies: list[str]) -> list[str]:
    """Deliver a batch; gives what waits for others."""
    outcomes = world.batch(*bodies)
    return [body for body, outcome in zip(bodies, outcomes, strict=True) if outcome.status.value == "waiting"]


def of_circle(seed: int, order: int, level: str) -> tuple[Cut, list[str]]:
    """The faults of users and groups with several customers, who are merged and moved before, during and after it."""
    circle = a_circle(seed)
    run, ours = cut(circle.events, _random(order), level), laws.Ours(circle.at)
    for batch in run.batches:
        ours.deliver(batch)
    everywhere = [] if level == "state" else faults_of(circle, ours.calls)
    ours.deliver(circle.renamed())
    return run, [*ours.faults, *everywhere, *faults_of(circle, _reached(ours.calls), _without_news(circle, ours.calls))]


def _reached(calls: list[Json]) -> list[Json]:
    """The calls that reach destinations too, not warehouses alone."""
    return [call for call in calls if call.get("integrations") != {"All": False}]


def _without_news(circle: Circle, calls: list[Json]) -> set[str]:
    """The users and groups of whom no event brought destinations the traits: those without a customer.

    And those from whom an import took one: what is left of them has reached warehouses alone.
    """
    have_one = {name for one in circle.customers for name in (one.user, one.group)}
    taken_from = {
        call.get("groupId") or call["userId"]
        for call in calls
        if call.get("integrations") == {"All": False} and "externalIds" not in call["context"]
    }
    return {*circle.users, *circle.groups} - have_one | taken_from


def _random(order: int) -> Random:
    return Random(f"cut {order}")


def _changes(history: History, ours: laws.Ours, run: Cut, level: str | None) -> Iterator[str]:
    """The changes of every subscription with any call sum to its mrr."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for _, each in ours.tracks():
        if "mrr_change" in each:
            sums[each["subscription_id"]] += each["mrr_change"]
    for subscription, (currency, minor) in history.truth.mrr.items():
        heard = subscription in run.seen or (level in {"opening", "history"} and _listed(history, subscription, run))
        if heard and minor is not None and sums[subscription] != in_major(minor, currency):
            yield f"the changes of {subscription} sum to {sums[subscription]}, not {in_major(minor, currency)}"


def _listed(history: History, subscription: str, run: Cut) -> bool:
    return any(
        event["created"] <= run.moment and event["data"]["object"]["id"] == subscription for event in history.events
    )


def _money(history: History, ours: laws.Ours, level: str | None) -> Iterator[str]:
    """Nothing is sent twice. After an import the traits are right, and with its history every payment is sent."""
    orders = Counter(each["order_id"] for _, each in ours.tracks() if each.get("revenue"))
    yield from (f"the revenue of {order} is told {times} times" for order, times in orders.items() if times > 1)
    yield from laws._identifiers(ours)
    if level is not None:
        # Cards are no part of an import.
        yield from (fault for fault in laws.traits_of(history, ours) if not fault.startswith("the card"))
    if level == "history":
        yield from (fault for fault in laws._payments(history, ours) if not _debited_later(history, fault))
        yield from _shares(history, ours)


def _shares(history: History, ours: laws.Ours) -> Iterator[str]:
    """What went back has its share of the revenue, whichever of the two came first, if all payloads join them."""
    gone, said, right = Counter[str](), Counter[str](), Counter[str]()
    for one in history.truth.refunds.values():
        if one.order not in history.truth.payments:
            return
        gone[one.order] += one.amount
    for order, amount in gone.items():
        paid = history.truth.payments[order]
        share = (Decimal(paid.revenue * amount) / paid.collected).to_integral_value(ROUND_HALF_EVEN)
        right[paid.currency.upper()] += int(share)
    for _, each in ours.tracks():
        if each.get("revenue_refunded"):
            currency = each["currency"]
            said[currency] += round(each["revenue_refunded"] / in_major(1, currency.lower()))
    if said != right:
        yield f"of the revenue {dict(said)} is refunded, not {dict(right)}"


def _debited_later(history: History, fault: str) -> bool:
    """Whether it is of a session whose payment succeeded later, at a time that no list states."""
    late = "checkout.session.async_payment_succeeded"
    sessions = [event["data"]["object"] for event in history.events if event["type"] == late]
    return any(f"{session[name]}:" in fault for session in sessions for name in ("id", "payment_intent"))


def _receipts(till: Till, world: World, level: str) -> Iterator[str]:
    """No payment of a till is sent twice, no more is told than was paid, and a history sends all of it."""
    told, revenue, paid = Counter[str](), Counter[str](), Counter[str]()
    calls = [call["properties"] for call in world.calls if call.get("event") in PAYMENTS]
    for each in calls:
        told[each["currency"].lower()] += _minor(each, "total")
        revenue[each["currency"].lower()] += _minor(each, "revenue")
    for each in (event.object for event in till.events if event.type == "payment_intent.succeeded"):
        paid[each["currency"]] += each["amount_received"]
    through_stripe = {*till.paid_by.values(), *till.deposits}
    for each in (event.object for event in till.events if event.type == "invoice.paid"):
        paid[each["currency"]] += 0 if each["id"] in through_stripe else each["total"]
    # A part of an invoice has a call of its own.
    payments = Counter((each["order_id"], each.get("invoice_payment_id")) for each in calls)
    yield from (f"{payment} is told {times} times" for payment, times in payments.items() if times > 1)
    if not revenue <= paid:
        yield f"the revenue is {dict(revenue)}, and paid was {dict(paid)}"
    if not told <= paid or (level == "history" and told != paid):
        yield f"of {dict(paid)} that was paid {dict(told)} is told"
    if level == "history":
        yield from _credits(till, world)


def _minor(told: Mapping[str, Any], name: str) -> int:
    """An amount of a call in minor units, 0 where it states none."""
    return round(Decimal(str(told.get(name, 0))) / in_major(1, told["currency"].lower()))


def _credits(till: Till, world: World) -> Iterator[str]:
    """What credit notes gave back is told of those that stand alone."""
    told, given = Counter[str](), Counter[str]()
    for call in world.calls:
        sign = {"Credit Note Issued": 1, "Credit Note Voided": -1}.get(call.get("event", ""), 0)
        if sign:
            each = call["properties"]
            told[each["credit_note_id"]] += sign * _minor(each, "out_of_band")
    for event in till.events:
        if event.type.startswith("credit_note."):
            stands = event.type == "credit_note.created"
            given[event.object["id"]] += event.object["total"] * (1 if stands else -1)
    yield from (f"of {name} {told[name]} is told, not {given[name]}" for name in given if told[name] != given[name])
