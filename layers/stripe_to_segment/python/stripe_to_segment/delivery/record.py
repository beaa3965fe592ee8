"""A queue message (record), and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Record", "RecordOutcome", "Status"]


@dataclass(frozen=True, slots=True)
class Record:
    """One queue message: the raw event, how often it was received (the first time is 1), and when it was queued.

    `queued_at` is in epoch seconds, 0 where nobody counts; `handle` is what SQS knows this receipt by.
    """

    id: str
    body: str
    received: int = 1
    queued_at: float = 0
    handle: str = ""


class Status(StrEnum):
    """The status of a record after delivery."""

    DELIVERED = "delivered"
    IGNORED = "ignored"
    WAITING = "waiting"
    RETRY = "retry"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """A record's status with its reason; `wait` is in seconds, where the reason asks for a particular time.

    `unknown` names the numbers that the payload does not tell. `reference_refused` says that a client reference was not
    trusted. `tries` is the number of failed tries so far, None if unknown.
    """

    record: Record
    status: Status
    reason: str = ""
    detail: str = ""
    wait: int | None = None
    tries: int | None = None
    event: StripeEvent | None = None
    calls: tuple[str, ...] = ()
    identity_source: str | None = None
    unknown: tuple[str, ...] = ()
    reference_refused: bool = False
