"""AWS's own Python runtime on this machine: the interface emulator, the interface client, a function and its layers.

The function sees its code, its layers and Python's library, and nothing of this project's development environment:
what a layer lacks is missing here too.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx

from tools.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.built_function import BuiltFunction

__all__ = ["Result", "RuntimeMissingError", "run", "runtime_environment"]

# The emulator comes with the aws-sam-cli package, the client with awslambdaric and what it requires.
EMULATORS = Path(__file__).resolve().parents[1] / ".tools/sam/lib/python3.13/site-packages/samcli/local/rapid"
CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
START_SECONDS = 20.0
# Not the "Init Duration" of the REPORT line: in the emulator that is the time until the request was taken.
INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")


class RuntimeMissingError(Exception):
    """The runtime cannot be started. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a function did with one event.

    Attributes
    ----------
    answer
        What it returned, or Lambda's description of its error.
    failed
        Whether it raised, timed out or could not be loaded.
    init_milliseconds
        The emulator's figure for the cold start; None if it gave none.
    log
        All that the function and the emulator wrote.
    peak_megabytes, processor_seconds
        The most memory that the function's process held, and its processor time, its start included.
    """

    answer: Any
    failed: bool
    init_milliseconds: float | None
    log: str
    peak_megabytes: float
    processor_seconds: float


def run(
    function: BuiltFunction, payload: object, environment: Mapping[str, str], *, log: IO[str] | None = None
) -> Result:
    """Start the runtime, invoke the function once, stop the runtime.

    Parameters
    ----------
    function
        What to run.
    payload
        The event, as JSON values.
    environment
        Environment variables over those of the function.
    log
        Where log lines go as they come; nowhere when left out.

    Raises
    ------
    RuntimeMissingError
        When the emulator is missing or does not start.
    """
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="stripe-to-segment-") as scratch:
        port, runtime_port = _free_ports(2)
        process = subprocess.Popen(
            [
                _emulator(Path(scratch)),
                *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
                # -S -s: no site-packages, so nothing is importable but the client, the code and the layers.
                *(sys.executable, "-S", "-s", "-m", "awslambdaric", function.handler),
            ],
            cwd=function.code,
            env=runtime_environment(function, Path(scratch)) | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C is for this program, which then stops the emulator.
            start_new_session=True,
        )
        reader = threading.Thread(target=_follow, args=(process.stdout, lines, log), daemon=True)
        reader.start()
        try:
            answer = _post(process, port, payload, function.timeout)
            peak, spent = _used(process)
        finally:
            _stop(process)
            reader.join(START_SECONDS)
    text = "".join(lines)
    init = INIT.search(text)
    failed = isinstance(answer, dict) and "errorType" in answer
    return Result(answer, failed, float(init[1]) if init else None, text, peak, spent)


def _emulator(scratch: Path) -> str:
    arm = platform.machine() in {"arm64", "aarch64"}
    program = EMULATORS / f"aws-lambda-rie-{'arm64' if arm else 'x86_64'}"
    if platform.system() != "Linux":
        raise RuntimeMissingError("AWS's runtime interface emulator runs on Linux only: use `sam local invoke`")
    if not program.is_file():
        raise RuntimeMissingError(f"{program} is missing: run `make install`")
    if os.access(program, os.X_OK):
        return str(program)
    # An installer may drop the executable bit of what is data to it.
    copy = Path(shutil.copy(program, scratch))
    copy.chmod(0o755)
    return str(copy)


def _client(scratch: Path) -> Path:
    """Return a folder with the interface client alone, beside which the development environment stays invisible."""
    folder = scratch / "runtime"
    folder.mkdir()
    for name in CLIENT:
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise RuntimeMissingError(f"the package {name} is missing: run `make install`") from error
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


def runtime_environment(function: BuiltFunction, scratch: Path) -> dict[str, str]:
    """The environment in which the interface client runs a function; `scratch` is an empty folder for the client.

    Raises
    ------
    RuntimeMissingError
        When the client is not installed.
    """
    client = _client(scratch)
    # Later layers are unpacked over earlier ones, so they are looked into first.
    path = [client, function.code, *(layer / "python" for layer in reversed(function.layers))]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        # /var/task and /opt are read-only.
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(function.code),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        **function.environment,
    }


def _post(process: subprocess.Popen[str], port: int, payload: object, timeout: int) -> Any:
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            # The emulator ends a function at its timeout, plus what the function takes to start.
            return _answer(httpx.post(url, json=payload, timeout=timeout + START_SECONDS, trust_env=False))
        except httpx.ConnectError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeMissingError("the runtime interface emulator did not start: see the log above") from error
            time.sleep(0.02)
        except httpx.HTTPError as error:
            return {"errorType": "NoAnswer", "errorMessage": str(error) or type(error).__name__}


def _answer(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        # At the function's timeout the emulator answers with a bare sentence.
        return {"errorType": "NoAnswer", "errorMessage": response.text}


def _follow(output: IO[str], lines: list[str], log: IO[str] | None) -> None:
    with output:
        for line in output:
            lines.append(line)
            # The emulator's own steps are in the result's log; the function's lines are what one wants to watch.
            if log is not None and "(rapid)" not in line:
                log.write(visible(line, keep="\n"))
                log.flush()


def _used(process: subprocess.Popen[str]) -> tuple[float, float]:
    """The peak memory in MB and the processor seconds of the Python that the emulator started; 0 where it is gone."""
    for pid in _started_by(process):
        with contextlib.suppress(OSError):
            peaks = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
            ticks = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            return sum(map(int, peaks)) / 1024, (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0, 0.0


def _started_by(process: subprocess.Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(child) for each in tasks for child in each.read_text("ascii").split()]


def _stop(process: subprocess.Popen[str]) -> None:
    """Stop the Python that the emulator started, which is in a group of its own, and the emulator."""
    for pid in [*_started_by(process), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _free_ports(count: int) -> Iterator[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
    yield from ports
