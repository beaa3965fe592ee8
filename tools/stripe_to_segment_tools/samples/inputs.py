"""Read Stripe events from files, folders or standard input, in any known envelope.

A file may hold one event, a JSON array, JSON lines, or documents one after the other (`cat events/*.json`). Stripe's
own lists of events (`stripe events list`), SQS batches, `aws sqs receive-message` output, API Gateway requests and
EventBridge envelopes are unpacked, so a sample request, a dead letter or a delivered record can be given in place of
the event itself.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["STDIN", "Input", "dump", "read_events", "read_text"]

STDIN = "-"
JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
# No set: the `object` of something that is no event may be a hash, which a set cannot look up.
EVENT_OBJECTS = ("event", "v2.core.event")
WHOLE_EVENT = (
    "the event around it, with its id, type and created, is missing. Copy the whole event from the Dashboard"
    " (Workbench, Events), or print it with `stripe events retrieve evt_…`; `stripe events list` shows the latest"
)


@dataclass(frozen=True, slots=True)
class Input:
    """One event as it was read, or an error.

    Attributes
    ----------
    source
        The source, for people: a path or `-`, with `#n` (counted from 1) if the source has several events.
    raw
        The exact bytes of the body if the source has them, else the same value formatted as Stripe does.
    event
        The parsed JSON value. It may be any JSON value: the caller decides whether it is a Stripe event.
    error
        Why it could not be read, in one line. `event` is then None.
    """

    source: str
    raw: bytes
    event: Any = None
    error: str | None = None


def read_events(paths: Iterable[str | Path]) -> Iterator[Input]:
    """Yield every event of the given files, folders or `-`, in input order; the files of a folder are sorted by path.

    Parameters
    ----------
    paths
        Files, folders (searched for *.json, *.jsonl and *.ndjson at any depth) or `-` for standard input.

    Yields
    ------
    Input
        A file or line that cannot be read yields an Input with `error`, and reading continues after it.
    """
    for path in paths:
        if str(path) == STDIN:
            yield from read_text(sys.stdin.buffer.read(), STDIN, lines=True)
        else:
            yield from _read_path(Path(path))


def read_text(content: bytes, source: str, *, lines: bool = False) -> Iterator[Input]:
    """Yield the events in the content of one file.

    Parameters
    ----------
    content
        The bytes of the file.
    source
        The label of the file.
    lines
        Whether this is a stream of JSON lines: it may be empty, and an invalid line affects no other line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Input(source, content, error=f"not UTF-8 text: {error.reason} at byte {error.start}")
        return
    if not text.strip():
        if not lines:
            yield Input(source, content, error="empty")
        return
    if "{" not in text and (named := EVENT_ID.search(text)):
        # Lines of `stripe listen`, or of a log.
        advice = f"print one with `stripe events retrieve {named[0]}`"
        yield Input(source, content, error=f"not JSON: it only names events; {advice}")
        return
    found = [opened for piece in _pieces(text, lines=lines) for opened in _open(piece)]
    if not found and not lines:
        yield Input(source, content, error="no event is in it")
    for number, (raw, value, problem) in enumerate(found, start=1):
        label = source if len(found) == 1 else f"{source}#{number}"
        yield Input(label, raw.encode("utf-8", "surrogatepass"), value, problem)


