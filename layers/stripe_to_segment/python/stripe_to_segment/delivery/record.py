"""A queue message (record), and its outcome."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import EventHead

__all__ = ["Record", "RecordOutcome", "Status"]


@frozen
class Record:
    """One queue message: the raw event, the number of its receives (the first is 1), and the time it was queued.

    `queued_at` is in epoch seconds, 0 where it is unknown; `handle` is the receipt handle of SQS.
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


@frozen
class RecordOutcome:
    """A record's status with its reason; `wait` is in seconds, where the endpoint named a time.

    `unknown` names the amounts that the payload does not state. `reference_refused` says that a `client_reference_id`
    was not trusted. `tries` is the number of failed attempts so far, None if unknown.
    """

    record: Record
    status: Status
    reason: str = ""
    detail: str = ""
    wait: int | None = None
    tries: int | None = None
    event: EventHead | None = None
    calls: tuple[str, ...] = ()
    identity_source: str | None = None
    unknown: tuple[str, ...] = ()
    reference_refused: bool = False
