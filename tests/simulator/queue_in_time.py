"""A queue, its Lambda pollers and Segment in simulated time, around the deliver function's real code.

Several invocations are under way at once, each in a thread of its own, but only one thread ever runs: whoever waits
hands over to the one whose time comes next. So three days pass in seconds, and the same way each time.
"""

from __future__ import annotations

import gzip
import heapq
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["POLLERS", "Clock", "Endpoint", "Queue", "Says"]

# The template's MaximumConcurrency; a test compares.
POLLERS = 5
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
IN_FLIGHT = 120_000
LONG_POLL_SECONDS = 20.0


class Clock:
    """Simulated time in epoch seconds; it stands in for the module `time`."""

    def __init__(self, start: float) -> None:
        self.now = start
        self._due: list[tuple[float, int, Lock]] = []
        self._number = count()

    def time(self) -> float:
        """What time it is."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait, while others go on."""
        until = self.now + seconds
        if not self._due or until < self._due[0][0]:
            # Nobody's time comes before.
            self.now = until
            return
        mine = _closed()
        heapq.heappush(self._due, (until, next(self._number), mine))
        self._hand_over()
        mine.acquire()

    def run(self, jobs: Iterable[Callable[[], None]]) -> None:
        """Run all jobs until each has come to its end; the first error ends it."""
        errors: list[BaseException] = []
        over = _closed()

        def started(job: Callable[[], None], mine: Lock) -> None:
            mine.acquire()
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - handed on to the one who waits for all of them
                errors.append(error)
            if errors or not self._due:
                over.release()
            else:
                self._hand_over()

        for job in jobs:
            mine = _closed()
            heapq.heappush(self._due, (self.now, next(self._number), mine))
            Thread(target=started, args=(job, mine), daemon=True).start()
        self._hand_over()
        over.acquire()
        if errors:
            raise errors[0]

    def _hand_over(self) -> None:
        """Let the one go on whose time comes next."""
        self.now, _, theirs = heapq.heappop(self._due)
        theirs.release()


def _closed() -> Lock:
    """A door that another thread opens once: a fraction of a semaphore's cost, of which there are hundred thousands."""
    door = Lock()
    door.acquire()
    return door


@dataclass(frozen=True, slots=True)
class Says:
    """One answer of the endpoint: after so many seconds a status, or, with status None, no answer at all."""

    status: int | None
    seconds: float = 0.15
    retry_after: int | None = None


