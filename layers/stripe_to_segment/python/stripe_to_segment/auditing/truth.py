"""What Stripe's lists say: each payment, refund and dispute once, and each subscription with its mrr.

Read from Stripe's own fields, and not from what the mapper makes of them, so that a mistake of the mapper is found.
Only the mrr, which no list states, is calculated as the mapper does it, of the subscription as it is now.
"""

from __future__ import annotations

from collections import defaultdict
from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stripe_to_segment.auditing.findings import Kind
from stripe_to_segment.mapping.facts import Known
from stripe_to_segment.mapping.subscriptions.state import after_of
from stripe_to_segment.settings import Settings
from stripe_to_segment.state.profile import new_profile
from stripe_to_segment.state.subscription import NOT_LIVE
from stripe_to_segment.stripe_side import checkout as read_checkout
from stripe_to_segment.stripe_side import invoice as read_invoice
from stripe_to_segment.stripe_side import invoice_payment as read_part
from stripe_to_segment.stripe_side import payment_intent as read_intent
from stripe_to_segment.stripe_side import refund as read_refund
from stripe_to_segment.stripe_side.api_terms import api_terms
from stripe_to_segment.stripe_side.discount import coupons_of, read_coupon
from stripe_to_segment.stripe_side.event import Level, owner_key, scope_of
from stripe_to_segment.stripe_side.fields import integer, reference, text
from stripe_to_segment.stripe_side.listing import listed_event, record_of
from stripe_to_segment.stripe_side.subscription import created_at, ended_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.mapping.subscriptions.state import State
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["Entry", "Truth", "is_live"]

# The values of the setting MrrDiscounts.
DISCOUNTS = ("forever", "all", "none")
# The order of an intent whose session Stripe no longer lists: the session stated the payment.
NOBODY = ""


@dataclass(slots=True)
class Entry:
    """One object that counts, in minor units of `currency` (lower case), made at an epoch second.

    `names` are the ids under which an event may state it, `record` is the key of its customer's record, `event` the
    name of the call that states it. `attached` are the amounts of payments that were attached to an invoice, which may
    have been orders of their own, and `elsewhere` what these have paid of other invoices, by payment and invoice.
    `settled` is for a dispute the amount that Stripe has withdrawn. A refund that has
    failed has the amount 0, and `failed` is what it was. `status`, of a subscription, decides whether it is live;
    `ended` is the epoch second of its end, 0 without one. Its amount is the mrr, `unknown` where not even the API says
    enough, `rules` what it would be if other discounts counted, `terms` are price, quantity and period of its main
    item, and `traits` say what else its mrr depends on: discount, metered, trial, several (items).
    """

    id: str
    currency: str
    amount: int
    at: int
    record: str
    event: str
    names: set[str] = field(default_factory=set)
    attached: dict[str, int] = field(default_factory=dict)
    elsewhere: dict[tuple[str, str], int] = field(default_factory=dict)
    settled: int = 0
    failed: int = 0
    status: str = ""
    ended: int = 0
    unknown: bool = False
    rules: dict[str, int] = field(default_factory=dict)
    terms: tuple[str | None, int | None, str | None] = (None, None, None)
    traits: frozenset[str] = frozenset()


