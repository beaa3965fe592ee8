"""Compare the subscriptions of one customer, as they are now, with Stripe's list, and with what was sent."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.books import Kept
from stripe_to_segment.auditing.comparison import Compared, total
from stripe_to_segment.auditing.findings import Cause, Finding, Kind
from stripe_to_segment.auditing.truth import is_live
from stripe_to_segment.auditing.unsent import cause_of_silence, unsent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.auditing.books import Book
    from stripe_to_segment.auditing.comparison import Comparison
    from stripe_to_segment.auditing.truth import Entry
    from stripe_to_segment.state.subscription import SubscriptionRecord

__all__ = ["compare_subscriptions"]


def compare_subscriptions(run: Comparison, book: Book) -> None:
    """Compare the mrr and the number of live subscriptions that a customer's record remembers."""
    compared = [_compared(run, book, name, record) for name, record in book.subscriptions.items()]
    sent_in = {currency for kind, currency, _ in book.sent if kind is Kind.MRR}
    for currency in {one.kept.currency for one in compared} | sent_in:
        mine = [one for one in compared if one.kept.currency == currency]
        here, as_listed = [one.kept for one in mine], [one.listed for one in mine]
        sent = book.sent_in_all(Kind.MRR, currency)
        # If what was sent is what Stripe lists, only the record is wrong.
        right = total(here) != sent == total(as_listed)
        run.report.found(replace(one.finding, beside=right) for one in mine if one.finding)
        run.report.row(Kind.MRR, currency).sent += sent
        entries, here = run.truth.subscriptions, as_listed if right else here
        run.report.found(unsent(Kind.MRR, currency, book, here, entries=entries, circumstances=run.circumstances))


def _compared(run: Comparison, book: Book, name: str, record: SubscriptionRecord) -> Compared:
    entry, currency = run.truth.subscriptions.get(name), record.currency or ""
    run.seen[Kind.MRR].add(name)
    # If the events did not say enough for an mrr, the mrr that was sent last counts.
    mrr = record.counted if record.mrr is None else record.mrr
    run.report.row(Kind.MRR, currency).remembered += mrr
    lives = run.report.row(Kind.SUBSCRIPTIONS, currency)
    lives.remembered += record.live
    truth, live = 0, False
    if entry is not None:
        # If Stripe's API does not say enough either, the record's mrr counts as Stripe's.
        entry.amount = mrr if entry.unknown else entry.amount
        truth, live = entry.amount, is_live(entry)
        run.report.found(_of_another_currency(name, currency, entry))
    cause = Cause.UNEXPLAINED
    if entry is not None and (truth != mrr or live is not record.live):
        cause = _cause(run, book, record, entry)
    also = Finding(Kind.SUBSCRIPTIONS, currency, name, int(live) - int(record.live), cause, remembered=True)
    silence = cause_of_silence(book, run.circumstances.settings)
    if silence is None and record.unsent:
        # The opt-out has ended, or the user has got a name, and no event of the subscription has come since.
        ended = (one.cause for one in book.not_sent if one.kind is Kind.MRR and one.id == name)
        silence = next(ended, Cause.IMPORTED)
    if record.live and silence is not None:
        run.report.found([also, replace(also, amount=1, cause=silence)])
    else:
        lives.sent += record.live
        run.report.found([also])
    # An import has listed another mrr than was sent, or its change is for an event of its own.
    left = 0 if record.unsent else record.unsent_mrr
    listed, apart = (0, left) if record.apart else (left, 0)
    unsent_part = {name: listed} if listed else {}
    kept = Kept(name, currency, mrr, record.as_of[0], imported=record.unsent, unsent=unsent_part, apart=apart)
    found = Finding(Kind.MRR, currency, name, truth - mrr, cause, remembered=True)
    return Compared(kept, replace(kept, amount=truth), found)


def _of_another_currency(name: str, currency: str, entry: Entry) -> Iterator[Finding]:
    """That a record keeps a subscription in another currency than Stripe's, which never changes."""
    if currency not in {"", entry.currency}:
        for kind, amount in ((Kind.MRR, entry.amount), (Kind.SUBSCRIPTIONS, int(is_live(entry)))):
            yield Finding(kind, currency, name, -amount, Cause.UNEXPLAINED, remembered=True)
            yield Finding(kind, entry.currency, name, amount, Cause.UNEXPLAINED, remembered=True)


def _cause(run: Comparison, book: Book, record: SubscriptionRecord, entry: Entry) -> Cause:
    """Why the record of a subscription differs from Stripe's list."""
    if record.mrr is None and record.status == entry.status:
        return Cause.HIDDEN
    cause = run.cause(Kind.MRR, entry, remembered=True)
    same = (record.status, record.price_id, record.quantity, record.period) == (entry.status, *entry.terms)
    if cause is Cause.NEVER_CAME and same and not (book.discounted or entry.traits & {"discount", "several"}):
        # The terms are the same, so no missing event could explain another mrr.
        return Cause.UNEXPLAINED
    return cause
