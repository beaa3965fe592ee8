"""The AWS emulator: ministack, run from its own environment with IAM enforced."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.local_stack.errors import EmulatorFailedError, PortInUseError, PythonVersionError, ToolMissingError
from tools.local_stack.process import ChildProcess, last_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACCESS_KEY", "REGION", "Emulator", "Message", "environment_without_aws"]

REGION = "us-east-1"
ACCOUNT = "000000000000"
# The emulator's root user: what the developer's tools act as. The functions act as their own roles.
ACCESS_KEY = "test"
RUNTIME = "3.13"
START_SECONDS = 30.0
ATTEMPTS = 3
# Run by the emulator's Python, on a leash: its standard input ends when we do, however that happens. Then the emulator
# goes too, with its functions and its folder.
_ON_A_LEASH = """
import os, runpy, shutil, signal, sys, threading

def go_when_nobody_is_left(folder):
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=go_when_nobody_is_left, args=[sys.argv.pop()], daemon=True).start()
runpy.run_module("ministack", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a queue, looked at without receiving it.

    Attributes
    ----------
    body
        As it was sent.
    attributes
        Its message attributes, as texts.
    receive_count
        How often it was received.
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
        self._wanted_port = port
        self._process: ChildProcess | None = None
        self._folder: Path | None = None
        self.port = port

    @property
    def url(self) -> str:
        """The address of every AWS service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the emulator wrote, the functions' output in it."""
        if self._folder is None:
            raise EmulatorFailedError("is not running", Path("emulator.log"), "")
        return self._folder / "emulator.log"

    def start(self) -> None:
        """Start it and wait until it answers. When this raises, nothing is left running."""
        self._check_python()
        for attempt in range(1, ATTEMPTS + 1):
            self.port = self._wanted_port or _free_port()
            if self._wanted_port and _answers(self._wanted_port):
                raise PortInUseError(self._wanted_port, "the AWS emulator")
            try:
                self._start_once()
            except EmulatorFailedError as error:
                self.stop()
                # Between finding a free port and listening on it, another program may have taken it.
                if self._wanted_port or "already in use" not in error.last_lines or attempt == ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """Stop it and every function, and remove its state. Safe to call twice."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def check_alive(self) -> None:
        """Raise EmulatorFailedError when it has stopped by itself."""
        if self._process is None or self._process.exit_status is not None:
            raise self._failed("stopped")

    def messages(self, queue_url: str) -> list[Message]:
        """Look into a queue, without receiving: waiting and invisible messages, oldest first."""
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/sqs/messages", timeout=10) as answer:  # noqa: S310
                accounts = json.load(answer)["messages"]
        except OSError as error:
            raise self._failed(f"does not answer ({error})") from error
        return [_message(found) for found in accounts.get(ACCOUNT, {}).get(REGION, {}).get(queue_url, [])]

    def _start_once(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="stripe-to-segment-"))
        environment = environment_without_aws() | {
            "AUTH": "true",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "STATE_DIR": str(self._folder),
            "S3_DATA_DIR": str(self._folder / "s3"),
            # The functions' code and layers are unpacked here, and the process id is written here.
            "TMPDIR": str(self._folder),
            "PYTHONUNBUFFERED": "1",
        }
        command = [str(self._python), "-c", _ON_A_LEASH, str(self._folder)]
        self._process = ChildProcess(command, environment, self.log, leash=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.exit_status is not None:
                raise self._failed(f"stopped with status {self._process.exit_status} instead of starting")
            if self._is_healthy():
                return
            time.sleep(0.05)
        raise self._failed(f"did not answer on port {self.port} within {START_SECONDS:.0f} s")

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)  # noqa: PLR2004
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
    """What a child needs of our environment. Credentials, profiles and proxies of a real account stay outside."""
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


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
