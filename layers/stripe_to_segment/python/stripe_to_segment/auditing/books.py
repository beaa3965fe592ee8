"""What the stack has stored of one customer, and what it has sent.

The customer's record, and the records that it took over.
"""

from __future__ import annotations

from collections import defaultdict
from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.findings import Cause, Kind
from stripe_to_segment.segment_side.calls import call_from
from stripe_to_segment.state.bill import NOT_SENT
from stripe_to_segment.state.profile import LEDGER_DAYS
from stripe_to_segment.state.prune import PAYMENTS, pruned
from stripe_to_segment.state.settle import settled
from stripe_to_segment.state.sums import OBJECTS, sent_in, worth_in
from stripe_to_segment.state.withheld import Withheld
from stripe_to_segment.stripe_side.fields import dig, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.payment import Payment
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.subscription import SubscriptionRecord

__all__ = ["COLUMNS", "Book", "Kept", "NotSent", "books_of"]

DAY = 86_400
COLUMNS = (Kind.PAYMENTS, Kind.MRR, Kind.REFUNDS, Kind.DISPUTES)
"""The kinds of the sums, in the order of `sums.Kind.column`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One remembered payment, refund, dispute or mrr, in minor units; of a dispute the amount withdrawn.

    `at` is in epoch seconds, 0 where the record does not say. For a refund or a dispute `payment` is the payment that
    it is about, `beside` the part of a payment's amount that is listed beside its invoice, which is whole without it.
    `imported` says that an import has listed it and sent nothing; `unsent` are the amounts of the parts of
    an invoice for which that is so, by payment intent, or that of a refund which has failed since, or of a change of an
    mrr; `sent` says that an event has stated it since. `whole` says that no further part of it can come. `apart` is the
    change of an mrr whose own event is still to come.
    """

    id: str
    currency: str
    amount: int
    at: int = 0
    payment: str = ""
    beside: int = 0
    imported: bool = False
    unsent: Mapping[str, int] = field(default_factory=dict)
    sent: bool = False
    whole: bool = True
    apart: int = 0


@dataclass(frozen=True, slots=True)
class NotSent:
    """A call that was not made, or is not known to have arrived, with what it would add, and why."""

    kind: Kind
    id: str
    currency: str
    amount: int
    cause: Cause


@dataclass(slots=True)
class Book:
    """One customer, or one guest's payment.

    `sent` are the sums of what arrived by kind, currency and month. `summed` is the day since which they are complete,
    1 where from the first event on. `full` says that payments older than `oldest` are no longer listed. `discounted`
    says that it has had a discount, and `coupons` are those that are known, as written.
    """

    key: str
    opted_out: bool = False
    unknown_user: bool = False
    discounted: bool = False
    coupons: tuple[str, ...] = ()
    payments: dict[str, Kept] = field(default_factory=dict)
    refunds: dict[str, Kept] = field(default_factory=dict)
    disputes: dict[str, Kept] = field(default_factory=dict)
    subscriptions: Mapping[str, SubscriptionRecord] = field(default_factory=dict)
    sent: dict[tuple[Kind, str, str], int] = field(default_factory=lambda: defaultdict(int))
    not_sent: list[NotSent] = field(default_factory=list)
    summed: int = 1
    full: bool = False
    oldest: int = 0

    @property
    def owner(self) -> str:
        """The customer's id, or a guest's payment."""
        return self.key.rpartition(":")[2]

    def take(self, other: Book) -> None:
        """Add the book of a payment of this customer, whose events came before anybody knew whose it was."""
        for name, paid in other.payments.items():
            mine = self.payments.get(name)
            amount, whole = (0, True) if mine is None else (mine.amount, mine.whole)
            self.payments[name] = replace(mine or paid, amount=amount + paid.amount, whole=whole and paid.whole)
        self.refunds = {**other.refunds, **self.refunds}
        self.disputes = {**other.disputes, **self.disputes}
        for key, amount in other.sent.items():
            self.sent[key] += amount
        self.not_sent += other.not_sent

    def sent_in_all(self, kind: Kind, currency: str) -> int:
        """The sum over all months."""
        return sum(amount for (one, code, _), amount in self.sent.items() if (one, code) == (kind, currency))


def books_of(profiles: Iterable[Profile], receipts: Mapping[str, Receipt], today: int) -> Iterator[Book]:
    """One book for each customer of these records, with the sums of the records that theirs have taken over.

    Claims are settled by their receipts first, as the next batch would do; `today` is in days since 1970.
    """
    moved: dict[str, list[Profile]] = defaultdict(list)
    own: dict[str, Profile] = {}
    every = {profile.key: profile for profile in profiles}
    for profile in every.values():
        taker = _taker_of(profile, every)
        if taker is profile:
            own[profile.key] = profile
        else:
            moved[taker.key].append(profile)
    for key, profile in own.items():
        book = _book(_settled(profile, receipts.get(profile.delivery), moved[key], receipts, today))
        for former in moved[key]:
            _add_sent(book, former)
        yield book