class Endpoint(BaseAdapter):
    """Segment, asked by the real client through a `requests` session; `mood` says what it answers at a time."""

    def __init__(self, clock: Clock, mood: Callable[[float], Says]) -> None:
        super().__init__()
        self.clock = clock
        self.mood = mood
        self.asked: list[tuple[float, int | None]] = []
        self.calls: Counter[str] = Counter()

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """Answer one request."""
        says = self.mood(self.clock.now)
        self.asked.append((self.clock.now, says.status))
        self.clock.sleep(says.seconds)
        if says.status is None:
            raise requests.ReadTimeout
        if says.status == 200:
            assert isinstance(request.body, bytes)
            compressed = request.headers.get("Content-Encoding") == "gzip"
            said = json.loads(gzip.decompress(request.body) if compressed else request.body)
            self.calls.update(call["messageId"] for call in said["batch"])
        response = requests.Response()
        response.status_code = says.status
        response.headers.update({"Content-Length": "2"})
        if says.retry_after is not None:
            response.headers["Retry-After"] = str(says.retry_after)
        response.raw = HTTPResponse(io.BytesIO(b"{}"), preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is kept open."""


@dataclass(slots=True)
class Message:
    """What SQS keeps of one message."""

    body: str
    sent: float
    visible: float
    received: int = 0
    handle: str = ""


@dataclass(slots=True)
class Queue:
    """The events queue with the rules of the template, and the SQS client that the function sees.

    `pollers` invocations run at a time on batches of at most `batch` records, gathered for `window` seconds. A record
    that was received `most` times goes to `given_up` when it is due again, as does one whose retention is over. While
    `in_flight` records are hidden, no other is handed out. `latencies` are the seconds from each message's sending to
    its end.
    """

    clock: Clock
    most: int
    retention: int
    timeout: int
    batch: int = 100
    window: float = 5.0
    pollers: int = POLLERS
    in_flight: int = IN_FLIGHT
    name: str = "events"
    latencies: list[float] = field(default_factory=list)
    invocations: int = 0
    busy: float = 0.0
    received: int = 0
    most_received: int = 0
    last_delivered: float = 0.0
    given_up: list[str] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    _due: list[tuple[float, str]] = field(default_factory=list)
    _by_handle: dict[str, Message] = field(default_factory=dict)
    _number: count[int] = field(default_factory=count)

    def send(self, body: str, at: float) -> None:
        """Put a message in, to be seen from then on."""
        key = f"{self.name}-{next(self._number)}"
        self.messages[key] = Message(body, at, at)
        heapq.heappush(self._due, (at, key))

    def send_message(self, **message: Any) -> None:
        """A dead letter."""
        self.dead_letters.append(message)

    def change_message_visibility_batch(self, Entries: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        """Hide messages for so many seconds from now on."""
        assert len(Entries) <= 10, "SQS takes ten entries"
        for entry in Entries:
            self._by_handle[entry["ReceiptHandle"]].visible = self.clock.now + entry["VisibilityTimeout"]
        return {}

    def jobs(self, handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> list[Callable[[], None]]:
        """The pollers, each of which works until nothing is left."""
        return [lambda: self._poll(handler)] * self.pollers

    def _poll(self, handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
        while self.messages:
            taken = self._receive(self.batch)
            if not taken and self._room() == 0:
                self.clock.sleep(LONG_POLL_SECONDS)
                continue
            if not taken:
                # Long polling: at the next message, or, where others have all of them in hand, a little later.
                self.clock.sleep(max(self._due[0][0] - self.clock.now, 0.02) if self._due else self.window)
                continue
            if len(taken) < self.batch:
                self.clock.sleep(self.window)
                taken += self._receive(self.batch - len(taken))
            began = self.clock.now
            self.invocations += 1
            failed = {
                failure["itemIdentifier"]
                for failure in handler({"Records": [self._record(key) for key in taken]}, _Context(self.clock, 60.0))[
                    "batchItemFailures"
                ]
            }
            self.busy += self.clock.now - began
            for key in taken:
                message = self.messages[key]
                self._by_handle.pop(message.handle)
                if key in failed:
                    heapq.heappush(self._due, (message.visible, key))
                else:
                    del self.messages[key]
                    self.latencies.append(self.clock.now - message.sent)
                    self.last_delivered = self.clock.now

    def _receive(self, number: int) -> list[str]:
        taken: list[str] = []
        number = min(number, self._room())
        while self._due and self._due[0][0] <= self.clock.now and len(taken) < number:
            _, key = heapq.heappop(self._due)
            message = self.messages[key]
            if message.received >= self.most or self.clock.now - message.sent > self.retention:
                self.given_up.append(key)
                del self.messages[key]
                continue
            message.received += 1
            self.received += 1
            self.most_received = max(self.most_received, message.received)
            message.visible = self.clock.now + self.timeout
            message.handle = f"{key}-{message.received}"
            self._by_handle[message.handle] = message
            taken.append(key)
        return taken

    def _room(self) -> int:
        """How many more messages may be in flight: received, and neither deleted nor visible again."""
        if len(self.messages) <= self.in_flight:
            return self.in_flight
        hidden = sum(each.received > 0 and each.visible > self.clock.now for each in self.messages.values())
        return max(self.in_flight - hidden, 0)

    def _record(self, key: str) -> dict[str, Any]:
        message = self.messages[key]
        attributes = {
            "ApproximateReceiveCount": str(message.received),
            "SentTimestamp": str(int(message.sent * 1000)),
        }
        return {
            "messageId": key,
            "body": message.body,
            "receiptHandle": message.handle,
            "attributes": attributes,
            "eventSourceARN": f"arn:aws:sqs:eu-central-1:1:{self.name}",
        }


@dataclass(frozen=True, slots=True)
class _Context:
    clock: Clock
    seconds: float
    began: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "began", self.clock.now)

    def get_remaining_time_in_millis(self) -> int:
        return int((self.seconds - (self.clock.now - self.began)) * 1000)
