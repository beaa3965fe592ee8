"""Read what else may explain a difference: the queues and the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.auditing.circumstances import Letter
from stripe_to_segment.enqueuing import waiting
from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.stripe_side.event import read_json
from stripe_to_segment.stripe_side.fields import listed, reference, text
from stripe_to_segment.stripe_side.listing import is_listed, listed_event
from stripe_to_segment.stripe_side.thin import ThinEvent, sent_event
from stripe_to_segment_tools.commands.dlq.queue import Pass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["anything_waits", "letters_of"]


def anything_waits(stack: Stack) -> bool:
    """Whether records wait in the queues, or are under way. Asked first: what was done by then is in the records."""
    sqs = stack.client("sqs")
    return any(waiting(sqs, stack.output(name)) for name in ("EventsQueueUrl", "ImportQueueUrl"))


def letters_of(stack: Stack) -> tuple[Letter, ...]:
    """The dead letters, with the objects that they state."""
    with Pass(stack.client("sqs"), stack.output("DeadLetterQueueUrl")) as walk:
        every = [_letter(one.event) for page in walk.pages() for one in page]
    return tuple(filter(None, every))


def _letter(body: str) -> Letter | None:
    """The dead letter of an event or of a listed object; None where it is neither."""
    try:
        data = read_json(body)
        event = listed_event(data) if is_listed(data) else sent_event(data)
    except MalformedEventError:
        return None
    return None if event is None else Letter(event.type, frozenset(filter(None, _ids_of(event))))


def _ids_of(event: StripeEvent | ThinEvent) -> Iterator[str | None]:
    """The ids of what the event states."""
    if isinstance(event, ThinEvent):
        yield (event.related or "").rpartition("/")[2]
        return
    about = event.object
    yield from (text(about.get("id")), reference(about.get("invoice")))
    yield from (text(one.get("id")) for one in listed(about.get("refunds")))
    if event.type.startswith(("checkout.session.", "payment_intent.", "invoice_payment.")):
        yield reference(about.get("payment_intent"))
    if event.type.startswith("customer.discount."):
        yield reference(about.get("subscription")) or event.customer
