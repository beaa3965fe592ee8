"""A proxy in front of AWS or Segment that injects faults and counts them.

We tried microburst: it has AWS's errors too, but cannot leave keys unprocessed, kill a process or take a seed.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import psutil
import urllib3
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stripe_to_segment_tools.receiver.app import _HalfResponse
from stripe_to_segment_tools.receiver.contract import unpacked
from stripe_to_segment_tools.receiver.runner import ServerThread, _CuttableProtocol
from tests.chaos.faults import Act, When

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Receive, Scope, Send

    from tests.chaos.faults import Dice, Fault

__all__ = ["REFUSED_WORD", "UNLIKED_WORD", "FaultyProxy", "aws_place", "segment_place"]

# Longer than the deliver function waits for an answer.
HOLD_SECONDS = 12.0
CUSTOMER = re.compile(rb"cus_\w+")
# The Host header is kept: the signature covers it, and the emulator checks signatures.
HOP_BY_HOP = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "content-encoding"})
# The proxy refuses every call that contains one of these words.
REFUSED_WORD, UNLIKED_WORD = "poisonous-to-segment", "poisonous-to-jitsu"


def aws_place(headers: dict[str, str]) -> str:
    """The operation of an AWS request, from the header in which all services used here name it."""
    return headers.get("x-amz-target", "").rpartition(".")[2]


def segment_place(_headers: dict[str, str]) -> str:
    """Segment's only operation."""
    return "batch"


