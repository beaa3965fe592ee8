"""Posting signed events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
import stripe
import typer
from typer.testing import CliRunner

from tools import send as sending
from tools.samples import EVENTS, sample
from tools.send import Sent, UnreachableError, send, send_command

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://example.com/webhooks/stripe"
SECRET = "whsec_test"
EVENT = sample("customer.updated")
FILE = str(EVENT.path)


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer))


def verified(request: httpx.Request) -> httpx.Response:
    stripe.WebhookSignature.verify_header(
        request.content.decode(), request.headers["stripe-signature"], SECRET, tolerance=60
    )
    return httpx.Response(200, json={"received": True})


def test_a_body_is_sent_to_the_byte_with_a_fresh_signature() -> None:
    (sent,) = send([EVENT.body], URL, SECRET, client=answering(verified))
    assert sent == Sent(EVENT.event["id"], "customer.updated", 200, '{"received":true}', sent.milliseconds)
    assert sent.accepted


@pytest.mark.parametrize("status", [301, 400, 503])
def test_only_2xx_is_accepted(status: int) -> None:
    (sent,) = send([b"[]"], URL, SECRET, client=answering(lambda _: httpx.Response(status)))
    assert (sent.status, sent.accepted, sent.id) == (status, False, "")


def test_no_answer_is_a_result_and_the_next_event_is_sent() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.content == b"1":
            raise httpx.ReadTimeout("too slow")
        return httpx.Response(200)

    results = list(send([b"1", b"2"], URL, SECRET, client=answering(answer)))
    assert [(sent.status, sent.body) for sent in results] == [(None, "too slow"), (200, "")]


def test_an_endpoint_that_is_still_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PAUSE_SECONDS", 0)
    refusals = iter([True, True, False])

    def answer(request: httpx.Request) -> httpx.Response:
        if next(refusals):
            raise httpx.ConnectError("refused")
        return verified(request)

    (sent,) = send([EVENT.body], URL, SECRET, client=answering(answer))
    assert sent.accepted


def test_an_endpoint_that_is_not_there_is_named() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(UnreachableError, match=r"nothing listens at https://example\.com/webhooks/stripe .*make run"):
        list(send([b"{}"], URL, SECRET, patience=0, client=answering(answer)))


# --- the command ---


class Endpoint:
    """What the command talks to instead of the network."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request.content)
        return httpx.Response(self.status, text="answer")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    made = Endpoint()
    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **_: client(transport=httpx.MockTransport(made)))
    monkeypatch.setattr(sending, "read_stack_file", lambda: {"webhook_url": URL, "signing_secret": SECRET})
    for name in ("STRIPE_WEBHOOK_URL", "STRIPE_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return made


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(send_command)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_files_go_to_the_local_stack_as_they_are(endpoint: Endpoint) -> None:
    status, output = run(FILE)
    assert status == 0
    assert endpoint.received == [EVENT.body]
    assert "customer.updated" in output


def test_fresh_events_have_new_ids(endpoint: Endpoint) -> None:
    assert run("--fresh", FILE)[0] == 0
    assert json.loads(endpoint.received[0])["id"] != EVENT.event["id"]


def test_the_sample_batch_is_sent_event_by_event(endpoint: Endpoint) -> None:
    status, output = run("--json", str(EVENTS / "requests" / "sqs-batch.json"))
    assert status == 0
    assert len(endpoint.received) == 4
    assert [json.loads(line)["status"] for line in output.splitlines()] == [200] * 4


def test_a_refusal_is_exit_status_1(endpoint: Endpoint) -> None:
    endpoint.status = 400
    assert run(FILE)[0] == 1


def test_a_broken_file_is_exit_status_1_and_the_others_are_sent(endpoint: Endpoint) -> None:
    status, output = run("missing.json", FILE)
    assert status == 1
    assert "missing.json: No such file" in output
    assert len(endpoint.received) == 1


@pytest.mark.usefixtures("endpoint")
def test_without_a_stack_or_a_url_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "read_stack_file", dict)
    status, output = run(FILE)
    assert status == 2
    assert "make run" in output
