"""Compare Stripe's lists with what is remembered, and what is remembered with what was sent, object by object."""

from __future__ import annotations

from collections import defaultdict
from copy import replace
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.books import Kept, books_of
from stripe_to_segment.auditing.findings import Cause, Finding, Kind, Report
from stripe_to_segment.auditing.truth import is_live
from stripe_to_segment.auditing.unsent import cause_of_silence, unsent
from stripe_to_segment.state.encoding import KEEP_DAYS
from stripe_to_segment.state.sums import EARLIER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stripe_to_segment.auditing.around import Around
    from stripe_to_segment.auditing.books import Book
    from stripe_to_segment.auditing.truth import Entry, Truth
    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.subscription import SubscriptionRecord

__all__ = ["audit", "month_of"]

DAY = 86_400
# SQS keeps an event as long; template.yaml has the number.
QUEUE_SECONDS = 14 * DAY
# An event of a younger object may be on its way from Stripe.
YOUNG_SECONDS = 300
# The prefixes of customers' ids.
CUSTOMERS = ("cus_", "acct_")
MONEY = (Kind.PAYMENTS, Kind.REFUNDS, Kind.DISPUTES)
# The beginnings of the types of events that tell a kind of object.
TELLERS: Mapping[Kind, tuple[str, ...]] = {
    Kind.PAYMENTS: ("invoice.paid", "invoice_payment.paid", "checkout.session.", "payment_intent.succeeded"),
    Kind.REFUNDS: ("refund.", "charge.refunded"),
    Kind.DISPUTES: ("charge.dispute.",),
    Kind.MRR: ("customer.subscription.", "customer.discount."),
    Kind.SUBSCRIPTIONS: ("customer.subscription.",),
}


@dataclass(frozen=True, slots=True)
class _Compared:
    """An object as it is remembered, and as Stripe lists it: with the amount 0 where it does not."""

    kept: Kept
    listed: Kept
    finding: Finding | None


