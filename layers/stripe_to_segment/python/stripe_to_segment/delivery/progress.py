"""How far a batch is: its outcomes, answers and claims, and which of its work goes on."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.record import RecordOutcome, Status
from stripe_to_segment.frozen import frozen
from stripe_to_segment.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stripe_to_segment.delivery.outcome import Work
    from stripe_to_segment.segment_side.answers import Answer

__all__ = ["Prepared", "Progress"]


def _delivery_id() -> str:
    return os.urandom(8).hex()


@dataclass(slots=True)
class Progress:
    """The progress of a batch: outcomes by record, answers by messageId, and the records whose calls were claimed.

    `now` and `until` (the end of its lease) are in epoch seconds. `delivery` is the id under which it claims; once that
    has a receipt, later claims of the batch get a new id. `leased` says that it claimed a person under that id.
    """

    now: float
    until: int
    delivery: str = field(default_factory=_delivery_id)
    outcomes: dict[str, RecordOutcome] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    claimed: list[Work] = field(default_factory=list)
    leased: bool = False

    def release(self) -> None:
        """Go on under a new delivery id, once the claims so far have their receipt."""
        self.claimed, self.leased, self.delivery = [], False, _delivery_id()

    def readable(self, work: Iterable[Work], why_not: Callable[[Work], tuple[str, str] | None]) -> list[Work]:
        """The work whose items can be read; the rest waits for a newer release or a repaired item, which is named."""
        left: list[Work] = []
        for one in work:
            if found := why_not(one):
                self.outcomes[one.record.id] = RecordOutcome(one.record, Status.RETRY, *found, event=one.event)
            else:
                left.append(one)
        return left

    def wait_for(self, one: Work, delivery: str, until: int) -> None:
        """The record waits for the delivery of another batch, whose lease ends at `until`."""
        # Where the same delivery holds the customer each time, its function may be dead: wait out its lease.
        died = one.waits_for == delivery
        rest = math.ceil(until - self.now) if died else None
        one.waits_for = one.waits_for or delivery
        self.outcomes[one.record.id] = RecordOutcome(
            one.record, Status.RETRY, Reason.UNDER_WAY, wait=rest, event=one.event
        )


@frozen
class Prepared:
    """Work to send, work to map again on a newer record, and work that waits for another batch.

    `modes` are the modes that the gate let through.
    """

    ready: list[Work] = field(default_factory=list)
    again: list[Work] = field(default_factory=list)
    others: list[Work] = field(default_factory=list)
    modes: set[bool] = field(default_factory=set)
