"""Read dead letters page by page, without losing or hiding any; move them back to the events queue, or delete them."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment.enqueuing import enqueue
from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.stripe_side.thin import read_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = ["DeadLetter", "Pass", "Result", "purge", "redrive"]

PAGE = 10
# A long poll asks all of the queue's servers, so an empty answer means an empty queue.
WAIT_SECONDS = 1
# A pass handles at least ten letters in two seconds. If it is killed, its letters stay hidden no longer than this.
HOLD_SECONDS, LETTERS_A_SECOND, LONGEST_HOLD = 30, 5, 43_200
# Stop after this many pages without a new letter, when SQS delivers letters of this pass again.
STALE_PAGES = 10
WORN_OUT = "worn_out"
NOT_HANDED_OVER = "not_handed_over"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of the dead-letter queue.

    Attributes
    ----------
    message_id, handle
        Those of SQS.
    body
        The raw event, or the text that is not one.
    attributes
        The attributes that deliver set.
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
        """The reason that deliver set; without one, SQS or EventBridge moved the letter here."""
        given = self.attributes.get("reason")
        if given:
            return given
        return NOT_HANDED_OVER if "RULE_ARN" in self.attributes else WORN_OUT

    @property
    def event_id(self) -> str:
        """The event's id, empty if the body is not an event."""
        return self.attributes.get("event_id") or self._told("id")

    @property
    def event_type(self) -> str:
        """The event's type, empty if the body is not an event."""
        return self.attributes.get("event_type") or self._told("type")

    @property
    def event(self) -> str:
        """The raw event, without EventBridge's envelope."""
        return _unwrapped(self.body)

    def _told(self, name: str) -> str:
        try:
            return str(getattr(read_event(self.event), name))
        except MalformedEventError:
            return ""


@dataclass(slots=True)
class Result:
    """The number of letters done so far, and the number of failed letters by SQS's error code."""

    done: int = 0
    looked_at: int = 0
    undeleted: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    def failed(self, code: str) -> None:
        """Count a letter that stays in the queue."""
        self.failures[code] = self.failures.get(code, 0) + 1


class Pass:
    """One pass over the queue, which returns each letter once; afterwards the remaining letters are visible again.

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
        """Begin the pass, without holding letters."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make the letters visible again that were only read, however the pass ended."""
        for handles in batched(self._held.values(), PAGE, strict=False):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles)
            ]
            # If that fails, they become visible by themselves at the end of their visibility timeout.
            with suppress(BotoCoreError, ClientError):
                self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self._held.clear()

    def depth(self) -> int:
        """The approximate number of letters that can be received now."""
        return self._about("ApproximateNumberOfMessages")

    def overlooked(self) -> str:
        """The reason why the queue may hold letters that this pass has not seen; empty without one."""
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
        """Delete letters of one page; returns the error codes of those that were not deleted."""
        if not letters:
            return []
        entries = [{"Id": str(number), "ReceiptHandle": letter.handle} for number, letter in enumerate(letters)]
        answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        for entry in answer.get("Successful", []):
            self._held.pop(letters[int(entry["Id"])].message_id, None)
        return [entry.get("Code", "") for entry in answer.get("Failed", [])]


def redrive(walk: Pass, chosen: Callable[[DeadLetter], bool], client: Any, events_url: str) -> Iterator[Result]:
    """Send the chosen letters back to the events queue, then delete them: none is lost, one may be queued twice.

    Yields the sum so far after each page. A letter that was dead-lettered again meanwhile stays.
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
            # SQS refused a whole page of ten, so it would refuse the next one too.
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
    """The event without the envelope of EventBridge, if it has one; any other body unchanged."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(envelope, dict) or not isinstance(envelope.get("detail"), dict) or "detail-type" not in envelope:
        return body
    return json.dumps(envelope["detail"], separators=(",", ":"))
