"""Stripe's side: sends every event three times, out of order, to `receive` or the queue, until it is accepted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING

import httpx

from stripe_to_segment_tools.samples.files import body_of
from stripe_to_segment_tools.samples.signing import sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from stripe_to_segment_tools.local_stack import LocalStack, Secret
    from tests.chaos.poison import Poison
    from tests.simulator.circles import Circle
    from tests.simulator.history import History
    from tests.simulator.till import Till

__all__ = ["Sending", "Stripe", "mixed"]

COPIES = 3
# An event of an orderly customer moves at most BOUNDED places in the stream, and at most 1/SHARE of its length.
BOUNDED, SHARE = 30, 50
# The share of the first, second and third copies that is sent to `receive`. The others go straight into the queue, like
# duplicates from SQS or EventBridge.
THROUGH_THE_DOOR = (1.0, 0.1, 0.0)
# One forged request for this many events, and at least this many: each may make `receive` read its secret again.
STRANGERS, FORGED_SECRET = 20, "whsec_of0a0stranger0who0signs0himself0"
POSTERS = 4
ENTRIES = 10
# Stripe waits hours between retries, for three days. Here the first wait is AGAIN_SECONDS, doubled each time up to
# LONGEST_SECONDS.
AGAIN_SECONDS, LONGEST_SECONDS = 0.3, 3.0
# The largest backlog in the queue, because the emulator scans all messages for each batch; and how many copies are sent
# between two checks of the backlog.
BACKLOG, STRETCH = 400, 200


@dataclass(frozen=True, slots=True)
class Sending:
    """One copy of an event.

    `door` is False if it goes straight into the queue, `wanted` is False if `receive` must refuse it, and `stranger` is
    True if it is signed with a foreign secret.
    """

    body: bytes
    door: bool
    wanted: bool = True
    stranger: bool = False


def is_orderly(seed: int) -> bool:
    """Whether a customer's events arrive almost in order; those of the other customers arrive in random order."""
    return seed % 2 == 0


def mixed(
    histories: Iterable[History | Circle], tills: Iterable[Till], evil: Sequence[Poison], rng: Random
) -> list[Sending]:
    """All copies of all events in sending order; those of every second customer are in random order."""
    stream = [(event["created"], history.seed, event) for history in histories for event in history.events]
    stream += [(event.created, number, event.body) for number, till in enumerate(tills) for event in till.events]
    stream.sort(key=lambda entry: entry[:2])
    placed: list[tuple[float, int, Sending]] = []
    bounded = min(BOUNDED, len(stream) / SHARE)

    def place(where: float, sending: Sending) -> None:
        placed.append((where, len(placed), sending))

    for number, (_, seed, event) in enumerate(stream):
        body, orderly = body_of(event), is_orderly(seed)
        for share in THROUGH_THE_DOOR:
            where = number + rng.uniform(-bounded, bounded) if orderly else rng.uniform(0, len(stream))
            place(where, Sending(body, rng.random() < share))
    for number in range(max(len(stream) // STRANGERS, STRANGERS)):
        body = body_of({**stream[0][2], "id": f"evt_forged{number}"})
        place(rng.uniform(0, len(stream)), Sending(body, door=True, wanted=False, stranger=True))
    for each in evil:
        for _ in range(COPIES):
            place(rng.uniform(0, len(stream)), Sending(each.body, each.door, wanted=each.reason is not None))
    return [sending for _, _, sending in sorted(placed, key=lambda entry: entry[:2])]


@dataclass(slots=True)
class Stripe:
    """Sends each copy until it is accepted; `answers` counts the statuses from `receive`, with 0 for no answer."""

    stack: LocalStack
    secret: Secret
    answers: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def send(self, sendings: Iterable[Sending], progress: Callable[[int], None]) -> None:
        """Send all in order, several at a time; `progress` receives the number of newly accepted copies."""
        with httpx.Client(timeout=35, trust_env=False) as client, ThreadPoolExecutor(POSTERS) as pool:
            try:
                for stretch in batched(sendings, STRETCH, strict=False):
                    while self.waiting() > BACKLOG:
                        time.sleep(0.2)
                    posts = [pool.submit(self._post, client, each) for each in stretch if each.door]
                    past = [each.body for each in stretch if not each.door]
                    posts += [pool.submit(self._queue, each) for each in batched(past, ENTRIES, strict=False)]
                    for post in posts:
                        progress(post.result())
            except BaseException:
                # Interrupted: end the waits of the posts that would retry.
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def waiting(self) -> int:
        """The number of messages in the events queue, including those that are being processed."""
        url = self.stack.events_queue_url
        found = self.stack.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])

    def _post(self, client: httpx.Client, sending: Sending) -> int:
        wait = AGAIN_SECONDS
        while True:
            secrets = [FORGED_SECRET] if sending.stranger else self.secret.stripe_signing_secrets
            signature = sign(sending.body, secrets, int(time.time()))
            try:
                status = client.post(
                    self.stack.webhook_url,
                    content=sending.body,
                    headers={"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature},
                ).status_code
            except httpx.HTTPError:
                status = 0
            with self._lock:
                self.answers[status] += 1
            if status == (httpx.codes.OK if sending.wanted else httpx.codes.BAD_REQUEST):
                return 1
            if self._stopped.wait(wait):
                return 0
            wait = min(2 * wait, LONGEST_SECONDS)

    def _queue(self, bodies: Sequence[bytes]) -> int:
        answer = self.stack.clients.sqs.send_message_batch(
            QueueUrl=self.stack.events_queue_url,
            Entries=[{"Id": f"{number}", "MessageBody": body.decode()} for number, body in enumerate(bodies)],
        )
        assert not answer.get("Failed"), answer["Failed"]
        return len(bodies)
