"""Read the JSON lines that a deployed function writes to its log group, as they arrive; other lines are left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FunctionLog", "object_in"]

# CloudWatch may store a line after a newer one: read the last seconds again, and skip known lines.
OVERLAP_MILLISECONDS = 10_000


class FunctionLog:
    """Follows the log group of a function.

    Parameters
    ----------
    functions, logs
        Low-level boto3 clients of Lambda and CloudWatch Logs.
    function
        The function's name.
    since
        Epoch seconds from which on lines are read.
    words
        Only lines with these words, if CloudWatch can filter by them.
    """

    def __init__(self, functions: Any, logs: Any, function: str, since: float, words: str = "") -> None:
        configuration = functions.get_function_configuration(FunctionName=function)
        self._filter = {
            "logGroupName": configuration.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function}"),
            **({"filterPattern": f'"{words}"'} if words else {}),
        }
        self._logs = logs
        self._since = self._newest = int(since * 1000)
        self._known: dict[tuple[str, int, str], int] = {}

    def new(self) -> list[tuple[datetime, dict[str, Any]]]:
        """The lines that were not there the last time, each with the time at which it was written, oldest first."""
        start = max(self._since, self._newest - OVERLAP_MILLISECONDS)
        pages = self._logs.get_paginator("filter_log_events").paginate(startTime=start, **self._filter)
        found = list(self._fresh(event for page in pages for event in page["events"]))
        self._known = {line: at for line, at in self._known.items() if at >= self._newest - 2 * OVERLAP_MILLISECONDS}
        return sorted(found, key=lambda line: line[0])

    def _fresh(self, events: Iterator[Any]) -> Iterator[tuple[datetime, dict[str, Any]]]:
        for event in events:
            line = (event.get("logStreamName", ""), event["timestamp"], event["message"])
            if line in self._known:
                continue
            self._known[line] = event["timestamp"]
            self._newest = max(self._newest, event["timestamp"])
            said = object_in(event["message"])
            if said is not None:
                yield _written_at(said.get("timestamp")) or datetime.fromtimestamp(event["timestamp"] / 1000, UTC), said


def object_in(line: str) -> dict[str, Any] | None:
    """The JSON object in a line; None if it is not one."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _written_at(stamp: object) -> datetime | None:
    """The time at which a function wrote a line; CloudWatch stores lines later, several at once."""
    try:
        written = datetime.fromisoformat(str(stamp).replace(",", "."))
    except ValueError:
        # A team may have set another time format.
        return None
    return written.astimezone(UTC) if written.tzinfo else None