def _taker_of(profile: Profile, every: Mapping[str, Profile]) -> Profile:
    """The record that has taken over a record in the end, itself where none has.

    A part of an invoice may go to the invoice's record first, and with that to the customer's. Records that lead in a
    circle are damaged; each stands for itself.
    """
    taker, passed = profile, set[str]()
    while taker.moved_to in every:
        if taker.key in passed:
            return profile
        passed.add(taker.key)
        taker = every[taker.moved_to]
    return taker


def _settled(
    profile: Profile,
    receipt: Receipt | None,
    moved: Iterable[Profile],
    receipts: Mapping[str, Receipt],
    today: int,
) -> Profile:
    """The record after all receipts, also those of the records that it took over with their claims."""
    for each in (receipt, *(receipts.get(one.delivery) for one in moved)):
        if each is not None and not each.unreadable:
            profile = settled(profile, each)
    # A claim whose receipt has expired counts as arrived, as it will when the record is written next.
    return (
        pruned(profile, today) if any(claim.day < today - LEDGER_DAYS for claim in profile.claims.values()) else profile
    )


def _book(profile: Profile) -> Book:
    book = Book(
        profile.key,
        profile.opted_out,
        profile.user_id is None,
        bool(profile.discounts or profile.own_discounts),
        tuple(profile.discounts.values()),
        subscriptions=profile.subscriptions,
        not_sent=[*_claimed(profile), *_withheld(profile)],
        summed=profile.summed,
        full=len(profile.payments) >= PAYMENTS,
    )
    for order, payment in profile.listed_payments():
        _add_payment(book, order, payment)
    book.oldest = min((one.at for one in book.payments.values() if one.at), default=0)
    _add_sent(book, profile)
    return book


def _add_payment(book: Book, order: str, payment: Payment) -> None:
    currency, paid = payment.currency, payment.intent or order
    # While captures may follow, no call has stated the payment, and Stripe does not list it as succeeded.
    if payment.counted and payment.total is not None and not payment.capturing:
        book.payments[order] = Kept(
            order,
            currency,
            payment.total,
            payment.paid_at,
            paid,
            imported=payment.listed_at is not None,
            unsent={name: part.amount for name, part in payment.parts.items() if part.stated_by == NOT_SENT},
            whole=payment.complete,
        )
    for name, refund in payment.refunds.items():
        amount, sent = refund.amount if refund.stands else 0, bool(refund.stated_by)
        # A refund that only the sum of a charge has stated has no id of its own.
        own = name if name not in book.refunds else f"{name} of {order}"
        # Where an import has listed it in silence, an event may have stated that it failed.
        taken_back = {own: refund.amount} if refund.listed_at and refund.undone_by and not sent else {}
        book.refunds[own] = Kept(
            own, currency, amount, 0, paid, imported=refund.listed_at > 0, unsent=taken_back, sent=sent
        )
    for name, dispute in payment.disputes.items():
        imported = dispute.listed_at is not None
        book.disputes[name] = Kept(name, currency, dispute.withdrawn, dispute.as_of, paid, imported=imported)


def _add_sent(book: Book, profile: Profile) -> None:
    for each in sent_in(profile.sent):
        book.sent[COLUMNS[each.column], each.currency, each.month] += each.amount


def _claimed(profile: Profile) -> Iterator[NotSent]:
    """The claimed calls that are not known to have arrived, each fact once."""
    seen = {*profile.ledger}
    for claim in profile.claims.values():
        # A call that was refused, and then withheld when its event came again, has the later reason.
        over = seen | profile.withheld.keys() if claim.given_up else seen
        for place, (dedup_key, encoded) in enumerate(claim.tracks.items()):
            worth = None if dedup_key in over else worth_in(encoded, claim.kinds[place : place + 1])
            seen.add(dedup_key)
            if worth is not None:
                kind = COLUMNS[worth.kind.column]
                about = text(dig(call_from(encoded).body, "properties", OBJECTS[worth.kind])) or ""
                cause = Cause.REFUSED if claim.given_up else Cause.WAITS
                yield NotSent(kind, about, worth.currency, worth.amount, cause)


def _withheld(profile: Profile) -> Iterator[NotSent]:
    """The calls that were not made."""
    for written in profile.withheld.values():
        one = Withheld.read(written)
        worth = one.worth
        yield NotSent(COLUMNS[worth.kind.column], one.id, worth.currency, worth.amount, Cause(one.why))
