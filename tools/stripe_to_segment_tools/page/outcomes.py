"""Read the outcomes of records from the deliver function's structured log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.commands.tail.function_log import FunctionLog
from stripe_to_segment_tools.page.entry import Attempt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stripe_to_segment_tools.local_stack import LocalStack

__all__ = ["DeliverLog", "attempt_in"]


class DeliverLog:
    """Follows the log group of a stack's deliver function, from now on."""

    def __init__(self, stack: LocalStack) -> None:
        clients = stack.clients
        self._log = FunctionLog(clients.functions, clients.logs, stack.deliver_function, time.time())

    def new(self) -> list[Attempt]:
        """The attempts logged since the last call, oldest first."""
        found = (attempt_in(said, at) for at, said in self._log.new())
        return [attempt for attempt in found if attempt is not None]


def attempt_in(said: Mapping[str, Any], at: datetime) -> Attempt | None:
    """The attempt in a log line, or None if the line is about something else."""
    if "outcome" not in said:
        return None
    return Attempt(
        at=at,
        message_id=str(said.get("message_id") or ""),
        event_id=str(said.get("event_id") or ""),
        event_type=str(said.get("event_type") or ""),
        number=int(said.get("received") or 1),
        outcome=str(said["outcome"]),
        reason=str(said.get("reason") or ""),
        detail=str(said.get("detail") or ""),
        calls=tuple(str(call) for call in said.get("calls") or ()),
    )
