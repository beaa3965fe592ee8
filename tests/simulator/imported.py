"""A history that is cut: the stack comes in the middle of it, an import lists what is there, and live events go on.

What the lists show at a moment is made of the events until then: each object as its last event left it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.invoice import UNPAID
from stripe_to_segment_tools.commands.importing.steps import says_something

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Cut", "cut", "dealt", "listed", "listing"]

Json = dict[str, Any]

SILENT: tuple[frozenset[str], ...] = (
    frozenset({"product", "coupon"}),
    frozenset({"customer"}),
    frozenset({"subscription", "invoice", "checkout.session"}),
    frozenset({"invoice_payment", "payment_intent", "refund", "dispute", "credit_note"}),
)
"""The kinds that are learnt one after the other; within a step they come in any order."""
TELLING = {
    "traits": frozenset({"customer", "checkout.session", "payment_intent"}),
    "opening": frozenset({"subscription"}),
    "history": frozenset(
        {"subscription", "invoice", "invoice_payment", "checkout.session"}
        | {"payment_intent", "refund", "dispute", "credit_note"}
    ),
}
EMPTY: Json = {}
"""In place of a record: before the next step, the import waits until the queue is empty."""
LEVELS = ("state", "traits", "opening", "history")
OF_A_SUBSCRIPTION = frozenset(
    f"customer.subscription.{what}" for what in ("created", "updated", "deleted", "paused", "resumed")
)


@dataclass(frozen=True, slots=True)
class Cut:
    """What is delivered of a history, in batches: raw events and records of imports.

    `moment` is when it was imported first, `seen` are the subscriptions of which an event came. `imports` is how often
    an import ran, `killed` how many of these were killed and resumed.
    """

    moment: int
    batches: list[list[Json]]
    seen: set[str]
    imports: int
    killed: int


def cut(events: Sequence[Json], rng: Random, level: str | None) -> Cut:
    """Cut a history at two moments: the stack gets the events after the first, and the import runs at the second.

    Some of the events from before the import come while it runs or after it, some come twice. The import may be killed
    and resumed, which lists some things again, and may be run a second time later. The first of two may be of a lower
    level. Without a level there is none.
    """
    since, moment = sorted(rng.choice(events)["created"] for _ in range(2))
    moment = since if level is None else moment
    early = [event for event in events if since <= event["created"] <= moment] if level is not None else []
    late = [event for event in events if event["created"] > moment]
    under_way = [event for event in early if rng.random() < 0.3]
    # What happens while it runs may come while it runs.
    at_once = late[: len(late) // 3] if rng.random() < 0.5 else []
    after = late[len(at_once) :]
    every = [event for event in early if event not in under_way]
    first = level if level is None else _first_level(level, moment)
    runs = [] if first is None else [_records(events, moment, first, rng)]
    every += _mixed([record for records, _ in runs for record in records], [*under_way, *at_once], rng)
    if level is not None and ((after and rng.random() < 0.3) or first != level):
        again = rng.choice(after or events[-1:])["created"]
        every += [event for event in after if event["created"] <= again]
        runs.append(_records(events, again, level, rng))
        every += runs[-1][0]
        after = [event for event in after if event["created"] > again]
    every += after
    for place in reversed(range(len(every))):
        if every[place].get("object") == "event" and rng.random() < 0.1:
            every.insert(rng.randrange(place, len(every)) + 1, every[place])
    seen = {event["data"]["object"]["id"] for event in every if event.get("type") in OF_A_SUBSCRIPTION}
    return Cut(moment, [*dealt(every, rng)], seen, len(runs), sum(killed for _, killed in runs))


def _first_level(level: str, moment: int) -> str:
    """What is imported first; if it is less than the level, a second import follows."""
    chosen = Random(f"first {moment}")
    return chosen.choice(LEVELS[: LEVELS.index(level) + 1]) if chosen.random() < 0.3 else level


def dealt(bodies: list[Json], rng: Random) -> Iterator[list[Json]]:
    """In batches of any size, none of which goes beyond a step of an import."""
    batch, size = list[Json](), 1
    for body in [*bodies, EMPTY]:
        if batch and (body is EMPTY or len(batch) >= size):
            yield batch
            batch, size = [], rng.choice((1, 1, 2, 5, 20))
        batch += [body] if body is not EMPTY else []


def _records(events: Sequence[Json], moment: int, level: str, rng: Random) -> tuple[list[Json], bool]:
    """The records of an import that may be killed: what it did last is listed again by who goes on."""
    found = [*listing(listed(events, moment), moment, level, rng)]
    if rng.random() < 0.3 and found:
        killed = rng.randrange(len(found))
        resumed = rng.randrange(killed + 1)
        return [*found[:killed], *found[resumed:]], True
    return found, False


def listing(objects: Iterable[Json], moment: int, level: str, rng: Random) -> Iterator[Json]:
    """The records in which an import queues these objects.

    First those that are only stored, then those that send calls.
    """
    objects = [*objects]
    # What has paid parts of an invoice that is open, or was written off.
    objects += [part for one in objects if one.get("status") in UNPAID for part in payments_in(one)]
    for kinds in SILENT:
        yield from _step(objects, kinds, "state", moment, rng)
    for told in LEVELS[1 : LEVELS.index(level) + 1]:
        yield from _step(objects, TELLING[told], told, moment, rng)


def _step(objects: list[Json], kinds: frozenset[str], level: str, moment: int, rng: Random) -> Iterator[Json]:
    chosen = [one for one in objects if one["object"] in kinds and says_something(one, Level(level))]
    rng.shuffle(chosen)
    yield EMPTY
    for one in chosen:
        yield {
            "object": "stripe_to_segment.import",
            "level": level,
            "moment": moment,
            "livemode": False,
            "integrations": {"All": False},
            "data": one,
        }


def _mixed(records: list[Json], events: list[Json], rng: Random) -> list[Json]:
    """Live events anywhere among the records, in whatever order; the records keep theirs."""
    mixed = [*records]
    for event in events:
        mixed.insert(rng.randrange(len(mixed) + 1), event)
    return mixed


def listed(events: Sequence[Json], moment: int) -> list[Json]:
    """What Stripe's lists show at an epoch second."""
    objects: dict[str, Json] = {}
    told = {event["type"] for event in events}
    refunded = [event["data"]["object"] for event in events if event["type"] == "charge.refunded"]
    charges = {_paid(charge): charge for charge in refunded}
    for event in events:
        if event["type"] == "charge.refunded" and "refund.created" in told:
            continue
        if event["created"] <= moment and (found := _shown(event, objects)) is not None:
            if event["type"] == "invoice.paid" and not payments_in(found):
                found = _with_its_payment(found, charges.get(_paid({**found, "created": event["created"]}), {}))
            objects[found["id"]] = found
    return [*objects.values()]


