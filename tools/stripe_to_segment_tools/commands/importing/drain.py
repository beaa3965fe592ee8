"""Wait until `deliver` is done with the queued records, whose data the next step needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["wait_until_empty"]

# SQS counts approximately, and late, so the queue must look empty this many times in a row.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-resources-required-process-messages.html
LOOKS = 3


def wait_until_empty(count: Callable[[], int], report: Callable[[int], None], pause_seconds: float) -> None:
    """Wait until the queue is empty and stays so; after each look `report` gets the number of records."""
    empty = 0
    while empty < LOOKS:
        left = count()
        report(left)
        empty = 0 if left else empty + 1
        if empty < LOOKS:
            time.sleep(pause_seconds)
