"""The page over a stack that is played: what its parts say is put here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import requests
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.commands.headlines import call_name
from stripe_to_segment_tools.local_stack.emulator import Message
from stripe_to_segment_tools.local_stack.stack import Queued
from stripe_to_segment_tools.page import PageParts
from stripe_to_segment_tools.page.app import create_page
from stripe_to_segment_tools.page.entries import KEPT_ENTRIES
from stripe_to_segment_tools.page.journal import Journal
from stripe_to_segment_tools.page.outcomes import attempt_in
from stripe_to_segment_tools.page.sending import Sender
from stripe_to_segment_tools.page.watching import Sources, Watcher
from stripe_to_segment_tools.page.webhook_proxy import SeenRequest, WebhookProxy
from stripe_to_segment_tools.receiver import AcceptedCall, ReceivedRequest, Record
from stripe_to_segment_tools.receiver.runner import ServerThread
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request

    from stripe_to_segment_tools.page.entry import Attempt

BODY = '{\n  "id": "evt_1",\n  "type": "customer.created",\n  "name": "Zoë"\n}'.encode()
SECRET = "whsec_page"


class Webhook:
    """Stands for the deployed stack."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, dict[str, str]]] = []
        self.app = Starlette(routes=[Route("/hook", self.hook, methods=["POST"])])

    async def hook(self, request: Request) -> Response:
        self.seen.append((await request.body(), dict(request.headers)))
        return JSONResponse({"error": "no signature"}, status_code=400)


class PlayedPage:
    """The page over a stack that is played: what its parts say is put here."""

    def __init__(
        self,
        webhook_url: str = "http://127.0.0.1:9/hook",
        port: int = 0,
        kept: int = KEPT_ENTRIES,
        token: str | None = None,
    ) -> None:
        self._came = 0
        self.redriven: Collection[str] | None = ()
        self.record = Record()
        self.attempts: list[Attempt] = []
        self.queued = Queued((), ())
        proxy, journal = WebhookProxy(lambda: webhook_url), Journal(Settings(), kept)
        self.sender = Sender(lambda: self.parts.webhook_url, SECRET, pause=0)
        self.parts = PageParts(proxy, journal, self.sender, self.record, self._redrive)
        if token:
            self.parts.token = token
        self.server = ServerThread(create_page(self.parts), port)
        self.parts.origin = self.server.url
        self.url = self.parts.url
        self.watcher = Watcher(Sources(proxy, self.record, self._new_attempts, lambda: self.queued), journal)

    def _redrive(self, chosen: Collection[str] | None) -> int:
        self.redriven = chosen
        return 3 if chosen is None else len(chosen)

    def _new_attempts(self) -> list[Attempt]:
        found, self.attempts = self.attempts, []
        return found

    def look(self) -> None:
        self.watcher.look()

    def came(self, body: bytes | dict[str, Any], status: int = 200, answer: str = "{}") -> None:
        """A request has come to the webhook."""
        self._came += 1
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.parts.journal.note_request(SeenRequest(self._came, datetime.now(UTC), sent, status, answer, 5))

    def keep(self, call: dict[str, Any]) -> None:
        """Segment has taken a call."""
        self.record._calls.append(AcceptedCall(call, 1, datetime.now(UTC), "test"))

    def play_samples(self, names: Collection[str] = ()) -> None:
        """These sample events, or all, have come in the order in which they happened, and are delivered."""
        chosen = [each for each in samples() if not names or each.name in names]
        inputs = [Input(each.name, json.dumps(each.event).encode(), each.event) for each in chosen]
        for given, line in zip(inputs, explain(inputs, Settings()), strict=True):
            self.came(given.event)
            for made in line.calls:
                self.keep(json.loads(json.dumps(made)))
            names = [call_name(made) for made in line.calls]
            more = {"event_type": given.event["type"], "message_id": given.source, "calls": names}
            self.attempts.append(said("delivered", given.event["id"], **more))
        self.look()

    def refuse(self, call: dict[str, Any], answer: str) -> None:
        """Segment has refused a call for good."""
        request = ReceivedRequest(0, datetime.now(UTC), 1, 1, "both", "test", 400)
        self.record.add(request, (), [call], answer)

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.parts.stopping.set()
        self.server.stop()

    def get(self, path: str) -> Any:
        return requests.get(f"{self.url}{path}", timeout=30).json()

    def order(self, path: str, body: Any, **headers: str) -> requests.Response:
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=30)

    def hello(self) -> Any:
        """The beginning of the stream."""
        with requests.get(f"{self.url}/stream", stream=True, timeout=30) as stream:
            lines = stream.iter_lines(decode_unicode=True)
            assert next(lines) == "event: hello"
            return json.loads(next(lines).removeprefix("data: "))


def event(event_id: str, type_: str = "customer.created", **more: Any) -> dict[str, Any]:
    """A Stripe event with little in it; `more` is in its object."""
    customer = {"id": f"cus_{event_id}", "object": "customer", **more}
    return {"id": event_id, "object": "event", "type": type_, "created": 1_780_000_000, "data": {"object": customer}}


def call(event_id: str, number: int = 1, **more: Any) -> dict[str, Any]:
    """A call that became of an event: an identify of user `u`, unless `more` says otherwise."""
    stripe = {"event_id": event_id}
    made = {"type": "identify", "messageId": f"{event_id} {number}", "userId": "u", "traits": {"plan": "pro"}}
    return made | {"timestamp": "2026-11-22T08:13:11.000Z", "context": {"stripe": stripe}} | more


def message(event_id: str, seconds: float) -> Message:
    """An event in a queue, to be received in so many seconds."""
    return Message(f"m {event_id}", json.dumps(event(event_id)), {}, 1, seconds)


def said(outcome: str, event_id: str = "evt_1", **more: Any) -> Attempt:
    """A line of the deliver function's log."""
    line = {
        "message_id": "m1",
        "received": 1,
        "outcome": outcome,
        "event_id": event_id,
        "event_type": "customer.created",
    }
    attempt = attempt_in(line | more, datetime(2026, 11, 22, 8, 13, 11, 50_000, UTC))
    assert attempt is not None
    return attempt
