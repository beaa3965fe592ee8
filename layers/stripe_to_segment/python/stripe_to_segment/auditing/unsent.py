"""Explain the difference between a record and what was sent: objects whose amounts sum to it, each with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.auditing.findings import Cause, Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stripe_to_segment.auditing.around import Around
    from stripe_to_segment.auditing.books import Book, Kept
    from stripe_to_segment.auditing.truth import Entry
    from stripe_to_segment.settings import Settings

__all__ = ["cause_of_silence", "unsent"]

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
    around: Around,
) -> list[Finding]:
    """The findings that explain what was not sent of these objects, all of one kind and currency.

    The sums do not name objects. So first come the calls that are claimed and did not arrive, which do, then the
    objects that a reason may explain and whose amounts sum to the rest; what no reason explains is the customer's.
    """
    left = sum(one.amount for one in objects) - book.sent_in_all(kind, currency)
    if not left:
        return []
    found = [
        Finding(kind, currency, one.id, one.amount, Cause.REFUSED if one.refused else Cause.WAITS, remembered=True)
        for one in book.claimed
        if (one.kind, one.currency) == (kind, currency)
    ]
    left -= sum(one.amount for one in found)
    if not left:
        return found
    several: dict[str, tuple[Cause, int]] = {}
    newest = sorted((one for one in objects if one.amount), key=lambda one: -one.at)
    for cause, candidates in _candidates(kind, book, newest, entries, around):
        chosen = _summing([*candidates.items()], left)
        if chosen is not None:
            return [*found, *(Finding(kind, currency, *each, cause, remembered=True) for each in chosen)]
        several = {name: (cause, amount) for name, amount in candidates.items()} | several
    # Several reasons at once.
    chosen = _summing([(name, amount) for name, (_, amount) in several.items()], left)
    if chosen is not None:
        return [*found, *(Finding(kind, currency, *each, several[each[0]][0], remembered=True) for each in chosen)]
    return [*found, Finding(kind, currency, book.owner, left, Cause.UNEXPLAINED, remembered=True)]


def _candidates(
    kind: Kind, book: Book, objects: Sequence[Kept], entries: Mapping[str, Entry], around: Around
) -> Iterator[tuple[Cause, dict[str, int]]]:
    """For each reason that may hold the objects that it may explain, with the amount of each."""

    def those(holds: Callable[[Kept], bool]) -> dict[str, int]:
        return {one.id: one.amount for one in objects if holds(one)}

    if (cause := cause_of_silence(book, around.settings)) is not None:
        yield cause, those(lambda _: True)
    if dropped := {*around.settings.drop_events}:
        yield (
            Cause.DROPPED,
            those(lambda one: kind is Kind.MRR or (one.id in entries and entries[one.id].event in dropped)),
        )
    yield (
        Cause.IMPORTED,
        those(lambda one: one.imported and not (one.sent or one.unsent))
        | {part: amount for one in objects for part, amount in one.unsent.items()},
    )
    yield Cause.NOT_IMPORTED, those(lambda one: one.id in entries and entries[one.id].at < around.began)
    if book.summed != 1:
        yield Cause.BEFORE_SUMS, those(lambda one: one.at // DAY <= book.summed)
    if kind is Kind.DISPUTES:
        # Later events of the dispute came, but they state only how it continued.
        yield Cause.NEVER_CAME, those(lambda _: True)


def _summing(candidates: list[Named], wanted: int) -> list[Named] | None:
    """A selection of the candidates whose amounts sum to this, all of them if possible; None if there is none."""
    if candidates and sum(amount for _, amount in candidates) == wanted:
        return candidates
    reached: dict[int, tuple[int, ...]] = {0: ()}
    for place, (_, amount) in enumerate(candidates[:COMBINED]):
        for total, chosen in [*reached.items()]:
            reached.setdefault(total + amount, (*chosen, place))
        if wanted in reached:
            return [candidates[each] for each in reached[wanted]]
        if len(reached) > SUMS:
            break
    return None