@dataclass(slots=True)
class _Audit:
    truth: Truth
    around: Around
    month: str
    report: Report = field(default_factory=Report)
    seen: dict[Kind, set[str]] = field(default_factory=lambda: defaultdict(set))
    known: set[str] = field(default_factory=set)

    def why(self, kind: Kind, entry: Entry, *, remembered: bool) -> Cause:  # noqa: PLR0911 - one line for each reason
        """Why an object of Stripe's is not remembered, or (`remembered`) not as it is now."""
        around = self.around
        if not around.settings.accepts(livemode=around.livemode):
            return Cause.OTHER_MODE
        if any(one.type.startswith(TELLERS[kind]) and one.ids & entry.names for one in around.letters):
            return Cause.DEAD_LETTER
        if entry.record in around.unreadable:
            return Cause.UNREADABLE
        if remembered:
            # When the object has changed, nothing says.
            return Cause.WAITS if around.waiting else Cause.NEVER_CAME
        if entry.at < around.began:
            return Cause.NOT_IMPORTED
        if entry.record not in self.known and entry.at < around.now - KEEP_DAYS * DAY:
            return Cause.EXPIRED
        recent = entry.at > around.now - (QUEUE_SECONDS if around.waiting else YOUNG_SECONDS)
        return Cause.WAITS if recent else Cause.NEVER_CAME

    # --- Payments, refunds, disputes ---

    def money(self, kind: Kind, book: Book) -> None:
        """Compare what a customer's record remembers of a kind with Stripe's list, and with what was sent."""
        kept = {Kind.PAYMENTS: book.payments, Kind.REFUNDS: book.refunds, Kind.DISPUTES: book.disputes}[kind]
        compared = [self._compared(kind, one) for one in _by_stripes_ids(kind, [*kept.values()], book.key, self.truth)]
        assumed = [self._assumed(kind, entry) for entry in self._not_kept(kind, book)]
        sent_in = {currency for each, currency, _ in book.sent if each is kind}
        for currency in {one.kept.currency for one in compared} | {one.currency for one in assumed} | sent_in:
            mine = [one for one in compared if one.kept.currency == currency]
            others = [one for one in assumed if one.currency == currency]
            here, as_listed = [[*each, *others] for each in ([one.kept for one in mine], [one.listed for one in mine])]
            # Where what was sent is what Stripe lists, only the record is wrong.
            right = _sum(here) != book.sent_in_all(kind, currency) == _sum(as_listed)
            here = as_listed if right else here
            self.report.found(replace(one.finding, beside=one.finding.beside or right) for one in mine if one.finding)
            entries = self.truth.entries(kind)
            self._note(
                kind, currency, book, here, unsent(kind, currency, book, here, entries=entries, around=self.around)
            )

    def _compared(self, kind: Kind, one: Kept) -> _Compared:
        """What is remembered of an object, at the time that counts, and how Stripe lists it."""
        entry = self.truth.entries(kind).get(one.id)
        if entry is None or one.id in self.seen[kind]:
            # Stripe does not list it, or another record has it, too.
            strange = None
            if self.in_month(one.at) and one.amount:
                self.report.row(kind, one.currency).remembered += one.amount
                strange = Finding(kind, one.currency, one.id, -one.amount, Cause.UNEXPLAINED, remembered=True)
            return _Compared(one, replace(one, amount=0), strange)
        self.seen[kind].add(one.id)
        if kind is Kind.PAYMENTS:
            # The time of the event, in whose month it was sent; a payment intent states only when it was made.
            entry.at = one.at or entry.at
        # Of a dispute the record has the funds that it holds back, and the calls have what it is about.
        disputed = kind is Kind.DISPUTES
        short = (entry.settled if disputed else entry.amount) - one.amount
        kept = replace(one, at=entry.at, amount=entry.amount if disputed else one.amount)
        listed = replace(kept, amount=entry.amount)
        if self.in_month(entry.at):
            self.report.row(kind, entry.currency).remembered += kept.amount
        if not short or not self.in_month(entry.at):
            return _Compared(kept, listed, None)
        # What an invoice or a session has collected changes no more.
        final = kind is Kind.PAYMENTS and one.whole
        cause = Cause.UNEXPLAINED if final else self.why(kind, entry, remembered=True)
        found = Finding(kind, entry.currency, one.id, short, cause, remembered=True, beside=disputed)
        return _Compared(kept, listed, found)

    def _not_kept(self, kind: Kind, book: Book) -> Iterator[Entry]:
        """What a record need not list, although its events came."""
        for entry in self.truth.of(kind, book.key):
            if entry.id in self.seen[kind]:
                continue
            if kind is Kind.DISPUTES:
                # An inquiry, or a dispute that was won: it holds back no funds.
                heard = book.sent_in_all(kind, entry.currency) or entry.id in {one.id for one in book.claimed}
                if heard and not entry.settled:
                    yield entry
            elif kind is Kind.PAYMENTS and book.full and entry.at <= book.oldest:
                # Only its sum is left in the record.
                yield entry

    def _assumed(self, kind: Kind, entry: Entry) -> Kept:
        self.seen[kind].add(entry.id)
        if self.in_month(entry.at):
            self.report.row(kind, entry.currency).remembered += entry.amount
        return Kept(entry.id, entry.currency, entry.amount, entry.at)

    def _note(self, kind: Kind, currency: str, book: Book, objects: list[Kept], found: list[Finding]) -> None:
        """Note what was sent, and what was not: of all months, or of one, with what was sent in another one."""
        row = self.report.row(kind, currency)
        if not self.month:
            row.sent += book.sent_in_all(kind, currency)
            self.report.found(found)
            return
        at = {one.id: one.at for one in objects}
        found = [one for one in found if self.in_month(at.get(one.id, 0))]
        left = sum(one.amount for one in objects if self.in_month(one.at)) - sum(one.amount for one in found)
        sent = book.sent.get((kind, currency, self.month), 0)
        if not sent and (kind, currency, EARLIER) in book.sent:
            # Of so long ago only the sum of all months is kept, which was compared.
            sent = left
        row.sent += sent
        self.report.found(
            [*found, Finding(kind, currency, book.owner, left - sent, Cause.OTHER_MONTH, remembered=True)]
        )

    # --- Subscriptions ---

    def subscriptions(self, book: Book) -> None:
        """Compare what a customer's record remembers of its subscriptions, as they are now."""
        compared = [self._subscription(book, name, record) for name, record in book.subscriptions.items()]
        sent_in = {currency for kind, currency, _ in book.sent if kind is Kind.MRR}
        for currency in {one.kept.currency for one in compared} | sent_in:
            mine = [one for one in compared if one.kept.currency == currency]
            here, as_listed = [one.kept for one in mine], [one.listed for one in mine]
            sent = book.sent_in_all(Kind.MRR, currency)
            right = _sum(here) != sent == _sum(as_listed)
            self.report.found(replace(one.finding, beside=right) for one in mine if one.finding)
            self.report.row(Kind.MRR, currency).sent += sent
            entries, here = self.truth.subscriptions, as_listed if right else here
            self.report.found(unsent(Kind.MRR, currency, book, here, entries=entries, around=self.around))

    def _subscription(self, book: Book, name: str, record: SubscriptionRecord) -> _Compared:
        entry, currency = self.truth.subscriptions.get(name), record.currency or ""
        self.seen[Kind.MRR].add(name)
        # What nobody could tell at the time counts as what was told of it.
        mrr = record.counted if record.mrr is None else record.mrr
        self.report.row(Kind.MRR, currency).remembered += mrr
        lives = self.report.row(Kind.SUBSCRIPTIONS, currency)
        lives.remembered += record.live
        truth, live = 0, False
        if entry is not None:
            # What not even the API says is what is remembered.
            entry.amount = mrr if entry.unknown else entry.amount
            truth, live = entry.amount, is_live(entry)
        cause = Cause.UNEXPLAINED
        if entry is not None and (truth != mrr or live is not record.live):
            cause = self._why_otherwise(book, record, entry)
        also = Finding(Kind.SUBSCRIPTIONS, currency, name, int(live) - int(record.live), cause, remembered=True)
        silence = cause_of_silence(book, self.around.settings) or (Cause.IMPORTED if record.untold else None)
        if record.live and silence is not None:
            self.report.found([also, replace(also, amount=1, cause=silence)])
        else:
            lives.sent += record.live
            self.report.found([also])
        kept = Kept(name, currency, mrr, record.as_of[0], imported=record.untold)
        found = Finding(Kind.MRR, currency, name, truth - mrr, cause, remembered=True)
        return _Compared(kept, replace(kept, amount=truth), found)

    def _why_otherwise(self, book: Book, record: SubscriptionRecord, entry: Entry) -> Cause:
        """Why a subscription is remembered otherwise than Stripe lists it."""
        if record.mrr is None and record.status == entry.status:
            return Cause.HIDDEN
        cause = self.why(Kind.MRR, entry, remembered=True)
        same = (record.status, record.price_id, record.quantity, record.period) == (entry.status, *entry.terms)
        if cause is Cause.NEVER_CAME and same and not (book.discounted or entry.traits & {"discount", "several"}):
            # No event that never came could have told another mrr of the same terms.
            return Cause.UNEXPLAINED
        return cause

    # --- What only Stripe knows ---

    def listed(self) -> None:
        """Count Stripe's objects, and name those that no record has."""
        for kind in MONEY:
            for entry in self.truth.entries(kind).values():
                if self.in_month(entry.at):
                    self._listed(kind, entry, entry.amount, seen=entry.id in self.seen[kind])
        for entry in self.truth.subscriptions.values():
            seen = entry.id in self.seen[Kind.MRR]
            self._listed(Kind.MRR, entry, entry.amount, seen=seen)
            self._listed(Kind.SUBSCRIPTIONS, entry, int(is_live(entry)), seen=seen)

    def _listed(self, kind: Kind, entry: Entry, amount: int, *, seen: bool) -> None:
        self.report.row(kind, entry.currency).stripe += amount
        if amount and not seen:
            cause = self.why(kind, entry, remembered=False)
            self.report.found([Finding(kind, entry.currency, entry.id, amount, cause)])

    def in_month(self, at: int) -> bool:
        """Whether an epoch second counts."""
        return not self.month or month_of(at) == self.month


