"""A shop's till: payments of all kinds and what goes back of them, with the balance transactions beside the events.

A payment is a Checkout Session (captured later or with a receipt, too), an invoice at once, in parts or outside of
Stripe, or a payment intent of its own, and may be attached to an invoice later; refunds may fail, disputes be won or
lost, credit notes pay out outside of Stripe. One user is two customers, and guests are none. What Stripe's balance
shows of it, before fees, and what was paid outside, is the truth.
https://docs.stripe.com/reports/balance-transaction-types
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

from tests.unit.shapes import a_session, an_event, an_invoice

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GUEST", "USERS", "Moment", "Till", "a_till", "balance_of"]

START, HOUR, DAY = 1_790_000_000, 3_600, 86_400
# The share of the parts after which no more of their invoice is paid.
WRITTEN_OFF = 0.15
# The share of the invoices in parts whose first part was a purchase of its own, days before.
DEPOSITS = 0.3
# Of those deposits, the share that pays a second invoice too.
SHARED = 0.4
# The share of the banks' inquiries that become disputes.
ESCALATED = 0.4
# The share of the sales beside which an invoice over as much is paid outside of Stripe.
OUTSIDE = 0.3
# The share of the payments beside which the customer gets something back that has paid for nothing, or of which an
# authorisation expires.
BESIDE = 0.1
# The share of the refunded charges that name no customer.
NAMELESS = 0.3
# Of payments that are alike: the amounts, and when in the day they are paid.
ALIKE, ALIKE_SECONDS = (2_000, 5_000), (0, 1, 60, 100, 200)
# The share of the payment intents of their own that say nothing of tax.
UNTAXED = 0.3
# Whose customers they are.
USERS = {"cus_ada": "ada", "cus_ada_at_work": "ada", "cus_noor": "noor"}
GUEST = "a guest"
type Json = dict[str, Any]


@dataclass(slots=True)
class Moment:
    """What happens in one second: its events, and what moves in minor units, by user (or GUEST) and currency.

    `stated` is what payments and what goes back of them state then: of several captures, the last one states all.
    """

    at: int
    events: list[Any] = field(default_factory=list)
    moved: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    stated: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True, slots=True)
class _Sale:
    """One order, in minor units: what it brought in, what of it was no tax, and an intent that paid `charged` of it.

    `released` was authorised and never captured.
    """

    at: int
    customer: str | None
    currency: str
    order: str
    total: int
    net: int
    intent: str
    charged: int
    released: int = 0

    @property
    def about(self) -> Json:
        """What a refund or a dispute says of it."""
        return {"charge": f"ch_{self.intent}", "payment_intent": self.intent, "currency": self.currency}


@dataclass(slots=True)
class Till:
    """Everything that happened, in order.

    `joined` says that the endpoint gets invoice_payment.paid, `referenced` that intents name what they pay. `revenue`
    and `returned`, by currency, are without tax, `refunded` is with it. `sold` is what each order brought in without
    tax and with it, in minor units, `paid_by` the order of each intent. `deposits` are the invoices to which a purchase
    was attached later; `shared` says that one was attached to two. With `alike` payments have the same amounts, in the
    same minutes.
    """

    rng: Random
    joined: bool
    referenced: bool
    start: int = START
    name: str = ""
    moments: list[Moment] = field(default_factory=list)
    revenue: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    returned: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refunded: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sold: dict[str, tuple[int, int]] = field(default_factory=dict)
    paid_by: dict[str, str] = field(default_factory=dict)
    deposits: set[str] = field(default_factory=set)
    shared: bool = False
    alike: bool = False
    _number: int = 0

    def run(self, payments: int) -> None:
        """So many payments, each with what becomes of it."""
        for number, (customer, user) in enumerate(USERS.items()):
            known = {"id": self._named(customer), "object": "customer", "metadata": {"user_id": self._named(user)}}
            self._emit(self._moment(self.start - DAY + number), "customer.created", known)
        for _ in range(payments):
            days, seconds = (range(1, 10), ALIKE_SECONDS) if self.alike else (range(300), range(DAY))
            self._payment(self.start + self.rng.choice(days) * DAY + self.rng.choice(seconds))
        self.moments.sort(key=lambda moment: moment.at)

    @property
    def last(self) -> list[Any]:
        """One more event of each customer, when all is over, that shows what its user has come to."""
        at = self.moments[-1].at + DAY
        body = {"object": "customer", "email": "shop@example.com"}
        return [
            an_event("customer.updated", {"id": self._named(one), **body}, id=f"evt_last_{one}{self.name}", created=at)
            for one in USERS
        ]

    @property
    def events(self) -> list[Any]:
        """Every event, in order."""
        return [event for moment in self.moments for event in moment.events]

    def _named(self, name: str) -> str:
        return f"{name}{self.name}"

    def _next(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}_{self._number}{self.name}"

    def _moment(self, at: int) -> Moment:
        self.moments.append(Moment(at))
        return self.moments[-1]

    def _emit(self, moment: Moment, kind: str, body: Json, **more: Any) -> None:
        name = more.pop("id", "") or self._next("evt")
        moment.events.append(an_event(kind, body, id=name, created=moment.at, **more))

    def _move(self, moment: Moment, sale: _Sale, amount: int, stated: int | None = None) -> None:
        user = self._named(USERS[sale.customer.removesuffix(self.name)]) if sale.customer is not None else GUEST
        moment.moved[user, sale.currency] += amount
        moment.stated[user, sale.currency] += amount if stated is None else stated

    # --- what comes in ---

    def _payment(self, at: int) -> None:
        rng = self.rng
        kinds = {self._session: 3, self._receipt: 1, self._captured: 1, self._invoice: 3, self._intent: 3}
        if self.joined:
            # Nothing else distinguishes a part of an invoice from a payment of its own.
            kinds[self._parts] = 2
        total = rng.choice(ALIKE) if self.alike else rng.randrange(200, 20_000)
        customer = self._named(rng.choice([*USERS]))
        currency, intent = rng.choice(("usd", "usd", "eur")), self._next("pi")
        if currency == "eur":
            currency = Random(f"{self.start} {intent} {total} currency").choice(("eur", "eur", "jpy", "kwd"))
        sale = _Sale(at, customer, currency, "", total, total, intent, total)
        sale = rng.choices([*kinds], [*kinds.values()])[0](sale)
        self.revenue[sale.currency] += sale.net
        self.sold[sale.order] = sale.net, sale.total
        fates = (self._nothing, self._refunds, self._refunds, self._dispute, self._credit)
        rng.choice(fates)(sale, sale.at + rng.randrange(HOUR, 20 * DAY))
        self._beside(sale)

    def _tax(self, total: int) -> int:
        return self.rng.choice((0, total // 6, self.rng.randrange(total // 3)))

    def _session(self, sale: _Sale) -> _Sale:
        """Paid at once; every fifth by a guest."""
        guest, tax = self.rng.random() < 0.2, self._tax(sale.total)
        sale = replace(sale, order=self._next("cs"), net=sale.total - tax, customer=None if guest else sale.customer)
        moment = self._moment(sale.at)
        self._emit(moment, "checkout.session.completed", self._session_of(sale, tax))
        self._paid(moment, sale)
        return sale

    def _receipt(self, sale: _Sale) -> _Sale:
        """The invoice is made after the payment, and the session may not know it yet."""
        session, tax = self._next("cs"), self._tax(sale.total)
        sale = replace(sale, order=self._next("in"), net=sale.total - tax)
        named = self.rng.choice((None, sale.order))
        moment = self._moment(sale.at)
        body = self._session_of(replace(sale, order=session), tax, invoice=named, invoice_creation={"enabled": True})
        self._emit(moment, "checkout.session.completed", body)
        self._emit(moment, "invoice.paid", self._invoice_of(sale, sale.total))
        self._join(moment, sale, sale.charged, default=True)
        self._paid(moment, sale, reference=session)
        return sale

    def _captured(self, sale: _Sale) -> _Sale:
        """The session is completed unpaid, and captured days later; a part of it, perhaps in several captures."""
        session, tax = self._next("cs"), self._tax(sale.total)
        received = sale.total if self.rng.random() < 0.3 else self.rng.randrange(1, sale.total + 1)
        net = round(Fraction((sale.total - tax) * received, sale.total))
        body = self._session_of(replace(sale, order=session), tax, payment_status="unpaid")
        self._emit(self._moment(sale.at), "checkout.session.completed", body)
        released = sale.total + self.rng.choice((0, 500)) - received
        sale = replace(sale, order=sale.intent, total=received, net=net, released=released)
        by_hand = {"capture_method": "manual", "amount": received + released}
        left = received
        while True:
            part = left if self.rng.random() < 0.5 else self.rng.randrange(1, left + 1)
            sale = replace(sale, at=sale.at + self.rng.randrange(HOUR, 3 * DAY), charged=part)
            moment, left = self._moment(sale.at), left - part
            if not left:
                break
            so_far = {"amount_received": received - left, "amount_capturable": left + released}
            self._intent_of(moment, "amount_capturable_updated", sale, session, **by_hand, **so_far)
            self._move(moment, sale, part, stated=0)
        self._intent_of(moment, "succeeded", sale, session, amount_received=received, **by_hand)
        self._move(moment, sale, part, stated=received)
        return replace(sale, charged=received)

    def _intent(self, sale: _Sale) -> _Sale:
        """With or without tax that it states, or a tip on top of what was asked."""
        tax = self._tax(sale.total)
        tip = self.rng.choice((0, sale.total // 10))
        details: Json = {"tip": {"amount": tip} if tip else {}}
        if Random(f"{self.start} {sale.intent} untaxed").random() < UNTAXED:
            tax = 0
        else:
            details["tax"] = {"total_tax_amount": tax}
        sale = replace(sale, order=sale.intent, net=sale.total - tax)
        self._paid(self._moment(sale.at), sale, amount=sale.total - tip, amount_details=details)
        self._outside(sale)
        return sale

    def _outside(self, sale: _Sale) -> None:
        """An invoice that is paid outside of Stripe, of the same amount and in the same minutes as a sale."""
        rng, order = Random(f"{self.start} {sale.intent} outside"), f"in_outside_{sale.intent}"
        if rng.random() >= OUTSIDE:
            return
        invoice = replace(sale, order=order, net=sale.total - rng.choice((0, sale.total // 6)))
        moment = self._moment(sale.at + rng.choice((-100, 100)))
        body = self._invoice_of(invoice, sale.total)
        marked = {"amount_paid": 0, "amount_remaining": sale.total}
        told = rng.choice((marked, {"amount_paid_off_stripe": sale.total}, {"paid_out_of_band": True}))
        moment.events.append(an_event("invoice.paid", {**body, **told}, id=f"evt_{order}", created=moment.at))
        self._move(moment, invoice, sale.total)
        self.revenue[sale.currency] += invoice.net
        self.sold[order] = invoice.net, invoice.total

    def _invoice(self, sale: _Sale) -> _Sale:
        """Every third over another amount than is paid: a credit or an old debt counts with it, or too much is paid."""
        order, tax, rng = self._next("in"), self._tax(sale.total), Random(f"{self.start} {sale.intent} balance")
        whole = sale.total if rng.random() < 2 / 3 else rng.randrange(sale.total // 2, 3 * sale.total // 2)
        over = max(sale.total - whole, 0) if rng.random() < 2 / 3 else 0
        sale = replace(sale, order=order, net=round(Fraction((whole - tax) * sale.total, whole)))
        moment, due = self._moment(sale.at), sale.total - over
        paid = {"amount_due": due, "amount_paid": due, "amount_overpaid": over}
        taxed = {"total": whole, "total_taxes": [{"amount": tax}]}
        self._emit(moment, "invoice.paid", {**self._invoice_of(sale, sale.total), **paid, **taxed})
        self._join(moment, sale, due, default=not over)
        self._paid(moment, sale, reference=sale.order)
        return sale

    def _parts(self, sale: _Sale) -> _Sale:
        """An invoice that is paid in several payments; the last may be the one that Stripe made for it.

        The first may be a deposit, paid before the invoice was made. Now and then the rest of one without a deposit,
        whose session rounds for itself, is never paid, and written off.
        """
        sale = replace(sale, order=self._next("in"), net=sale.total - self._tax(sale.total))
        deposit, more = self._deposit(sale)
        left = sale.total - deposit
        self._emit(self._moment(sale.at), "invoice.finalized", self._invoice_of(sale, 0))
        if deposit:
            self._attach(sale, deposit, more)
        while left:
            part = left if left < 100 or self.rng.random() < 0.3 else self.rng.randrange(50, left)
            left -= part
            sale = replace(sale, at=sale.at + self.rng.randrange(HOUR, 9 * DAY), intent=self._next("pi"), charged=part)
            moment = self._moment(sale.at)
            self._join(moment, sale, part, default=left == 0 and self.rng.random() < 0.5)
            if not left:
                self._emit(moment, "invoice.paid", self._invoice_of(sale, sale.total))
            self._paid(moment, sale, reference=sale.order)
            if left and not deposit and Random(f"{self.start} {sale.intent}").random() < WRITTEN_OFF:
                bad = {**self._invoice_of(sale, sale.total - left), "status": "uncollectible"}
                self._emit(self._moment(sale.at + 9 * DAY), "invoice.marked_uncollectible", bad)
                paid = sale.total - left
                return replace(sale, total=paid, net=round(Fraction(sale.net * paid, sale.total)))
        return sale

    def _deposit(self, sale: _Sale) -> tuple[int, int]:
        """What a session or an intent of its own has brought in the day before, 0 where there was none.

        And what it has brought in beside that for another invoice, where neither asks for tax.
        """
        rng = Random(f"{self.start} {sale.intent} deposit")
        if rng.random() >= DEPOSITS:
            return 0, 0
        amount = sale.total if rng.random() < DEPOSITS else rng.randrange(50, sale.total)
        tax = amount - round(Fraction(sale.net * amount, sale.total))
        draw = Random(f"{self.start} {sale.intent} shared")
        more = sale.total // 2 if amount < sale.total == sale.net and draw.random() < SHARED else 0
        paid = replace(sale, total=amount + more, charged=amount + more)
        moment = self._moment(sale.at - DAY)
        self.deposits.add(sale.order)
        session = self._next("cs") if rng.random() < 1 / 2 else None
        if session is not None:
            self._emit(moment, "checkout.session.completed", self._session_of(replace(paid, order=session), tax))
        self._paid(moment, paid, session, amount_details={"tax": {"total_tax_amount": tax}})
        return amount, more

    def _attach(self, sale: _Sale, amount: int, more: int) -> None:
        """The deposit pays its parts of the invoices. https://docs.stripe.com/api/invoices/attach_payment."""
        moment = self._moment(sale.at + 1)
        self._join(moment, sale, amount, default=False)
        if amount == sale.total:
            self._emit(moment, "invoice.paid", self._invoice_of(sale, amount))
        if more:
            other = replace(sale, order=f"{sale.order}_too", total=more, net=more)
            self._join(moment, other, more, default=False)
            self._emit(moment, "invoice.paid", self._invoice_of(other, more))
            self.revenue[sale.currency] += more
            self.sold[other.order] = more, more
            self.deposits.add(other.order)
            self.shared = True
            Random(f"{self.start} {sale.intent} in any order").shuffle(moment.events)

    def _paid(self, moment: Moment, sale: _Sale, reference: str | None = None, **more: Any) -> None:
        """The intent succeeds, in whatever order with the others of its moment."""
        self._intent_of(moment, "succeeded", sale, reference, **more)
        self._move(moment, sale, sale.charged)
        self.rng.shuffle(moment.events)

    def _intent_of(self, moment: Moment, kind: str, sale: _Sale, reference: str | None, **more: Any) -> None:
        self.paid_by[sale.intent] = sale.order
        named = {"order_reference": reference} if self.referenced and reference else None
        intent = {"id": sale.intent, "object": "payment_intent", "customer": sale.customer, "currency": sale.currency}
        money = {"amount": sale.charged, "amount_received": sale.charged, "payment_details": named}
        self._emit(moment, f"payment_intent.{kind}", {**intent, **money, **more})

    def _join(self, moment: Moment, sale: _Sale, amount: int, *, default: bool) -> None:
        if self.joined:
            paid: Json = {"id": self._next("inpay"), "object": "invoice_payment", "invoice": sale.order}
            paid |= {"amount_paid": amount, "amount_requested": amount, "currency": sale.currency}
            payment = {"type": "payment_intent", "payment_intent": sale.intent}
            self._emit(moment, "invoice_payment.paid", {**paid, "is_default": default, "payment": payment})

    def _session_of(self, sale: _Sale, tax: int, **more: Any) -> Json:
        details = {"amount_tax": tax, "amount_shipping": 0, "amount_discount": 0}
        money = {"amount_total": sale.total, "amount_subtotal": sale.total - tax, "currency": sale.currency}
        ids = {"id": sale.order, "customer": sale.customer, "payment_intent": sale.intent}
        return a_session(**ids, **money, total_details=details, shipping_cost=None, **more)

    def _invoice_of(self, sale: _Sale, paid: int) -> Json:
        money = {"total": sale.total, "amount_due": sale.total, "amount_paid": paid, "currency": sale.currency}
        money |= {"amount_remaining": sale.total - paid, "total_taxes": [{"amount": sale.total - sale.net}]}
        ids = {"id": sale.order, "customer": sale.customer, "parent": None, "billing_reason": "manual"}
        return an_invoice(**ids, **money, status="paid" if paid else "open")

    # --- what goes back ---

    def _nothing(self, *_: Any) -> None:
        """Most payments stay."""

    def _refunds(self, sale: _Sale, at: int) -> None:
        # A card is charged when it pays, a bank account days before.
        left, total = sale.charged, 0
        charged = sale.at - Random(f"{self.start} {sale.intent} charged").choice((0, 0, 2, 5 * DAY))
        nameless = Random(f"{self.start} {sale.intent} charge").random() < NAMELESS
        while left and self.rng.random() < 0.8:
            part = left if self.rng.random() < 0.5 else self.rng.randrange(1, left + 1)
            refund = {"id": self._next("re"), "object": "refund", "amount": part, "created": at, **sale.about}
            moment = self._moment(at)
            self._emit(moment, "refund.created", {**refund, "status": "succeeded"})
            charge = {"id": f"ch_{sale.intent}", "object": "charge", "amount": sale.charged + sale.released}
            charge |= {"amount_captured": sale.charged, "currency": sale.currency}
            charge |= {"customer": None if nameless else sale.customer}
            before = total
            if Random(f"{self.start} {sale.intent} version").random() < 0.5:
                # Until 2025-03-31 what was released counts as refunded, from the capture on.
                before += sale.released
                charge["invoice"] = None
            charge |= {"payment_intent": sale.intent, "amount_refunded": before + part, "created": charged}
            charge |= {"refunded": total + part == sale.charged}
            self._emit(moment, "charge.refunded", charge, previous={"amount_refunded": before})
            self.rng.shuffle(moment.events)
            self._move(moment, sale, -part)
            at += self.rng.randrange(HOUR, 5 * DAY)
            if self.rng.random() < 0.3:
                failed = self._moment(at)
                self._emit(failed, "refund.failed", {**refund, "status": "failed", "failure_reason": "unknown"})
                self._move(failed, sale, part)
                break
            left, total = left - part, total + part
            at += self.rng.randrange(HOUR, 5 * DAY)
        self.refunded[sale.currency] += total
        self.returned[sale.currency] += round(Fraction(sale.net * total, sale.total))

    def _beside(self, sale: _Sale) -> None:
        """Refunds that give nothing of a payment back: of what was transferred beyond it, and of an authorisation."""
        rng, refund = Random(f"{self.start} {sale.intent} beside"), {"object": "refund", "currency": sale.currency}
        if sale.customer is not None and rng.random() < BESIDE:
            moment, amount = self._moment(sale.at + rng.randrange(30 * DAY)), rng.randrange(1, sale.total + 1)
            about = {"id": f"re_cash_{sale.intent}", "amount": amount, "charge": None, "payment_intent": None}
            body = {**refund, **about, "created": moment.at, "customer": sale.customer, "status": "succeeded"}
            moment.events.append(an_event("refund.created", body, id=f"evt_cash_{sale.intent}", created=moment.at))
            self.refunded[sale.currency] += amount
        if rng.random() < BESIDE:
            moment, held = self._moment(sale.at + rng.randrange(30 * DAY)), f"pi_held_{sale.intent}"
            about = {"id": f"re_{held}", "amount": sale.total, "charge": f"ch_{held}", "payment_intent": held}
            about |= {"created": moment.at, "reason": "expired_uncaptured_charge"}
            body = {**refund, **about, "status": "succeeded"}
            moment.events.append(an_event("refund.created", body, id=f"evt_{held}", created=moment.at))

    def _dispute(self, sale: _Sale, at: int) -> None:
        dispute = {"id": self._next("dp"), "object": "dispute", "amount": sale.charged, "reason": "fraudulent"}
        dispute |= sale.about
        opened, end, luck = self._moment(at), at + 30 * DAY, self.rng.random()
        if luck < 0.2:
            # No money moves: the bank only asks, unless that becomes a dispute, or the merchant's refund comes first.
            self._emit(opened, "charge.dispute.created", {**dispute, "status": "warning_needs_response"})
            closed, fate = self._moment(end), Random(f"{self.start} {sale.intent} escalates")
            if fate.random() < ESCALATED:
                dispute["created"] = at
                self._withdraw(sale, dispute, self._moment(at + 10 * DAY), id=f"evt_withdrawn_{sale.intent}")
                self._decide(sale, dispute, closed, won=fate.random() < 0.5, id=f"evt_reinstated_{sale.intent}")
            else:
                self._emit(closed, "charge.dispute.closed", {**dispute, "status": "warning_closed"})
            return
        if luck < 0.3:
            self._emit(opened, "charge.dispute.created", {**dispute, "status": "prevented"})
            return
        self._emit(opened, "charge.dispute.created", {**dispute, "status": "needs_response"})
        self._withdraw(sale, dispute, opened)
        self._decide(sale, dispute, self._moment(end), won=luck < 0.65)

    def _withdraw(self, sale: _Sale, dispute: Json, moment: Moment, **more: Any) -> None:
        self._emit(moment, "charge.dispute.funds_withdrawn", {**dispute, "status": "needs_response"}, **more)
        self._move(moment, sale, -sale.charged)

    def _decide(self, sale: _Sale, dispute: Json, closed: Moment, *, won: bool, **more: Any) -> None:
        self._emit(closed, "charge.dispute.closed", {**dispute, "status": "won" if won else "lost"})
        if won:
            self._emit(closed, "charge.dispute.funds_reinstated", {**dispute, "status": "won"}, **more)
            self._move(closed, sale, sale.charged)

    def _credit(self, sale: _Sale, at: int) -> None:
        if not sale.order.startswith("in_"):
            return
        part = self.rng.randrange(1, sale.total + 1)
        note: Json = {"id": self._next("cn"), "object": "credit_note", "invoice": sale.order}
        note |= {"customer": sale.customer, "currency": sale.currency, "total": part}
        reported = Random(f"{self.start} {sale.intent} reported").choice((0, part // 2, part))
        refunds = [{"type": "payment_record_refund", "amount_refunded": reported}] if reported else []
        note |= {"out_of_band_amount": part - reported, "refunds": refunds}
        issued = self._moment(at)
        self._emit(issued, "credit_note.created", {**note, "status": "issued"})
        self._move(issued, sale, -part)
        if self.rng.random() < 0.3:
            voided = self._moment(at + DAY)
            self._emit(voided, "credit_note.voided", {**note, "status": "void"})
            self._move(voided, sale, part)


def a_till(rng: Random, payments: int = 8, **more: Any) -> Till:
    """A shop with some payments; whether its endpoint and its payloads join payments and invoices is drawn too."""
    till = Till(rng, joined=rng.random() < 0.7, referenced=rng.random() < 0.5, **more)
    till.run(payments)
    return till


def balance_of(till: Till) -> Mapping[tuple[str, str], int]:
    """The sum of all balance transactions in minor units, by user and currency; guests have no lifetime."""
    balance: dict[tuple[str, str], int] = defaultdict(int)
    for moment in till.moments:
        for key, minor in moment.moved.items():
            balance[key] += minor if key[0] != GUEST else 0
    return balance
