"""Explain each line of Stripe's own export: what was sent up to the end of its month, and why the two differ."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.findings import Cause, Kind
from stripe_to_segment.state.sums import EARLIER
from stripe_to_segment.stripe_side.discount import coupon_from
from stripe_to_segment.stripe_side.money import major
from stripe_to_segment_tools.commands.audit.export import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.auditing.books import Book
    from stripe_to_segment.auditing.findings import Finding
    from stripe_to_segment.auditing.truth import Entry

__all__ = ["Explained", "explained"]

# No time zone is further from UTC.
ZONES = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class Explained:
    """A line with what was sent up to the end of its month, and why the two differ; empty where they do not.

    `currency` is that of what was sent, where the line has none.
    """

    line: Line
    currency: str
    ours: Decimal
    reason: str

    @property
    def difference(self) -> Decimal:
        """Stripe's less ours."""
        return self.line.mrr - self.ours


def explained(
    lines: Iterable[Line],
    books: Mapping[str, Book],
    subscriptions: Iterable[Entry],
    findings: Iterable[Finding],
    month: str = "",
) -> Iterator[Explained]:
    """Each line beside the sum of the changes that were sent up to the end of its month.

    A customer who has such a sum and no line in a month of the export has a line of 0 there. An export that names no
    currency is in that of most of the lines that agree.

    Parameters
    ----------
    lines
        The lines that Stripe exported.
    books
        The stored data of each customer, by the customer's id.
    subscriptions
        Stripe's subscriptions.
    findings
        The differences that the audit found.
    month
        Only the lines of this month; empty for all.
    """
    lines = [*lines]
    theirs: dict[str, list[Entry]] = defaultdict(list)
    for entry in subscriptions:
        theirs[entry.record.rpartition(":")[2]].append(entry)
    causes = {each.id: each.cause for each in findings if each.kind is Kind.MRR}
    beside: list[tuple[Line, str, Decimal]] = []
    for line in [*lines, *_absent(lines, books)]:
        if month and line.month != month:
            continue
        book = books.get(line.customer)
        currencies = {entry.currency for entry in theirs[line.customer]}
        sums = {} if book is None else _at_the_end(book, line.month)
        currency = line.currency or next(iter(currencies if len(currencies) == 1 else {*sums}), "")
        beside.append((line, currency, major(sums.get(currency, 0), currency) if currency else Decimal()))
    agreed = Counter(currency for line, currency, ours in beside if ours == line.mrr and ours)
    usual = max(agreed, key=agreed.__getitem__, default="")
    for line, currency, ours in beside:
        entries, book = theirs[line.customer], books.get(line.customer)
        with_currency = replace(line, currency=line.currency or usual)
        reason = "" if ours == line.mrr else _reason(with_currency, ours, book, entries, causes)
        if reason == "unknown" and book is not None:
            reason = _reason_of_settings(line, currency, book, entries)
        yield Explained(line, currency, ours, reason)


def _absent(lines: Sequence[Line], books: Mapping[str, Book]) -> Iterator[Line]:
    """The lines of 0 of those whom the export leaves out."""
    there = {(line.customer, line.month) for line in lines}
    for month in sorted({line.month for line in lines}):
        for owner, book in books.items():
            if (owner, month) not in there:
                sums = _at_the_end(book, month)
                yield from (Line(owner, month, Decimal(), currency) for currency, amount in sums.items() if amount)


def _reason(line: Line, ours: Decimal, book: Book | None, entries: Sequence[Entry], causes: Mapping[str, Cause]) -> str:
    """Why a line differs from ours, by the first of these that holds."""
    known = [causes[name] for name in (line.customer, *(entry.id for entry in entries)) if name in causes]
    if any(cause.explains for cause in known):
        return next(str(cause) for cause in known if cause.explains)
    if not entries and book is None:
        return "no subscription of this customer is listed or remembered"
    currencies = {entry.currency for entry in entries}
    # Nothing is nothing in any currency.
    if line.mrr and (len(currencies) > 1 or (line.currency and currencies and line.currency not in currencies)):
        return "currency conversion"
    if book is not None and book.summed != 1:
        return str(Cause.BEFORE_SUMS)
    if book is not None and any(name == EARLIER for kind, _, name in book.sent if kind is Kind.MRR) and not ours:
        return "older than the months that are kept apart"
    return _reason_of_terms(line, ours, book, entries)