def dump(value: object) -> str:
    """Format a JSON value the way Stripe writes the body of a webhook: two spaces and raw UTF-8."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A lone surrogate is valid in JSON as an escape, but not in UTF-8: only then are escapes kept.
    return text if _encodes(text) else json.dumps(value, indent=2)


def _read_path(path: Path) -> Iterator[Input]:
    if path.is_dir():
        files = sorted(_json_files(path))
        if not files:
            yield Input(str(path), b"", error="the folder has no *.json or *.jsonl file")
        for file in files:
            yield from _read_path(file)
        return
    try:
        content = path.read_bytes()
    except OSError as error:
        yield Input(str(path), b"", error=error.strerror or str(error))
        return
    yield from read_text(content, str(path), lines=path.suffix in LINES_SUFFIXES)


def _json_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if Path(name).suffix in JSON_SUFFIXES)


# A piece is (its exact text, its value, None) or (its exact text, None, the error).
type _Piece = tuple[str, Any, str | None]


def _pieces(text: str, *, lines: bool) -> list[_Piece]:
    """Split a text into JSON documents: a single one, one on each line, or one after the other."""
    documents = _documents(text)
    if all(problem is None for _, _, problem in documents):
        return documents
    # Not str.splitlines, because U+2028 may occur unescaped in a JSON string.
    by_line = [_parse(line.strip()) for line in text.split("\n") if line.strip()]
    if lines or (len(by_line) > 1 and any(isinstance(value, dict) and value for _, value, _ in by_line)):
        return by_line
    return documents


def _documents(text: str) -> list[_Piece]:
    """Read documents one after the other; after an invalid one, continue at the next line with a bracket first."""
    documents: list[_Piece] = []
    position = 0
    while (position := _skip_space(text, position)) < len(text):
        try:
            value, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            starts = [found for mark in ("\n{", "\n[") if (found := text.find(mark, position)) >= 0]
            end = min(starts, default=len(text))
            documents.append((text[position:end], None, _problem(error)))
        else:
            documents.append((text[position:end], value, None))
        position = end
    return documents


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _open(piece: _Piece) -> Iterator[_Piece]:
    """Unpack the events of an array or an envelope, also of nested envelopes."""
    _, value, _ = piece
    if isinstance(value, list):
        for element in value:
            yield from _open_envelope((dump(element), element, None))
    else:
        yield from _open_envelope(piece)


def _open_envelope(piece: _Piece) -> Iterator[_Piece]:
    text, value, _ = piece
    if not isinstance(value, dict) or value.get("object") in EVENT_OBJECTS:
        yield piece
    elif isinstance(records := value.get("Records"), list):
        for record in records:
            yield from _open_envelope(_body(record, "body"))
    elif isinstance(messages := value.get("Messages"), list):
        for message in messages:
            yield from _open_envelope(_body(message, "Body"))
    elif value.get("object") == "list" and isinstance(events := value.get("data"), list):
        for event in events:
            yield from _open_envelope((dump(event), event, None))
    elif "requestContext" in value and "body" in value:
        yield from _open_envelope(_body(value, "body"))
    elif "detail-type" in value and isinstance(detail := value.get("detail"), dict):
        yield from _open_envelope((dump(detail), detail, None))
    else:
        part = _part_of_event(value)
        yield (text, None, f"{part} {WHOLE_EVENT}") if part else piece


def _part_of_event(value: Mapping[str, Any]) -> str | None:
    """What this is, if it is a part of an event without the rest: its `data`, or the object in it."""
    kind = value.get("object")
    if isinstance(kind, dict):
        return f"this is the data of an event ({kind.get('object') or 'no object of Stripe'}), not the event:"
    # Lists and records of an import have `data`; the objects of events have none.
    if isinstance(kind, str) and kind not in EVENT_OBJECTS and "data" not in value:
        return f"this is an object of Stripe ({kind}), not an event:"
    return None


def _body(envelope: object, key: str) -> _Piece:
    body = envelope.get(key) if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(body, str):
        return dump(envelope), None, f"an envelope without a {key!r} text"
    if envelope.get("isBase64Encoded") is not True:
        return _parse(body)
    try:
        return _parse(base64.b64decode(body, validate=True).decode("utf-8"))
    except ValueError as error:
        return body, None, f"a body that is not base64 of UTF-8 text: {error}"


def _parse(text: str) -> _Piece:
    try:
        return text, _DECODER.decode(text), None
    except (ValueError, RecursionError) as error:
        return text, None, _problem(error)


def _problem(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    return f"not JSON: {error}"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    # Python reads and writes NaN and Infinity, which are not JSON: Segment would refuse the whole batch.
    raise ValueError(f"{name} is not a JSON value")


EVENT_ID = re.compile(r"\bevt_[A-Za-z0-9_]+")
_DECODER = json.JSONDecoder(parse_constant=_no_constant)
