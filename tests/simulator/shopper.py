"""One-time Checkouts: bought at once or paid days later, with an invoice or without, as a customer or as a guest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.simulator.bills import Charge, Invoice, Line
from tests.simulator.sessions import Session
from tests.simulator.worth import Failure

if TYPE_CHECKING:
    from tests.simulator.market import Market
    from tests.simulator.payments import Cashier
    from tests.simulator.stream import Stream
    from tests.simulator.worth import Bill

__all__ = ["Shopper"]

DAY = 86_400
COMPLETED = "checkout.session.completed"
SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"


@dataclass(frozen=True, slots=True)
class Shopper:
    """Visits the shop."""

    stream: Stream
    market: Market
    cashier: Cashier
    customer: str

    def visit(self, at: int) -> None:
        """One Checkout, however it ends."""
        buying = (self._buy, self._buy, self._buy_later, self._buy_with_invoice)
        kinds = (*buying, self._take_for_nothing, self._leave, self._save_a_card)
        self.stream.rng.choice(kinds)(at, self._session())

    def _session(self) -> Session:
        rng, number = self.stream.rng, self.stream.number()
        amount = rng.randrange(300, 30_000) // 100 * 100
        discount = rng.choice((0, 0, 100))
        # Before 2022 shipping was not taxed, and the session shows it among the details only.
        bill = self.market.bill(amount, discount=discount, ships=rng.random() < 0.4)
        if self.stream.rendering.shape.name == "plan and price":
            bill = replace(bill, shipping_tax=0)
        guest = rng.random() < 0.4
        return Session(
            f"cs_{number}",
            "payment",
            None if guest else self.customer,
            self.market.currency,
            bill,
            intent=f"pi_{number}",
            # Another user: one who is a customer and a guest has a law of his own, in `circles`.
            reference=f"{'guest' if guest else 'user'} of {self.customer}" if rng.random() < 0.3 else None,
        )

    def _buy(self, at: int, session: Session) -> None:
        self.stream.moment()
        self._tell(COMPLETED, at, session)
        self._took(session, at)

    def _buy_later(self, at: int, session: Session) -> None:
        """A bank debit or a voucher: complete, but unpaid for days."""
        self.stream.moment()
        self._tell(COMPLETED, at, replace(session, payment_status="unpaid"))
        at += self.stream.rng.randrange(1, 6 * DAY)
        self.stream.moment()
        if self.stream.rng.random() < 0.3:
            unpaid = replace(session, payment_status="unpaid")
            failure = Failure(
                session.currency, at, self._bill(session).due, session.customer, session.id, session.intent
            )
            self.cashier.declined(failure, lambda: self._tell(FAILED, at, unpaid))
        else:
            self._tell(SUCCEEDED, at, session)
            self._took(session, at)

    def _buy_with_invoice(self, at: int, session: Session) -> None:
        """Invoice creation is on, which makes the guest a customer, with the customer's user."""
        reference = session.reference and f"user of {self.customer}"
        session = replace(session, customer=self.customer, reference=reference, invoice=f"in_{self.stream.number()}")
        bill, lines = self._bill(session), (Line("A thing", 1, 1),)
        invoice = Invoice(
            f"{session.invoice}",
            self.customer,
            session.currency,
            bill,
            lines,
            "manual",
            at,
            intent=session.intent,
        )
        told_first = self.stream.rng.random() < 0.5
        self.stream.moment()
        if told_first:
            self._tell(COMPLETED, at, session)
        self.cashier.paid(invoice, at)
        if not told_first:
            self._tell(COMPLETED, at, session)

    def _take_for_nothing(self, at: int, session: Session) -> None:
        """A coupon over everything."""
        self.stream.moment()
        free = self.market.bill(500, discount=500)
        self._tell(COMPLETED, at, replace(session, bill=free, payment_status="no_payment_required", intent=None))

    def _leave(self, at: int, session: Session) -> None:
        self.stream.moment()
        self._tell(EXPIRED, at + DAY, replace(session, status="expired", payment_status="unpaid", intent=None))

    def _save_a_card(self, at: int, session: Session) -> None:
        self.stream.moment()
        nothing = replace(session, mode="setup", bill=None, intent=None, payment_status="no_payment_required")
        self._tell(COMPLETED, at, nothing)

    def _took(self, session: Session, at: int) -> None:
        bill, intent = self._bill(session), f"{session.intent}"
        charge = Charge(f"ch_{self.stream.number()}", session.customer, session.currency, bill.due, intent, None)
        self.cashier.took(charge, intent, bill.revenue, at)

    def _tell(self, kind: str, at: int, session: Session) -> None:
        self.stream.emit(kind, at, session.render(self.stream.rendering_at(at)))

    @staticmethod
    def _bill(session: Session) -> Bill:
        assert session.bill is not None
        return session.bill
