"""The output of dead letters: counted by reason and type, or one by one, with bodies only on request."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from stripe_to_segment_tools.terminal.moments import iso
from stripe_to_segment_tools.terminal.output import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment_tools.commands.dlq.queue import DeadLetter

__all__ = ["Group", "as_object", "as_table", "as_text", "grouped"]


@dataclass(frozen=True, slots=True)
class Group:
    """Letters of one reason and event type; the times at which they were queued are ISO texts in UTC."""

    reason: str
    type: str
    count: int
    oldest: str
    newest: str


def grouped(letters: Iterable[DeadLetter]) -> list[Group]:
    """The letters by reason and event type, the largest group first."""
    counts: Counter[tuple[str, str]] = Counter()
    moments: dict[tuple[str, str], tuple[float, float]] = {}
    for letter in letters:
        key = letter.reason, letter.event_type
        counts[key] += 1
        oldest, newest = moments.get(key, (letter.sent_at, letter.sent_at))
        moments[key] = min(oldest, letter.sent_at), max(newest, letter.sent_at)
    return [
        Group(reason, kind, count, *(iso(seconds) for seconds in moments[reason, kind]))
        for (reason, kind), count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    ]


def as_table(groups: list[Group]) -> Table:
    """The groups, for a person."""
    table = Table(box=box.SIMPLE_HEAD, show_footer=len(groups) > 1)
    total = sum(group.count for group in groups)
    table.add_column("Reason", "total", no_wrap=True)
    table.add_column("Event type", no_wrap=True)
    table.add_column("Letters", str(total), justify="right")
    table.add_column("Oldest", no_wrap=True)
    table.add_column("Newest", no_wrap=True)
    for group in groups:
        # Text objects, because a value from the queue may hold brackets, which are rich's markup.
        named = Text(visible(group.reason)), Text(visible(group.type or "(no event)"))
        table.add_row(*named, str(group.count), group.oldest, group.newest)
    return table


def as_object(letter: DeadLetter, *, body: bool) -> dict[str, Any]:
    """One letter, for a program. `body` adds the raw event."""
    shown: dict[str, Any] = {
        "message_id": letter.message_id,
        "reason": letter.reason,
        "detail": letter.attributes.get("detail", ""),
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "account": letter.attributes.get("account", ""),
        "queued": iso(letter.sent_at),
    }
    return {**shown, "body": letter.event} if body else shown


def as_text(letter: DeadLetter, *, body: bool) -> str:
    """One letter, for a person."""
    lines = [visible(f"{name:<10} {value}") for name, value in as_object(letter, body=False).items() if value]
    if body:
        try:
            lines.append(json.dumps(json.loads(letter.event), ensure_ascii=False, indent=2))
        except (ValueError, RecursionError):
            lines.append(letter.event)
    return "\n".join([*lines, ""])
