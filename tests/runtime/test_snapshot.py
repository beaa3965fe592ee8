"""SnapStart with AWS's own Python runtime: init, snapshot, restore, and then the first event.

The interface emulator takes no snapshots, so this module implements Lambda's side of the Runtime API.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.lambda_runtime.built_function import read_built_function
from stripe_to_segment_tools.lambda_runtime.environment import ON_DEMAND, SNAP_START
from stripe_to_segment_tools.lambda_runtime.runtime import runtime_command, runtime_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.built, pytest.mark.emulator]

# The handler module that records the function's state at each step.
PROBE = Path(__file__).with_name("snapshot_probe.py")


@dataclass(slots=True)
class Lambda:
    """Lambda's side: the paths that the runtime requested, in order, and the handler's answers."""

    port: int = 0
    steps: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def service() -> Iterator[Lambda]:
    recorded = Lambda()

    class Runtime(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            step = self.path.split("/runtime/")[1]
            recorded.steps.append(step)
            if step == "invocation/next" and recorded.answers:
                # The test is over: the runtime is killed while it waits for an answer.
                recorded.done.set()
                return
            self._answer(200, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            recorded.steps.append(self.path.split("/runtime/")[1])
            recorded.answers.append(json.loads(body))
            self._answer(202, {})

        def _answer(self, status: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
            self.send_header(
                "Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f:1"
            )
            self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Runtime) as server:
        server.daemon_threads = True
        recorded.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield recorded
        server.shutdown()


def restored(service: Lambda, name: str, scratch: Path, initialization: str = SNAP_START) -> dict[str, Any]:
    """The state of a function at its first event."""
    function = replace(read_built_function(f"{name.capitalize()}Function"), handler=f"{PROBE.stem}.handler")
    environment = runtime_environment(
        function, scratch, runtime_api=f"127.0.0.1:{service.port}", initialization=initialization
    ) | {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "SIGNING_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:none",
        "KEYS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:none",
        "STATE_TABLE": "state",
        "EVENTS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/events",
        "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
    }
    (scratch / PROBE.name).symlink_to(PROBE)
    environment["PYTHONPATH"] += f":{scratch}"
    process = subprocess.Popen(
        runtime_command(function, scratch),
        cwd=function.code,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert service.done.wait(180), process.communicate(timeout=1)
    finally:
        process.kill()
        process.communicate()
    (answer,) = service.answers
    found: dict[str, Any] = answer
    return found


@pytest.mark.parametrize("name", ["receive", "deliver"])
def test_an_environment_from_a_snapshot_renews_values_that_it_must_not_share(
    service: Lambda, tmp_path: Path, name: str
) -> None:
    found = restored(service, name, tmp_path)
    assert service.steps == ["restore/next", "invocation/next", "invocation/1/response", "invocation/next"]
    assert found["in the snapshot"] == {"secret": True, "connections": 1 if name == "deliver" else 0}
    assert found["at the first event"] == {"secret": False, "connections": 0}
    assert found["random numbers differ"], "otherwise every copy would wait the same 'random' time"


@pytest.mark.parametrize(("name", "clients"), [("receive", 2), ("deliver", 3)])
def test_a_snapshot_contains_the_clients(service: Lambda, tmp_path: Path, name: str, clients: int) -> None:
    assert restored(service, name, tmp_path)["clients ready"] == clients


@pytest.mark.parametrize("name", ["receive", "deliver"])
def test_without_a_snapshot_no_client_is_created_before_an_event(service: Lambda, tmp_path: Path, name: str) -> None:
    found = restored(service, name, tmp_path, initialization=ON_DEMAND)
    assert service.steps[0] == "invocation/next"
    assert found["clients ready"] == 0
