"""Compare the payments, refunds and disputes of one customer with Stripe's lists, and with what was sent."""

from __future__ import annotations

import re
from collections import Counter
from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.books import Kept
from stripe_to_segment.auditing.comparison import Compared, total
from stripe_to_segment.auditing.findings import Cause, Finding, Kind
from stripe_to_segment.auditing.unsent import attached_to, summing, unsent
from stripe_to_segment.state.sums import EARLIER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.auditing.books import Book
    from stripe_to_segment.auditing.comparison import Comparison
    from stripe_to_segment.auditing.truth import Entry, Truth

__all__ = ["MONEY", "compare_money"]

# The id of a refund that was derived from a charge's sum.
TOTAL = re.compile(r"total:(\d+)")
MONEY = (Kind.PAYMENTS, Kind.REFUNDS, Kind.DISPUTES)


def compare_money(run: Comparison, kind: Kind, book: Book) -> None:
    """Compare what a customer's record remembers of a kind with Stripe's list, and with what was sent."""
    kept = {Kind.PAYMENTS: book.payments, Kind.REFUNDS: book.refunds, Kind.DISPUTES: book.disputes}[kind]
    compared = [_compared(run, kind, one) for one in _by_stripes_ids(kind, [*kept.values()], book.key, run.truth)]
    assumed = [_assumed(run, kind, entry) for entry in _not_kept(run, kind, book)]
    sent_in = {currency for each, currency, _ in book.sent if each is kind}
    for currency in {one.kept.currency for one in compared} | {one.currency for one in assumed} | sent_in:
        mine = [one for one in compared if one.kept.currency == currency]
        others = [one for one in assumed if one.currency == currency]
        here, as_listed = [[*each, *others] for each in ([one.kept for one in mine], [one.listed for one in mine])]
        # If what was sent is what Stripe lists, only the record is wrong.
        right = total(here) != book.sent_in_all(kind, currency) == total(as_listed)
        here = as_listed if right else here
        run.report.found(replace(one.finding, beside=one.finding.beside or right) for one in mine if one.finding)
        _count_sent(run, kind, currency, book, here)


def _compared(run: Comparison, kind: Kind, one: Kept) -> Compared:
    """One object as its record remembers it and as Stripe lists it, both with the time of the call."""
    entry = run.truth.entries(kind).get(one.id)
    if entry is None or one.id in run.seen[kind]:
        # Stripe does not list it, or a second record has it.
        finding = None
        if run.in_month(one.at) and one.amount:
            run.report.row(kind, one.currency).remembered += one.amount
            finding = Finding(kind, one.currency, one.id, -one.amount, Cause.UNEXPLAINED, remembered=True)
        return Compared(one, replace(one, amount=0), finding)
    run.seen[kind].add(one.id)
    if one.currency != entry.currency and run.in_month(one.at or entry.at):
        # What was sent is compared with Stripe's currency.
        found = Finding(kind, one.currency, one.id, -one.amount, Cause.UNEXPLAINED, remembered=True, beside=True)
        run.report.found([found])
        run.report.row(kind, one.currency).remembered += one.amount
        amount = entry.settled if kind is Kind.DISPUTES else entry.amount
        one = replace(one, currency=entry.currency, amount=amount)
    if kind is Kind.PAYMENTS:
        # The call carries the time of the event; a payment intent states only when it was created.
        entry.at = one.at or entry.at
    # A record keeps the funds that a dispute holds back; the calls carry the amount in dispute.
    disputed = kind is Kind.DISPUTES
    short = (entry.settled if disputed else entry.amount) - one.amount
    kept = replace(one, at=entry.at, amount=entry.amount if disputed else one.amount)
    listed = replace(kept, amount=entry.amount)
    if run.in_month(entry.at):
        run.report.row(kind, entry.currency).remembered += kept.amount
    if not short or not run.in_month(entry.at):
        return Compared(kept, listed, None)
    # The amount that an invoice or a session has collected does not change any more.
    final = kind is Kind.PAYMENTS and one.whole
    cause = Cause.UNEXPLAINED if final else run.cause(kind, entry, remembered=True)
    twice = (one.beside and short == -one.beside) or 0 < -short <= sum(entry.elsewhere.values())
    cause = Cause.STATED_TWICE if twice else cause
    found = Finding(kind, entry.currency, one.id, short, cause, remembered=True, beside=disputed)
    return Compared(kept, listed, found)


def _not_kept(run: Comparison, kind: Kind, book: Book) -> Iterator[Entry]:
    """The objects that a record does not list although their events came."""
    if kind is Kind.DISPUTES:
        yield from _opened(run, book)
    elif kind is Kind.PAYMENTS and book.full:
        # The record keeps only the sum of its oldest payments.
        missing = (entry for entry in run.truth.of(kind, book.key) if entry.id not in run.seen[kind])
        yield from (entry for entry in missing if entry.at <= book.oldest)


