"""Access control for the emulator: each request needs this run's access key, except Stripe's events to the webhook.

The emulator itself accepts the key `test`, an account number or no key at all as its root user.

| request | who may send it |
|---|---|
| `GET /_ministack/health` | any program |
| `/_aws/execute-api/API/…`: the routes of deployed APIs | any program; the function checks Stripe's signature |
| `/_ministack/…`: the emulator's own interface | who has this run's access key |
| everything else: AWS's interfaces | who has this run's access key, or that of a function's role |
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.loopback.pages import browser_header, foreign_host
from stripe_to_segment_tools.loopback.signatures import RefusedError, SignedRequest, verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stripe_to_segment_tools.loopback.signatures import Key

__all__ = ["EmulatorGuard"]

HEALTH = "/_ministack/health"
OWN = "/_ministack/"
# With an API's name and a path: the emulator treats anything shorter as a request to another service.
_ROUTE = re.compile(r"/_aws/execute-api/[a-z0-9]+/(?!.*@connections).+")
# What the emulator's owner can do after a refusal.
HINT = "only the owner of this emulator may use it, with the access key of this run: see .local/stack.json"

type Message = dict[str, Any]
type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[[Scope, Receive, Send], Awaitable[None]]
# Answers a refused request, given its scope and the reason.
type Refuse = Callable[[Scope, str], tuple[dict[str, str], bytes]]


class EmulatorGuard:
    """An ASGI application around the emulator's.

    Parameters
    ----------
    application
        The emulator.
    key_of
        Finds the secret of an access key by its id; None if there is no such key.
    own
        The id of this run's access key.
    refuse
        Writes a refusal as headers and body, in the protocol of the service that was called.
    """

    def __init__(self, application: Application, key_of: Callable[[str], Key | None], own: str, refuse: Refuse) -> None:
        self._application = application
        self._key_of = key_of
        self._own = own
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or answer it with 403."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            # No part of this project uses WebSockets.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            try:
                receive = await self._admit(scope, receive)
            except RefusedError as error:
                await self._answer(scope, send, f"{error}; {HINT}")
            else:
                await self._application(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """Return the emulator's `receive` for an allowed request. Raises RefusedError."""
        if name := browser_header(scope["headers"]):
            raise RefusedError(f"a web page sent this, as its header {name} shows")
        if foreign_host(scope["headers"]):
            raise RefusedError("the Host header names another machine than 127.0.0.1 or localhost")
        path = scope["path"]
        if (scope["method"] == "GET" and path == HEALTH) or _ROUTE.fullmatch(path):
            return receive
        body = await _read(receive)
        key = verify(_as_signed(scope, body), self._key_of, time.time())
        if path.startswith(OWN) and key != self._own:
            raise RefusedError("a function's role may use AWS's interfaces only")
        return _again(body, receive)

    async def _answer(self, scope: Scope, send: Send, why: str) -> None:
        headers, body = self._refuse(scope, why)
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        raw.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 403, "headers": raw})
        await send({"type": "http.response.body", "body": body})


def _as_signed(scope: Scope, body: bytes) -> SignedRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query = scope["query_string"].decode("latin-1")
    return SignedRequest(scope["method"], scope["raw_path"].decode("latin-1"), query, headers, body)


async def _read(receive: Receive) -> bytes:
    """The whole body, or its first part if the client disconnected."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body that was read, and then waits for the next message."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def read_first() -> Message:
        return left.pop() if left else await receive()

    return read_first
