"""AWS's own Python runtime on this machine: the interface emulator, the interface client, a function and its layers.

The function can import its code, its layers and Python's library, but nothing from the development environment: a
package that is missing in the layers is missing here too.
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import httpx

from stripe_to_segment_tools.lambda_runtime.environment import ON_DEMAND, lambda_environment
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.output import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from stripe_to_segment_tools.lambda_runtime.built_function import BuiltFunction

__all__ = ["Result", "Runtime", "RuntimeMissingError", "run", "runtime_command", "runtime_environment"]

# The emulator comes with the aws-sam-cli package, the client with awslambdaric and what it requires.
EMULATORS = PROJECT / ".tools/sam/lib/python3.13/site-packages/samcli/local/rapid"
CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
START_SECONDS = 20.0
# The emulator answers first and then logs the end of an invocation.
END_SECONDS = 2.0
# Not the "Init Duration" of the REPORT line: in the emulator that is the time until it accepted the request.
INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
END = re.compile(r"^REPORT RequestId: |Invoke DONE failed", re.MULTILINE)


class RuntimeMissingError(Exception):
    """The runtime cannot be started. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one invocation.

    Attributes
    ----------
    answer
        The function's return value, or Lambda's description of its error.
    failed
        Whether it raised, timed out or could not be loaded.
    init_milliseconds
        The emulator's figure for the cold start; None if there was none.
    log
        The output of the function and the emulator since the previous invocation.
    peak_megabytes, processor_seconds
        The peak memory of the function's process, and its processor time, including its start.
    """

    answer: Any
    failed: bool
    init_milliseconds: float | None
    log: str
    peak_megabytes: float
    processor_seconds: float


class Runtime:
    """The runtime with one function, as a context manager; like Lambda's, it handles one event at a time.

    Parameters
    ----------
    function
        The function to run.
    environment
        Environment variables over those of the function.
    log
        Gets each log line as it is written; none if left out.

    Raises
    ------
    RuntimeMissingError
        When the emulator is missing or does not start.
    """

    def __init__(self, function: BuiltFunction, environment: Mapping[str, str], *, log: IO[str] | None = None) -> None:
        self._function = function
        self._given = dict(environment)
        self._out = log
        self._lines: list[str] = []
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start the emulator, which starts the function at its first event."""
        with contextlib.ExitStack() as started:
            scratch = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="stripe-to-segment-")))
            self._port, runtime_port = _free_ports(2)
            environment = runtime_environment(self._function, scratch, runtime_api=f"127.0.0.1:{runtime_port}")
            environment |= self._given
            self._timeout = int(environment["AWS_LAMBDA_FUNCTION_TIMEOUT"])
            self._process = subprocess.Popen(
                [
                    _emulator(scratch),
                    *("--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"),
                    *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
                    *runtime_command(self._function, scratch),
                ],
                cwd=self._function.code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                # Ctrl-C goes to this program, which then stops the emulator.
                start_new_session=True,
            )
            reader = threading.Thread(target=_follow, args=(self._process.stdout, self._lines, self._out), daemon=True)
            reader.start()
            # One client for all events, because creating one takes longer than an event.
            self._client = started.enter_context(httpx.Client(trust_env=False))
            # Callbacks run in reverse order: stop the process first, then read the rest of its output.
            started.callback(reader.join, START_SECONDS)
            started.callback(_stop, self._process)
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the function and the emulator."""
        self._running.close()

    @property
    def log(self) -> str:
        """The output of the function and the emulator so far."""
        return "".join(self._lines)

    def invoke(self, payload: object) -> Result:
        """Invoke the function with an event, as JSON values, and wait for its answer."""
        start = len(self._lines)
        answer = self._post(payload)
        # The process still runs, because it waits for the next event, unless it was killed.
        peak, spent = _used(self._process)
        deadline = time.monotonic() + END_SECONDS
        while not END.search(text := "".join(self._lines[start:])) and time.monotonic() < deadline:
            time.sleep(0.002)
        init = INIT.search(text)
        failed = isinstance(answer, dict) and "errorType" in answer
        return Result(answer, failed, float(init[1]) if init else None, text, peak, spent)

    def _post(self, payload: object) -> Any:
        url = f"http://127.0.0.1:{self._port}/2015-03-31/functions/function/invocations"
        # The emulator kills a function after its timeout plus its start time.
        patience, deadline = self._timeout + START_SECONDS, time.monotonic() + START_SECONDS
        while True:
            try:
                return _answer(self._client.post(url, json=payload, timeout=patience))
            except httpx.ConnectError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    missing = "the runtime interface emulator did not start: see the log above"
                    raise RuntimeMissingError(missing) from error
                time.sleep(0.02)
            except httpx.HTTPError as error:
                return {"errorType": "NoAnswer", "errorMessage": str(error) or type(error).__name__}


def run(
    function: BuiltFunction, payload: object, environment: Mapping[str, str], *, log: IO[str] | None = None
) -> Result:
    """Start the runtime, invoke the function once, stop the runtime. Takes and raises what `Runtime` does."""
    with Runtime(function, environment, log=log) as runtime:
        result = runtime.invoke(payload)
    return replace(result, log=runtime.log)


def runtime_environment(
    function: BuiltFunction, scratch: Path, *, runtime_api: str, initialization: str = ON_DEMAND
) -> dict[str, str]:
    """Lambda's environment with the folders of this machine; `scratch` is an empty folder for the runtime.

    Raises
    ------
    RuntimeMissingError
        When the client is not installed.
    """
    environment = lambda_environment(
        function,
        task_root=str(function.code),
        runtime_dir=str(_runtime_dir(scratch)),
        runtime_api=runtime_api,
        initialization=initialization,
    )
    # The emulator's own variable; Lambda itself keeps the time.
    return environment | {"AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout)}


def runtime_command(function: BuiltFunction, scratch: Path) -> list[str]:
    """The command that starts the runtime in that environment."""
    bootstrap = scratch / "runtime" / "bootstrap.py"
    # -S -s: without site-packages only the client, the code and the layers can be imported.
    return [sys.executable, "-S", "-s", str(bootstrap), *map(str, function.layers), function.handler]


def _runtime_dir(scratch: Path) -> Path:
    """Create the counterpart of Lambda's /var/runtime, with the client and nothing from the development environment."""
    folder = scratch / "runtime"
    folder.mkdir()
    # A copy: for a link, Python would put the link target's folder on its path, which is this project.
    shutil.copy(BOOTSTRAP, folder / "bootstrap.py")
    for name in CLIENT:
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            raise RuntimeMissingError(f"the package {name} is missing: run `make install`") from error
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    return folder


