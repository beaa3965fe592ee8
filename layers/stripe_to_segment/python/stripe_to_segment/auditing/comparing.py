"""Compare Stripe's lists with the records, and the records with what was sent, object by object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.auditing.books import books_of
from stripe_to_segment.auditing.comparison import Comparison
from stripe_to_segment.auditing.findings import Finding, Kind
from stripe_to_segment.auditing.money import MONEY, compare_money
from stripe_to_segment.auditing.subscriptions import compare_subscriptions
from stripe_to_segment.auditing.truth import is_live

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stripe_to_segment.auditing.books import Book
    from stripe_to_segment.auditing.circumstances import Circumstances
    from stripe_to_segment.auditing.findings import Report
    from stripe_to_segment.auditing.truth import Entry, Truth
    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.profile import Profile

__all__ = ["audit"]

DAY = 86_400
# The prefixes of customers' ids.
CUSTOMERS = ("cus_", "acct_")


def audit(
    truth: Truth,
    profiles: Iterable[Profile],
    receipts: Mapping[str, Receipt],
    circumstances: Circumstances,
    month: str = "",
) -> Report:
    """Compare what Stripe lists with the records of the same account and mode.

    Parameters
    ----------
    truth
        What Stripe's lists show, closed. The audit writes the times of payments into it that the records know better.
    profiles, receipts
        All records, and the receipts of their deliveries.
    circumstances
        What else may explain a difference.
    month
        The payments, refunds and disputes of one month (2026-10, UTC) alone; empty for all. The mrr and the live
        subscriptions are those of now in any case.
    """
    run = Comparison(truth, circumstances, month)
    own = (each for each in profiles if each.key.startswith(f"{truth.scope}:"))
    found = [*books_of(own, receipts, circumstances.now // DAY)]
    run.known = {book.key for book in found}
    books = _by_customer(found, truth)
    # Customers first: a customer's record may have taken over the record of a single payment.
    for book in sorted(books, key=lambda book: not book.owner.startswith(CUSTOMERS)):
        for kind in MONEY:
            compare_money(run, kind, book)
        compare_subscriptions(run, book)
    _count_stripes(run)
    run.report.close()
    return run.report


def _by_customer(books: Iterable[Book], truth: Truth) -> list[Book]:
    """The books, with those of single payments added to their customers'."""
    by_key = {book.key: book for book in books}
    for book in [*by_key.values()]:
        whose = by_key.get("" if book.owner.startswith(CUSTOMERS) else truth.record_of(book.owner))
        if whose is not None and whose is not book:
            whose.take(by_key.pop(book.key))
    return [*by_key.values()]


def _count_stripes(run: Comparison) -> None:
    """Add Stripe's objects to the report, and a finding for each that no record remembers."""
    for kind in MONEY:
        for entry in run.truth.entries(kind).values():
            if run.in_month(entry.at):
                _count(run, kind, entry, entry.amount, seen=entry.id in run.seen[kind])
    for entry in run.truth.subscriptions.values():
        seen = entry.id in run.seen[Kind.MRR]
        _count(run, Kind.MRR, entry, entry.amount, seen=seen)
        _count(run, Kind.SUBSCRIPTIONS, entry, int(is_live(entry)), seen=seen)


def _count(run: Comparison, kind: Kind, entry: Entry, amount: int, *, seen: bool) -> None:
    run.report.row(kind, entry.currency).stripe += amount
    if amount and not seen:
        cause = run.cause(kind, entry, remembered=False)
        run.report.found([Finding(kind, entry.currency, entry.id, amount, cause)])
