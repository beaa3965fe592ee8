"""A business of several customers who pay equal amounts, month by month, and what a stack made of its events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stripe_to_segment.auditing.circumstances import Circumstances, Letter
from stripe_to_segment.auditing.comparing import audit
from stripe_to_segment.auditing.truth import Truth
from tests.simulator.imported import listed
from tests.unit.shapes import (
    DAY,
    a_charge,
    a_customer,
    a_dispute,
    a_price,
    a_refund,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
    an_item,
)
from tests.unit.worlds import ACCEPTED, World, unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stripe_to_segment.auditing.findings import Report
    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.stripe_side.event import StripeEvent

type Json = dict[str, Any]


def at(month: int, day: int, hour: int = 12, minute: int = 0, second: int = 0) -> int:
    """A moment of 2026 in UTC, in epoch seconds."""
    return int(datetime(2026, month, day, hour, minute, second, tzinfo=UTC).timestamp())


MONTHS = (at(8, 5), at(9, 5), at(10, 5), at(11, 5))
CURRENCIES = ("usd", "usd", "eur", "eur", "jpy", "jpy")
BORN = MONTHS[0] - 100


@dataclass(frozen=True)
class Happening:
    """An event, and the name by which a test loses it: the id of its object, or the type and the id."""

    event: StripeEvent

    @property
    def at(self) -> int:
        """When it happened."""
        return self.event.created

    @property
    def names(self) -> set[str]:
        """What it is called."""
        name = str(self.event.object["id"])
        return {name, f"{self.event.type} {name}"}


def happening(kind: str, body: Json, moment: int, **more: Any) -> Happening:
    return Happening(an_event(kind, body, created=moment, **more))


def customer(
    number: int, moment: int = BORN, *, user: bool = True, updated: bool = False, **metadata: str
) -> Happening:
    """A customer is created, or updated with this metadata."""
    known = {"user_id": f"u{number}"} if user else {}
    body = a_customer(id=f"cus_{number}", metadata=known | metadata, created=BORN)
    if updated:
        return happening("customer.updated", body, moment, previous={"metadata": {}})
    return happening("customer.created", body, moment)


def subscription(
    number: int, moment: int, amount: int = 2000, currency: str = "usd", *, also: str = "", was: int = 0, **more: Any
) -> Happening:
    """A subscription starts; with `was` its amount changes from that, with `ended_at` it ends."""
    item = an_item({**a_price(amount, id=f"price_{amount}_{currency}"), "currency": currency})
    kind = "customer.subscription.updated" if was else "customer.subscription.created"
    kind = "customer.subscription.deleted" if "ended_at" in more else kind
    began = more.pop("began", BORN + 50)
    body = a_subscription(
        item,
        id=f"sub_{number}{also}",
        customer=f"cus_{number}",
        created=began,
        start_date=began,
        currency=currency,
        **more,
    )
    if not was:
        return happening(kind, body, moment)
    before = an_item({**a_price(was, id=f"price_{was}_{currency}"), "currency": currency})
    return happening(kind, body, moment, previous={"items": {"object": "list", "data": [before], "has_more": False}})


def turned(number: int, moment: int, status: str, was: str, currency: str = "usd", **more: Any) -> Happening:
    """A subscription has another status, and the same terms."""
    body = subscription(number, moment, currency=currency, status=status, **more).event.object
    return happening("customer.subscription.updated", body, moment, previous={"status": was})


def ended(number: int, moment: int, currency: str = "usd") -> Happening:
    """A subscription is cancelled at once."""
    return subscription(number, moment, currency=currency, status="canceled", ended_at=moment, canceled_at=moment)


def invoice(number: int, place: int, moment: int, amount: int = 2000, currency: str = "usd") -> list[Happening]:
    """An invoice is paid: the first of a subscription, or a later one."""
    names = {"invoice": f"in_{number}_{place}", "payment_intent": f"pi_{number}_{place}"}
    joined: Json = {"id": f"inpay_{number}_{place}", "object": "invoice_payment", "invoice": names["invoice"]}
    joined |= {"amount_paid": amount, "currency": currency, "is_default": True, "status": "paid", "created": moment}
    joined |= {"payment": {"type": "payment_intent", "payment_intent": names["payment_intent"]}}
    body = an_invoice(
        id=names["invoice"],
        customer=f"cus_{number}",
        total=amount,
        currency=currency,
        billing_reason="subscription_cycle" if place else "subscription_create",
        created=moment - 3_600,
        status_transitions={"paid_at": moment},
        parent={
            "type": "subscription_details",
            "subscription_details": {"subscription": f"sub_{number}", "metadata": {}},
        },
    )
    return [happening("invoice_payment.paid", joined, moment), happening("invoice.paid", body, moment)]


def refund(
    name: str, number: int, place: int, moment: int, amount: int, currency: str = "usd", *, failed: bool = False
) -> Happening:
    """A payment is refunded, in part or whole; or the refund fails."""
    body = a_refund(
        id=f"re_{name}",
        payment_intent=f"pi_{number}_{place}",
        charge=f"ch_{number}_{place}",
        amount=amount,
        currency=currency,
        created=moment,
        status="failed" if failed else "succeeded",
    )
    return happening("refund.failed" if failed else "refund.created", body, moment)


def charge_refunded(number: int, place: int, moment: int, so_far: int, before: int) -> Happening:
    """The only event of a refund that an old endpoint gets: how much of a charge is refunded by now."""
    body = a_charge(
        id=f"ch_{number}_{place}", customer=f"cus_{number}", payment_intent=f"pi_{number}_{place}", refunded=False
    )
    body["amount_refunded"] = so_far
    return happening("charge.refunded", body, moment, previous={"amount_refunded": before})


def dispute(number: int, place: int, moment: int, amount: int = 2000, what: str = "created", **more: Any) -> Happening:
    """A payment is disputed, or the dispute goes on."""
    body = a_dispute(
        id=f"dp_{number}_{place}",
        payment_intent=f"pi_{number}_{place}",
        charge=f"ch_{number}_{place}",
        amount=amount,
        **{"created": moment, **more},
    )
    return happening(f"charge.dispute.{what}", body, moment)


def intent(number: int, place: int, moment: int, amount: int = 5000, currency: str = "usd") -> Happening:
    """A payment of its own."""
    body = an_intent(
        id=f"pi_{number}_{place}",
        customer=f"cus_{number}",
        amount=amount,
        amount_received=amount,
        currency=currency,
        created=moment,
        latest_charge=f"ch_{number}_{place}",
    )
    return happening("payment_intent.succeeded", body, moment)


def a_shop() -> list[Happening]:
    """Six customers, two in each of three currencies, who all pay 2000 minor units each month."""
    happenings: list[Happening] = []
    for number, currency in enumerate(CURRENCIES, 1):
        happenings += [customer(number), subscription(number, BORN + 50, currency=currency)]
        for place, moment in enumerate(MONTHS):
            happenings += invoice(number, place, moment, currency=currency)
    return happenings


@dataclass
class Shop:
    """What happened, and what came of it.

    `lost` are names of events that never came, `again` of events that came a second time, after so many seconds.
    `settings` are those in force from an epoch second on. `silent` are objects that an import listed in silence.
    """

    also: Iterable[Happening] = ()
    happenings: list[Happening] = field(default_factory=a_shop)
    lost: Iterable[str] = ()
    again: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[int, Mapping[str, str]] = field(default_factory=lambda: {0: {}})
    silent: Iterable[str] = ()
    answer: Callable[[Call], Answer] = lambda _: ACCEPTED
    enrich: Callable[[Json, Json], object] = unchanged
    objects: Mapping[str, Json] = field(default_factory=dict)
    began: int = BORN - DAY
    month: str = ""
    letters: tuple[Letter, ...] = ()
    waiting: bool = False
    audited_at: int = MONTHS[-1] + 5 * DAY

    def report(self) -> Report:
        """Deliver what came, and audit."""
        every = sorted([*self.happenings, *self.also], key=lambda one: one.at)
        lists = {one["id"]: one for one in listed([one.event.body for one in every], 10**11)}
        for name, changed in self.objects.items():
            lists[name] |= changed
        world, store = World(), None
        for one in every:
            chosen: Any = dict(next(given for since, given in [*self.settings.items()][::-1] if since <= one.at))
            world = World(**chosen)
            world.store = store or world.store
            store, world.answer, world.enrich, world.now = world.store, self.answer, self.enrich, one.at + 60
            if not one.names.isdisjoint(self.lost):
                continue
            if not one.names.isdisjoint(self.silent):
                world.batch(_record(lists[str(one.event.object["id"])], one.at))
                continue
            world.batch(one.event)
            for name in one.names & self.again.keys():
                world.now = one.at + self.again[name]
                world.batch(one.event)
        truth = Truth(livemode=False, moment=self.audited_at)
        for each in sorted(lists.values(), key=lambda one: one["object"] not in {"coupon", "customer"}):
            truth.take(each)
        truth.close()
        circumstances = Circumstances(world.settings, False, self.audited_at, self.began, self.waiting, self.letters)  # noqa: FBT003 - test mode
        kept: Any = store
        return audit(truth, kept.profiles.values(), kept.known_receipts, circumstances, self.month)


def _record(data: Json, moment: int) -> str:
    record = {"object": "stripe_to_segment.import", "level": "state", "moment": moment, "livemode": False}
    return json.dumps({**record, "data": data})
