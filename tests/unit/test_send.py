"""Posting signed events."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest
import stripe
import typer
from typer.testing import CliRunner

from stripe_to_segment.receiving.examine import WRONG_MODE
from stripe_to_segment_tools.commands import sample as sample_commands
from stripe_to_segment_tools.commands.secret import asking
from stripe_to_segment_tools.commands.send import command as sending
from stripe_to_segment_tools.commands.send import target as send_target
from stripe_to_segment_tools.commands.send.command import Sent, UnreachableError, send, send_command
from stripe_to_segment_tools.samples.files import EVENTS, sample
from stripe_to_segment_tools.samples.signing import SAMPLE_SECRET, sign
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import a_signing_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URL = "https://example.com/webhooks/stripe"
SECRET = "whsec_test"
OTHER, LIVE, TEST = (a_signing_secret(name) for name in ("other", "live", "test"))
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
        self.text = "answer"
        self.received: list[bytes] = []
        self.signatures: list[str] = []
        self.urls: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request.content)
        self.signatures.append(request.headers["stripe-signature"])
        self.urls.append(str(request.url))
        return httpx.Response(self.status, text=self.text)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    made = Endpoint()
    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **_: client(transport=httpx.MockTransport(made)))
    monkeypatch.setattr(send_target, "read_stack_file", lambda: {"webhook_url": URL, "signing_secret": SECRET})
    for name in ("STRIPE_WEBHOOK_URL", "STRIPE_SIGNING_SECRET"):
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
    monkeypatch.setattr(send_target, "read_stack_file", dict)
    status, output = run(FILE)
    assert status == 2
    assert "make run" in output


# --- the secret that signs ---


def signed_with(endpoint: Endpoint) -> list[str]:
    """Which of the secrets that the tests know signed each request."""
    return [
        next(each for each in (SECRET, OTHER, LIVE, TEST) if sign(body, each, int(header[2:12])) == header)
        for body, header in zip(endpoint.received, endpoint.signatures, strict=True)
    ]


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(endpoint: Endpoint) -> None:
    """It stood in the shell's history, and in `ps` for every user of the machine."""
    status, output = run(FILE, "--secret", OTHER)
    assert status == 2
    assert "STRIPE_SIGNING_SECRET" in output
    assert "--secret-from-env" in output
    assert OTHER not in output
    assert endpoint.received == []


def test_the_secret_comes_from_a_variable(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SIGNING_SECRET", OTHER)
    assert run(FILE)[0] == 0
    monkeypatch.setenv("ANOTHER", LIVE)
    assert run(FILE, "--secret-from-env", "ANOTHER")[0] == 0
    assert signed_with(endpoint) == [OTHER, LIVE]
    status, output = run(FILE, "--secret-from-env", "NOT_SET")
    assert status == 2
    assert "the variable NOT_SET is not set, or not exported" in output


def test_another_endpoint_gets_no_signature_of_the_local_stacks_secret(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, output = run(FILE, "--url", "https://elsewhere.example.com/webhooks/stripe")
    assert status == 2
    assert "there is no signing secret: put it into STRIPE_SIGNING_SECRET" in output
    monkeypatch.setattr(asking, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    app = typer.Typer()
    app.command()(send_command)
    asked = CliRunner().invoke(
        app, [FILE, "--url", "https://elsewhere.example.com/webhooks/stripe"], input=f"{OTHER}\n"
    )
    assert asked.exit_code == 0
    assert OTHER not in asked.output
    assert signed_with(endpoint) == [OTHER]


@pytest.fixture
def deployed_stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with deployed() as here:
        here.put_signing(stripe_live_signing_secrets=[LIVE, OTHER], stripe_test_signing_secrets=[TEST])
        monkeypatch.setattr(sending, "find_stack", lambda *_, **__: here.stack)
        yield here


def test_a_deployed_stack_is_sent_each_event_under_its_modes_secret(
    endpoint: Endpoint, deployed_stack: Deployed
) -> None:
    assert run(FILE, "--stack", "mine")[0] == 0
    assert run(FILE, "--stack", "mine", "--mode", "live")[0] == 0
    assert signed_with(endpoint) == [TEST, LIVE]
    assert endpoint.urls == [deployed_stack.webhook_url] * 2
    first, second = map(json.loads, endpoint.received)
    assert (first["livemode"], second["livemode"], second["data"]["object"]["livemode"]) == (False, True, True)


def test_a_mode_without_a_signing_secret_is_reported_before_anything_is_sent(
    endpoint: Endpoint, deployed_stack: Deployed
) -> None:
    deployed_stack.put_signing(stripe_live_signing_secrets=[LIVE])
    status, output = run(FILE, "--stack", "mine")
    assert status == 2
    assert "no signing secret for test events" in output
    assert "--mode live" in output
    assert endpoint.received == []


def test_a_stack_named_for_other_commands_is_sent_nothing(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples in a production stack are false revenue, so the stack must be named for this command."""
    monkeypatch.setenv("STRIPE_TO_SEGMENT_STACK", "production")
    assert run(FILE)[0] == 0
    assert endpoint.urls == [URL]


def test_a_refusal_because_of_the_mode_names_the_option(endpoint: Endpoint) -> None:
    endpoint.status, endpoint.text = 400, json.dumps({"error": WRONG_MODE[True]})
    status, output = run(FILE)
    assert status == 1
    assert "note: a signing secret signs only events of its own mode: --mode live or --mode test" in output


def test_a_sample_request_is_signed_by_a_variables_secret_or_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_commands, "read_stack_file", dict)
    monkeypatch.delenv("STRIPE_SIGNING_SECRET", raising=False)
    request = ["request", "customer.updated"]

    def signer(*words: str) -> str:
        made = json.loads(CliRunner().invoke(sample_commands.app, [*request, *words]).stdout)
        header, body = made["headers"]["stripe-signature"], made["body"].encode()
        return next(each for each in (SAMPLE_SECRET, OTHER) if sign(body, each, int(header[2:12])) == header)

    assert signer() == SAMPLE_SECRET
    monkeypatch.setenv("MINE", OTHER)
    assert signer("--secret-from-env", "MINE") == OTHER
    refused = CliRunner().invoke(sample_commands.app, [*request, "--secret", OTHER])
    assert refused.exit_code == 2
    assert OTHER not in refused.output
