"""The time that an invocation has left, and what of it may be spent on waiting."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

__all__ = ["Clock", "Deadline"]

# The seconds kept for the receipt, the queues and the answer.
RESERVE = 8.0
# With fewer seconds than this left a batch does not wait for another: a slow Segment may take as long.
ENOUGH_TO_SEND = 20.0
# The seconds by which the clocks of two environments may differ.
CLOCKS_DIFFER = 2


class Clock(Protocol):
    """Python's module `time`, or a test's."""

    def time(self) -> float:
        """Epoch seconds."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        ...


@frozen
class Deadline:
    """When Lambda ends the invocation, by its context; everything is in seconds."""

    context: LambdaContext
    clock: Clock

    @property
    def lease(self) -> int:
        """For how long the invocation may hold what no other one may touch."""
        return self.context.get_remaining_time_in_millis() // 1000 + CLOCKS_DIFFER

    def left(self) -> float:
        """The time for work; the rest is kept for the end."""
        return float(self.context.get_remaining_time_in_millis()) / 1000 - RESERVE

    def wait(self, seconds: float) -> float | None:
        """Wait for about this long, and return the epoch second afterwards; None where there is no time to wait."""
        if self.left() < ENOUGH_TO_SEND:
            return None
        # Batches that wait for the same customer must not all come back at the same moment.
        self.clock.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311 - no secret depends on it
        return self.clock.time()