def _paid(one: Json) -> tuple[object, object, object]:
    """Who paid an invoice, or a charge, when and how much: where no event joins the two, the list does."""
    return one.get("customer"), one.get("created"), one.get("amount_paid", one.get("amount"))


def _shown(event: Json, objects: dict[str, Json]) -> Json | None:
    """The object that an event changes, as a list shows it after that; None where it is not listed."""
    one: Json = event["data"]["object"]
    at, kind = event["created"], event["type"]
    if kind == "charge.refunded":
        return _refund(event, objects)
    if kind == "invoice_payment.paid":
        invoice = objects.get(one["invoice"], {"id": one["invoice"], "object": "invoice", "status": "open"})
        paid = {**one, "status": "paid", "status_transitions": {"paid_at": at}}
        return {**invoice, "payments": {"object": "list", "data": [*payments_in(invoice), paid]}}
    more: Json = {}
    if kind in {"invoice.finalized", "invoice.marked_uncollectible"}:
        more = {"payments": objects.get(one["id"], {}).get("payments")}
    elif kind == "invoice.paid":
        payments = objects.get(one["id"], {}).get("payments")
        more = {"status": "paid", "status_transitions": {"paid_at": at}, "payments": payments}
    elif kind == "payment_intent.succeeded":
        more = {"status": "succeeded", "created": at}
    elif kind == "payment_intent.amount_capturable_updated":
        more = {"status": "requires_capture", "created": at}
    elif kind.startswith("charge.dispute."):
        moved = [] if one["status"].startswith(("warning", "prevented")) else [-one["amount"]]
        moved += [one["amount"]] if one["status"] == "won" else []
        told = [{"amount": amount, "currency": one["currency"]} for amount in moved]
        more = {"created": at, "balance_transactions": told}
    elif kind.startswith("checkout.session."):
        more = {"status": "complete"} if kind.endswith(".completed") else {}
        more |= {"created": objects.get(one["id"], {"created": at})["created"]}
    elif not kind.startswith(("customer.", "refund.", "credit_note.")):
        return None
    return {**one, **more}


def _with_its_payment(invoice: Json, charge: Json) -> Json:
    """An invoice of any shape as lists show it today, which name what paid it in `payments`: a charge, if it is old.

    `charge` has paid it, if no event says what has.
    """
    names = ("payment_intent", "charge")
    rest = {name: value for name, value in invoice.items() if name not in names}
    paid_by = {name: invoice.get(name) for name in names}
    if not any(paid_by.values()) and charge:
        paid_by = {"payment_intent": charge.get("payment_intent"), "charge": charge["id"]}
    kind = next((name for name in names if paid_by[name]), None)
    if kind is None:
        return rest
    part = {"object": "invoice_payment", "id": f"inpay_{invoice['id']}", "invoice": invoice["id"], "status": "paid"}
    part |= {"payment": {"type": kind, kind: paid_by[kind]}, "is_default": True}
    return {**rest, "payments": {"object": "list", "data": [part]}}


def payments_in(invoice: Json) -> list[Json]:
    found: list[Json] = (invoice.get("payments") or {}).get("data", [])
    return found


def _refund(event: Json, objects: dict[str, Json]) -> Json:
    """The refund behind a charge.refunded, if no other event states it; a copy of the event states the same refund."""
    charge, at = event["data"]["object"], event["created"]
    total = charge["amount_refunded"]
    named = (charge.get("refunds") or {}).get("data") or [{"id": f"re_{total}_{charge['id']}"}]
    return objects.get(named[0]["id"]) or {
        "id": named[0]["id"],
        "object": "refund",
        "amount": total - event["data"].get("previous_attributes", {}).get("amount_refunded", 0),
        "charge": charge["id"],
        "created": at,
        "currency": charge["currency"],
        "payment_intent": charge.get("payment_intent"),
        "status": "succeeded",
    }
