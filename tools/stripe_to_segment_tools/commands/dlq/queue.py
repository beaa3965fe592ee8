"""Dead letters: read page by page without losing or hiding any, moved back to the events queue, or deleted."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment.enqueuing import enqueue
from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.stripe_side.event import parse_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = ["DeadLetter", "Pass", "Result", "purge", "redrive"]

PAGE = 10
# A long poll asks all of the queue's servers, so an empty answer means an empty queue.
WAIT_SECONDS = 1
# Ten letters in two seconds at the least; a pass that is killed hides its letters no longer than this.
HOLD_SECONDS, LETTERS_A_SECOND, LONGEST_HOLD = 30, 5, 43_200
# Pages that bring nothing new, after a pass that took longer than it may hide letters, or while they still come back.
STALE_PAGES = 10
WORN_OUT = "worn_out"
NOT_HANDED_OVER = "not_handed_over"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of the dead-letter queue.

    Attributes
    ----------
    message_id, handle
        SQS's.
    body
        The raw event, or what should have been one.
    attributes
        What deliver wrote on it.
    sent_at
        Epoch seconds at which it was queued (for one that SQS moved: in the events queue).
    """

    message_id: str
    handle: str = field(repr=False)
    body: str = field(repr=False)
    attributes: Mapping[str, str]
    sent_at: float

    @property
    def reason(self) -> str:
        """Deliver's short code; without one it was SQS that gave up on it, or EventBridge."""
        given = self.attributes.get("reason")
        if given:
            return given
        return NOT_HANDED_OVER if "RULE_ARN" in self.attributes else WORN_OUT

    @property
    def event_id(self) -> str:
        """The event's id, empty where the body is none."""
        return self.attributes.get("event_id") or self._told("id")

    @property
    def event_type(self) -> str:
        """The event's type, empty where the body is none."""
        return self.attributes.get("event_type") or self._told("type")

    @property
    def event(self) -> str:
        """The raw event, without the envelope in which EventBridge gives up on one."""
        return _unwrapped(self.body)

    def _told(self, name: str) -> str:
        try:
            return str(getattr(parse_event(self.event), name))
        except MalformedEventError:
            return ""


@dataclass(slots=True)
class Result:
    """How many letters were done with so far, and what went wrong: codes of SQS with the number of letters."""

    done: int = 0
    looked_at: int = 0
    undeleted: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    def failed(self, code: str) -> None:
        """Count a letter that stays where it is."""
        self.failures[code] = self.failures.get(code, 0) + 1


class Pass:
    """One pass over the queue that meets each letter once; those still there afterwards can be received at once.

    Parameters
    ----------
    client
        A low-level boto3 SQS client.
    url
        The dead-letter queue.
    """

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url
        self._held: dict[str, str] = {}
        self._seen: set[str] = set()
        self._overtaken = False

    def __enter__(self) -> Self:
        """Hold nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what was only looked at, however the pass ended."""
        for handles in batched(self._held.values(), PAGE, strict=False):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles)
            ]
            # Where that fails they come back by themselves, when the time is up for which they were received.
            with suppress(BotoCoreError, ClientError):
                self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self._held.clear()

    def depth(self) -> int:
        """About how many letters can be received now."""
        return self._about("ApproximateNumberOfMessages")

    def overlooked(self) -> str:
        """Why there may be more letters than this pass has met; empty where nothing speaks for it."""
        if self._overtaken:
            return "this took so long that letters came back in between: there may be more, so run it again"
        hidden = 0 if self._seen else self._about("ApproximateNumberOfMessagesNotVisible")
        if hidden:
            return f"about {hidden} are held by another command or the console: try again in some minutes"
        return ""

    def _about(self, name: str) -> int:
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def pages(self) -> Iterator[list[DeadLetter]]:
        """The letters, at most ten at a time."""
        hold = min(HOLD_SECONDS + self.depth() // LETTERS_A_SECOND, LONGEST_HOLD)
        stale = 0
        while stale < STALE_PAGES:
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=PAGE,
                VisibilityTimeout=hold,
                WaitTimeSeconds=WAIT_SECONDS,
                AttributeNames=["SentTimestamp"],
                MessageAttributeNames=["All"],
            )
            letters = [_letter(message) for message in answer.get("Messages", [])]
            if not letters:
                return
            self._held |= {letter.message_id: letter.handle for letter in letters}
            fresh = [letter for letter in letters if letter.message_id not in self._seen]
            self._seen |= {letter.message_id for letter in fresh}
            stale = 0 if fresh else stale + 1
            if fresh:
                yield fresh
        self._overtaken = True

    def delete(self, letters: Sequence[DeadLetter]) -> list[str]:
        """Delete letters of one page; gives the codes of what was not deleted."""
        if not letters:
            return []
        entries = [{"Id": str(number), "ReceiptHandle": letter.handle} for number, letter in enumerate(letters)]
        answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        for entry in answer.get("Successful", []):
            self._held.pop(letters[int(entry["Id"])].message_id, None)
        return [entry.get("Code", "") for entry in answer.get("Failed", [])]


def redrive(walk: Pass, chosen: Callable[[DeadLetter], bool], client: Any, events_url: str) -> Iterator[Result]:
    """Send the chosen letters back to the events queue, then delete them: none is lost, one may come twice.

    Yields the sum so far after each page. A letter that came back meanwhile, dead again, stays.
    """
    result = Result()
    sent: set[str] = set()
    for page in walk.pages():
        letters = [
            letter for letter in page if chosen(letter) and letter.attributes.get("source_message_id") not in sent
        ]
        answers = enqueue(client, events_url, [letter.event for letter in letters])
        gone = [letter for letter, answer in zip(letters, answers, strict=True) if not answer.failure]
        sent |= {answer.message_id for answer in answers if answer.message_id}
        for answer in answers:
            if answer.failure:
                result.failed(answer.failure)
        result.done += len(gone)
        result.undeleted += len(walk.delete(gone))
        result.looked_at += len(page)
        yield result
        if letters and not gone:
            # What SQS refuses ten times in a row it will refuse again.
            return


def purge(walk: Pass, chosen: Callable[[DeadLetter], bool]) -> Iterator[Result]:
    """Delete the chosen letters for good. Yields the sum so far after each page."""
    result = Result()
    for page in walk.pages():
        letters = [letter for letter in page if chosen(letter)]
        failures = walk.delete(letters)
        for code in failures:
            result.failed(code)
        result.done += len(letters) - len(failures)
        result.looked_at += len(page)
        yield result


def _letter(message: Mapping[str, Any]) -> DeadLetter:
    attributes = {
        name: str(value.get("StringValue", "")) for name, value in message.get("MessageAttributes", {}).items()
    }
    sent_at = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
    return DeadLetter(message["MessageId"], message["ReceiptHandle"], message["Body"], attributes, sent_at)


def _unwrapped(body: str) -> str:
    """What EventBridge could not hand over still has its envelope; anything else is left as it is, to the byte."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(envelope, dict) or not isinstance(envelope.get("detail"), dict) or "detail-type" not in envelope:
        return body
    return json.dumps(envelope["detail"], separators=(",", ":"))
