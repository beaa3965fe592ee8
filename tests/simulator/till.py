"""A shop's till: payments of all kinds and what goes back of them, with the balance transactions beside the events.

A payment is a Checkout Session, an invoice or a payment intent of its own; refunds may fail, disputes be won or lost,
credit notes pay out outside of Stripe. What Stripe's balance shows of it, before fees, is the truth.
https://docs.stripe.com/reports/balance-transaction-types
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.unit.shapes import a_session, an_event, an_invoice

if TYPE_CHECKING:
    from random import Random

__all__ = ["Moment", "Till", "a_till"]

START, HOUR, DAY = 1_790_000_000, 3_600, 86_400
CUSTOMERS = ("cus_ada", "cus_noor")


@dataclass(slots=True)
class Moment:
    """What happens in one second: its events, and what moves in minor units, by customer and currency."""

    at: int
    events: list[Any] = field(default_factory=list)
    moved: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))


@dataclass(slots=True)
class Till:
    """Everything that happened, in order. `joined` says that the endpoint gets invoice_payment.paid."""

    rng: Random
    joined: bool
    referenced: bool
    moments: list[Moment] = field(default_factory=list)
    revenue: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    returned: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _number: int = 0

    def run(self, payments: int) -> None:
        """So many payments, each with what becomes of it."""
        for _ in range(payments):
            self._payment(START + self.rng.randrange(300) * DAY + self.rng.randrange(DAY))
        self.moments.sort(key=lambda moment: moment.at)

    def _moment(self, at: int) -> Moment:
        self.moments.append(Moment(at))
        return self.moments[-1]

    def _emit(self, moment: Moment, kind: str, body: dict[str, Any], **more: Any) -> None:
        self._number += 1
        moment.events.append(an_event(kind, body, id=f"evt_{self._number}", created=moment.at, **more))

    def _payment(self, at: int) -> None:
        rng = self.rng
        self._number += 1
        number, customer, currency = self._number, rng.choice(CUSTOMERS), rng.choice(("usd", "usd", "eur"))
        intent, amount, moment = f"pi_{number}", rng.randrange(200, 20_000), self._moment(at)
        kind, order = rng.choice((("session", f"cs_{number}"), ("invoice", f"in_{number}"), ("intent", f"pi_{number}")))
        if kind == "session":
            none = {"amount_tax": 0, "amount_shipping": 0, "amount_discount": 0}
            money = {"amount_total": amount, "amount_subtotal": amount, "currency": currency, "total_details": none}
            session = a_session(id=order, customer=customer, payment_intent=intent, shipping_cost=None, **money)
            self._emit(moment, "checkout.session.completed", session)
        elif kind == "invoice":
            money = {"total": amount, "amount_paid": amount, "amount_due": amount, "currency": currency}
            self._emit(moment, "invoice.paid", an_invoice(id=order, customer=customer, total_taxes=[], **money))
            if self.joined:
                paid = {"id": f"inpay_{number}", "object": "invoice_payment", "invoice": order}
                payment = {"type": "payment_intent", "payment_intent": intent}
                self._emit(moment, "invoice_payment.paid", {**paid, "payment": payment})
        reference = {"order_reference": order} if self.referenced and kind != "intent" else None
        succeeded = {"id": intent, "object": "payment_intent", "customer": customer, "currency": currency}
        money = {"amount": amount, "amount_received": amount, "payment_details": reference}
        self._emit(moment, "payment_intent.succeeded", {**succeeded, **money})
        moment.moved[customer, currency] += amount
        self.revenue[currency] += amount
        rng.shuffle(moment.events)
        about = {"charge": f"ch_{number}", "payment_intent": intent, "currency": currency}
        fate = rng.choice((self._nothing, self._refunds, self._refunds, self._dispute, self._credit))
        fate(at + rng.randrange(HOUR, 20 * DAY), amount, customer, about, order if kind == "invoice" else None)

    def _nothing(self, *_: Any) -> None:
        """Most payments stay."""

    def _refunds(self, at: int, amount: int, customer: str, about: dict[str, Any], _: str | None) -> None:
        left, currency, total, charged = amount, about["currency"], 0, at - HOUR
        while left and self.rng.random() < 0.8:
            self._number += 1
            part = left if self.rng.random() < 0.5 else self.rng.randrange(1, left + 1)
            refund = {"id": f"re_{self._number}", "object": "refund", "amount": part, "created": at, **about}
            moment = self._moment(at)
            self._emit(moment, "refund.created", {**refund, "status": "succeeded"})
            charge = {"id": about["charge"], "object": "charge", "amount": amount, "amount_captured": amount}
            charge |= {"customer": customer, "currency": currency, "payment_intent": about["payment_intent"]}
            charge |= {"amount_refunded": total + part, "created": charged, "refunded": total + part == amount}
            self._emit(moment, "charge.refunded", charge, previous={"amount_refunded": total})
            self.rng.shuffle(moment.events)
            moment.moved[customer, currency] -= part
            at += self.rng.randrange(HOUR, 5 * DAY)
            if self.rng.random() < 0.3:
                failed = self._moment(at)
                self._emit(failed, "refund.failed", {**refund, "status": "failed", "failure_reason": "unknown"})
                failed.moved[customer, currency] += part
                return
            left, total = left - part, total + part
            self.returned[currency] += part
            at += self.rng.randrange(HOUR, 5 * DAY)

    def _dispute(self, at: int, amount: int, customer: str, about: dict[str, Any], _: str | None) -> None:
        self._number += 1
        dispute = {"id": f"dp_{self._number}", "object": "dispute", "amount": amount, "reason": "fraudulent", **about}
        opened = self._moment(at)
        for kind in ("charge.dispute.created", "charge.dispute.funds_withdrawn"):
            self._emit(opened, kind, {**dispute, "status": "needs_response"})
        opened.moved[customer, about["currency"]] -= amount
        won = self.rng.random() < 0.5
        closed = self._moment(at + 30 * DAY)
        self._emit(closed, "charge.dispute.closed", {**dispute, "status": "won" if won else "lost"})
        if won:
            self._emit(closed, "charge.dispute.funds_reinstated", {**dispute, "status": "won"})
            closed.moved[customer, about["currency"]] += amount

    def _credit(self, at: int, amount: int, customer: str, about: dict[str, Any], invoice: str | None) -> None:
        if invoice is None:
            return
        self._number += 1
        part, currency = self.rng.randrange(1, amount + 1), about["currency"]
        note: dict[str, Any] = {
            "id": f"cn_{self._number}",
            "object": "credit_note",
            "invoice": invoice,
            "customer": customer,
        }
        note |= {"currency": currency, "total": part, "out_of_band_amount": part, "status": "issued"}
        issued = self._moment(at)
        self._emit(issued, "credit_note.created", note)
        issued.moved[customer, currency] -= part
        if self.rng.random() < 0.3:
            voided = self._moment(at + DAY)
            self._emit(voided, "credit_note.voided", {**note, "status": "void"})
            voided.moved[customer, currency] += part


def a_till(rng: Random, payments: int = 8) -> Till:
    """A shop with some payments; whether its endpoint and its payloads join payments and invoices is drawn too."""
    till = Till(rng, joined=rng.random() < 0.7, referenced=rng.random() < 0.5)
    till.run(payments)
    return till
