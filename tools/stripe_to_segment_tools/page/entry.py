"""One Stripe event on the page: its path through the stack so far, and its outcome. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import StripeToSegmentError
from stripe_to_segment.stripe_side.event import StripeEvent, parse_event
from stripe_to_segment.stripe_side.fields import dig, reference, text
from stripe_to_segment.stripe_side.invoice import subscription_of as subscription_of_invoice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stripe_to_segment_tools.local_stack.emulator import Message
    from stripe_to_segment_tools.page.webhook_proxy import SeenRequest
    from stripe_to_segment_tools.receiver import AcceptedCall, RefusedCall

__all__ = ["Attempt", "Entry", "Stage", "read_event"]


class Stage(StrEnum):
    """The outcome of an event, as far as it is known."""

    DELIVERED = "delivered"
    QUIET = "no calls"
    WAITING = "waiting"
    DEAD = "dead letter"
    IGNORED = "ignored"
    REFUSED = "refused"


# Reasons for which deliver puts an event back without trying to send it.
PUT_BACK = {
    "circuit_open": "Segment failed for other events just now, so deliver pauses before it sends again",
    "under_way": "another batch is sending an event of this customer",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the deliver function's log: the outcome of one record.

    Attributes
    ----------
    at
        When, with time zone.
    message_id
        The id of the queue message.
    event_id, event_type
        The event's id and type; empty if the event could not be read.
    number
        How many times the message was received, including this time.
    outcome, reason, detail
        As the function logged them.
    calls
        The names of the calls that the event became.
    """

    at: datetime
    message_id: str
    event_id: str
    event_type: str
    number: int
    outcome: str
    reason: str
    detail: str
    calls: tuple[str, ...]

    @property
    def tried(self) -> bool:
        """Whether the function tried to deliver the event."""
        return self.reason not in PUT_BACK

    @property
    def why(self) -> str:
        """The reason, in a few words."""
        if not self.tried:
            return PUT_BACK[self.reason]
        return ": ".join(filter(None, (self.reason, self.detail)))


@dataclass(slots=True)
class Entry:
    """One event, by its id (`key`); a request without an event has a key made from its number.

    Attributes
    ----------
    order
        Newer entries have higher ones.
    first_at
        When the page first noticed it.
    seen
        The requests that contained it, oldest first: Stripe may send an event several times.
    attempts
        The deliver function's log lines about it, oldest first.
    calls, checks
        Its calls that Segment kept, and the errors in each, by messageId.
    refused
        Its calls that Segment refused for good, by messageId.
    queued, dead
        Its messages in the two queues now, and when each can be received.
    version
        The version of the last change.
    """

    key: str
    order: int
    first_at: datetime
    event: StripeEvent | None = None
    seen: list[SeenRequest] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    calls: list[AcceptedCall] = field(default_factory=list)
    checks: dict[str, Mapping[str, list[str]]] = field(default_factory=dict)
    refused: dict[str, RefusedCall] = field(default_factory=dict)
    queued: tuple[Message, ...] = ()
    next_at: datetime | None = None
    dead: tuple[Message, ...] = ()
    version: int = 0

    @property
    def type(self) -> str:
        """The event's type, or the level of the import that sent a call; empty where there is neither."""
        if self.event is not None:
            return self.event.type
        levels = (dig(kept.call, "context", "stripe", "import") for kept in self.calls)
        imported = next((f"import, level {level}" for level in levels if level), "")
        return next((attempt.event_type for attempt in self.attempts), imported)

    @property
    def created(self) -> int:
        """When the event happened at Stripe, in epoch seconds."""
        return self.event.created if self.event is not None else int(self.first_at.timestamp())

    @property
    def subscription(self) -> str | None:
        """The subscription that the event is about."""
        return None if self.event is None else _subscription_of(self.event)

    @property
    def under_way(self) -> bool:
        """Whether it will change again soon."""
        return self.outcome is Stage.WAITING

    @property
    def outcome(self) -> Stage:
        """The outcome of the event."""
        # A message that was not received yet: it was just queued, or a redrive put it back.
        if any(message.message_id not in self._handled for message in self.queued):
            return Stage.WAITING
        if self.attempts:
            return self._outcome_of(self._deciding)
        if self.calls:
            return Stage.DELIVERED
        if self.seen and not self._accepted:
            return Stage.REFUSED
        return Stage.IGNORED if self.ignored_because else Stage.DEAD if self.dead else Stage.WAITING

    @property
    def pending(self) -> tuple[str, ...]:
        """The names of its calls that Segment has not accepted yet, according to the log."""
        if self.calls or not self.attempts or self.attempts[-1].outcome not in {"retry", "dead"}:
            return ()
        # An event that was put back without an attempt was not mapped again.
        return next((attempt.calls for attempt in reversed(self.attempts) if attempt.calls), ())

    @property
    def reason(self) -> str:
        """The reason of the outcome, in a few words, or an empty text."""
        if self.outcome is Stage.REFUSED:
            last = self.seen[-1]
            return f"{last.status}: {_said(last.answer, 'error') or last.answer}"
        if self.attempts:
            return self._deciding.why
        return self.ignored_because

    @property
    def ignored_because(self) -> str:
        """Why the receive function did not queue it, or an empty text."""
        return next((said for seen in self.seen if (said := _said(seen.answer, "ignored"))), "")

    @property
    def _accepted(self) -> bool:
        return any(200 <= seen.status < 300 for seen in self.seen)  # noqa: PLR2004 - what Stripe takes for delivered

    @property
    def _deciding(self) -> Attempt:
        """The attempt that decides the outcome: the last one, but an ignored repeat changes nothing."""
        last = self.attempts[-1]
        if last.outcome == "ignored":
            return next((attempt for attempt in self.attempts if attempt.outcome == "delivered"), last)
        return last

    @property
    def _handled(self) -> set[str]:
        return {attempt.message_id for attempt in self.attempts}

    def _outcome_of(self, attempt: Attempt) -> Stage:
        match attempt.outcome:
            case "delivered":
                return Stage.DELIVERED if self.calls or attempt.calls else Stage.QUIET
            case "ignored":
                return Stage.IGNORED
            case "dead":
                return Stage.DEAD
            case _:
                return Stage.WAITING


def read_event(body: bytes | str) -> tuple[str, StripeEvent | None]:
    """The event's id and the event in a body. For a body that is no event: the id, if there is one, and None."""
    try:
        event = parse_event(body)
    except StripeToSegmentError:
        try:
            parsed: Any = json.loads(body)
        except (ValueError, RecursionError):
            return "", None
        return (text(parsed.get("id")) or "", None) if isinstance(parsed, dict) else ("", None)
    return event.id, event


def _subscription_of(event: StripeEvent) -> str | None:
    match event.object.get("object"):
        case "subscription":
            return text(event.object.get("id"))
        case "invoice":
            return subscription_of_invoice(event.object)
        case _:
            return reference(event.object.get("subscription"))


def _said(answer: str, name: str) -> str:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return ""
    return str(parsed.get(name) or "") if isinstance(parsed, dict) else ""