def _emulator(scratch: Path) -> str:
    arm = platform.machine() in {"arm64", "aarch64"}
    program = EMULATORS / f"aws-lambda-rie-{'arm64' if arm else 'x86_64'}"
    if platform.system() != "Linux":
        raise RuntimeMissingError("AWS's runtime interface emulator runs on Linux only: use `sam local invoke`")
    if not program.is_file():
        raise RuntimeMissingError(f"{program} is missing: run `make install`")
    if os.access(program, os.X_OK):
        return str(program)
    # An installer may drop the executable bit of data files.
    copy = Path(shutil.copy(program, scratch))
    copy.chmod(0o755)
    return str(copy)


def _answer(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        # After a timeout the emulator answers with plain text.
        return {"errorType": "NoAnswer", "errorMessage": response.text}


def _follow(output: IO[str], lines: list[str], log: IO[str] | None) -> None:
    with output:
        for line in output:
            lines.append(line)
            # Show the function's lines only; the emulator's own lines are in the result's log.
            if log is not None and "(rapid)" not in line:
                # The emulator's REPORT line has tabs between its numbers.
                log.write(visible(line.replace("\t", "  "), keep="\n"))
                log.flush()


def _used(process: subprocess.Popen[str]) -> tuple[float, float]:
    """The peak memory in MB and the processor seconds of the Python that the emulator started; 0 if it has ended."""
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
    """Stop the Python that the emulator started, which has its own process group, and the emulator."""
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
