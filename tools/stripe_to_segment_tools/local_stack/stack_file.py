"""The file of the running local stack, .local/stack.json, which `make run` writes for the commands.

It holds the keys of the run, so only its owner can read it. A checkout has one, so `make run` runs once in it.
"""

from __future__ import annotations

import fcntl
import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.local_stack.errors import AlreadyRunningError
from stripe_to_segment_tools.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["STACK_FILE", "only_run", "read_stack_file", "write_stack_file"]

STACK_FILE = PROJECT / ".local" / "stack.json"


@contextmanager
def only_run(path: Path = STACK_FILE) -> Iterator[None]:
    """Own the file for as long as a run lasts. Raises AlreadyRunningError if another process owns it.

    The operating system gives the lock back however a process ends. What a killed run left of its file is removed.
    """
    path.parent.mkdir(exist_ok=True)
    with path.with_name("run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(read_stack_file(path).get("page_url")) from error
        path.unlink(missing_ok=True)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def read_stack_file(path: Path = STACK_FILE) -> dict[str, Any]:
    """The content of the file; empty if no stack runs."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        # No stack runs, or the file is not a stack's.
        return {}
    return content if isinstance(content, dict) else {}


def write_stack_file(content: Mapping[str, Any], path: Path = STACK_FILE) -> None:
    """Write the file atomically, readable only by its owner."""
    path.parent.mkdir(exist_ok=True)
    # An installation may have created the folder with other permissions.
    path.parent.chmod(0o700)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        # A temporary file has mode 600.
        json.dump(content, file, indent=2)
    Path(file.name).replace(path)