def _reason_of_terms(line: Line, ours: Decimal, book: Book | None, entries: Sequence[Entry]) -> str:
    """Whether the terms of the subscriptions explain the difference, and not only exist."""
    traits = {trait for entry in entries for trait in entry.traits}
    # Each subscription, and each item of it, is rounded by itself.
    cents = max(Decimal("0.01"), major(1, line.currency)) * max(len(entries), 1)
    others = _by_other_discounts(line.currency, ours, book, entries)
    if any(abs(line.mrr - other) <= cents for other in others if other != ours):
        return "discount rule"
    # Both count for Stripe, and not for us.
    named = (("metered", "metered price"), ("trial", "trial"))
    found = next((said for trait, said in named if trait in traits and line.mrr > ours), "")
    return found or ("rounding" if abs(line.mrr - ours) <= cents else "unknown")


def _by_other_discounts(currency: str, ours: Decimal, book: Book | None, entries: Sequence[Entry]) -> Iterator[Decimal]:
    """What a sum of ours would be if other discounts counted: those of now, or any that the customer has had."""
    now = sum(entry.amount for entry in entries)
    for rule in dict.fromkeys(rule for entry in entries for rule in entry.rules):
        other = sum(entry.rules.get(rule, entry.amount) for entry in entries)
        yield ours + major(other - now, currency)
        if now:
            yield ours * other / now
    for coupon in filter(None, map(coupon_from, () if book is None else book.coupons)):
        left = 1 - (coupon.percent_off or 0) / Decimal(100)
        yield ours * left
        if left:
            yield ours / left
        off = major(coupon.amount_off or 0, currency)
        yield from (ours + sign * off / months for sign in (1, -1) for months in (1, 12))


def _reason_of_settings(line: Line, currency: str, book: Book, entries: Sequence[Entry]) -> str:
    """Whether the settings of the account in Stripe may explain a line: its time zone, and when a subscriber counts."""
    if _turns_with_the_month(line, currency, book, entries):
        return "time zone"
    end = _ends(line.month).timestamp()
    return "unknown" if line.mrr or any(paid.at < end for paid in book.payments.values()) else "no payment yet"


def _ends(month: str) -> datetime:
    """The first moment after a month, in UTC."""
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _turns_with_the_month(line: Line, currency: str, book: Book, entries: Sequence[Entry]) -> bool:
    """Whether the change may be of the hours that are in this month in UTC and in another for Stripe, or reversed.

    Then Stripe's number is ours of the month before or after. A subscription that began or ended then tells the moment.
    """
    after = _ends(line.month)
    before = (after - timedelta(days=1)).replace(day=1) - timedelta(days=1)
    neighbours = {f"{moment:%Y-%m}" for moment in (before, after)}
    turns = [datetime.fromtimestamp(at, UTC) for entry in entries for at in (entry.at, entry.ended) if at]
    near = all(abs(at - after) <= ZONES for at in turns if f"{at:%Y-%m}" in {line.month, f"{after:%Y-%m}"})
    return near and any(major(_at_the_end(book, each).get(currency, 0), currency) == line.mrr for each in neighbours)


def _at_the_end(book: Book, month: str) -> dict[str, int]:
    """The sums of the changes sent up to the end of a month, in minor units by currency."""
    sums: dict[str, int] = defaultdict(int)
    for (kind, currency, at), amount in book.sent.items():
        if kind is Kind.MRR and (at == EARLIER or at <= month):
            sums[currency] += amount
    return sums
