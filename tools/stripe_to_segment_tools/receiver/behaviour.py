"""How the receiver answers: as Segment does, or with a chosen failure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Behaviour", "Mode"]


class Mode(StrEnum):
    """The kinds of answers."""

    OK = "ok"
    """200 `{"success": true}`: the calls are kept."""
    STATUS = "status"
    """The chosen status, with `Retry-After` if one is set: calls are kept only for a 2xx."""
    SLOW = "slow"
    """The calls are kept, and the answer is sent after `seconds`."""
    DOWN = "down"
    """The connection is closed without an answer, and nothing is kept."""
    OK_FALSE = "ok_false"
    """200 `{"ok": false}` as Jitsu answers: calls named `event` are not kept, or no calls if `event` is None."""
    PARTIAL = "partial"
    """The calls are kept, but the answer ends in the middle, so the sender does not know it."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How requests are answered until another behaviour is set.

    Attributes
    ----------
    mode
        The kind of answer.
    status
        The status of mode `status`.
    retry_after
        The value of the `Retry-After` header, in seconds or as a date. None sends no such header.
    seconds
        How long mode `slow` waits before it answers.
    times
        The number of requests that are answered in this way, before mode `ok` returns. None means all of them.
    event
        Only requests with a call of this `event` name are answered in this way. None means every request.
    """

    mode: Mode = Mode.OK
    status: int = 500
    retry_after: int | float | str | None = None
    seconds: float = 0.0
    times: int | None = None
    event: str | None = None

    def __post_init__(self) -> None:
        """Refuse values from which no answer can be made."""
        if not 200 <= self.status <= 599:  # noqa: PLR2004 - HTTP's final statuses
            raise ValueError(f"status must be a number from 200 to 599, not {self.status!r}")
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds must be a number from 0, not {self.seconds!r}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be a number from 1 or null, not {self.times!r}")

    def concerns(self, calls: Iterable[Any]) -> bool:
        """Whether the behaviour concerns a request with these calls."""
        return self.event is None or any(self.names(call) for call in calls)

    def names(self, call: Any) -> bool:
        """Whether the behaviour concerns this call."""
        return self.event is None or (isinstance(call, dict) and call.get("event") == self.event)
