"""The AWS emulator: ministack, run from its own environment with IAM enforced, behind a guard."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import string
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stripe_to_segment_tools.local_stack.errors import (
    EmulatorFailedError,
    PortInUseError,
    PythonVersionError,
    ToolMissingError,
)
from stripe_to_segment_tools.local_stack.process import ChildProcess, last_lines
from stripe_to_segment_tools.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACCOUNT", "REGION", "Access", "Emulator", "Message", "environment_without_aws"]

REGION = "us-east-1"
ACCOUNT = "000000000000"
RUNTIME = "3.13"
START_SECONDS = 30.0
# Run by the emulator's Python, whose own packages come before this project's.
_START = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from stripe_to_segment_tools.loopback.ministack import main; main(*sys.argv[2:])"
)
_TOOLS = str(PROJECT / "tools")
# The letters of AWS's access key ids: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
_KEY_LETTERS = string.ascii_uppercase + "234567"
# The emulator is on this machine, so ignore a proxy in the developer's environment.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@dataclass(frozen=True, slots=True)
class Access:
    """The emulator's address, and the access key of its root user, which may do everything there.

    The developer's tools act as the root user, the functions as their own roles.
    """

    url: str
    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, url: str) -> Self:
        """Create a random key."""
        letters = "".join(secrets.choice(_KEY_LETTERS) for _ in range(16))
        return cls(url, f"AKIA{letters}", secrets.token_urlsafe(30))


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a queue, read without receiving it.

    Attributes
    ----------
    body
        The body, byte for byte.
    attributes
        Its message attributes, as texts.
    receive_count
        The number of receives.
    visible_in
        Seconds until it can be received; 0 when it can be now.
    """

    message_id: str
    body: str
    attributes: Mapping[str, str]
    receive_count: int
    visible_in: float


class Emulator:
    """ministack on a port of its own, with its state in a temporary folder.

    Parameters
    ----------
    python
        The Python of the environment ministack is installed in. It runs the functions too.
    port
        The port, 0 for any free one.
    """

    def __init__(self, python: Path, port: int = 0) -> None:
        self._python = python
        self._port = port
        self._process: ChildProcess | None = None
        self._folder: Path | None = None
        self.access = Access.new("")

    @property
    def url(self) -> str:
        """The address of every AWS service."""
        return self.access.url

    @property
    def log(self) -> Path:
        """The emulator's log, with the functions' output."""
        if self._folder is None:
            raise EmulatorFailedError("is not running", Path("emulator.log"), "")
        return self._folder / "emulator.log"

    def start(self) -> None:
        """Start it and wait until it answers. If this raises an error, no process is left running."""
        self._check_python()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and every function, and remove its state. Safe to call twice."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def check_alive(self) -> None:
        """Raise EmulatorFailedError if it has stopped by itself."""
        if self._process is None or self._process.exit_status is not None:
            raise self._failed("stopped")

    def messages(self, queue_url: str) -> list[Message]:
        """The messages in a queue, invisible ones included, oldest first, without receiving them."""
        try:
            with _open(self._signed("/_ministack/sqs/messages"), timeout=10) as answer:
                accounts = json.load(answer)["messages"]
        except OSError as error:
            raise self._failed(f"does not answer ({error})") from error
        return [_message(found) for found in accounts.get(ACCOUNT, {}).get(REGION, {}).get(queue_url, [])]

    def _start(self) -> None:
        # Listen on the port from the start until the emulator has it, so that no other program can answer in its place
        # and get requests signed with the key.
        with self._listen() as listening:
            self.access = Access.new(f"http://127.0.0.1:{listening.getsockname()[1]}")
            self._folder = Path(tempfile.mkdtemp(prefix="stripe-to-segment-"))
            command = [
                str(self._python),
                "-c",
                _START,
                _TOOLS,
                str(self._folder),
                str(listening.fileno()),
            ]
            environment = self._environment(listening.getsockname()[1])
            self._process = ChildProcess(command, environment, self.log, leash=True, pass_fds=[listening.fileno()])
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.exit_status is not None:
                raise self._failed(f"stopped with status {self._process.exit_status} instead of starting")
            if self._is_healthy():
                return
            time.sleep(0.05)
        raise self._failed(f"did not answer at {self.url} within {START_SECONDS:.0f} s")

    def _listen(self) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self._port))
            listening.listen()
        except OSError as error:
            listening.close()
            raise PortInUseError(self._port, "the AWS emulator") from error
        return listening

    def _environment(self, port: int) -> dict[str, str]:
        return environment_without_aws() | {
            "AUTH": "true",
            # Not as arguments, which every user of the machine can list.
            "AWS_ACCESS_KEY_ID": self.access.key_id,
            "AWS_SECRET_ACCESS_KEY": self.access.secret,
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": REGION,
            "STATE_DIR": str(self._folder),
            "S3_DATA_DIR": f"{self._folder}/s3",
            # The emulator unpacks the functions' code and layers here.
            "TMPDIR": str(self._folder),
            "PYTHONUNBUFFERED": "1",
        }

    def _signed(self, path: str) -> urllib.request.Request:
        """A GET request of the emulator's own interface."""
        request = AWSRequest("GET", f"{self.url}{path}")
        SigV4Auth(Credentials(self.access.key_id, self.access.secret), "sqs", REGION).add_auth(request)
        return urllib.request.Request(f"{self.url}{path}", headers=dict(request.headers.items()))  # noqa: S310 - http

    def _is_healthy(self) -> bool:
        try:
            with _open(f"{self.url}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004 - all is well
        except OSError:
            return False

    def _failed(self, problem: str) -> EmulatorFailedError:
        log = self.log if self._folder else Path("emulator.log")
        return EmulatorFailedError(problem, log, last_lines(log))

    def _check_python(self) -> None:
        if not self._python.exists():
            raise ToolMissingError(self._python)
        asked = [str(self._python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if found != RUNTIME:
            raise PythonVersionError(self._python, found or "unknown", RUNTIME)


def environment_without_aws() -> dict[str, str]:
    """The environment for a child process, without the credentials, profiles and proxies of a real account."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "SYSTEMROOT")
    return {name: os.environ[name] for name in names if name in os.environ}


def _message(found: Mapping[str, Any]) -> Message:
    attributes = found.get("MessageAttributes") or {}
    return Message(
        message_id=found["MessageId"],
        body=found["Body"],
        attributes={name: str(value.get("StringValue", "")) for name, value in attributes.items()},
        receive_count=int(found["ReceiveCount"]),
        visible_in=max(0.0, float(found["VisibleAt"] or 0) - time.time()),
    )
