"""Read what else may explain a difference: the queues and the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.auditing.around import Letter
from stripe_to_segment.enqueuing import waiting
from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.stripe_side.event import read_json
from stripe_to_segment.stripe_side.fields import hash_of, listed, reference, text
from stripe_to_segment.stripe_side.listing import is_listed, listed_event
from stripe_to_segment.stripe_side.thin import sent_event
from stripe_to_segment_tools.commands.dlq.queue import Pass

if TYPE_CHECKING:
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["anything_waits", "letters_of"]


def anything_waits(stack: Stack) -> bool:
    """Whether records wait in the queues, or are under way. Asked first: what was done by then is in the records."""
    sqs = stack.client("sqs")
    return any(waiting(sqs, stack.output(name)) for name in ("EventsQueueUrl", "ImportQueueUrl"))


def letters_of(stack: Stack) -> tuple[Letter, ...]:
    """The dead letters, with the objects that they state."""
    return tuple(_letters(stack))


def _letters(stack: Stack) -> list[Letter]:
    found: list[Letter] = []
    with Pass(stack.client("sqs"), stack.output("DeadLetterQueueUrl")) as walk:
        for page in walk.pages():
            for letter in page:
                try:
                    data = read_json(letter.event)
                    event = listed_event(data) if is_listed(data) else sent_event(data)
                except MalformedEventError:
                    continue
                about = hash_of(getattr(event, "object", None))
                if event is None:
                    continue
                refunds = [one.get("id") for one in listed(about.get("refunds"))]
                ids = {about.get("id"), reference(about.get("invoice")), *refunds}
                if event.type.startswith(("checkout.session.", "payment_intent.", "invoice_payment.")):
                    ids.add(reference(about.get("payment_intent")))
                found.append(Letter(event.type, frozenset(filter(None, map(text, ids)))))
    return found
