"""Requests without a valid signature by Stripe: `receive` must refuse them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.samples.signing import sign
from tests.door.requests import FOREIGN, HEADER, NOW, OK, OLD, REFUSED, Case, event_of, request_of, wanted, written

if TYPE_CHECKING:
    from random import Random

NONSENSE = ["", " ", "\0", "é", "\ud800", "\uffff", "🦊", "%00", "=", ",", "t=1", "v1=", "{{", "' OR 1=1", "\r\nx: y"]


def forged(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    return Case(request_of(body, sign(body, FOREIGN, NOW), draw), REFUSED, queues=False)


def no_signature(draw: Random) -> Case:
    case = Case(request_of(written(event_of(draw), draw), None, draw), REFUSED, queues=False)
    strange: list[Any] = [None, {}, {HEADER: None}, {HEADER: ["t=1"]}, {HEADER: ""}]
    if draw.random() < 0.5:
        case.request["headers"] = draw.choice(strange)
    return case


def other_scheme(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    scheme = draw.choice(["v0", "v2", "V1", " v1", "v1 ", "v11", "", "v", "1", "sha256"])
    return Case(request_of(body, sign(body, OLD, NOW).replace("v1=", f"{scheme}="), draw), REFUSED, queues=False)


def changed(draw: Random) -> Case:
    """The signed body with one byte added, removed or changed."""
    body = written(event_of(draw), draw)
    header = sign(body, OLD, NOW)
    at = draw.randrange(len(body))
    other = bytes([body[at] ^ (1 << draw.randrange(7))])
    broken = draw.choice([body[:at] + other + body[at + 1 :], body[:at] + body[at + 1 :], body[:at] + b" " + body[at:]])
    return Case(request_of(broken, header, draw), REFUSED, queues=False)


def truncated(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    return Case(request_of(body[: draw.randrange(len(body))], sign(body, OLD, NOW), draw), REFUSED, queues=False)


def written_anew(draw: Random) -> Case:
    """The signed event, parsed and serialized again, as a proxy might do it."""
    event = event_of(draw)
    body = json.dumps(event, separators=(",", ":"), sort_keys=True).encode()
    return Case(request_of(body, sign(json.dumps(event, indent=2).encode(), OLD, NOW), draw), REFUSED, queues=False)


def replayed(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    moment = NOW - draw.choice([301, 400, 86_400, NOW - 1])
    return Case(request_of(body, sign(body, OLD, moment), draw), REFUSED, queues=False)


def from_the_future(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    return Case(
        request_of(body, sign(body, OLD, NOW + draw.choice([301, 86_400, 10**12])), draw), REFUSED, queues=False
    )


def moved_in_time(draw: Random) -> Case:
    """A replayed request whose timestamp is new and whose signature is old."""
    body = written(event_of(draw), draw)
    before = NOW - 86_400
    header = sign(body, OLD, before).replace(f"t={before}", draw.choice([f"t={NOW}", f"t={NOW},t={before}"]))
    return Case(request_of(body, header, draw), REFUSED, queues=False)


def strange_header(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    header = sign(body, FOREIGN, NOW)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(header) + 1)
        header = header[:at] + draw.choice(NONSENSE) + header[at + draw.randint(0, 3) :]
    return Case(request_of(body, header, draw), REFUSED, queues=False)


def huge_header(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    pieces = ["v1=0,", "t=1,", "a", "=", ",", "9", f"v1={'0' * 64},"]
    header = draw.choice([f"t={NOW},", "", "t="]) + draw.choice(pieces) * draw.choice([1_000, 5_000, 50_000])
    return Case(request_of(body, header, draw), REFUSED, queues=False)


def joined_headers(draw: Random) -> Case:
    """Two signature headers, joined by API Gateway: the first timestamp counts, and every signature."""
    event = event_of(draw)
    body = written(event, draw)
    good, bad = sign(body, OLD, NOW), sign(body, FOREIGN, NOW - draw.choice([0, 5, 1_000]))
    first = draw.random() < 0.5
    header = f"{good},{bad}" if first else f"{bad},{good}"
    opens = first or bad.startswith(f"t={NOW},")
    return Case(request_of(body, header, draw), OK if opens else REFUSED, wanted(event) and opens)


def blanks_around_the_header(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    header = sign(body, OLD, NOW)
    broken = draw.choice([f" {header}", f"{header} ", header.replace(",", ", "), header.replace("=", " = ")])
    return Case(request_of(body, broken, draw), REFUSED, queues=False)


def wrong_base64(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    text = b64encode(body).decode()
    at = draw.randrange(len(text))
    broken = text[:at] + draw.choice(["é", "%", "\n", " ", "-", "\ud800"]) + text[at:]
    request = {"headers": {HEADER: sign(body, OLD, NOW)}, "body": broken, "isBase64Encoded": True}
    return Case(request, REFUSED, queues=False)


def lie_about_base64(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    encoded = draw.random() < 0.5
    text = b64encode(body).decode() if encoded else body.decode()
    request = {"headers": {HEADER: sign(body, OLD, NOW)}, "body": text, "isBase64Encoded": not encoded}
    return Case(request, REFUSED, queues=False)


def no_text_for_a_body(draw: Random) -> Case:
    body = written(event_of(draw), draw)
    strange: list[Any] = [None, 7, {"id": "evt_1"}, ["x"], "\ud800", True, body]
    request = {"headers": {HEADER: sign(body, OLD, NOW)}, "body": draw.choice(strange), "isBase64Encoded": False}
    return Case(request, REFUSED, queues=False)
