"""The page's server: it passes webhooks on to the byte, tells what came and went, and does what is asked of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stripe_to_segment.settings import Settings
from tools.local_stack.stack import Queued
from tools.page import Desk
from tools.page.app import create_page
from tools.page.gate import Gate
from tools.page.journal import Journal
from tools.page.outcomes import attempt_in
from tools.page.sending import Sender
from tools.page.watching import Sources, Watcher
from tools.receiver import AcceptedCall, Mode, Record
from tools.receiver.runner import ServerThread
from tools.samples import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from tools.page.entry import Attempt

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


class Page:
    """The page over a stack that is played: what its parts say is put here."""

    def __init__(self, webhook_url: str) -> None:
        self.record = Record()
        self.attempts: list[Attempt] = []
        self.queued = Queued((), ())
        gate, journal = Gate(lambda: webhook_url), Journal(Settings())
        self.sender = Sender(lambda: f"{self.url}/webhooks/stripe", SECRET, pause=0)
        self.desk = Desk(gate, journal, self.sender, self.record, lambda: 3)
        self.server = ServerThread(create_page(self.desk))
        self.desk.url = self.url = self.server.url
        self.watcher = Watcher(Sources(gate, self.record, self._new_attempts, lambda: self.queued), journal)

    def _new_attempts(self) -> list[Attempt]:
        found, self.attempts = self.attempts, []
        return found

    def look(self) -> None:
        self.watcher.look()

    def keep(self, call: dict[str, Any]) -> None:
        self.record._calls.append(AcceptedCall(call, 1, datetime.now(UTC), "test"))

    def get(self, path: str) -> Any:
        return requests.get(f"{self.url}{path}", timeout=5).json()

    def order(self, path: str, body: Any, **headers: str) -> requests.Response:
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=5)

    def hello(self) -> Any:
        """The beginning of the stream."""
        with requests.get(f"{self.url}/stream", stream=True, timeout=5) as stream:
            lines = stream.iter_lines(decode_unicode=True)
            assert next(lines) == "event: hello"
            return json.loads(next(lines).removeprefix("data: "))


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
def page(webhook: Webhook) -> Iterator[Page]:
    with ServerThread(webhook.app) as behind:
        page = Page(f"{behind.url}/hook")
        with page.server, page.sender:
            yield page
            page.desk.stopping.set()


def post(url: str, body: bytes = BODY) -> requests.Response:
    headers = {"Stripe-Signature": "t=1,v1=0", "X-Other": "1"}
    return requests.post(f"{url}/webhooks/stripe", data=body, headers=headers, timeout=5)


def said(fate: str, event_id: str = "evt_1", **more: Any) -> Attempt:
    """A line of the deliver function's log."""
    line = {
        "timestamp": "2026-11-22 08:13:11,050+0000",
        "message_id": "m1",
        "received": 1,
        "fate": fate,
        "event_id": event_id,
        "event_type": "customer.created",
    }
    attempt = attempt_in(json.dumps(line | more), datetime.now(UTC))
    assert attempt is not None
    return attempt


def test_a_webhook_is_passed_on_to_the_byte_and_its_answer_comes_back(page: Page, webhook: Webhook) -> None:
    answer = post(page.url)
    assert (answer.status_code, answer.json()) == (400, {"error": "no signature"})
    ((body, headers),) = webhook.seen
    assert body == BODY
    assert headers["stripe-signature"] == "t=1,v1=0"
    assert headers["host"] not in page.url


def test_the_stream_begins_with_all_there_is(page: Page) -> None:
    post(page.url)
    post(page.url, b"no event")
    page.look()
    hello = page.hello()
    assert [(each["key"], each["outcome"]) for each in hello["entries"]] == [
        ("request-1", "refused"),
        ("request-2", "refused"),
    ]
    assert hello["entries"][0]["reason"] == "400: no signature"
    assert (hello["state"]["events"], hello["state"]["mood"]) == (2, "up")


def test_a_stack_that_is_gone_is_answered_with_502() -> None:
    page = Page("http://127.0.0.1:9/hook")
    with page.server:
        answer = post(page.url)
        assert answer.status_code == 502
        assert "does not answer" in answer.json()["error"]
        page.look()
        assert page.hello()["entries"][0]["outcome"] == "refused"
        page.desk.stopping.set()


def test_an_event_that_came_another_way_is_there_with_what_the_log_says(page: Page) -> None:
    page.attempts = [said("retry", reason="http_503"), said("dead", reason="http_400", received=2)]
    page.look()
    detail = page.get("/events/evt_1")
    assert (detail["type"], detail["outcome"], detail["reason"]) == ("customer.created", "dead letter", "http_400")
    assert [step["name"] for step in detail["way"]] == [
        "In the queue",
        "Attempt 1: to be tried again",
        "Attempt 2: dead-lettered",
    ]


