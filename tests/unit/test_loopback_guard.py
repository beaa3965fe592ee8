"""The emulator behind its guard gets what its owner, its functions and Stripe send, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stripe_to_segment_tools.loopback.guard import EmulatorGuard
from stripe_to_segment_tools.loopback.pages import browser_header, foreign_host
from stripe_to_segment_tools.loopback.signatures import Key

HERE = "127.0.0.1:4566"
KEYS = {"OWN": Key("own secret"), "ROLE": Key("role secret")}
WEBHOOK = "/_aws/execute-api/3941a735/webhooks/stripe"


class Emulator:
    """Notes what reaches it."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, bytes]] = []
        self.guard = EmulatorGuard(
            self.application, KEYS.get, "OWN", lambda _scope, why: ({"Content-Type": "text/plain"}, why.encode())
        )

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"") if scope["type"] == "http" else b""
        self.reached.append((scope.get("path", scope["type"]), body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(
        self, method: str, path: str, body: bytes = b"", signer: str = "", kind: str = "http", **headers: str
    ) -> tuple[int, str]:
        """The status and the text of the answer."""
        path, _, query = path.partition("?")
        named = {"host": HERE} | {name.replace("_", "-"): value for name, value in headers.items()}
        if signer:
            request = AWSRequest(method, f"http://{HERE}{path}{'?' * bool(query)}{query}", data=body)
            SigV4Auth(Credentials(signer, KEYS[signer].secret), "sqs", "us-east-1").add_auth(request)
            named |= {name.lower(): value for name, value in request.headers.items()}
        scope = {
            "type": kind,
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        # In two pieces, as a server may give it.
        pieces = [{"body": body[:1], "more_body": True}, {"body": body[1:], "more_body": False}]
        answers: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", **pieces.pop(0)}

        async def send(message: dict[str, Any]) -> None:
            answers.append(message)

        # Nothing here waits, so it ends at its first step. A loop of asyncio's own may be running: Playwright's.
        with suppress(StopIteration):
            self.guard(scope, receive, send).send(None)
        text = b"".join(answer.get("body", b"") for answer in answers).decode()
        return answers[0].get("status", answers[0].get("code", 0)), text


@pytest.fixture
def emulator() -> Emulator:
    return Emulator()


def test_its_owner_may_do_everything(emulator: Emulator) -> None:
    for path in ("/", "/_ministack/sqs/messages?account=1", "/2015-03-31/functions"):
        assert emulator.ask("POST", path, b"body", "OWN")[0] == 200
    assert [body for _, body in emulator.reached] == [b"body"] * 3, "a body that was read arrives whole"


def test_a_function_may_use_the_services_but_not_the_emulators_own_interface(emulator: Emulator) -> None:
    assert emulator.ask("POST", "/", b"{}", "ROLE")[0] == 200
    status, said = emulator.ask("POST", "/_ministack/reset", b"", "ROLE")
    assert (status, "a function's role" in said) == (403, True)


def test_any_program_may_read_the_health_check(emulator: Emulator) -> None:
    assert emulator.ask("GET", "/_ministack/health")[0] == 200
    for path in ("/health", "/_localstack/health", "/_ministack/ready", "/_ministack/health/../reset"):
        assert emulator.ask("GET", path)[0] == 403
    assert emulator.ask("POST", "/_ministack/health")[0] == 403


def test_stripes_events_need_no_access_key(emulator: Emulator) -> None:
    assert emulator.ask("POST", WEBHOOK, stripe_signature="t=1,v1=0")[0] == 200
    assert emulator.ask("POST", "/_aws/execute-api/3941a735/$default/webhooks/stripe")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/_aws/execute-api",
        "/_aws/execute-api/",
        "/_aws/execute-api/3941a735",
        "/_aws/execute-api/3941a735/",
        "/_aws/execute-api//webhooks/stripe",
        "/_aws/execute-api/3941a735/$default/@connections/1",
        "/x/_aws/execute-api/3941a735/webhooks/stripe",
        "/restapis/3941a735/prod/_user_request_/x",
        "/",
    ],
)
def test_a_path_that_only_resembles_a_route_needs_an_access_key(emulator: Emulator, path: str) -> None:
    """Without a route the emulator guesses the service, and treats a caller without a key as the owner."""
    headers = {"x_amz_target": "secretsmanager.GetSecretValue"}
    assert emulator.ask("POST", path, json.dumps({"SecretId": "s"}).encode(), **headers)[0] == 403
    assert emulator.reached == []


BROWSERS = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": f"http://{HERE}"},
    {"referer": "https://evil.example/"},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "none"},
    {"sec_fetch_mode": "no-cors"},
]


@pytest.mark.parametrize("headers", BROWSERS)
@pytest.mark.parametrize("path", [WEBHOOK, "/_ministack/health", "/"])
def test_a_request_of_a_browser_is_refused_whatever_its_signature(
    emulator: Emulator, path: str, headers: dict[str, str]
) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        status, said = emulator.ask(method, path, b"{}", "OWN", **headers)
        assert (status, "web page" in said) == (403, True)
    assert emulator.reached == []


@pytest.mark.parametrize("path", [WEBHOOK, "/_ministack/health", "/"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost@evil.example", "[::1]:80", ""]
)
def test_a_host_name_of_an_attacker_is_refused(emulator: Emulator, path: str, host: str) -> None:
    status, said = emulator.ask("POST", path, b"{}", "OWN", host=host)
    assert (status, "names another machine" in said) == (403, True)
    assert emulator.reached == []


def test_a_web_socket_is_refused(emulator: Emulator) -> None:
    assert emulator.ask("GET", WEBHOOK, kind="websocket")[0] == 1008
    assert emulator.reached == []


def test_the_servers_own_start_and_end_pass(emulator: Emulator) -> None:
    emulator.ask("", "lifespan", kind="lifespan")
    assert emulator.reached == [("lifespan", b"")]


def test_a_refusal_names_the_file_with_the_key(emulator: Emulator) -> None:
    assert ".local/stack.json" in emulator.ask("GET", "/")[1]


def test_a_request_names_one_machine() -> None:
    good = [b"localhost", b"LocalHost:1", b"127.0.0.1:65535"]
    assert not any(foreign_host([(b"host", host)]) for host in good)
    assert foreign_host([])
    assert foreign_host([(b"host", good[0]), (b"host", b"evil.example")])
    assert foreign_host([(b"host", b"localhost:80\n")])


def test_a_program_sends_no_header_of_a_browser() -> None:
    assert browser_header([(b"user-agent", b"Stripe/1.0"), (b"accept", b"*/*"), (b"stripe-signature", b"t=1")]) is None
