"""The webhook address of the local stack: notes each event and passes it on, to the byte."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

__all__ = ["Gate", "SeenEvent"]

# What only concerns one connection is not passed on: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"})
TIMEOUT_SECONDS = 35.0
KEPT_EVENTS = 500


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """One request that came to the webhook address.

    Attributes
    ----------
    number
        Counted from 1.
    received_at
        When it came, ISO 8601 with time zone.
    id, type
        The event's own; empty where the body is no event.
    status, answer
        What the receive function answered.
    milliseconds
        How long that took.
    """

    number: int
    received_at: str
    id: str
    type: str
    status: int
    answer: str
    milliseconds: int


class Gate:
    """Passes requests on to the webhook, and remembers the latest.

    Parameters
    ----------
    webhook_url
        Gives the address to pass them to. Asked each time: the stack may start later.
    """

    def __init__(self, webhook_url: Callable[[], str]) -> None:
        self._webhook_url = webhook_url
        self._lock = threading.Lock()
        self._count = 0
        self._events: deque[SeenEvent] = deque(maxlen=KEPT_EVENTS)

    @property
    def events(self) -> list[SeenEvent]:
        """The latest events, newest first."""
        with self._lock:
            return list(reversed(self._events))

    async def webhook(self, request: Request) -> Response:
        """Answer as the receive function does."""
        body = await request.body()
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        received_at, started = datetime.now(UTC).isoformat(), time.perf_counter()
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            try:
                answer = await client.post(self._webhook_url(), content=body, headers=headers)
            except httpx.HTTPError as error:
                problem = {"error": f"the local stack does not answer: {str(error) or type(error).__name__}"}
                answer = httpx.Response(502, json=problem)
        milliseconds = round((time.perf_counter() - started) * 1000)
        self._note(body, received_at, answer, milliseconds)
        media_type = answer.headers.get("content-type", JSONResponse.media_type)
        return Response(answer.content, answer.status_code, media_type=media_type)

    def _note(self, body: bytes, received_at: str, answer: httpx.Response, milliseconds: int) -> None:
        event = _parsed(body)
        with self._lock:
            self._count += 1
            self._events.append(
                SeenEvent(
                    number=self._count,
                    received_at=received_at,
                    id=str(event.get("id") or ""),
                    type=str(event.get("type") or ""),
                    status=answer.status_code,
                    answer=answer.text,
                    milliseconds=milliseconds,
                )
            )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}
