"""Child processes that leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

__all__ = ["ChildProcess", "last_lines", "stop_on_signals"]

STOP_SECONDS = 5.0


class ChildProcess:
    """A process in a process group of its own, so that stopping it stops its children too.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        All environment variables it gets.
    log
        The file its output goes to.
    leash
        Give it a pipe as standard input that nobody writes to. It closes when this process ends, even if killed.
    pass_fds
        Open file descriptors to pass to it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        leash: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=log.parent,
                stdin=subprocess.PIPE if leash else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches only the foreground group, so that this process can stop the child in order.
                start_new_session=True,
                pass_fds=pass_fds,
            )

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float) -> int | None:
        """Wait for its end; None when it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End the process and its whole group, with SIGTERM first. Safe to call twice."""
        self._signal(signal.SIGTERM)
        self.wait(STOP_SECONDS)
        # Kill the group in any case: the children may still run after their leader has ended.
        self._signal(signal.SIGKILL)
        self.wait(STOP_SECONDS)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        # macOS reports a group of zombies as a permission problem.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def last_lines(log: Path, count: int = 20) -> str:
    """The end of a log file, as text."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-count:])


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP unwind the program as a KeyboardInterrupt, once.

    Only the main thread can do this; elsewhere nothing changes.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    # Under nohup SIGHUP stays ignored. A background job ignores Ctrl-C, but must obey `kill -INT`.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        # A second signal must not interrupt the cleanup that the first one started.
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
