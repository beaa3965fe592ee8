"""What the deliver function says in its structured log, read as it comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tools.page.entry import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.local_stack import LocalStack

__all__ = ["DeliverLog", "attempt_in"]

# A line may be filed after one that is newer: the last seconds are read again, and known lines skipped.
OVERLAP_MILLISECONDS = 10_000


class DeliverLog:
    """Follows the log group of a stack's deliver function, from now on."""

    def __init__(self, stack: LocalStack) -> None:
        configuration = stack.clients.functions.get_function_configuration(FunctionName=stack.deliver_function)
        self._group = configuration.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{stack.deliver_function}")
        self._logs = stack.clients.logs
        self._since = self._newest = int(datetime.now(UTC).timestamp() * 1000)
        self._known: dict[tuple[str, int, datetime], int] = {}

    def new(self) -> list[Attempt]:
        """The attempts that were not there the last time, oldest first."""
        start = max(self._since, self._newest - OVERLAP_MILLISECONDS)
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=self._group, startTime=start)
        found = list(self._fresh(event for page in pages for event in page["events"]))
        self._known = {line: at for line, at in self._known.items() if at >= self._newest - 2 * OVERLAP_MILLISECONDS}
        return sorted(found, key=lambda attempt: attempt.at)

    def _fresh(self, events: Iterator[Any]) -> Iterator[Attempt]:
        for event in events:
            attempt = attempt_in(event["message"], datetime.fromtimestamp(event["timestamp"] / 1000, UTC))
            if attempt is None:
                continue
            line = (attempt.message_id, attempt.number, attempt.at)
            if line not in self._known:
                self._known[line] = event["timestamp"]
                self._newest = max(self._newest, event["timestamp"])
                yield attempt


def attempt_in(line: str, filed_at: datetime) -> Attempt | None:
    """The attempt that a line of the log speaks of; None for every other line. It was filed when its batch was done."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or "fate" not in said:
        return None
    return Attempt(
        at=_written_at(said.get("timestamp")) or filed_at,
        message_id=str(said.get("message_id") or ""),
        event_id=str(said.get("event_id") or ""),
        event_type=str(said.get("event_type") or ""),
        number=int(said.get("received") or 1),
        fate=str(said["fate"]),
        reason=str(said.get("reason") or ""),
        detail=str(said.get("detail") or ""),
        calls=tuple(str(call) for call in said.get("calls") or ()),
    )


def _written_at(stamp: object) -> datetime | None:
    try:
        return datetime.strptime(str(stamp), "%Y-%m-%d %H:%M:%S,%f%z")
    except ValueError:
        # A team may have chosen another format for its log.
        return None
