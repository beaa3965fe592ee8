"""Run ministack behind its guard. Started by the emulator's own Python, in the emulator's own environment.

`main(folder, descriptor)` serves on a socket that is open already, so that no other program can take its port, and ends
with the program that started it: standard input is closed then, however that program ends. The emulator stops, with its
functions, and deletes its folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import shutil
import signal
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.loopback.guard import EmulatorGuard
from stripe_to_segment_tools.loopback.signatures import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["main"]

# As in ministack's own start.
KEEP_ALIVE_SECONDS = 75


def main(folder: str, descriptor: str) -> None:
    """Serve until a signal, or until standard input ends.

    Parameters
    ----------
    folder
        The folder to delete when standard input ends.
    descriptor
        The number of the listening socket.
    """
    threading.Thread(target=_go_when_nobody_is_left, args=[folder], daemon=True).start()
    # After the thread: importing them takes half a second.
    import yaml

    # The emulator reads the template several times; the reader in Python takes a second each time, that in C a tenth.
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc, sts

    own = os.environ["AWS_ACCESS_KEY_ID"]
    issue = _unguessable(lambda_runtime.execution_credentials, os.environ["AWS_SECRET_ACCESS_KEY"])
    for module in (lambda_runtime, lambda_svc):
        module.execution_credentials = issue
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": UnpackedOnce})
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.loglevel = app.LOG_LEVEL.upper()
    guard = EmulatorGuard(app.app, lambda key: _key_of(key, own, sts), own, _refusal)
    asyncio.run(serve(guard, config))


class UnpackedOnce(zipfile.ZipFile):
    """A function's code or layer: all processes that run it share its folder, which in AWS Lambda none can change.

    Each process unpacked 2,000 files of its own, and deleted them in the end.
    """

    _turn = threading.Lock()

    def namelist(self) -> list[str]:
        """The names that the emulator checks before it unpacks; none where that is done already."""
        return [] if self._folder.exists() else super().namelist()

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        """Put a link to the folder in the place of an empty one."""
        folder = self._folder
        with self._turn:
            if not folder.exists():
                begun = folder.with_suffix(".begun")
                super().extractall(begun, members, pwd)
                begun.rename(folder)
        Path(path).rmdir()
        Path(path).symlink_to(folder)

    @property
    def _folder(self) -> Path:
        content = repr([(one.filename, one.CRC) for one in self.infolist()])
        return Path(tempfile.gettempdir(), f"unpacked-{hashlib.sha256(content.encode()).hexdigest()}")


def _go_when_nobody_is_left(folder: str) -> None:
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _key_of(key: str, own: str, sts: Any) -> Key | None:
    """The key of this run, or one that the emulator has issued to a function."""
    if key == own:
        return Key(os.environ["AWS_SECRET_ACCESS_KEY"])
    session = sts._sessions.get(key)  # noqa: SLF001 - there is no other way to it
    return Key(session["SecretAccessKey"], session["SessionToken"]) if session else None


def _unguessable(issue: Callable[[dict[str, Any]], dict[str, str]], secret: str) -> Callable[..., dict[str, str]]:
    """Add a secret to the credentials of functions: ministack derives them from the function's and the role's name."""

    def credentials(config: Mapping[str, Any]) -> dict[str, str]:
        role = str(config.get("Role", ""))
        mark = hmac.new(secret.encode(), role.encode(), hashlib.sha256).hexdigest()
        # The digest covers the whole role; the role's name is the part after the last slash.
        return issue({**config, "Role": f"{mark}/{role}"})

    return credentials


def _refusal(scope: Mapping[str, Any], why: str) -> Any:
    """AccessDenied in the format of the called service, so that an SDK can read it."""
    from ministack.core.iam_actions import access_denied_response
    from ministack.core.router import detect_service

    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    service = detect_service(scope["method"], scope["path"], headers, {})
    denied = access_denied_response(service, "", "", "", error_code="AccessDenied", message=why, headers=headers)
    return denied[1:]
