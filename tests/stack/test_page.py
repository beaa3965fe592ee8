"""The page's server: it passes webhooks on to the byte, and tells the page what came and went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tools.page import Gate, create_page
from tools.receiver import Record
from tools.receiver.runner import ServerThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

BODY = '{\n  "id": "evt_1",\n  "type": "customer.created",\n  "name": "Zoë"\n}'.encode()


class Webhook:
    """Stands for the deployed stack."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, dict[str, str]]] = []
        self.app = Starlette(routes=[Route("/hook", self.hook, methods=["POST"])])

    async def hook(self, request: Request) -> Response:
        self.seen.append((await request.body(), dict(request.headers)))
        return JSONResponse({"reason": "no signature"}, status_code=400)


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
def page(webhook: Webhook) -> Iterator[ServerThread]:
    with ServerThread(webhook.app) as behind:
        gate = Gate(lambda: f"{behind.url}/hook")
        with ServerThread(create_page(gate, Record(), lambda: {"dead letters": 2})) as server:
            yield server


def post(page: ServerThread, body: bytes = BODY) -> requests.Response:
    return requests.post(
        f"{page.url}/webhooks/stripe", data=body, headers={"Stripe-Signature": "t=1,v1=0", "X-Other": "1"}, timeout=5
    )


def test_a_webhook_is_passed_on_to_the_byte_and_its_answer_comes_back(page: ServerThread, webhook: Webhook) -> None:
    answer = post(page)
    assert (answer.status_code, answer.json()) == (400, {"reason": "no signature"})
    ((body, headers),) = webhook.seen
    assert body == BODY
    assert headers["stripe-signature"] == "t=1,v1=0"
    assert headers["host"] not in page.url


def test_the_feed_has_what_came_newest_first(page: ServerThread) -> None:
    post(page)
    post(page, b"no event")
    feed = requests.get(f"{page.url}/feed", timeout=5).json()
    assert [(event["number"], event["type"], event["status"]) for event in feed["events"]] == [
        (2, "", 400),
        (1, "customer.created", 400),
    ]
    assert feed["calls"] == []
    assert feed["waiting"] == {"dead letters": 2}


def test_a_stack_that_is_gone_is_answered_with_502() -> None:
    gate = Gate(lambda: "http://127.0.0.1:9/hook")
    with ServerThread(create_page(gate, Record(), dict)) as server:
        answer = post(server)
        assert answer.status_code == 502
        assert "does not answer" in answer.json()["error"]
        assert [event.status for event in gate.events] == [502]


@pytest.mark.parametrize("path", ["/", "/static/page.css", "/static/page.js"])
def test_the_page_needs_no_other_server(page: ServerThread, path: str) -> None:
    answer = requests.get(f"{page.url}{path}", timeout=5)
    assert answer.status_code == 200
    assert "http://" not in answer.text
    assert "https://" not in answer.text