def test_a_call_that_breaks_limits_or_plan_is_shown_with_the_words_for_it(page: Page) -> None:
    page.keep({"type": "track", "event": "Ordr Completed", "messageId": "1", "context": {"stripe": {"event_id": "e"}}})
    page.look()
    (sent,) = page.get("/events/e")["sent"]
    assert any("neither 'userId' nor 'anonymousId'" in flaw for flaw in sent["checks"]["limits"])
    assert sent["checks"]["plan"] == ["track: 'Ordr Completed' is no event of the tracking plan"]
    assert page.hello()["state"]["flawed"] == 1


def test_a_user_is_found_by_any_of_the_joined_ids(page: Page) -> None:
    page.keep({"type": "identify", "messageId": "1", "anonymousId": "cus_1", "traits": {"plan": "a", "mrr": 1}})
    page.keep({"type": "identify", "messageId": "2", "userId": "u", "anonymousId": "cus_1", "traits": {"plan": "b"}})
    page.look()
    for key in ("u", "cus_1"):
        person = page.get(f"/user?id={key}")
        assert person["traits"] == [{"name": "mrr", "value": 1}, {"name": "plan", "value": "b"}]
        assert [entry["as"] for entry in person["timeline"]] == ["u", "cus_1"]
    assert requests.get(f"{page.url}/user?id=nobody", timeout=5).status_code == 404


def test_totals_begin_anew_when_the_stand_in_for_segment_is_emptied(page: Page) -> None:
    properties = {"revenue": 10.5, "mrr_change": -2, "currency": "USD"}
    page.keep({"type": "track", "event": "Invoice Paid", "messageId": "1", "userId": "u", "properties": properties})
    page.look()
    assert page.hello()["state"]["totals"] == {"revenue": {"USD": 10.5}, "mrr": {"USD": -2}, "refunds": {}}
    page.record.clear()
    page.look()
    assert page.hello()["state"]["totals"] == {"revenue": {}, "mrr": {}, "refunds": {}}


def test_samples_are_sent_fresh_and_signed(page: Page, webhook: Webhook) -> None:
    for _ in range(2):
        assert page.order("/send", {"sample": "customer.created"}).status_code == 202
    for _ in range(500):
        if len(webhook.seen) == 2 and page.sender.sending is None:
            break
        page.desk.stopping.wait(0.01)
    ids = {json.loads(body)["id"] for body, _ in webhook.seen}
    assert len(ids | {sample("customer.created").event["id"]}) == 3
    assert all(headers["stripe-signature"].startswith("t=") for _, headers in webhook.seen)


def test_what_is_not_there_is_not_sent(page: Page) -> None:
    bodies: list[Any] = [{"sample": "no.such"}, {"story": "no such"}, {}, []]
    for body in bodies:
        assert page.order("/send", body).status_code == 404
    assert page.order("/segment", {"mood": "sad"}).status_code == 404


def test_segment_is_told_how_to_behave(page: Page) -> None:
    assert page.order("/segment", {"mood": "limited"}).json() == {"mood": "limited"}
    assert (page.record.behaviour.mode, page.record.behaviour.status) == (Mode.STATUS, 429)
    assert page.hello()["state"]["mood"] == "limited"


def test_dead_letters_are_moved_back_on_demand(page: Page) -> None:
    assert page.order("/redrive", {}).json() == {"moved": 3}


def test_another_web_site_can_neither_send_nor_switch(page: Page) -> None:
    assert page.order("/segment", {"mood": "down"}, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    form = requests.post(f"{page.url}/segment", data='{"mood": "down"}', timeout=5)
    assert form.status_code == 403
    assert page.record.behaviour.mode is Mode.OK


def test_a_foreign_name_that_points_here_shows_nothing(page: Page) -> None:
    for path in ("/", "/stream", "/users"):
        answer = requests.get(f"{page.url}{path}", headers={"Host": "evil.example:4242"}, timeout=5)
        assert answer.status_code == 421
    webhook = requests.post(f"{page.url}/webhooks/stripe", data=BODY, headers={"Host": "tunnel.example"}, timeout=5)
    assert webhook.status_code == 400, "a tunnel may lead to the webhook"


@pytest.mark.parametrize("path", ["/", "/static/base.css", "/static/page.js", "/static/icon.svg"])
def test_the_page_needs_no_other_server_and_no_inline_code(page: Page, path: str) -> None:
    answer = requests.get(f"{page.url}{path}", timeout=5)
    assert answer.status_code == 200
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "'unsafe" not in answer.headers["content-security-policy"]
