"""Moves dead letters back into the events queue: all of them, or those of one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment_tools.commands.dlq.queue import Pass
from stripe_to_segment_tools.commands.dlq.queue import redrive as redrive_letters

if TYPE_CHECKING:
    from collections.abc import Collection

    from stripe_to_segment_tools.local_stack import LocalStack

__all__ = ["redrive"]


def redrive(stack: LocalStack, chosen: Collection[str] | None = None) -> int:
    """Move the dead letters with these message ids, or all of them, and return their number."""
    sqs, moved = stack.clients.sqs, 0
    with Pass(sqs, stack.dead_letter_queue_url) as walk:
        for result in redrive_letters(
            walk, lambda letter: chosen is None or letter.message_id in chosen, sqs, stack.events_queue_url
        ):
            moved = result.done
    return moved
