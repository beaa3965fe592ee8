"""Whole customer histories: a seed gives a customer, its events as Stripe would send them, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulator.changes import Changes
from tests.simulator.market import CURRENCIES, Market
from tests.simulator.payments import Cashier
from tests.simulator.shapes import SHAPES, Rendering
from tests.simulator.shopper import Shopper
from tests.simulator.stream import Stream
from tests.simulator.subscriber import Subscriber
from tests.simulator.wallet import carry
from tests.simulator.worth import Truth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulator.stream import Moment

__all__ = ["Happening", "History", "a_history"]

DAY = 86_400
START = 1_735_000_000


@dataclass(frozen=True, slots=True)
class Happening:
    """An event in its place; `closes` says that with it the moment is over and the contract counts `mrr`."""

    body: dict[str, Any]
    moment: int
    subscription: str | None
    mrr: int | None
    changed: bool
    closes: bool


@dataclass(frozen=True, slots=True)
class History:
    """One customer. `last` is an event that shows the customer's traits once everything has happened."""

    seed: int
    shape: str
    customer: str
    happenings: tuple[Happening, ...]
    last: dict[str, Any]
    truth: Truth

    @property
    def events(self) -> list[dict[str, Any]]:
        return [happening.body for happening in self.happenings]


def a_history(
    seed: int,
    *,
    shape: str | None = None,
    unknown: bool = False,
    start: int = START,
    then: Sequence[str] = (),
    after: int = 60 * DAY,
) -> History:
    """The customer of this seed, who comes within 300 days of `start`, in epoch seconds.

    `unknown` allows contracts whose value no payload states. `then` are shapes to which the endpoint changes in the
    middle of the customer's life, the first so many seconds `after` its beginning, each as long after the one before.
    """
    rng = Random(f"customer {seed}")
    rendering = _rendering(rng, shape or rng.choice([*SHAPES]))
    if then:
        # What a coupon takes off is stated by each of them, so that the truth is the same in each.
        rendering = replace(rendering, expands=True)
    later = [replace(rendering, shape=SHAPES[name], keeps_plans=True) for name in then]
    stream, truth, customer = Stream(rng, rendering, f"{seed}"), Truth(), f"cus_{seed}"
    cashier, currency = Cashier(rng, stream, truth), rng.choice(CURRENCIES)
    at = start + rng.randrange(300 * DAY)
    stream.upgrades = tuple((at + after * number, one) for number, one in enumerate(later, 1))
    body = _customer(customer, at)
    stream.moment()
    stream.emit("customer.created", at, body)
    for number in range(rng.choice((1, 1, 1, 2, 3))):
        begins = at + rng.randrange(200 * DAY) * min(number, 1) + 1
        changes = Changes(stream, Market(rng, stream.number, currency), unknown)
        subscription = Subscriber(changes, cashier, customer, begins).live(rng.randrange(1, 14))
        settled = [moment for moment in stream.moments if moment.subscription == subscription.id]
        truth.mrr[subscription.id] = (currency, settled[-1].mrr)
    # There are no payment methods before 2018.
    if rendering.shape.prices:
        carry(stream, truth, customer, at + 1, seed)
    if not rendering.shape.historic:
        for _ in range(rng.choice((0, 0, 1, 2))):
            shop = Market(rng, stream.number, rng.choice((currency, rng.choice(CURRENCIES))))
            Shopper(stream, shop, cashier, customer).visit(at + rng.randrange(300 * DAY))
    end = max(event["created"] for moment in stream.moments for event in moment.events) + DAY
    happenings = _in_order(stream.moments)
    stream.moment()
    changed = body | {"email": "jo.example@example.com"}
    stream.emit("customer.updated", end, changed, {"email": body["email"]})
    return History(seed, rendering.shape.name, customer, happenings, stream.moments[-1].events[0], truth)


def _rendering(rng: Random, shape: str) -> Rendering:
    chosen = SHAPES[shape]
    modern = not chosen.top_periods
    return Rendering(
        chosen,
        expands=modern and rng.random() < 0.3,
        keeps_plans=not chosen.prices or rng.random() < 0.8,
        names_items=not chosen.historic or rng.random() < 0.5,
        whole_plans=rng.random() < 0.3,
        invoice_payments=shape != "basil" or rng.random() < 0.5,
    )


def _customer(customer: str, at: int) -> dict[str, Any]:
    return {
        "id": customer,
        "object": "customer",
        "address": None,
        "created": at,
        "email": "jo@example.com",
        "livemode": False,
        "metadata": {},
        "name": "Jo Example",
        "phone": None,
    }


def _in_order(moments: list[Moment]) -> tuple[Happening, ...]:
    """All events by their second; those of one second keep their order."""
    placed = [
        (event["created"], number, place, event)
        for number, moment in enumerate(moments)
        for place, event in enumerate(moment.events)
    ]
    placed.sort(key=lambda entry: entry[:3])
    final = {number: index for index, (_, number, _, _) in enumerate(placed)}
    return tuple(
        Happening(
            event,
            number,
            moments[number].subscription,
            moments[number].mrr,
            moments[number].changed,
            index == final[number],
        )
        for index, (_, number, _, event) in enumerate(placed)
    )
