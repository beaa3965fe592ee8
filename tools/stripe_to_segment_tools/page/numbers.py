"""Revenue, MRR, trials and churn, computed from the calls that Segment kept, by currency. Pure.

The rules are those of the models in warehouse/, which docs/warehouse.md describes: days and months are in UTC.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.subscriptions.lifecycle import SubscriptionCancelled, SubscriptionExpired
from stripe_to_segment.mapping.subscriptions.trials import TrialConverted, TrialEnded, TrialStarted
from stripe_to_segment_tools.page.entries import key_of_call
from stripe_to_segment_tools.terminal.amounts import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.receiver import AcceptedCall

__all__ = ["MOVEMENTS", "Figure", "Numbers", "Table", "numbers"]

# The values of mrr_movement, in the order of the waterfall. `opening` is what an older subscription brings along.
MOVEMENTS = ("opening", "new", "reactivation", "expansion", "contraction", "churn")
OTHER = "other"


@dataclass(slots=True)
class Figure:
    """One number, in major units or as a count, with the keys of the events whose calls make it."""

    value: Decimal = Decimal(0)
    events: dict[str, None] = field(default_factory=dict)

    def add(self, value: Decimal, event: str) -> None:
        """Count what the call of one event says."""
        self.value += value
        self.events[event] = None


type Table = dict[str, dict[str, Figure]]
"""Figures by day (2026-11-28) or month (2026-11), oldest first, and by the name of the column."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The tables of one currency."""

    revenue: Table
    mrr: Table
    waterfall: Table
    trials: Table
    churn: Table


@dataclass(frozen=True, slots=True)
class _Track:
    """One track: when it happened, of which event it was made, about whom, and what it says."""

    at: datetime
    name: str
    event: str
    person: str
    properties: Mapping[str, Any]

    @property
    def currency(self) -> str:
        return str(self.properties.get("currency") or "")

    @property
    def day(self) -> str:
        return self.at.date().isoformat()

    @property
    def month(self) -> str:
        return self.day[:7]

    @property
    def mrr_change(self) -> Decimal:
        return number(self.properties.get("mrr_change")) or Decimal(0)


def numbers(calls: Sequence[AcceptedCall], settings: Settings) -> dict[str, Numbers]:
    """The numbers of each currency, in alphabetical order; a currency without any is left out."""
    tracks = sorted(_tracks(calls), key=lambda track: track.at)
    trials = _trials(tracks, settings)
    found: dict[str, Numbers] = {}
    for currency in sorted({track.currency for track in tracks} - {""}):
        own = [track for track in tracks if track.currency == currency]
        moves = [track for track in own if track.mrr_change]
        waterfall = _waterfall(moves)
        tables = Numbers(_revenue(own), _mrr(moves), waterfall, trials.get(currency, {}), _churn(moves, waterfall))
        if tables.revenue or tables.mrr or tables.trials:
            found[currency] = tables
    return found


def _tracks(calls: Iterable[AcceptedCall]) -> Iterator[_Track]:
    timed = sorted(((_moment(kept), kept.call) for kept in calls), key=lambda one: one[0])
    # An identify with both ids says who an anonymous id is; the last one counts.
    users = {
        call["anonymousId"]: str(call["userId"])
        for _, call in timed
        if call.get("type") == "identify" and call.get("userId") and isinstance(call.get("anonymousId"), str)
    }
    for at, call in timed:
        properties = call.get("properties")
        if call.get("type") == "track" and isinstance(properties, dict):
            anonymous = str(call.get("anonymousId") or "")
            person = str(call.get("userId") or users.get(anonymous) or anonymous)
            yield _Track(at, str(call.get("event")), key_of_call(call), person, properties)


def _moment(kept: AcceptedCall) -> datetime:
    try:
        parsed = datetime.fromisoformat(str(kept.call.get("timestamp")))
    except ValueError:
        return kept.received_at
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def _revenue(own: Iterable[_Track]) -> Table:
    table: Table = {}
    for track in own:
        revenue = number(track.properties.get("revenue")) or Decimal(0)
        refunded = number(track.properties.get("revenue_refunded")) or Decimal(0)
        if revenue or refunded:
            row = table.setdefault(track.day, {"revenue": Figure(), "refunded": Figure(), "net": Figure()})
            for name, amount in (("revenue", revenue), ("refunded", -refunded)):
                if amount:
                    row[name].add(amount, track.event)
                    row["net"].add(amount, track.event)
    return table


