"""Stripe's side: every event three times, out of order, by several ways, and again until it is accepted."""

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
# How far an event of an orderly customer is from its place, in events of the whole stream, which has to be longer.
BOUNDED, SHARE = 30, 50
# Copies that come through the door; the others come as SQS or EventBridge doubles them, straight into the queue.
THROUGH_THE_DOOR = (1.0, 0.1, 0.0)
# One forged request for so many events, and at least so many: each may make the door read its secret again.
STRANGERS, FORGED_SECRET = 20, "whsec_of0a0stranger0who0signs0himself0"
POSTERS = 4
ENTRIES = 10
# Stripe waits hours and tries for three days; here it waits this long, doubled from time to time.
AGAIN_SECONDS, LONGEST_SECONDS = 0.3, 3.0
# So much waits in the queue at most: the emulator looks through all of it for each batch.
BACKLOG, STRETCH = 400, 200


@dataclass(frozen=True, slots=True)
class Sending:
    """One copy of an event; `door` is False where it comes straight into the queue, `wanted` where it must not get in.

    A stranger signs with a secret that is none of ours.
    """

    body: bytes
    door: bool
    wanted: bool = True
    stranger: bool = False


def is_orderly(seed: int) -> bool:
    """Whether a customer's events come nearly in order; the others' come in no order at all."""
    return seed % 2 == 0


def mixed(
    histories: Iterable[History | Circle], tills: Iterable[Till], evil: Sequence[Poison], rng: Random
) -> list[Sending]:
    """All copies of all events in the order in which they are sent; every other customer's in no order at all."""
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
    """Sends, and sends again until it is accepted; `answers` counts the door's statuses, 0 where none came."""

    stack: LocalStack
    secret: Secret
    answers: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def send(self, sendings: Iterable[Sending], progress: Callable[[int], None]) -> None:
        """Send all in their order, several at a time; `progress` is told how many have been accepted."""
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
                # Interrupted: whoever waits to send again does not.
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def waiting(self) -> int:
        """How many messages the events queue holds, those under way included."""
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
