"""Money changes hands: a bill is paid, perhaps refunded, and the truth is written down beside the events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.simulator.bills import (
    Charge,
    Invoice,
    render_charge,
    render_failed_intent,
    render_invoice,
    render_invoice_payment,
)
from tests.simulator.stream import previous_attributes
from tests.simulator.worth import Failure, Payment, Refund

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.simulator.stream import Stream
    from tests.simulator.worth import Truth

__all__ = ["Cashier"]

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Cashier:
    """Takes and gives back the money of one customer."""

    rng: Random
    stream: Stream
    truth: Truth

    def paid(self, invoice: Invoice, at: int) -> None:
        """The events of a paid invoice, in the present moment, and the payment."""
        outside, number = self.rng.random() < 0.08, self.stream.number()
        rendering = self.stream.rendering_at(at)
        charged = invoice.bill.due > 0 and not outside
        invoice = replace(
            invoice,
            paid=True,
            outside=outside,
            counts_outside=not rendering.shape.old_invoices and self.rng.random() < 0.5,
            charge=f"ch_{number}" if charged else None,
            # Invoices were paid without payment intents until 2019.
            intent=(invoice.intent or f"pi_{number}") if charged and not rendering.shape.historic else None,
        )
        body = render_invoice(invoice, rendering)
        kinds = ["invoice.paid", "invoice.payment_succeeded"]
        self.rng.shuffle(kinds)
        joined = rendering.shape.new_invoices and rendering.invoice_payments and charged
        if joined:
            kinds.insert(self.rng.randrange(3), "invoice_payment.paid")
        for kind in kinds:
            self.stream.emit(kind, at, render_invoice_payment(invoice) if kind == "invoice_payment.paid" else body)
        if not invoice.bill.due:
            return
        self.truth.payments[invoice.id] = Payment(invoice.currency, at, invoice.bill.due, invoice.bill.revenue)
        if charged:
            charge = Charge(
                f"ch_{number}", invoice.customer, invoice.currency, invoice.bill.due, invoice.intent, invoice.id
            )
            known = rendering.shape.old_invoices or joined
            self._perhaps_refunded(charge, at, invoice.id if known else None)

    def failed(self, invoice: Invoice, at: int) -> None:
        """The events of a failed attempt, in the present moment."""
        body = render_invoice(invoice, self.stream.rendering_at(at))
        if self.rng.random() < 0.2:
            self.stream.emit("invoice.payment_action_required", at, body)
        failure = Failure(invoice.currency, at, invoice.bill.due, invoice.customer, invoice.id)
        self.declined(failure, lambda: self.stream.emit("invoice.payment_failed", at, body))

    def declined(self, failure: Failure, tell: Callable[[], object]) -> None:
        """The events of a failed attempt: the object to be paid states it, and so does the intent, before or after."""
        self.truth.failures.append(failure)
        rendering, before = self.stream.rendering_at(failure.at), len(self.truth.failures) % 3 == 0
        told = [tell]
        # There are no intents before 2019, and long ago they did not name their session.
        if rendering.shape.prices and (failure.intent is None or not rendering.shape.old_invoices):
            intent = render_failed_intent(failure, rendering, self.stream.number())
            told.append(lambda: self.stream.emit("payment_intent.payment_failed", failure.at, intent))
        for one in reversed(told) if before else told:
            one()

    def took(self, charge: Charge, order: str, revenue: int, at: int) -> None:
        """A payment without an invoice; its events are the session's."""
        guest = charge.customer is None
        self.truth.payments[order] = Payment(charge.currency, at, charge.amount, revenue, guest)
        self._perhaps_refunded(charge, at, order)

    def _perhaps_refunded(self, charge: Charge, at: int, order: str | None) -> None:
        if self.rng.random() >= 0.25:
            return
        charge, left = replace(charge, made=at), charge.amount
        while left and len(charge.refunds) < 3:
            at += self.rng.randrange(1, 20 * DAY)
            amount = left if self.rng.random() < 0.4 else self.rng.randrange(1, left + 1)
            before, left = charge, left - amount
            charge = replace(charge, refunds=(*charge.refunds, (at, amount)))
            was, now = (render_charge(one, self.stream.rendering_at(at)) for one in (before, charge))
            self.stream.moment()
            self.stream.emit("charge.refunded", at, now, previous_attributes(was, now))
            guest = charge.customer is None
            refund = Refund(charge.currency, at, amount, order, guest)
            self.truth.refunds[charge.id, charge.refunded] = refund
            if self.rng.random() < 0.4:
                return
