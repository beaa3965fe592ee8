"""Users with several customers who pay as guests, groups of several customers, and a recount of each.

Customers are merged into other users and moved between groups. The final user and group of each count.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["Circle", "a_circle", "faults_of"]

Json = dict[str, Any]
START, MINUTE = 1_735_000_000, 60
AMOUNTS = (900, 2000, 4999, 12_500)


@dataclass(slots=True)
class _Subscription:
    id: str
    amount: int
    quantity: int
    made: int
    status: str = "active"

    @property
    def mrr(self) -> int:
        return self.amount * self.quantity if self.status == "active" else 0


@dataclass(slots=True)
class _Customer:
    id: str
    user: str | None
    group: str | None
    subscriptions: dict[str, _Subscription] = field(default_factory=dict)
    paid: int = 0


@dataclass(slots=True)
class _Guest:
    user: str
    payment: str
    left: int


@dataclass(slots=True)
class Circle:
    """The customers and guests of a few users and groups, their events, and what is true of them in the end."""

    seed: int
    rng: Random
    at: int = START
    events: list[Json] = field(default_factory=list)
    customers: list[_Customer] = field(default_factory=list)
    guests: list[_Guest] = field(default_factory=list)
    first: int = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.at

    @property
    def last(self) -> None:
        """Nothing comes after it that would show what was forgotten to be shown."""

    @property
    def users(self) -> list[str]:
        return [f"user_{self.seed}_{number}" for number in range(2)]

    @property
    def groups(self) -> list[str]:
        return [f"team_{self.seed}_{number}" for number in range(2)]

    def emit(self, kind: str, body: Json, previous: Json | None = None) -> None:
        """An event some time after the last one."""
        self.at += self.rng.randrange(1, 10) * MINUTE
        data: Json = {"object": body} | ({} if previous is None else {"previous_attributes": previous})
        self.events.append(
            {
                "id": f"evt_c{self.seed}n{len(self.events)}",
                "object": "event",
                "api_version": "2026-10-28.endive",
                "created": self.at,
                "data": data,
                "livemode": False,
                "type": kind,
            }
        )

    # --- What happens ---

    def join(self) -> None:
        """Another customer, whose user and group are known at once or later."""
        number = len(self.customers)
        named = self.rng.random() < 0.8
        customer = _Customer(
            f"cus_c{self.seed}n{number}",
            self.rng.choice(self.users) if named else None,
            self.rng.choice(self.groups) if self.rng.random() < 0.7 else None,
        )
        self.customers.append(customer)
        self.emit("customer.created", self._customer(customer))

    def move(self) -> None:
        """Merged into another user, moved into another group, or named at last."""
        customer = self.rng.choice(self.customers)
        before = self._customer(customer)["metadata"]
        if self.rng.random() < 0.6:
            customer.user = self.rng.choice(self.users)
        else:
            customer.group = self.rng.choice(self.groups)
        after = self._customer(customer)
        if after["metadata"] != before:
            self.emit("customer.updated", after, {"metadata": {**dict.fromkeys(after["metadata"]), **before}})

    def subscribe(self) -> None:
        customer = self.rng.choice(self.customers)
        made = _Subscription(f"sub_c{self.seed}n{len(self.events)}", self.rng.choice(AMOUNTS), 1, self.at)
        customer.subscriptions[made.id] = made
        self.emit("customer.subscription.created", self._subscription(customer, made))

    def change(self) -> None:
        found = [
            (each, one) for each in self.customers for one in each.subscriptions.values() if one.status == "active"
        ]
        if not found:
            return
        customer, one = self.rng.choice(found)
        if self.rng.random() < 0.3:
            one.status = "canceled"
            body = self._subscription(customer, one) | {"ended_at": self.at, "canceled_at": self.at}
            self.emit("customer.subscription.deleted", body)
            return
        before = self._subscription(customer, one)["items"]
        one.quantity += self.rng.randrange(1, 4)
        body = self._subscription(customer, one)
        self.emit("customer.subscription.updated", body, {"items": before})

    def pay(self) -> None:
        customer, amount = self.rng.choice(self.customers), self.rng.choice(AMOUNTS)
        customer.paid += amount
        self.emit("invoice.paid", self._invoice(customer, amount))

    def pay_as_guest(self) -> None:
        guest = _Guest(self.rng.choice(self.users), f"pi_c{self.seed}n{len(self.events)}", self.rng.choice(AMOUNTS))
        self.guests.append(guest)
        self.emit("checkout.session.completed", self._session(guest))

    def refund_guest(self) -> None:
        whole = [guest for guest in self.guests if guest.left in AMOUNTS]
        if not whole:
            return
        guest = self.rng.choice(whole)
        total, back = guest.left, 400
        guest.left -= back
        charge = {
            "id": guest.payment.replace("pi_", "ch_"),
            "object": "charge",
            "amount": total,
            "amount_refunded": back,
            "currency": "usd",
            "customer": None,
            "payment_intent": guest.payment,
            "refunded": False,
        }
        self.emit("charge.refunded", charge, {"amount_refunded": 0})

    def renamed(self) -> list[Json]:
        """An event of each customer that changes a personal trait alone; they are no part of the history."""
        before, self.events = self.events, []
        for customer in self.customers:
            self.emit("customer.updated", {**self._customer(customer), "name": "Ada"}, {"name": None})
        renamed, self.events = self.events, before
        return [{**event, "id": f"{event['id']}renamed"} for event in renamed]

    # --- What is true in the end ---

    def of_users(self) -> dict[str, Json]:
        """The traits of each user that a recount gives."""
        found = {}
        for user in self.users:
            own = [customer for customer in self.customers if customer.user == user]
            paid = sum(customer.paid for customer in own)
            paid += sum(guest.left for guest in self.guests if guest.user == user)
            found[user] = {**self._counted(own), "lifetime_value": Decimal(paid) / 100}
        return found

    def of_groups(self) -> dict[str, Json]:
        """The traits of each group that a recount gives."""
        found = {}
        for group in self.groups:
            own = [customer for customer in self.customers if customer.group == group]
            seats = sum(one.quantity for each in own for one in each.subscriptions.values() if one.status == "active")
            counted, paid = self._counted(own), sum(customer.paid for customer in own)
            found[group] = {"mrr": counted["mrr"], "seats": seats, "subscription_count": counted["subscription_count"]}
            found[group]["lifetime_value"] = Decimal(paid) / 100
        return found

    @staticmethod
    def _counted(own: list[_Customer]) -> Json:
        live = [one for each in own for one in each.subscriptions.values() if one.status == "active"]
        mrr = Decimal(sum(one.mrr for one in live)) / 100
        return {"mrr": mrr, "subscription_count": len(live), "plans": sorted({f"plan_{one.amount}" for one in live})}

    # --- Bodies ---

    def _customer(self, customer: _Customer) -> Json:
        metadata = {"user_id": customer.user, "group_id": customer.group}
        return {
            "id": customer.id,
            "object": "customer",
            "created": self.first,
            "email": f"{customer.id}@example.com",
            "livemode": False,
            "metadata": {name: value for name, value in metadata.items() if value},
            "name": None,
        }

    @staticmethod
    def _subscription(customer: _Customer, one: _Subscription) -> Json:
        price = {
            "id": f"price_{one.amount}",
            "object": "price",
            "billing_scheme": "per_unit",
            "currency": "usd",
            "nickname": f"plan_{one.amount}",
            "product": "prod_1",
            "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
            "type": "recurring",
            "unit_amount": one.amount,
        }
        item = {"id": f"si_{one.id}", "object": "subscription_item", "price": price, "quantity": one.quantity}
        return {
            "id": one.id,
            "object": "subscription",
            "created": one.made,
            "currency": "usd",
            "customer": customer.id,
            "discounts": [],
            "ended_at": None,
            "items": {"object": "list", "data": [item], "has_more": False},
            "metadata": {},
            "start_date": one.made,
            "status": one.status,
            "trial_end": None,
            "trial_start": None,
        }

    def _invoice(self, customer: _Customer, amount: int) -> Json:
        return {
            "id": f"in_c{self.seed}n{len(self.events)}",
            "object": "invoice",
            "amount_due": amount,
            "amount_paid": amount,
            "billing_reason": "manual",
            "created": self.at,
            "currency": "usd",
            "customer": customer.id,
            "lines": {"object": "list", "data": [], "has_more": False},
            "metadata": {},
            "status": "paid",
            "subtotal": amount,
            "total": amount,
            "total_taxes": [],
        }

    def _session(self, guest: _Guest) -> Json:
        return {
            "id": guest.payment.replace("pi_", "cs_"),
            "object": "checkout.session",
            "amount_subtotal": guest.left,
            "amount_total": guest.left,
            "client_reference_id": guest.user,
            "created": self.at,
            "currency": "usd",
            "customer": None,
            "customer_details": None,
            "invoice": None,
            "metadata": {},
            "mode": "payment",
            "payment_intent": guest.payment,
            "payment_status": "paid",
            "subscription": None,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        }


def a_circle(seed: int, steps: int = 14, *, start: int = START) -> Circle:
    """The users and groups of this seed, from `start` on; each may be up to five customers and any number of guests."""
    rng = Random(f"circle {seed}")
    circle = Circle(seed, rng, start)
    circle.join()
    for _ in range(steps):
        ways: dict[Callable[[], None], float] = {
            circle.join: 2 if len(circle.customers) < 5 else 0,
            circle.move: 2,
            circle.subscribe: 2,
            circle.change: 3,
            circle.pay: 2,
            circle.pay_as_guest: 1,
            circle.refund_guest: 1,
        }
        rng.choices([*ways], [*ways.values()])[0]()
    return circle


def shown(calls: list[Json], kind: str, name: str) -> dict[str, Json]:
    """The traits as the calls leave them, by the id of the user or the group."""
    found: dict[str, Json] = defaultdict(dict)
    for call in calls:
        if call["type"] == kind and name in call:
            found[call[name]] |= call["traits"]
    return found


def faults_of(circle: Circle, calls: list[Json], without: Collection[str] = ()) -> list[str]:
    """Where the last identify of a user, or the last group call of a group, is not what a recount says.

    The users and groups `without` are left out.
    """
    users = {user: traits for user, traits in circle.of_users().items() if user not in without}
    groups = {group: traits for group, traits in circle.of_groups().items() if group not in without}
    return [
        *_differing("user", users, shown(calls, "identify", "userId")),
        *_differing("group", groups, shown(calls, "group", "groupId")),
    ]


def _differing(what: str, truth: dict[str, Json], told: dict[str, Json]) -> list[str]:
    return [
        f"{what} {name}: {trait} is {told.get(name, {}).get(trait)}, not {value}"
        for name, traits in truth.items()
        for trait, value in traits.items()
        # A user who never had anything need not have a call.
        if told.get(name, {}).get(trait) != value and (value or told.get(name, {}).get(trait))
    ]
