"""The parts of a request to `receive`: an event, its JSON, a signature, and API Gateway's envelope."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.signing import sign
from tests.door.door import PRIVATE
from tests.unit.edges import a_signing_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

__all__ = [
    "FOREIGN",
    "HEADER",
    "NEW",
    "NOW",
    "OK",
    "OLD",
    "REFUSED",
    "Case",
    "event_of",
    "request_of",
    "signed_request",
    "wanted",
    "written",
]

NOW = 1_795_000_000
# Each secret contains the mark, so that a test finds it in a log or an answer.
OLD, NEW, FOREIGN = (a_signing_secret(name, PRIVATE) for name in ("old", "new", "foreign"))
HEADER = "stripe-signature"
OK, REFUSED = frozenset({200}), frozenset({400})


@dataclass(frozen=True, slots=True)
class Case:
    """A request, the state of the stack, and the allowed answers.

    `answers` are the allowed statuses. `queues` is True if `receive` must queue the event, False if it must not, and
    None if it may. `holds` is the text of the stack's secret, None if it cannot be read. `knew` is the text that the
    function read `ago` seconds earlier, None if it read none.
    """

    request: dict[str, Any]
    answers: frozenset[int]
    queues: bool | None = None
    holds: str | None = json.dumps({"stripe_signing_secrets": [OLD, NEW]})
    knew: str | None = None
    ago: float = 0.0
    queue_works: bool = True
    kind: str = ""


@cache
def _texts() -> tuple[str, ...]:
    """The sample events, and the recorded events of the folder STRIPE_EVENTS_DIR, if it is set."""
    found = [sample.body.decode() for sample in samples()]
    if folder := os.environ.get("STRIPE_EVENTS_DIR"):
        recorded = sorted(Path(folder).glob("*/*.json"))
        found += [path.read_text(encoding="utf-8") for path in recorded if path.parent.name != "objects-by-api-version"]
    return tuple(text for text in found if isinstance(json.loads(text).get("created"), int))


def event_of(draw: Random) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(draw.choice(_texts()))
    event.pop("account", None)
    event["id"] = f"evt_{draw.getrandbits(64):x}"
    event["data"]["object"]["description"] = f"{PRIVATE} 🦊 é <jo@example.com>"
    return event


def wanted(event: Mapping[str, Any]) -> bool:
    return event["type"] in CATALOG


def written(event: object, draw: Random) -> bytes:
    """The event as JSON, formatted as Stripe does it or in another valid way."""
    ascii_only = draw.random() < 0.3
    text = json.dumps(event, ensure_ascii=ascii_only, indent=draw.choice([None, 2, "\t"]))
    return draw.choice(["", "\n", " \r\n\t"]).encode() + text.encode() + draw.choice(["", "\n"]).encode()


def request_of(body: bytes, header: str | None, draw: Random, name: str = HEADER) -> dict[str, Any]:
    headers = {"host": "example.com", "user-agent": f"Stripe/1.0 {PRIVATE}"}
    if header is not None:
        headers[name] = header
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or draw.random() < 0.3:
        return {"version": "2.0", "headers": headers, "body": b64encode(body).decode(), "isBase64Encoded": True}
    return {"version": "2.0", "headers": headers, "body": text, "isBase64Encoded": False}


def signed_request(body: bytes, draw: Random) -> dict[str, Any]:
    return request_of(body, sign(body, draw.choice([OLD, NEW]), NOW + draw.randint(-300, 300)), draw)
