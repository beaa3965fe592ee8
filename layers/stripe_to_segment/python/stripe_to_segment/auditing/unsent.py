"""Explain the difference between a record and what was sent: objects whose amounts sum to it, each with a reason."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.findings import Cause, Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.auditing.books import Book, Kept
    from stripe_to_segment.auditing.circumstances import Circumstances
    from stripe_to_segment.auditing.truth import Entry
    from stripe_to_segment.settings import Settings

__all__ = ["attached_to", "cause_of_silence", "summing", "unsent"]

DAY = 86_400
# The newest objects that are tried in all combinations, and the most sums of them.
COMBINED, SUMS = 24, 100_000
type Named = tuple[str, int]


def cause_of_silence(book: Book, settings: Settings) -> Cause | None:
    """Why nothing is sent about a customer; None where something is."""
    if book.opted_out:
        return Cause.OPTED_OUT
    return Cause.UNKNOWN_USER if book.unknown_user and settings.unknown_user_policy == "skip" else None


def unsent(  # noqa: PLR0913 - what a difference may come from
    kind: Kind,
    currency: str,
    book: Book,
    objects: Sequence[Kept],
    *,
    entries: Mapping[str, Entry],
    circumstances: Circumstances,
) -> list[Finding]:
    """The findings that explain what was not sent of these objects, all of one kind and currency.

    First come the calls that were not made, or did not arrive: the record names their objects. For the rest the sums
    name none: it is that of the objects which a reason may explain and whose amounts sum to it; what no reason explains
    is the customer's.
    """
    left = sum(one.amount for one in objects) - book.sent_in_all(kind, currency)
    if not left:
        return []
    found = [*_not_sent(kind, currency, book, objects)]
    left -= sum(one.amount for one in found)
    if not left:
        return found
    named, several = {one.id for one in found}, dict[str, tuple[Cause, int]]()
    rest = sorted(
        (one for one in objects if (one.amount or one.unsent or one.apart) and one.id not in named),
        key=lambda one: -one.at,
    )
    by_reason = [*_candidates(kind, book, rest, entries, circumstances)]
    for cause, candidates in reversed(by_reason):
        several |= {name: (cause, amount) for name, amount in candidates.items()}
    # One reason for all, or several at once.
    tries = [{name: (cause, amount) for name, amount in each.items()} for cause, each in by_reason]
    for those in (*tries, several):
        chosen, certain = summing([(name, amount) for name, (_, amount) in those.items()], left)
        if chosen:
            explained = ((name, amount, those[name][0]) for name, amount in chosen)
            more = (Finding(kind, currency, *each, remembered=True, guessed=not certain) for each in explained)
            return [*found, *more]
    return [*found, Finding(kind, currency, book.owner, left, Cause.UNEXPLAINED, remembered=True)]


def _not_sent(kind: Kind, currency: str, book: Book, objects: Sequence[Kept]) -> Iterator[Finding]:
    """The calls that were not made, or did not arrive, by object and reason.

    A call that only the sum of a charge has stated names no refund: it is one of its amount.
    """
    amounts: Counter[tuple[str, Cause]] = Counter()
    mine = [one for one in book.not_sent if (one.kind, one.currency) == (kind, currency)]
    named, guessed = {one.id for one in mine}, set[str]()
    for one in mine:
        alike = [] if one.id else [each.id for each in objects if each.amount == one.amount and each.id not in named]
        name = next(iter(alike), one.id)
        named.add(name)
        guessed |= {name} if len(alike) > 1 else set()
        amounts[name, one.cause] += one.amount
    for (name, why), amount in amounts.items():
        yield Finding(kind, currency, name, amount, why, remembered=True, guessed=name in guessed)


def _candidates(
    kind: Kind, book: Book, objects: Sequence[Kept], entries: Mapping[str, Entry], circumstances: Circumstances
) -> Iterator[tuple[Cause, dict[str, int]]]:
    """For each reason that may hold the objects that it may explain, with the amount of each."""

    def those(holds: Callable[[Kept], bool]) -> dict[str, int]:
        return {one.id: one.amount for one in objects if holds(one)}

    yield (
        Cause.IMPORTED,
        those(lambda one: one.imported and not (one.sent or one.unsent))
        | {part: amount for one in objects for part, amount in one.unsent.items()},
    )
    yield Cause.NOT_IMPORTED, those(lambda one: one.id in entries and entries[one.id].at < circumstances.began)
    yield (
        Cause.WAITS if circumstances.waiting else Cause.NEVER_CAME,
        {one.id: one.apart for one in objects if one.apart},
    )
    if book.summed != 1:
        yield Cause.BEFORE_SUMS, those(lambda one: one.at // DAY <= book.summed)
    if kind is Kind.PAYMENTS:
        # Sent as an order, and then with the whole invoice, before anything said that it had paid a part of it.
        attached = attached_to(objects, entries)
        yield Cause.STATED_TWICE, {name: -amount for name, (amount, _) in attached.items()}
    if kind is Kind.DISPUTES:
        # Later events of the dispute came, but they state only how it continued.
        yield Cause.NEVER_CAME, those(lambda _: True)


def attached_to(objects: Iterable[Kept], entries: Mapping[str, Entry]) -> dict[str, tuple[int, int]]:
    """What payments that were attached to these invoices have paid, and when, by a name for each.

    That is the payment; of one that has paid several invoices, also the invoice.
    """
    found: dict[str, tuple[int, int]] = {}
    for one in objects:
        entry = entries.get(one.id)
        if entry is None:
            continue
        several = {paid for paid, _ in entry.elsewhere}
        for paid, amount in entry.attached.items():
            found[f"{paid} in {one.id}" if paid in several else paid] = amount, one.at
        # No event of the other invoice may have come.
        for (paid, invoice), amount in entry.elsewhere.items():
            found.setdefault(f"{paid} in {invoice}", (amount, one.at))
    return found


def summing(candidates: list[Named], wanted: int) -> tuple[list[Named], bool]:
    """The candidates whose amounts sum to this, none if there are none, and whether no other selection does."""
    if sum(amount for _, amount in candidates) == wanted:
        return candidates, True
    reached: dict[int, tuple[int, ...]] = {0: ()}
    doubtful = set[int]()
    for place, (_, amount) in enumerate(candidates[:COMBINED]):
        for total, chosen in [*reached.items()]:
            if total + amount in reached or total in doubtful:
                doubtful.add(total + amount)
            reached.setdefault(total + amount, (*chosen, place))
        if len(reached) > SUMS:
            break
    certain = wanted not in doubtful and len(candidates) <= COMBINED and len(reached) <= SUMS
    return [candidates[each] for each in reached.get(wanted, ())], certain