def _mrr(moves: Iterable[_Track]) -> Table:
    table: Table = {}
    mrr = Decimal(0)
    for track in moves:
        mrr += track.mrr_change
        row = table.setdefault(track.day, {"mrr": Figure(), "change": Figure()})
        row["change"].add(track.mrr_change, track.event)
        row["mrr"].value = mrr
        row["mrr"].events[track.event] = None
    return table


def _waterfall(moves: Sequence[_Track]) -> Table:
    table: Table = {month: {name: Figure() for name in ("start", *MOVEMENTS, OTHER, "end")} for month in _months(moves)}
    for track in moves:
        kind = track.properties.get("mrr_movement")
        # `enrich` may take the movement away or name another; the change still counts.
        table[track.month][kind if kind in MOVEMENTS else OTHER].add(track.mrr_change, track.event)
    mrr = Decimal(0)
    for row in table.values():
        row["start"].value = mrr
        mrr += sum((row[name].value for name in (*MOVEMENTS, OTHER)), Decimal(0))
        row["end"].value = mrr
    return table


def _churn(moves: Iterable[_Track], waterfall: Table) -> Table:
    """The customers who begin and cease to count something. The rate is of those at the start of the month."""
    nets: dict[str, dict[str, Figure]] = defaultdict(lambda: defaultdict(Figure))
    for track in moves:
        nets[track.month][track.person].add(track.mrr_change, track.event)
    table: Table = {}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    count = 0
    for month in waterfall:
        row = {name: Figure() for name in ("start", "came", "left", "end")}
        row["start"].value = Decimal(count)
        for person, net in nets[month].items():
            before, after = sums[person], sums[person] + net.value
            sums[person] = after
            if (before > 0) != (after > 0):
                turn = row["came"] if after > 0 else row["left"]
                turn.value += 1 if after > 0 else -1
                turn.events |= net.events
        count += int(row["came"].value + row["left"].value)
        row["end"].value = Decimal(count)
        if row["start"].value:
            row["rate"] = Figure(-row["left"].value / row["start"].value, row["left"].events)
        table[month] = row
    return table


def _trials(tracks: Iterable[_Track], settings: Settings) -> dict[str, Table]:
    """By currency and by the month in which they began, the trials and what came of them."""
    wire = {
        settings.wire_name(event.event_name): event
        for event in (TrialStarted, TrialEnded, TrialConverted, SubscriptionCancelled, SubscriptionExpired)
    }
    lives: dict[str, list[tuple[type, _Track]]] = defaultdict(list)
    for track in tracks:
        if event := wire.get(track.name):
            lives[str(track.properties.get("subscription_id"))].append((event, track))
    tables: dict[str, Table] = defaultdict(dict)
    for life in lives.values():
        # Of one moment, the start of the trial comes first.
        life.sort(key=lambda one: (one[1].at, one[0] is not TrialStarted))
        starts = [place for place, (event, _) in enumerate(life) if event is TrialStarted]
        for start, following in zip(starts, [*starts, len(life)][1:], strict=True):
            _count_trial(tables, life[start][1], life[start + 1 : following])
    return {
        currency: {month: _with_rate(row) for month, row in sorted(table.items())} for currency, table in tables.items()
    }


def _count_trial(tables: dict[str, Table], began: _Track, later: Sequence[tuple[type, _Track]]) -> None:
    kinds = {event for event, _ in later}
    ended_lost = any(event is TrialEnded and track.properties.get("converted") is False for event, track in later)
    if TrialConverted in kinds:
        outcome = "converted"
    elif ended_lost or {SubscriptionCancelled, SubscriptionExpired} & kinds:
        outcome = "lost"
    else:
        outcome = "unpaid" if TrialEnded in kinds else "running"
    names = ("started", "converted", "running", "unpaid", "lost")
    row = tables[began.currency].setdefault(began.month, {name: Figure() for name in names})
    row["started"].add(Decimal(1), began.event)
    row[outcome].add(Decimal(1), began.event)
    for _, track in later:
        row[outcome].events[track.event] = None


def _with_rate(row: dict[str, Figure]) -> dict[str, Figure]:
    """The row with the share of its ended trials that converted, if any ended."""
    ended = row["started"].value - row["running"].value
    rate = {"rate": Figure(row["converted"].value / ended, row["converted"].events)} if ended else {}
    return row | rate


def _months(moves: Sequence[_Track]) -> Iterator[str]:
    """Every month from the first movement to the last one."""
    if moves:
        first, last = moves[0].at, moves[-1].at
        for count in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
            yield f"{count // 12:04}-{count % 12 + 1:02}"