class FaultyProxy(ServerThread):
    """Passes requests on to `upstream`, which must be set before the first request.

    `injecting` switches the faults on. `injected` counts each fault, and `hit` names the customers that it hit.
    `replaced` counts the requests that came again, byte for byte, after their kept connection was closed. `broken` maps
    the key of each record that is unreadable now to its fault, which counts as injected when the record is read.
    """

    def __init__(self, dice: Dice, place_of: Callable[[dict[str, str]], str]) -> None:
        self.upstream = ""
        self.injecting = False
        self.injected: Counter[Fault] = Counter()
        self.hit: dict[Fault, set[str]] = defaultdict(set)
        self.requests: Counter[str] = Counter()
        self.kills = 0
        self.replaced = 0
        self.broken: dict[str, Fault] = {}
        self._let_go: set[bytes] = set()
        self._used: WeakSet[asyncio.Transport] = WeakSet()
        self._knowing: set[int] = set()
        self._dice = dice
        self._place_of = place_of
        self._client = urllib3.PoolManager(maxsize=16, timeout=60, retries=False)

        # A function, because uvicorn takes a bound method for an ASGI 2 application.
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await self._answer(scope, receive, send)

        super().__init__(answer)

    def stop(self) -> None:
        """Stop serving, and close the connections to the upstream."""
        super().stop()
        self._client.clear()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers = {name.lower(): value for name, value in request.headers.items()}
        # The body is passed on decompressed, without the content-encoding header.
        body, place = unpacked(headers, await request.body()), self._place_of(headers)
        self.requests[place] += 1
        self.replaced += body in self._let_go
        self._let_go.discard(body)
        process = await asyncio.to_thread(_process_at, _client_of(request)) if place == "GetSecretValue" else None
        response = _poisoned(place, body)
        if response is None:
            circumstances = {*self._circumstances(place, request, body, process)}
            fault = self._dice.draw(place, circumstances) if self.injecting else None
            response = await (self._pass_on(request, body) if fault is None else self._spoil(fault, request, body))
            self._learn(place, body, response, process)
        await response(scope, receive, send)

    def _circumstances(
        self, place: str, request: Request, body: bytes, process: psutil.Process | None
    ) -> Iterator[When]:
        if place == "BatchGetItem" and len(_keys_in(body)) > 1:
            yield When.SEVERAL_KEYS
        transport = _CuttableProtocol._open.get(_client_of(request))
        if transport is not None:
            if transport in self._used:
                yield When.KEPT
            self._used.add(transport)
        if process is not None and process.pid in self._knowing:
            yield When.KNOWN

    def _learn(self, place: str, body: bytes, response: Response, process: psutil.Process | None) -> None:
        """Note which process has the secret now, and which broken records were read."""
        if response.status_code != HTTPStatus.OK:
            return
        if process is not None:
            self._knowing.add(process.pid)
        if place == "BatchGetItem":
            for key, fault in [*self.broken.items()]:
                if f'"{key}"'.encode() in body:
                    self._note(fault, key.encode())

    def _note(self, fault: Fault, about: bytes) -> None:
        self.injected[fault] += 1
        self.hit[fault].update(name.decode() for name in CUSTOMER.findall(about))

    async def _spoil(self, fault: Fault, request: Request, body: bytes) -> Response:
        self._note(fault, body)
        if fault.when is When.KEPT:
            self._let_go.add(body)
        if fault.act is Act.REFUSE:
            return _refusal(fault)
        if fault.act is Act.SPLIT:
            return await self._split(request, body)
        if fault.act is Act.PART:
            return await self._take_half(request, body)
        if fault.act in {Act.CUT, Act.KILL}:
            answer = Response(status_code=500)
        else:
            answer = await self._pass_on(request, body)
        if fault.act is Act.HALVE:
            return _HalfResponse(json.loads(bytes(answer.body)), answer.status_code)
        if fault.act is Act.HOLD:
            await asyncio.sleep(HOLD_SECONDS)
        client = _client_of(request)
        if fault.act in {Act.KILL, Act.KILL_AFTER}:
            self.kills += await asyncio.to_thread(_kill_who_called_from, client)
        _CuttableProtocol.cut(client)
        return answer

    async def _pass_on(self, request: Request, body: bytes) -> Response:
        url = f"{self.upstream}{request.url.path}"
        headers = urllib3.HTTPHeaderDict(
            (name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP
        )
        answer = await asyncio.to_thread(self._client.request, request.method, url, headers=headers, body=body)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        return Response(answer.data, answer.status, kept)

    async def _split(self, request: Request, body: bytes) -> Response:
        asked = json.loads(body)
        ((table, wanted),) = asked["RequestItems"].items()
        looked_up = {table: wanted | {"Keys": wanted["Keys"][::2]}}
        answer = await self._pass_on(request, json.dumps(asked | {"RequestItems": looked_up}).encode())
        found = json.loads(bytes(answer.body))
        found["UnprocessedKeys"] = {table: wanted | {"Keys": wanted["Keys"][1::2]}}
        # Without the checksum header, which belongs to the unchanged answer.
        return JSONResponse(found, answer.status_code, {"content-type": "application/x-amz-json-1.0"})

    async def _take_half(self, request: Request, body: bytes) -> Response:
        envelope = json.loads(body)
        calls = envelope["batch"]
        if taken := calls[1::2]:
            await self._pass_on(request, json.dumps(envelope | {"batch": taken}).encode())
        # Jitsu's answer: https://github.com/jitsucom/bulker/blob/main/ingest/router_batch_handler.go
        errors = [f"Message ID: {call['messageId']}: error# a1b2c3: producer error" for call in calls[::2]]
        return JSONResponse({"ok": False, "receivedEvents": len(calls), "okEvents": len(taken), "errors": errors})


def _keys_in(body: bytes) -> list[Any]:
    return [key for wanted in json.loads(body)["RequestItems"].values() for key in wanted["Keys"]]


def _poisoned(place: str, body: bytes) -> Response | None:
    """Segment's refusal of a request with a call that it never accepts, as a status 400 or as `ok: false`."""
    if place != "batch":
        return None
    if REFUSED_WORD.encode() in body:
        return JSONResponse({"success": False, "message": "a call is not as it should be"}, 400)
    if UNLIKED_WORD.encode() in body:
        return JSONResponse({"ok": False, "errors": ["a call is not as it should be"]})
    return None


def _refusal(fault: Fault) -> Response:
    if fault.body:
        kind = "text/html; charset=utf-8" if fault.body.startswith("<") else "application/json"
        return Response(fault.body, fault.status, media_type=kind)
    if not fault.code:
        wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return JSONResponse({"success": False, "message": fault.name}, fault.status, wait)
    # AWS's JSON protocols: https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html#operation-error-serialization
    return JSONResponse({"__type": f"com.amazonaws#{fault.code}", "message": fault.name}, fault.status)


def _client_of(request: Request) -> tuple[str, int]:
    return (request.client.host, request.client.port) if request.client else ("", 0)


def _kill_who_called_from(client: tuple[str, int]) -> bool:
    """Kill (-9) the process that owns this end of a connection; returns whether there was one."""
    process = _process_at(client)
    if process is not None:
        with suppress(psutil.Error):
            process.kill()
            return True
    return False


def _process_at(client: tuple[str, int]) -> psutil.Process | None:
    """The descendant of this process that owns this end of a connection, or None.

    The youngest is asked first: mostly it is the one, and to ask the others takes longer than all that a function does.
    """
    for process in reversed(psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):
            if any(getattr(each.laddr, "port", 0) == client[1] for each in process.net_connections("tcp")):
                return process
    return None