def _opened(run: Comparison, book: Book) -> Iterator[Entry]:
    """The disputes of which only the opening came: inquiries, won ones, and those whose events of the funds lack.

    The sums name none: with those that the record lists they sum to what was opened.
    """
    opened: Counter[str] = Counter()
    for (kind, currency, _), amount in book.sent.items():
        opened[currency] += amount if kind is Kind.DISPUTES else 0
    for one in book.not_sent:
        opened[one.currency] += one.amount if one.kind is Kind.DISPUTES else 0
    # A dispute of a payment whose customer is not known here has a record of its own.
    theirs = {
        one.id: one for one in (*run.truth.of(Kind.DISPUTES, book.key), *run.truth.about(Kind.DISPUTES, book.owner))
    }
    for currency, total_opened in opened.items():
        mine = sorted(
            (one for one in theirs.values() if one.currency == currency), key=lambda one: one.id not in book.disputes
        )
        chosen, _ = summing([(one.id, one.amount) for one in mine], total_opened)
        yield from (theirs[name] for name, _ in chosen if name not in run.seen[Kind.DISPUTES])


def _assumed(run: Comparison, kind: Kind, entry: Entry) -> Kept:
    run.seen[kind].add(entry.id)
    if run.in_month(entry.at):
        run.report.row(kind, entry.currency).remembered += entry.amount
        if entry.settled:
            cause = run.cause(kind, entry, remembered=True)
            lacks = Finding(kind, entry.currency, entry.id, entry.settled, cause, remembered=True, beside=True)
            run.report.found([lacks])
    return Kept(entry.id, entry.currency, entry.amount, entry.at)


def _count_sent(run: Comparison, kind: Kind, currency: str, book: Book, objects: list[Kept]) -> None:
    """Add what was sent, and what was not, to the report: of all months, or of the month that is compared."""
    entries = run.truth.entries(kind)
    found = unsent(kind, currency, book, objects, entries=entries, circumstances=run.circumstances)
    row = run.report.row(kind, currency)
    if not run.month:
        row.sent += book.sent_in_all(kind, currency)
        run.report.found(found)
        return
    # Of a part of an invoice the time is the invoice's.
    at = {name: one.at for one in objects for name in (one.id, *one.unsent)}
    at |= {name: moment for name, (_, moment) in attached_to(objects, entries).items()}
    found = [one for one in found if run.in_month(at.get(one.id, 0))]
    left = total(one for one in objects if run.in_month(one.at)) - sum(one.amount for one in found)
    sent = book.sent.get((kind, currency, run.month), 0)
    if not sent and (kind, currency, EARLIER) in book.sent:
        # Of months so long ago the record keeps only one sum, which was compared above.
        sent = left
    row.sent += sent
    other = Finding(kind, currency, book.owner, left - sent, Cause.OTHER_MONTH, remembered=True)
    run.report.found([*found, other])


def _by_stripes_ids(kind: Kind, kept: list[Kept], record: str, truth: Truth) -> list[Kept]:
    """The objects under Stripe's ids.

    A payment gets the id of its invoice, a refund that was derived from a charge's sum the id of a listed refund with
    the same amount.
    """
    if kind is Kind.PAYMENTS:
        found, entries, own = dict[str, Kept](), truth.entries(kind), {one.id for one in kept}
        for one in kept:
            name = truth.orders.get(one.id) or one.id
            other = found.get(name)
            amount = one.amount + (other.amount if other else 0)
            # Of an invoice that the record does not have, a purchase that was attached to it is only a part.
            is_a_part = name in entries and name not in own and one.id in entries[name].attached
            whole = one.whole and not is_a_part and (other is None or other.whole)
            found[name] = replace(one, id=name, amount=amount, whole=whole)
        for one in kept:
            if one.id in found and one.whole:
                found[one.id] = replace(found[one.id], beside=found[one.id].amount - one.amount)
        return [*found.values()]
    named = {one.id for one in kept}
    for place, one in enumerate(kept):
        if kind is Kind.REFUNDS and (summed := TOTAL.match(one.id)):
            theirs = (*truth.about(kind, one.payment), *truth.of(kind, record))
            alike = [each for each in theirs if each.id not in named and one.amount in {each.amount, each.failed}]
            # Of several with this amount, one that stands, and with which the charge's sum is reached.
            alike.sort(key=lambda each: (each.failed > 0, truth.refunded_with(each) != int(summed[1])))
            if alike:
                kept[place] = replace(one, id=alike[0].id)
                named.add(alike[0].id)
    return kept
