"""The outcomes of events, read from the log lines of the deployed functions, one for each line. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["OUTCOMES", "LoggedOutcome", "Wanted", "outcome_in"]

QUEUED, ERROR = "queued", "error"
# The outcomes of deliver, of receive, and of a function that stopped.
OUTCOMES = ("delivered", "ignored", "waiting", "retry", "dead", QUEUED, "refused", "unready", ERROR)
FAILED = frozenset({"error", "failure", "timeout"})


@dataclass(frozen=True, slots=True)
class LoggedOutcome:
    """The outcome in one log line. The log holds no body, no header and no trait, so this does not either.

    Attributes
    ----------
    at
        The time, with time zone.
    function
        `receive` or `deliver`.
    outcome, reason, detail
        The function's own words; docs/operations.md explains them. `error` is a function that stopped.
    event_id, event_type, livemode, account
        The event's; empty or None where it could not be read.
    calls
        The event's calls, by name.
    received
        The number of attempts, this one included; 0 where it is unknown.
    """

    at: datetime
    function: str
    outcome: str
    reason: str = ""
    detail: str = ""
    event_id: str = ""
    event_type: str = ""
    livemode: bool | None = None
    account: str | None = None
    calls: tuple[str, ...] = ()
    received: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selection of outcomes. A queued event has a later outcome too, so `queue` is shown only if it is selected."""

    outcomes: frozenset[str] = frozenset()
    types: tuple[str, ...] = ()
    event: str = ""

    def __call__(self, outcome: LoggedOutcome) -> bool:
        """Whether this outcome is selected."""
        outcomes = self.outcomes or {outcome for outcome in OUTCOMES if outcome != QUEUED or self.event}
        typed = not self.types or any(fnmatchcase(outcome.event_type, kind) for kind in self.types)
        return outcome.outcome in outcomes and typed and self.event in {"", outcome.event_id}


def outcome_in(said: Mapping[str, Any], at: datetime, function: str) -> LoggedOutcome | None:
    """The outcome in a line of a function's log; None for every other line."""
    outcome = said.get("outcome")
    if outcome:
        outcome = QUEUED if outcome == "queue" else str(outcome)
        # The message of receive gives the cause in words; that of deliver only repeats the outcome.
        words = said.get("message") if function == "receive" and outcome != QUEUED else said.get("detail")
        return LoggedOutcome(
            at,
            function,
            outcome,
            reason=str(said.get("reason") or ""),
            detail=str(words or ""),
            event_id=str(said.get("event_id") or ""),
            event_type=str(said.get("event_type") or ""),
            # A line says it of a test event only.
            livemode=said.get("livemode", True) if said.get("event_id") else None,
            account=said.get("account"),
            calls=tuple(str(call) for call in said.get("calls") or ()),
            # deliver logs the number from the second attempt on.
            received=int(said.get("received") or (function == "deliver")),
        )
    if "errorType" in said:
        return LoggedOutcome(at, function, ERROR, str(said["errorType"]), str(said.get("errorMessage") or ""))
    # Lambda's own line, because a function that ran out of time or memory cannot log one.
    record = said.get("record")
    status = record.get("status") if isinstance(record, dict) else None
    if status in FAILED and said.get("type") == "platform.runtimeDone":
        return LoggedOutcome(at, function, ERROR, str(status), str(record.get("errorType") or "") if record else "")
    return None
