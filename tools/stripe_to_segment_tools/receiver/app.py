"""The receiver as a web application: `POST /v1/batch`, Segment's HTTP Tracking API.

The received calls and the behaviour have no address on the network: see `Record`.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stripe_to_segment_tools.loopback.pages import browser_header, foreign_host
from stripe_to_segment_tools.receiver.behaviour import Mode
from stripe_to_segment_tools.receiver.contract import Request as ContractRequest
from stripe_to_segment_tools.receiver.contract import check
from stripe_to_segment_tools.receiver.record import ReceivedRequest, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from stripe_to_segment_tools.receiver.behaviour import Behaviour
    from stripe_to_segment_tools.receiver.contract import Validation

__all__ = ["WrongKey", "create_app"]

BAD_REQUEST = 400

# Closes the connection of a request, given the client's (host, port).
type Cut = Callable[[tuple[str, int]], None]


class WrongKey(StrEnum):
    """The answer to a request whose write key belongs to no source."""

    DROP = "drop"
    """200, and nothing is kept, like Segment."""
    REFUSE = "refuse"
    """401, like RudderStack."""


def create_app(
    record: Record | None = None,
    *,
    sources: Mapping[str, str] | None = None,
    wrong_key: WrongKey = WrongKey.DROP,
    cut: Cut | None = None,
) -> Starlette:
    """Make the application.

    Parameters
    ----------
    record
        Stores the requests; a new one by default.
    sources
        The write key of each source, by the source's name. Without sources every key is valid.
    wrong_key
        The answer to a write key that belongs to no source.
    cut
        Closes a connection; without it, mode `down` sends half an answer instead.
    """
    receiver = _Application(record or Record(), dict(sources or {}), wrong_key, cut)
    return Starlette(routes=[Route("/v1/batch", receiver.batch, methods=["POST"])])


class _Application:
    def __init__(self, record: Record, sources: dict[str, str], wrong_key: WrongKey, cut: Cut | None) -> None:
        self._record = record
        self._source_of = {key: name for name, key in sources.items()}
        self._wrong_key = wrong_key
        self._cut = cut

    async def batch(self, request: Request) -> Response:
        if browser_header(request.headers.raw) or foreign_host(request.headers.raw):
            return JSONResponse({"success": False, "message": "only for programs on this machine"}, status_code=403)
        body = await request.body()
        received_at = datetime.now(UTC)
        headers = {name.lower(): value for name, value in request.headers.items()}
        validation = check(ContractRequest(headers, body, received_at))
        behaviour = self._record.next_behaviour(validation.batch)
        answer = self._decide(validation, behaviour)
        self._record.add(
            ReceivedRequest(
                number=0,
                received_at=received_at,
                size=len(body),
                calls=len(validation.batch),
                auth=_auth(validation),
                source=self._source(validation),
                status=answer.status,
                violations=tuple(str(violation) for violation in validation.violations),
            ),
            answer.kept,
            _refused(validation, answer),
            f"{answer.status}: {answer.body.get('message') or ', '.join(answer.body.get('errors', []))}",
        )
        if behaviour.mode is Mode.SLOW:
            await asyncio.sleep(behaviour.seconds)
        if behaviour.mode is Mode.DOWN and self._cut is not None and request.client is not None:
            self._cut((request.client.host, request.client.port))
        if behaviour.mode in {Mode.DOWN, Mode.PARTIAL}:
            return _HalfResponse(answer.body, answer.status or 200)
        wait = {} if behaviour.retry_after is None else {"Retry-After": str(behaviour.retry_after)}
        return JSONResponse(answer.body, status_code=answer.status or 200, headers=wait)

    def _source(self, validation: Validation) -> str | None:
        return self._source_of.get(validation.keys.write_key or "")

    def _decide(self, validation: Validation, behaviour: Behaviour) -> _Answer:
        if behaviour.mode is Mode.DOWN:
            return _Answer(None, {})
        if behaviour.mode is Mode.STATUS and behaviour.status >= 300:  # noqa: PLR2004 - only 2xx is success
            return _Answer(behaviour.status, {"success": False, "message": f"configured to answer {behaviour.status}"})
        if validation.refused:
            reasons = [str(violation) for violation in validation.violations]
            return _Answer(400, {"success": False, "message": reasons[0], "errors": reasons})
        if self._source_of and self._source(validation) is None:
            return _WRONG_KEY[self._wrong_key]
        if behaviour.mode is Mode.OK_FALSE:
            return _jitsu_answer(validation, behaviour)
        status = behaviour.status if behaviour.mode is Mode.STATUS else 200
        return _Answer(status, {"success": True}, validation.kept)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer, and the calls that are kept. Status None means no answer."""

    status: int | None
    body: dict[str, Any]
    kept: tuple[dict[str, Any], ...] = ()


_WRONG_KEY = {
    WrongKey.DROP: _Answer(200, {"success": True}),
    WrongKey.REFUSE: _Answer(401, {"success": False, "message": "Invalid write key"}),
}


def _jitsu_answer(validation: Validation, behaviour: Behaviour) -> _Answer:
    kept = tuple(call for call in validation.kept if not behaviour.names(call))
    errors = [f"configured to refuse {call.get('messageId')}" for call in validation.kept if behaviour.names(call)]
    return _Answer(
        200, {"ok": False, "receivedEvents": len(validation.batch), "okEvents": len(kept), "errors": errors}, kept
    )


def _refused(validation: Validation, answer: _Answer) -> list[dict[str, Any]]:
    """The calls that the sender will not send again."""
    if answer.status != BAD_REQUEST and answer.body.get("ok", True):
        return []
    return [call for call in validation.batch if isinstance(call, dict) and call not in answer.kept]


def _auth(validation: Validation) -> str:
    match bool(validation.keys.basic), bool(validation.keys.body):
        case True, True:
            return "both"
        case True, False:
            return "basic"
        case False, True:
            return "body"
        case _:
            return "none"


class _HalfResponse(Response):
    """An answer with a longer Content-Length than its body: the server closes the connection in the middle of it."""

    def __init__(self, content: Any, status: int) -> None:
        text = json.dumps(content).encode()
        super().__init__(text[: len(text) // 2], status, media_type="application/json")
        self.headers["Content-Length"] = str(len(text))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
