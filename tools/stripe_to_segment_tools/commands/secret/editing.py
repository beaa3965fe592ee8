"""Edit both secrets as one JSON document, in a folder that only its owner can enter and that is deleted afterwards."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError
from stripe_to_segment.secrets import KEY_FIELDS, SIGNING_FIELDS, secret_object
from stripe_to_segment_tools.commands.secret.changes import keys_left
from stripe_to_segment_tools.commands.secret.document import SecretChangedError
from stripe_to_segment_tools.commands.secret.shapes import FIELDS, UNASSIGNED, flaw_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["EditorError", "SecretEditor", "edited", "private_file", "problems_in"]

NAMES = ("SigningSecret", "KeysSecret")
EMPTY: dict[str, dict[str, Any]] = {
    "SigningSecret": {field: [] for field in SIGNING_FIELDS.values() if field != UNASSIGNED},
    "KeysSecret": dict.fromkeys(KEY_FIELDS, ""),
}


class EditorError(StripeToSegmentError):
    """The editor could not be run, or ended with an error; nothing was written."""


class SecretEditor:
    """The content of the secrets when they were opened, and the function that saves the changes."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._opened = {name: stack.secret(name).text() for name in NAMES}

    @property
    def keys_left(self) -> list[str]:
        """The keys that are still in the SigningSecret."""
        signing = dict(self._was())["SigningSecret"]
        return keys_left(signing) if isinstance(signing, dict) else []

    @property
    def document(self) -> str:
        """The document to edit. A secret that is not a JSON object is in it as a text."""
        shown = {name: EMPTY[name] | content if isinstance(content, dict) else content for name, content in self._was()}
        return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"

    def save(self, document: Mapping[str, dict[str, Any]]) -> list[str]:
        """Write the changes; returns the names of the changed fields. Raises SecretChangedError."""
        before = dict(self._was())
        changed = {name: _differing(before[name], document[name]) for name in NAMES}
        for name in NAMES:
            if changed[name] and self._stack.secret(name).text()[1] != self._opened[name][1]:
                raise SecretChangedError(f"the {name} was changed meanwhile: nothing was written. Do it again")
        for name in NAMES:
            if changed[name]:
                self._stack.secret(name).write(document[name])
        return [field for name in NAMES for field in changed[name]]

    def _was(self) -> Iterator[tuple[str, Any]]:
        for name, (text, _) in self._opened.items():
            try:
                yield name, secret_object(text, name)
            except ConfigurationError:
                yield name, text


def _differing(before: Any, after: dict[str, Any]) -> list[str]:
    if not isinstance(before, dict):
        return list(after)
    # A field that was shown empty and left empty did not change.
    return [field for field in {**before, **after} if (before.get(field) or None) != (after.get(field) or None)]


def problems_in(document: Any, settings: Settings, *, strict: bool) -> list[str]:
    """The problems of an edited document, in words that quote no value; empty if it can be written."""
    if not isinstance(document, dict) or set(document) != set(NAMES):
        return [f"it is to be one object with {' and '.join(NAMES)}, and nothing else"]
    found = [f"{name} is to be an object" for name in NAMES if not isinstance(document[name], dict)]
    if found:
        return found
    for name in NAMES:
        for field, value in document[name].items():
            if FIELDS.get(field, name) != name:
                found.append(f"{field} belongs into the {FIELDS[field]}, not into the {name}")
            elif field in FIELDS:
                found += [f"{field}: {flaw}" for flaw in _flaws(field, value, settings, strict=strict)]
    return found


def _flaws(field: str, value: Any, settings: Settings, *, strict: bool) -> list[str]:
    many = field in SIGNING_FIELDS.values()
    values = value if many and isinstance(value, list) else [value]
    if many is not isinstance(value, list) or not all(isinstance(each, str) for each in values):
        return ["it is to be a list of texts" if many else "it is to be a text"]
    return [flaw for each in values if each and (flaw := flaw_of(field, each, settings, strict=strict))]


@contextmanager
def private_file(text: str) -> Iterator[Path]:
    """A file that only its owner can read, in a folder that only its owner can enter.

    Overwritten and deleted afterwards.
    """
    # In memory, if the system has a folder of the user there.
    memory = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(
        tempfile.mkdtemp(prefix="stripe-to-segment-", dir=memory if memory and Path(memory).is_dir() else None)
    )
    try:
        path = folder / "secret.json"
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        yield path
    finally:
        # Also the files that the editor left beside it.
        for each in folder.rglob("*"):
            if each.is_file() and not each.is_symlink():
                _overwrite(each)
        shutil.rmtree(folder, ignore_errors=True)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())


def edited(path: Path) -> Any:
    """The content of the file after the editor is closed; None if it is not JSON. Raises EditorError."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        status = subprocess.run([*command, str(path)], check=False).returncode
    except OSError as error:
        raise EditorError(f"the editor {command[0]} cannot be run: set EDITOR to one that can") from error
    if status:
        raise EditorError(f"the editor {command[0]} ended with status {status}: nothing was written")
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError):
        return None
