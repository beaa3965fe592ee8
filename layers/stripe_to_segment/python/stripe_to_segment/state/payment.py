"""One payment as the customer's record keeps it: the amount collected, and its refunds, disputes and credit notes."""

from __future__ import annotations

from copy import replace
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.frozen import frozen
from stripe_to_segment.state.bill import NOT_SENT, Bill, Part
from stripe_to_segment.state.refund import Dispute, Refund, of_both
from stripe_to_segment.state.written import known_of, stated_of
from stripe_to_segment.stripe_side.money import pro_rata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed import DataclassInstance

    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["Payment"]

# A field of refunds and parts that has been renamed, and the name under which it is stored.
STATED_BY, WRITTEN_AS = "stated_by", "told_by"


class PaidInParts(NamedTuple):
    """What parts of an invoice have paid, in minor units.

    `shared` is the total of the parts whose revenue was known. That of the others is in the next payment's.
    """

    total: int
    shared: int
    revenue: int
    tax: int


@frozen
class Payment:
    """One payment under its order's id; amounts are in minor units of `currency` (lower case).

    `counted` says that the customer's sum includes it. A payment that is not counted is known only from its refunds and
    disputes, and has `total` and `paid_at` only where these state them. `total` is also None for a payment that was
    counted before records listed payments. `stated_by` is the object whose event stated the payment (a session, an
    invoice, a payment intent), `intent` the payment intent (or charge) that paid it; where several did,
    `further_intents` are the others. `taken` are those of them that only amount and time match to it, and whose own
    events have stated nothing for that reason. `paid_at` is in epoch seconds.
    `credits` are the amounts given back outside of Stripe, by credit note. `capturing` says that `total` is what
    several captures have brought in, and that the event which states the payment is to come. `parts` are payments of
    parts of an invoice, by the payment intent, that were sent before the whole invoice was paid; until then no event
    states the whole, and `total` and `revenue` are the sums of the parts. `bill` holds the amounts of an invoice that
    is not paid yet.
    `listed_at` is the epoch second as of which an import has listed it in silence, None where an event came first.
    """

    currency: str
    counted: bool = False
    total: int | None = None
    revenue: int | None = None
    tax: int | None = None
    paid_at: int = 0
    stated_by: str = ""
    intent: str = ""
    further_intents: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    refunds: Mapping[str, Refund] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)
    credits: Mapping[str, int] = field(default_factory=dict)
    capturing: bool = False
    parts: Mapping[str, Part] = field(default_factory=dict)
    bill: Bill | None = None
    listed_at: int | None = None

    @property
    def complete(self) -> bool:
        """Whether it is counted as a whole and with its own amount, not begun or only in an old sum."""
        return self.counted and self.total is not None and not self.begun

    @property
    def begun(self) -> bool:
        """Whether only parts or captures of it are counted so far, and the rest is to come."""
        return self.capturing or bool(self.parts and not self.stated_by)

    @property
    def paid_by(self) -> set[str]:
        """The payments that are known to have paid it or parts of it, also those that only amount and time match."""
        return {self.intent, *self.further_intents, *self.parts} - {""}

    @property
    def rest_paid_by(self) -> set[str]:
        """Those of them that have paid what the listed parts have not."""
        return self.paid_by - self.parts.keys()

    def named(self, payment: str) -> Payment:
        """With the name of a payment that is known to have paid it; a name that only amount and time gave makes way."""
        if not self.intent or self.took_for_its_own(self.intent):
            return replace(self, intent=payment)
        if payment in self.paid_by:
            return self
        return replace(self, further_intents=(*self.further_intents, payment))

    def took_for_its_own(self, payment: str) -> bool:
        """Whether something that went back of this payment stands here by its amount and time alone, and nothing else.

        The payment itself may have paid another order.
        """
        return payment in self.taken_for_its_own and payment not in self.taken

    @property
    def taken_for_its_own(self) -> set[str]:
        """The payments of which something that went back stands here by its amount and time alone."""
        named = {one.named for one in self.refunds.values()} | {one.named for one in self.disputes.values()}
        return named - {""}

    def guessed(self, payment: str) -> Payment:
        """With a mark on all that went back, as of a payment that only amount and time match to this order."""
        return replace(
            self,
            refunds={key: replace(one, named=payment, charged_at=self.paid_at) for key, one in self.refunds.items()},
            disputes={key: replace(one, named=payment) for key, one in self.disputes.items()},
        )

    def sure_of(self, payment: str) -> Payment:
        """Without the mark on what went back of a payment that is now known to have paid this order."""
        return replace(
            self,
            taken=tuple(one for one in self.taken if one != payment),
            refunds={
                key: replace(one, named="" if one.named == payment else one.named) for key, one in self.refunds.items()
            },
            disputes={
                key: replace(one, named="" if one.named == payment else one.named) for key, one in self.disputes.items()
            },
        )

    @property
    def paid_in_parts(self) -> PaidInParts:
        """What parts of it paid."""
        return _summed(part for part in self.parts.values() if not part.beyond)

    @property
    def stated_in_parts(self) -> PaidInParts:
        """The part of that which events have stated; what an import has listed in silence belongs to the rest."""
        return _summed(part for part in self.parts.values() if part.stated_by != NOT_SENT and not part.beyond)

    @property
    def stated_beyond(self) -> PaidInParts:
        """What purchases that are parts of it have brought in beside that, as far as events have stated it."""
        return _summed(part for part in self.parts.values() if part.stated_by != NOT_SENT and part.beyond)

    @property
    def overpaid(self) -> int:
        """What its invoice, which states it, has collected beyond what it asks for."""
        return 0 if self.bill is None else max((self.total or 0) - self.bill.due, 0)

    def stated_in_parts_of(self, overpaid: int) -> PaidInParts:
        """The same with so much at most of what purchases have brought in beyond their parts: that was overpaid."""
        stated, beyond = self.stated_in_parts, self.stated_beyond
        taken = min(beyond.total, overpaid)
        if not taken:
            return stated
        shares = (pro_rata(amount, taken, beyond.total) for amount in beyond)
        return PaidInParts(*map(sum, zip(stated, shares, strict=True)))

    @property
    def gone_back(self) -> int:
        """The amount given back: refunds that stand, withdrawals for disputes, credit outside of Stripe."""
        refunded = sum(refund.amount for refund in self.refunds.values() if refund.stands)
        disputed = sum(dispute.withdrawn for dispute in self.disputes.values())
        return refunded + disputed + sum(self.credits.values())

    @property
    def refunded(self) -> int:
        """The sum of the refunds that stand."""
        return sum(refund.amount for refund in self.refunds.values() if refund.stands)

    @property
    def left(self) -> int:
        """The payment's part of the lifetime value: collected less given back, 0 for a payment that is not counted."""
        return (self.total or 0) - self.gone_back if self.counted else 0

    def shares(self, amount: int) -> tuple[int | None, int | None]:
        """The shares of revenue and tax in a further refund of this amount; None where the payment's are unknown.

        The running sum is rounded, not each share, so that the refunds of a fully refunded payment add up to exactly
        its revenue and tax. The first refund after the payment became known includes the shares of those before.
        """
        if not self.counted or not self.total or self.total < 0:
            return None, None
        standing = [refund for refund in self.refunds.values() if refund.stands]
        total, gone = self.total, sum(refund.amount for refund in standing) + amount
        if self.begun and gone > total:
            # It gives back what another part has brought in, or will: the rest of the order states the shares.
            return None, None

        def share(whole: int | None, before: int) -> int | None:
            return None if whole is None else pro_rata(whole, gone, total) - before

        return (
            share(self.revenue, sum(refund.revenue or 0 for refund in standing)),
            share(self.tax, sum(refund.tax or 0 for refund in standing)),
        )

    def with_late_shares(self) -> tuple[Payment, int | None, int | None]:
        """With the shares of refunds that were sent before the payment was known.

        Also returns their revenue and tax.
        """
        late = {key: one for key, one in self.refunds.items() if one.stands and one.stated_by and one.revenue is None}
        if not late or not self.complete:
            return self, None, None
        after = replace(self, refunds={key: one for key, one in self.refunds.items() if key not in late})
        for key, one in late.items():
            revenue, tax = after.shares(one.amount)
            after = after.with_refund(key, replace(one, revenue=revenue, tax=tax))
        late_shares = [after.refunds[key] for key in late]

        def summed(shares: list[int | None]) -> int | None:
            known = [share for share in shares if share is not None]
            return sum(known) if known else None

        return after, summed([one.revenue for one in late_shares]), summed([one.tax for one in late_shares])

    def with_refund(self, refund_id: str, refund: Refund) -> Payment:
        """The payment with this refund added or replaced."""
        return replace(self, refunds={**self.refunds, refund_id: refund})

    def with_refund_seen_again(self, refund_id: str, refund: Refund) -> Payment:
        """The payment after another event of a listed refund.

        If one fails that came on top of a full refund, as events out of order make it look, it gives back what is more
        than the payment's revenue and tax; its own shares were rounded with others.
        """
        before, after = self.refunds[refund_id], self.with_refund(refund_id, refund)
        if before.stands == refund.stands or not self.counted or after.refunded != self.total:
            return after
        standing = [one for one in after.refunds.values() if one.stands]

        def gives_back(share: int | None, whole: int | None, others: int | None) -> int | None:
            return share if share is None or whole is None or others is None else share + others - whole

        revenue = gives_back(refund.revenue, self.revenue, _sum_if_known(one.revenue for one in standing))
        tax = gives_back(refund.tax, self.tax, _sum_if_known(one.tax for one in standing))
        return self.with_refund(refund_id, replace(refund, revenue=revenue, tax=tax))

    def with_dispute(self, dispute_id: str, dispute: Dispute) -> Payment:
        """The payment with this dispute added or replaced, unless a newer state of it is known."""
        known = self.disputes.get(dispute_id)
        if known is not None and known.as_of > dispute.as_of:
            return self
        if known is not None and known.listed_at is not None:
            dispute = replace(dispute, listed_at=known.listed_at)
        return replace(self, disputes={**self.disputes, dispute_id: dispute})

    def with_credit(self, note_id: str, amount: int) -> Payment:
        """The payment with the amount of a credit note added or replaced; a voided note (0) stays void."""
        if self.credits.get(note_id) == 0:
            return self
        return replace(self, credits={**self.credits, note_id: amount})

    def with_captured(self, amount: int) -> Payment:
        """With what its captures have brought in so far, unless more, or the whole, is known."""
        if self.complete or (self.capturing and amount < (self.total or 0)):
            return self
        return replace(self, counted=True, total=amount, capturing=True)

    def with_part(self, payment: str, part: Part) -> Payment:
        """With a payment of a part, unless the whole was stated before."""
        if self.complete:
            return self
        parts = {**self.parts, payment: part}
        return replace(
            self,
            counted=True,
            total=sum(one.amount for one in parts.values()),
            revenue=_sum_if_known(one.revenue for one in parts.values()),
            tax=_sum_if_known(one.tax for one in parts.values()),
            stated_by="",
            parts=parts,
        )

    def with_purchase(self, payment: str, purchase: Part) -> Payment:
        """The whole with a purchase that has paid it, and with what that has brought in beyond it.

        Some of the purchase may turn out to have paid another invoice.
        """
        if not purchase.amount:
            return self
        parts = {**self.parts, payment: purchase}
        total, net = self.total or 0, self.revenue
        beyond = min(max(sum(part.amount for part in parts.values()) - total, 0), purchase.amount)
        revenue, tax = (pro_rata(of or 0, beyond, purchase.amount) for of in (purchase.revenue, purchase.tax))
        return replace(
            self,
            total=total + beyond,
            revenue=None if net is None else net + revenue,
            tax=None if self.tax is None else self.tax + tax,
            parts=parts,
            bill=self.bill or Bill(total, total, total if net is None else net, self.tax),
        )

    def as_part(self, payment: str) -> Payment:
        """The payment that an intent or a session stated, as a part of the invoice that it is now known to pay."""
        stated = self.stated_by == payment or self.stated_by.startswith("cs_")
        if not (self.counted and self.total is not None and stated):
            return self
        sender = "" if self.listed_at is None else NOT_SENT
        return replace(self, counted=False, listed_at=None).with_part(
            payment, Part(self.total, self.revenue, sender, self.tax)
        )

    def paid_by_alone(self, payment: str) -> Payment:
        """The payment without the names of others."""
        parts = {name: part for name, part in self.parts.items() if name == payment}
        return replace(self, intent=payment, further_intents=(), taken=(), parts=parts)

    def of_another(self, intent: str) -> Payment:
        """The order of an intent that was taken for what paid this one, of the same amount and time."""
        part = self.parts.get(intent) or Part(self.total or 0)
        return Payment(
            self.currency,
            counted=True,
            total=part.amount,
            revenue=part.revenue,
            tax=part.tax,
            paid_at=self.paid_at,
            stated_by=intent,
            intent=intent,
        )

    def parted(self, payment: str) -> tuple[Payment, Payment]:
        """The payment without what was matched to it but belongs to another payment; and that other payment."""
        theirs = {key: replace(one, named="") for key, one in self.refunds.items() if one.named == payment}
        disputed = {key: replace(one, named="") for key, one in self.disputes.items() if one.named == payment}
        left = replace(
            self,
            intent="" if self.intent == payment else self.intent,
            further_intents=tuple(one for one in self.further_intents if one != payment),
            taken=tuple(one for one in self.taken if one != payment),
            refunds={key: one for key, one in self.refunds.items() if key not in theirs},
            disputes={key: one for key, one in self.disputes.items() if key not in disputed},
        )
        charged_at = max((one.charged_at for one in theirs.values()), default=0)
        # Only a charge of the same amount is taken for it.
        total = self.total if charged_at else None
        return left, Payment(self.currency, total=total, paid_at=charged_at, refunds=theirs, disputes=disputed)

    def completing(self, begun: Payment) -> Payment:
        """The whole, as its invoice states it, of what was begun in parts, or known only by what went back of it."""
        paid = begun.stated_in_parts
        stated = {name: part for name, part in begun.parts.items() if part.stated_by != NOT_SENT}
        bill = begun.bill
        if bill is None and self.total is not None and any(not part.stated_by for part in stated.values()):
            # Of a purchase as a part, some may turn out to have paid another invoice.
            bill = Bill(self.total, self.total, self.total if self.revenue is None else self.revenue, self.tax)
        begun = replace(begun, parts=stated, bill=bill)
        total = self.total or 0
        # What was overpaid is in the total, and may have been paid by a purchase.
        beyond = begun.stated_beyond
        more = beyond.revenue if beyond.total > self.overpaid else 0
        whole = replace(
            self,
            # The parts can exceed the invoice only if they were sent before the invoice was known.
            total=max(total, paid.total) + max(beyond.total - self.overpaid, 0),
            revenue=None if self.revenue is None else max(self.revenue, paid.revenue) + more,
            parts=stated,
        )
        return whole.joined(replace(begun, parts={}) if begun.parts else begun)

    def joined(self, other: Payment) -> Payment:
        """One payment out of two entries for it under different ids, either of which may be counted."""
        # The one that was stated as a whole comes first, then the one that was counted.
        further = (other.complete, other.counted) > (self.complete, self.counted)
        stated, second = (other, self) if further else (self, other)
        for name, part in second.parts.items():
            # A part that was sent takes precedence over one that an import has listed.
            known = stated.parts.get(name)
            if known is None and stated.complete and not part.stated_by:
                stated = stated.with_purchase(name, part)
            elif known is None or known.stated_by == NOT_SENT:
                stated = stated.with_part(name, part)
        intents = (self.intent, other.intent, *self.further_intents, *other.further_intents)
        first, *others = [*dict.fromkeys(filter(None, intents))] or [""]
        after = replace(
            stated,
            intent=first,
            further_intents=tuple(others),
            taken=tuple(dict.fromkeys((*self.taken, *other.taken))),
            bill=stated.bill or second.bill,
            refunds=of_both(self.refunds, other.refunds),
        )
        for dispute_id, dispute in second.disputes.items():
            after = after.with_dispute(dispute_id, dispute)
        for note_id, amount in second.credits.items():
            after = after.with_credit(note_id, amount)
        return after

    def written(self) -> JsonObject:
        """The payment as JSON for a record; an amount of 0 is known and kept."""
        given = stated_of(self)
        for name in ("refunds", "disputes", "parts"):
            if name in given:
                given[name] = {key: _written(entry) for key, entry in given[name].items()}
        if self.bill is not None:
            given["bill"] = stated_of(self.bill)
        return given

    @classmethod
    def read(cls, written: JsonObject) -> Payment:
        """The payment from a record, also from one of another release: unknown fields are dropped."""
        given = known_of(cls, written)
        given["refunds"] = {key: Refund(**_read(Refund, one)) for key, one in given.get("refunds", {}).items()}
        given["disputes"] = {key: Dispute(**known_of(Dispute, one)) for key, one in given.get("disputes", {}).items()}
        given["parts"] = {key: Part(**_read(Part, one)) for key, one in given.get("parts", {}).items()}
        given |= {name: tuple(given.get(name, ())) for name in ("further_intents", "taken")}
        given["bill"] = Bill(**known_of(Bill, given["bill"])) if "bill" in given else None
        return cls(**given)


def _summed(parts: Iterable[Part]) -> PaidInParts:
    parts = [*parts]
    return PaidInParts(
        sum(part.amount for part in parts),
        sum(part.amount for part in parts if part.revenue is not None),
        sum(part.revenue or 0 for part in parts),
        sum(part.tax or 0 for part in parts),
    )


def _sum_if_known(amounts: Iterable[int | None]) -> int | None:
    amounts = [*amounts]
    return None if None in amounts else sum(amount or 0 for amount in amounts)


def _written(value: DataclassInstance) -> JsonObject:
    """A refund, a dispute or a part as JSON for a record."""
    return {WRITTEN_AS if name == STATED_BY else name: one for name, one in stated_of(value).items()}


def _read(kind: type[DataclassInstance], written: JsonObject) -> JsonObject:
    """The fields of a refund or a part from a record."""
    known = known_of(kind, written)
    return known | {STATED_BY: written[WRITTEN_AS]} if WRITTEN_AS in written else known
