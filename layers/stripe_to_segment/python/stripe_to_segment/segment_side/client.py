"""Send calls in bulk to Segment's HTTP tracking API; the only module that speaks HTTP to it. It never raises."""

from __future__ import annotations

import json
import zlib
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stripe_to_segment import __version__
from stripe_to_segment.frozen import frozen
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import Answer, Meaning, classify
from stripe_to_segment.segment_side.calls import MAX_CALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    import requests

    from stripe_to_segment.segment_side.calls import Call

__all__ = ["SegmentClient", "batches"]

# Segment's limits are 500 KB a request and 2,500 calls; the margins are for the envelope and rounding.
# https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#batch
# A compressed request counts with its uncompressed size: no endpoint promises that it counts less.
MAX_REQUEST_BYTES = 475_000
MAX_CALLS = 500
# The envelope around the calls: sentAt, writeKey and brackets.
ENVELOPE_BYTES = 200

CONNECT_SECONDS = 3.05
READ_SECONDS = 10.0
# Below this there is no point in starting a request.
LEAST_SECONDS = 3.0
MAX_ANSWER_BYTES = 1_048_576
# Makes zlib write a gzip header; the header has no time, so equal requests are equal bytes when compressed.
# https://docs.python.org/3/library/zlib.html#zlib.compressobj
GZIP = 16 + zlib.MAX_WBITS

OUT_OF_TIME = Answer(Meaning.RETRY, Reason.OUT_OF_TIME, "the function's time ran out before this call was sent")
ENDLESS = Answer(Meaning.RETRY, Reason.NO_ANSWER, f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
BAD_KEY = Answer(Meaning.MISCONFIGURED, Reason.BAD_WRITE_KEY, "the write key holds characters that no write key has")


@frozen
class SegmentClient:
    """One source of one endpoint.

    Parameters
    ----------
    session
        A `http_session`, kept across invocations with its connection.
    endpoint
        The address before `/v1/batch`.
    write_key
        The source's key, sent as Basic authentication and in the body: RudderStack reads only the first.
    compress
        Whether requests go out as gzip.
    """

    session: requests.Session
    endpoint: str
    write_key: str = field(repr=False)
    compress: bool = False

    def send(self, calls: Sequence[Call], seconds_left: Callable[[], float]) -> dict[str, Answer]:
        """Send all calls and return each call's answer by messageId.

        A request that is refused for good is halved until the one bad call stands alone, so the others still arrive.
        Where the endpoint names the bad calls, it has taken the others, and nothing is sent again.
        After a 429 or a rejected write key the remaining requests are not sent.
        """
        answers: dict[str, Answer] = {}
        fitting: list[Call] = []
        for call in calls:
            if len(call.encoded) > MAX_CALL_BYTES:
                size = f"{len(call.encoded)} bytes; Segment takes {MAX_CALL_BYTES}"
                answers[call.message_id] = Answer(Meaning.REFUSED, Reason.TOO_LARGE, size)
            else:
                fitting.append(call)
        waiting = [*batches(fitting)]
        waiting.reverse()
        while waiting:
            batch = waiting.pop()
            answer = self._post(batch, seconds_left())
            if answer.meaning is Meaning.REFUSED and len(batch) > 1:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
                continue
            given = {call.message_id: answer.named.get(call.message_id, answer) for call in batch}
            answers |= given
            stop = next((each for each in given.values() if _asks_to_stop(each)), None)
            if stop:
                answers.update((call.message_id, stop) for left in waiting for call in left)
                break
        return answers

    def _post(self, batch: Sequence[Call], seconds: float) -> Answer:
        if seconds < LEAST_SECONDS:
            return OUT_OF_TIME
        if not self.write_key.isascii():
            # Mostly a placeholder from an example. No header can carry it; Segment would answer 200 and drop the calls.
            return BAD_KEY
        # Connecting, sending and the answer may each take a third.
        limit = min(READ_SECONDS, seconds / 3)
        now = datetime.now(UTC)
        # Set at each attempt: Segment corrects every timestamp by the distance between sentAt and its own clock.
        sent_at = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
        envelope = json.dumps({"sentAt": sent_at, "writeKey": self.write_key})
        body = b'{"batch":[' + b",".join(call.encoded for call in batch) + b"]," + envelope[1:].encode()
        if self.compress:
            body = zlib.compress(body, wbits=GZIP)
        ids = [call.message_id for call in batch]
        try:
            return self._exchange(body, ids, limit, now)
        except Exception as error:  # noqa: BLE001 - after any error these calls wait, and the other requests go on
            # The error's text may hold the address with credentials in it; its kind is enough.
            return Answer(Meaning.RETRY, Reason.NO_ANSWER, type(error).__name__)

    def _exchange(self, body: bytes, ids: Collection[str], limit: float, now: datetime) -> Answer:
        with self.session.post(
            f"{self.endpoint}/v1/batch",
            data=body,
            headers={
                "Content-Type": "application/json",
                **({"Content-Encoding": "gzip"} if self.compress else {}),
                "User-Agent": f"stripe-to-segment/{__version__}",
                # Customer.io answers with a 4xx only where this header asks for it; the others ignore it.
                "X-Strict-Mode": "1",
            },
            auth=(self.write_key, ""),
            timeout=(min(CONNECT_SECONDS, limit), limit),
            allow_redirects=False,
            hooks={"response": _forget_location},
            stream=True,
        ) as response:
            content = _read(response)
            if content is None:
                return ENDLESS
            wait = response.headers.get("Retry-After")
            return classify(response.status_code, content, wait, now, ids, compressed=self.compress)


def _asks_to_stop(answer: Answer) -> bool:
    """Whether the remaining requests would get the same answer."""
    return answer.meaning is Meaning.MISCONFIGURED or answer.reason == Reason.HTTP_429


def _forget_location(response: requests.Response, **_: object) -> None:
    # Even where it follows no redirect, `requests` reads the whole body and parses the Location, unguarded.
    response.headers.pop("Location", None)


def _read(response: requests.Response) -> bytes | None:
    """The answer's body, None for one that is too long."""
    content = b""
    for chunk in response.iter_content(8192):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            return None
    return content


def batches(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """The calls in as few requests as Segment's limits allow, in their order."""
    batch: list[Call] = []
    size = ENVELOPE_BYTES
    for call in calls:
        if batch and (len(batch) == MAX_CALLS or size + len(call.encoded) + 1 > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], ENVELOPE_BYTES
        batch.append(call)
        size += len(call.encoded) + 1
    if batch:
        yield batch
