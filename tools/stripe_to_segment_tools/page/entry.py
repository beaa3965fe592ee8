"""One Stripe event on the page: what is known of its way, and what became of it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import StripeToSegmentError
from stripe_to_segment.stripe_side.event import StripeEvent, parse_event
from stripe_to_segment.stripe_side.fields import reference, text
from stripe_to_segment.stripe_side.invoice import subscription_of as subscription_of_invoice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from stripe_to_segment_tools.local_stack.emulator import Message
    from stripe_to_segment_tools.page.gate import SeenRequest
    from stripe_to_segment_tools.receiver import AcceptedCall

__all__ = ["Attempt", "Entry", "Stage", "read_event"]


class Stage(StrEnum):
    """What became of an event, as far as is known."""

    DELIVERED = "delivered"
    QUIET = "no calls"
    WAITING = "waiting"
    DEAD = "dead letter"
    IGNORED = "ignored"
    REFUSED = "refused"


# Why an event goes back without an attempt.
PUT_BACK = {
    "circuit_open": "Segment has failed others just now, and is left alone for a moment",
    "under_way": "another event of this customer is on its way just now",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the deliver function's log: what it did with one record.

    Attributes
    ----------
    at
        When, with time zone.
    message_id
        The queue message's.
    event_id, event_type
        The event's; empty where it could not be read.
    number
        How often the message had been received, this time included.
    outcome, reason, detail
        The function's own words.
    calls
        The calls it made of the event, by name.
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
        """Whether anything was sent, or could have been."""
        return self.reason not in PUT_BACK

    @property
    def why(self) -> str:
        """The reason, in few words."""
        if not self.tried:
            return PUT_BACK[self.reason]
        return ": ".join(filter(None, (self.reason, self.detail)))


@dataclass(slots=True)
class Entry:
    """One event, by its id (`key`); a request that holds no event has a key of its own.

    Attributes
    ----------
    order
        Newer entries have higher ones.
    first_at
        When the page first heard of it.
    seen
        The requests that brought it, oldest first: Stripe may send an event several times.
    attempts
        What the deliver function said of it, oldest first.
    calls, checks
        Its calls that Segment has kept, and what is wrong with each, by messageId.
    queued, dead
        Its messages that are in the two queues now, and when each can be received.
    version
        Of the last change.
    """

    key: str
    order: int
    first_at: datetime
    event: StripeEvent | None = None
    seen: list[SeenRequest] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    calls: list[AcceptedCall] = field(default_factory=list)
    checks: dict[str, Mapping[str, list[str]]] = field(default_factory=dict)
    queued: tuple[Message, ...] = ()
    next_at: datetime | None = None
    dead: tuple[Message, ...] = ()
    version: int = 0

    @property
    def type(self) -> str:
        """The event's type; empty where there is none."""
        if self.event is not None:
            return self.event.type
        return next((attempt.event_type for attempt in self.attempts), "")

    @property
    def created(self) -> int:
        """When it happened at Stripe, in epoch seconds."""
        return self.event.created if self.event is not None else int(self.first_at.timestamp())

    @property
    def subscription(self) -> str | None:
        """The subscription it is about."""
        return None if self.event is None else _subscription_of(self.event)

    @property
    def under_way(self) -> bool:
        """Whether more is to be heard of it soon."""
        return self.outcome is Stage.WAITING

    @property
    def outcome(self) -> Stage:
        """What became of it."""
        # A message nobody has touched: it was just queued, or has been put back by a redrive.
        if any(message.message_id not in self._handled for message in self.queued):
            return Stage.WAITING
        if self.attempts:
            return self._outcome_of(self._telling)
        if self.calls:
            return Stage.DELIVERED
        if self.seen and not self._accepted:
            return Stage.REFUSED
        return Stage.IGNORED if self.ignored_because else Stage.DEAD if self.dead else Stage.WAITING

    @property
    def pending(self) -> tuple[str, ...]:
        """The names of the calls that it became and Segment has not taken, as far as the log tells."""
        if self.calls or not self.attempts or self.attempts[-1].outcome not in {"retry", "dead"}:
            return ()
        # What was put back untried was not mapped again.
        return next((attempt.calls for attempt in reversed(self.attempts) if attempt.calls), ())

    @property
    def reason(self) -> str:
        """Why, in few words; empty where there is nothing to say."""
        if self.outcome is Stage.REFUSED:
            last = self.seen[-1]
            return f"{last.status}: {_said(last.answer, 'error') or last.answer}"
        if self.attempts:
            return self._telling.why
        return self.ignored_because

    @property
    def ignored_because(self) -> str:
        """Why the receive function did not queue it; empty where it did."""
        return next((said for seen in self.seen if (said := _said(seen.answer, "ignored"))), "")

    @property
    def _accepted(self) -> bool:
        return any(200 <= seen.status < 300 for seen in self.seen)  # noqa: PLR2004 - what Stripe takes for delivered

    @property
    def _telling(self) -> Attempt:
        """The attempt that says what became of it: the last, but a repeat that was ignored takes nothing back."""
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
    """The id and the event in a body; no event, and an id if there is one, where it cannot be read."""
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