def audit(
    truth: Truth,
    profiles: Iterable[Profile],
    receipts: Mapping[str, Receipt],
    around: Around,
    month: str = "",
) -> Report:
    """Compare what Stripe lists with the records of the same account and mode.

    Parameters
    ----------
    truth
        What Stripe's lists show, closed. Of payments it takes the times over that the records know better.
    profiles, receipts
        All records, and the receipts of their deliveries.
    around
        What else may explain a difference.
    month
        The payments, refunds and disputes of one month (2026-10, UTC) alone; empty for all. The mrr and the live
        subscriptions are those of now in any case.
    """
    one = _Audit(truth, around, month)
    own = (each for each in profiles if each.key.startswith(f"{truth.scope}:"))
    books = [*books_of(own, receipts, around.now // DAY)]
    one.known = {book.key for book in books}
    # What a record of a payment alone has, its customer's may have taken over.
    for book in sorted(books, key=lambda book: not book.owner.startswith(CUSTOMERS)):
        for kind in MONEY:
            one.money(kind, book)
        one.subscriptions(book)
    one.listed()
    one.report.close()
    return one.report


def _sum(objects: Iterable[Kept]) -> int:
    return sum(one.amount for one in objects)


def month_of(at: int) -> str:
    """The month of an epoch second, such as 2026-10, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def _by_stripes_ids(kind: Kind, kept: list[Kept], record: str, truth: Truth) -> list[Kept]:
    """The objects under Stripe's ids: a payment under its invoice, and a refund that only a charge's sum has told."""
    if kind is Kind.PAYMENTS:
        found: dict[str, Kept] = {}
        for one in kept:
            name = truth.orders.get(one.id) or one.id
            other = found.get(name)
            amount = one.amount + (other.amount if other else 0)
            found[name] = replace(one, id=name, amount=amount, whole=one.whole and (other is None or other.whole))
        return [*found.values()]
    named = {one.id for one in kept}
    for place, one in enumerate(kept):
        if kind is Kind.REFUNDS and one.id.startswith("total:"):
            theirs = (*truth.about(one.payment), *truth.of(Kind.REFUNDS, record))
            alike = (each for each in theirs if each.id not in named and each.amount == one.amount)
            if (entry := next(alike, None)) is not None:
                kept[place] = replace(one, id=entry.id)
                named.add(entry.id)
    return kept