@dataclass(slots=True)
class Truth:
    """Collects the objects of the lists; ask `entries` when all lists are read.

    Their order is free, but coupons and customers must come before subscriptions, because they define the
    subscriptions' discounts.
    """

    livemode: bool
    moment: int
    mrr_discounts: str = "forever"
    payments: dict[str, Entry] = field(default_factory=dict)
    refunds: dict[str, Entry] = field(default_factory=dict)
    disputes: dict[str, Entry] = field(default_factory=dict)
    subscriptions: dict[str, Entry] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    """The order of each payment intent or charge that an invoice or a session claims; NOBODY where it is not listed."""
    _intents: dict[str, tuple[Entry, str, bool]] = field(default_factory=dict)
    _invoiced: dict[str, str] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    _coupons: dict[str, str] = field(default_factory=dict)
    _own: dict[str, Profile] = field(default_factory=dict)
    _attached: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    _by_record: dict[tuple[Kind, str], list[Entry]] = field(default_factory=lambda: defaultdict(list))
    _by_payment: dict[tuple[Kind, str], list[Entry]] = field(default_factory=lambda: defaultdict(list))

    @property
    def scope(self) -> str:
        """The account and mode of the lists, as keys of records have them."""
        return scope_of(None, livemode=self.livemode)

    def take(self, one: JsonObject) -> None:
        """Take an object of a list."""
        read: dict[str, Callable[[Any], None]] = {
            "coupon": self._coupon,
            "customer": self._customer,
            "subscription": self._subscription,
            "invoice": self._invoice,
            "checkout.session": self._session,
            "payment_intent": self._intent,
            "refund": self._refund,
            "dispute": self._dispute,
        }
        if (reader := read.get(str(one.get("object")))) is not None and text(one.get("id")):
            reader(one)

    def close(self) -> None:
        """Finish after all lists are read.

        A payment intent that belongs to no invoice and no session becomes a payment of its own. A refund or a dispute
        belongs to the customer of its payment. A session's payment that was attached to an invoice is the
        invoice's.
        """
        for name, invoice in self._invoiced.items():
            if name in self.payments and invoice in self.payments:
                self.payments[invoice].names |= self.payments.pop(name).names
                self.orders[name] = invoice
        for name, (entry, invoice, of_a_session) in self._intents.items():
            self._owners.setdefault(name, entry.record)
            if name in self.orders:
                continue
            if invoice and invoice in self.payments:
                self.orders[name] = invoice
            elif invoice:
                # The invoice itself is not listed.
                self.orders[name] = invoice
                self.payments[invoice] = replace(entry, id=invoice, names={invoice, name})
            elif of_a_session:
                self.orders[name] = NOBODY
            else:
                self.payments[name] = entry
        for entry in (*self.refunds.values(), *self.disputes.values()):
            paid = next((self._owners[name] for name in sorted(entry.names) if name in self._owners), "")
            entry.record = paid or entry.record

    def entries(self, kind: Kind) -> dict[str, Entry]:
        """The objects of a kind, by id."""
        of_money = {Kind.PAYMENTS: self.payments, Kind.REFUNDS: self.refunds, Kind.DISPUTES: self.disputes}
        return of_money.get(kind, self.subscriptions)

    def of(self, kind: Kind, record: str) -> list[Entry]:
        """The objects of a kind that belong to a record."""
        if not self._by_record:
            for each in (Kind.PAYMENTS, Kind.REFUNDS, Kind.DISPUTES):
                for entry in self.entries(each).values():
                    self._by_record[each, entry.record].append(entry)
        return self._by_record.get((kind, record), [])

    def record_of(self, payment: str) -> str:
        """The key of the record of a payment's customer, by its order or its intent; empty where it is not listed."""
        return self._owners.get(payment, "")

    def about(self, kind: Kind, payment: str) -> list[Entry]:
        """The refunds or the disputes of a payment, by its order, its intent or its charge."""
        if not self._by_payment:
            for each in (Kind.REFUNDS, Kind.DISPUTES):
                for entry in self.entries(each).values():
                    for name in {*entry.names, *(self.orders.get(name, "") for name in entry.names)}:
                        self._by_payment[each, name].append(entry)
        return self._by_payment.get((kind, payment), [])

    def refunded_with(self, refund: Entry) -> int:
        """The sum of the refunds of its charge up to this one."""
        return sum(
            one.amount
            for one in self.refunds.values()
            if not one.names.isdisjoint(refund.names) and (one.at, one.id) <= (refund.at, refund.id)
        )

    def _record(self, one: shapes.Owned | shapes.Dispute, *others: str | None) -> str:
        owner = reference(one.get("customer")) or reference(one.get("customer_account"))
        return owner_key(self.scope, owner or next(filter(None, (*others, text(one.get("id")))), ""))

    def _coupon(self, coupon: shapes.Coupon) -> None:
        if (read := read_coupon(coupon)) is not None and read.id:
            self._coupons[read.id] = read.written

    def _customer(self, customer: shapes.Customer) -> None:
        own = customer.get("discount")
        if (named := reference(own)) is not None:
            known = new_profile("").with_discounts(coupons_of(None, own), self._coupons)
            self._own[str(customer["id"])] = replace(known, own_discounts=(named,))

    def _subscription(self, subscription: shapes.Subscription) -> None:
        event = listed_event(record_of(subscription, Level.STATE, self.moment, livemode=self.livemode))
        if event is None:
            return
        profile = self._own.get(event.customer or "") or new_profile("")
        known = Known(profile, coupons=self._coupons, api_terms=api_terms(subscription))

        def by(rule: str) -> State:
            return after_of(event, replace(known, settings=Settings(mrr_discounts=rule)))

        state, name = by(self.mrr_discounts), str(subscription["id"])
        traits = _traits(state, profile)
        others = [(rule, by(rule).mrr) for rule in DISCOUNTS] if "discount" in traits else []
        self.subscriptions[name] = Entry(
            name,
            state.currency or "",
            state.mrr or 0,
            created_at(subscription) or 0,
            self._record(subscription),
            "",
            {name},
            status=state.status or "",
            ended=ended_at(subscription) or 0,
            unknown=state.mrr is None,
            rules={rule: mrr for rule, mrr in others if mrr is not None},
            terms=_terms(state),
            traits=traits,
        )

    def _invoice(self, invoice: shapes.Invoice) -> None:
        name, currency, status = str(invoice["id"]), text(invoice.get("currency")), invoice.get("status")
        parts = read_invoice.paid_parts_of(invoice)
        paid_by = {*read_invoice.payments_of(invoice)}
        paid_by |= {found for field in ("payment_intent", "charge") if (found := reference(invoice.get(field)))}
        record = self._record(invoice)
        self.orders |= dict.fromkeys(paid_by, name)
        self._invoiced |= dict.fromkeys(paid_by, name)
        self._owners |= dict.fromkeys({name, *paid_by}, record)
        amount, times = sum(read_part.amount_of(one) or 0 for one in parts), invoice.get("status_transitions")
        if status == "paid":
            amount = read_invoice.amounts_of(invoice).collected
        at = (integer(times.get("paid_at")) if isinstance(times, dict) else None) or integer(invoice.get("created"))
        if currency and amount > 0 and status in {"paid", *read_invoice.UNPAID}:
            names = {"subscription_create": "Order Completed", "subscription_cycle": "Subscription Renewed"}
            event = names.get(str(invoice.get("billing_reason")), "Invoice Paid")
            event = event if status == "paid" else "Invoice Payment Received"
            attached = {
                paid: read_part.amount_of(one) or 0
                for one in parts
                if read_part.may_be_a_part(one) and (paid := read_part.payment_of(one))
            }
            entry = Entry(name, currency, amount, at or 0, record, event, {name, *paid_by}, attached)
            self.payments[name] = entry
            for paid, part in attached.items():
                for other in self._attached[paid]:
                    entry.elsewhere[paid, other.id], other.elsewhere[paid, name] = other.attached[paid], part
                self._attached[paid].append(entry)

    def _session(self, session: shapes.CheckoutSession) -> None:
        intent, name = read_checkout.payment_intent_of(session), str(session["id"])
        record = self._record(session, intent)
        self._owners |= dict.fromkeys(filter(None, (name, intent)), record)
        settled = read_checkout.is_settled(session)
        if intent and settled:
            # Where an invoice is to state it, the invoice names the intent, too.
            self.orders.setdefault(intent, read_checkout.invoice_of(session) or NOBODY)
        amount, currency = read_checkout.amounts_of(session).total, text(session.get("currency"))
        order = read_checkout.order_id_of(session) or name
        if settled and read_checkout.takes_the_money(session) and currency and amount:
            if intent:
                self.orders[intent] = order
            at = integer(session.get("created")) or 0
            self.payments[order] = Entry(order, currency, amount, at, record, "Order Completed", {name, order})

    def _intent(self, intent: shapes.PaymentIntent) -> None:
        amount, currency, name = read_intent.received(intent).total, text(intent.get("currency")), str(intent["id"])
        if intent.get("status") != "succeeded" or not amount or not currency:
            return
        at, record = integer(intent.get("created")) or 0, self._record(intent)
        entry = Entry(name, currency, amount, at, record, "Order Completed", {name})
        of_a_session = read_intent.session_of(intent) is not None and not read_intent.captured_by_hand(intent)
        self._intents[name] = (entry, read_intent.invoice_of(intent) or "", of_a_session)

    def _went_back(self, one: shapes.Refund | shapes.Dispute, amount: int, event: str) -> Entry:
        name, payment = str(one["id"]), read_refund.payment_of(one)
        names = {name, *filter(None, (payment, read_refund.charge_of(one)))}
        at, currency = integer(one.get("created")) or 0, text(one.get("currency")) or ""
        return Entry(name, currency, amount, at, self._record(one, payment), event, names)

    def _refund(self, refund: shapes.Refund) -> None:
        if read_refund.released(refund):
            return
        amount, failed = integer(refund.get("amount")) or 0, read_refund.has_failed(refund)
        entry = self._went_back(refund, 0 if failed else amount, "Order Refunded")
        entry.failed = amount if failed else 0
        self.refunds[entry.id] = entry

    def _dispute(self, dispute: shapes.Dispute) -> None:
        amount, status = integer(dispute.get("amount")) or 0, text(dispute.get("status")) or ""
        entry = self._went_back(dispute, amount, "Payment Disputed")
        withdrawn = read_refund.withdrawn(dispute)
        if withdrawn is None:
            # No funds have moved; of one that is lost they had before Stripe listed such moves.
            withdrawn = amount if status == "lost" else 0
        entry.settled, entry.status = withdrawn, status
        self.disputes[entry.id] = entry


def _terms(state: State) -> tuple[str | None, int | None, str | None]:
    """Price, quantity and period of the main item, as a record has them."""
    price = None if state.main is None else state.main.price
    return (None, None, None) if price is None else (price.id, state.quantity, price.period)


def _traits(state: State, profile: Profile) -> frozenset[str]:
    """What the mrr of a subscription depends on."""
    own = bool(profile.own_discounts or state.subscription.get("discounts") or state.subscription.get("discount"))
    found = {
        "discount": own or any(item.discounts for item in state.items),
        "metered": any(item.price.metered for item in state.items),
        "trial": state.on_trial,
        "several": len(state.items) > 1,
    }
    return frozenset(name for name, holds in found.items() if holds)


def is_live(entry: Entry) -> bool:
    """Whether a subscription is live."""
    return entry.status not in NOT_LIVE
