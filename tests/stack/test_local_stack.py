"""The local stack reports what is missing, and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stripe_to_segment_tools.local_stack import LocalStack
from stripe_to_segment_tools.local_stack.deployment import Tools
from stripe_to_segment_tools.local_stack.emulator import Emulator
from stripe_to_segment_tools.local_stack.errors import (
    BuildMissingError,
    EmulatorFailedError,
    LocalStackError,
    PortInUseError,
    PythonVersionError,
    ToolMissingError,
)

pytestmark = pytest.mark.stack

SEGMENT = "http://127.0.0.1:9"
RUN_AND_WAIT = """
import signal, sys, time
# The default of a terminal: if the suite runs under nohup, this process would ignore SIGHUP.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from stripe_to_segment_tools.local_stack import stop_on_signals
from stripe_to_segment_tools.local_stack.deployment import Tools
from stripe_to_segment_tools.local_stack.emulator import Emulator

emulator = Emulator(Tools().ministack_python)
try:
    with stop_on_signals():
        emulator.start()
        print(emulator.url, emulator.log.parent, flush=True)
        # Python sees a signal that comes just before a sleep when the sleep is over, so sleep for a moment only.
        for _ in range(2400):
            time.sleep(0.05)
finally:
    emulator.stop()
"""


def answers(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_missing_emulator_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    tools = replace(Tools(), ministack_python=tmp_path / "python")
    with pytest.raises(ToolMissingError, match="make install"):
        LocalStack(SEGMENT, tools=tools).start()


def test_a_missing_build_is_named_and_the_emulator_is_stopped_again(tmp_path: Path) -> None:
    tools = replace(Tools(), template=tmp_path / "template.yaml")
    stack = LocalStack(SEGMENT, tools=tools)
    with pytest.raises(BuildMissingError, match="make build"):
        stack.start()
    with pytest.raises(LocalStackError):
        _ = stack.log
    assert not answers(stack.endpoint_url)


def test_a_missing_sam_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match="make install"):
        LocalStack(SEGMENT, tools=replace(Tools(), sam=tmp_path / "sam")).start()


def test_a_python_version_other_than_the_functions_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.11\n")
    python.chmod(0o755)
    with pytest.raises(PythonVersionError, match=r"3\.11.*3\.13"):
        Emulator(python).start()


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} .* is in use"):
            Emulator(Tools().ministack_python, port).start()


def test_an_emulator_that_exits_at_once_is_reported_with_its_output(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n[ $# = 2 ] && echo 3.13 && exit\necho no module named ministack\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(EmulatorFailedError, match=r"(?s)status 3.*no module named ministack"):
        Emulator(python).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_stops_everything_that_was_started(number: signal.Signals) -> None:
    command = [sys.executable, "-c", RUN_AND_WAIT]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with child:
        assert child.stdout is not None
        url, folder = child.stdout.readline().decode().split()
        assert answers(url)
        child.send_signal(number)
        child.wait(60)
    # After a SIGKILL the emulator stops by itself, a moment later.
    deadline = time.monotonic() + 120
    while (answers(url) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(url)
    assert not Path(folder).exists()
