"""The webhook address of the local stack: records each request and forwards it, byte for byte."""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

__all__ = ["SeenRequest", "WebhookProxy"]

# Headers of a single connection are not forwarded: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"})
TIMEOUT_SECONDS = 35.0
KEPT_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request to the webhook address.

    Attributes
    ----------
    number
        Counted from 1.
    received_at
        When it arrived, with time zone.
    body
        The request's body.
    status, answer
        The receive function's answer.
    milliseconds
        How long the answer took.
    """

    number: int
    received_at: datetime
    body: bytes
    status: int
    answer: str
    milliseconds: int


class WebhookProxy:
    """Forwards requests to the webhook, and remembers the latest.

    Parameters
    ----------
    webhook_url
        Returns the address to forward them to. Called for each request, because the stack may start later.
    """

    def __init__(self, webhook_url: Callable[[], str]) -> None:
        self._webhook_url = webhook_url
        # Made once, because reading the certificates for each request would delay the page.
        self._tls = ssl.create_default_context()
        self._lock = threading.Lock()
        self._count = 0
        self._seen: deque[SeenRequest] = deque(maxlen=KEPT_REQUESTS)
        self.came = threading.Event()
        """Set when a request was answered; the waiting thread clears it."""

    def since(self, number: int) -> list[SeenRequest]:
        """The requests after this number, oldest first."""
        with self._lock:
            return [seen for seen in self._seen if seen.number > number]

    async def webhook(self, request: Request) -> Response:
        """Return the answer of the receive function."""
        body = await request.body()
        # As bytes, because a header may contain other characters than ASCII, or occur twice.
        headers = [(name, value) for name, value in request.headers.raw if name.decode("latin-1") not in HOP_BY_HOP]
        received_at, started = datetime.now(UTC), time.perf_counter()
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False, verify=self._tls) as client:
            try:
                answer = await client.post(self._webhook_url(), content=body, headers=headers)
            except httpx.HTTPError as error:
                problem = {"error": f"the local stack does not answer: {str(error) or type(error).__name__}"}
                answer = httpx.Response(502, json=problem)
        milliseconds = round((time.perf_counter() - started) * 1000)
        with self._lock:
            self._count += 1
            seen = SeenRequest(self._count, received_at, body, answer.status_code, answer.text, milliseconds)
            self._seen.append(seen)
        self.came.set()
        media_type = answer.headers.get("content-type", JSONResponse.media_type)
        return Response(answer.content, answer.status_code, media_type=media_type)
