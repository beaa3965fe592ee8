"""Requests that Stripe signed: its events in every JSON format, and bodies that `receive` must not queue."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.samples.signing import sign
from tests.door.door import PRIVATE
from tests.door.requests import (
    FOREIGN,
    HEADER,
    NEW,
    NOW,
    OK,
    OLD,
    REFUSED,
    Case,
    event_of,
    request_of,
    signed_request,
    wanted,
    written,
)

if TYPE_CHECKING:
    from random import Random

VALUES: list[Any] = [None, True, False, 0, -1, 0.5, 1e400, 10**30, "", "\ud800", "é", [], {}, [[]], {"id": "x"}]


# --- Stripe's own ---


def signed(draw: Random) -> Case:
    event = event_of(draw)
    return Case(signed_request(written(event, draw), draw), OK, wanted(event))


def several_signatures(draw: Random) -> Case:
    event = event_of(draw)
    body = written(event, draw)
    secrets = [FOREIGN] * draw.randint(0, 3) + [draw.choice([OLD, NEW])] + [FOREIGN] * draw.randint(0, 3)
    header = sign(body, secrets, NOW)
    if draw.random() < 0.5:
        header += ",v0=" + "0" * 64
    return Case(request_of(body, header, draw), OK, wanted(event))


def header_in_any_case(draw: Random) -> Case:
    event = event_of(draw)
    body = written(event, draw)
    name = "".join(draw.choice([letter.upper(), letter]) for letter in HEADER)
    return Case(request_of(body, sign(body, OLD, NOW), draw, name), OK, wanted(event))


def strange_letters(draw: Random) -> Case:
    """Characters that JSON allows and SQS, a log or UTF-8 does not: lone surrogates, noncharacters, control codes."""
    event = event_of(draw)
    event["data"]["object"]["metadata"] = {"note": "".join(draw.choices('a\ufffe\uffff\u2028\0\x7f\ud800🦊é"\\', k=20))}
    body = json.dumps(event).encode() if draw.random() < 0.5 else _half_escaped(event)
    return Case(signed_request(body, draw), OK, wanted(event))


def _half_escaped(event: object) -> bytes:
    text = json.dumps(event, ensure_ascii=False)
    return "".join(f"\\u{ord(letter):04x}" if "\ud800" <= letter <= "\udfff" else letter for letter in text).encode()


def duplicate_keys(draw: Random) -> Case:
    event = event_of(draw)
    body = written(event, draw).replace(b'"type"', b'"id": "evt_other", "type"', 1)
    return Case(signed_request(body, draw), OK, None)


def rotation(draw: Random) -> Case:
    """The secret was rolled, and the function has cached the old one."""
    event = event_of(draw)
    body = written(event, draw)
    both = draw.random() < 0.5
    case = Case(request_of(body, sign(body, [NEW, OLD] if both else [NEW], NOW), draw), OK, wanted(event))
    # While both secrets are valid, Stripe signs with both. A signature by the new one alone is accepted as soon as
    # `receive` may read the secret again.
    ago = draw.uniform(0, 400) if both else draw.uniform(30, 400)
    return replace(case, knew=json.dumps({"stripe_signing_secrets": [OLD]}), ago=ago)


def of_a_mode(draw: Random) -> Case:
    """Each mode has its own secret; `receive` refuses an event signed with the other mode's."""
    event = event_of(draw)
    live = event["livemode"] = draw.random() < 0.5
    holds = json.dumps({"stripe_live_signing_secrets": [OLD], "stripe_test_signing_secrets": [NEW]})
    body = written(event, draw)
    own, other = (OLD, NEW) if live else (NEW, OLD)
    signers = draw.choice([[own], [own, FOREIGN], [other, own], [other], [other, FOREIGN]])
    case = Case(request_of(body, sign(body, signers, NOW), draw), OK, wanted(event), holds)
    return case if own in signers else replace(case, answers=REFUSED, queues=False)


def queue_refuses(draw: Random) -> Case:
    event = event_of(draw)
    answers = frozenset({503}) if wanted(event) else OK
    return Case(signed_request(written(event, draw), draw), answers, queues=False, queue_works=False)


def no_secret(draw: Random) -> Case:
    event = event_of(draw)
    texts = [
        "{}",
        "[]",
        "null",
        PRIVATE,
        '{"stripe_signing_secrets": []}',
        '{"stripe_signing_secrets": [" ", 7]}',
        None,
    ]
    case = Case(signed_request(written(event, draw), draw), frozenset({503}), queues=False)
    return replace(case, holds=draw.choice(texts))


# --- Signed, but not to be queued ---


def not_an_event(draw: Random) -> Case:
    text = draw.choice(["", "[]", "null", "0", '"evt_1"', "{}", "[{}]", "{", "nul", '{"id": 1}', PRIVATE, "'{}'"])
    return Case(signed_request(text.encode(), draw), REFUSED, queues=False)


def no_number(draw: Random) -> Case:
    event = event_of(draw)
    event["data"]["object"]["amount"] = float(draw.choice(["nan", "inf", "-inf"]))
    return Case(signed_request(written(event, draw), draw), REFUSED, queues=False)


def deep(draw: Random) -> Case:
    depth = draw.choice([2_000, 20_000, 200_000])
    nested = draw.choice(["[", '{"a":']) * depth
    text = draw.choice([nested, f'{{"id": "evt_1", "{PRIVATE}": {nested}'])
    return Case(signed_request(text.encode(), draw), REFUSED, queues=False)


def large(draw: Random) -> Case:
    """Bodies around SQS's size limit, and up to Lambda's limit of six megabytes."""
    event = event_of(draw)
    event["padding"] = ""
    sizes = [1_000_000, 1_040_384, 1_040_385, 1_048_576, 1_048_577, draw.randint(900_000, 1_200_000), 6_000_000]
    size = draw.choice(sizes)
    event["padding"] = "x" * (size - len(json.dumps(event).encode()))
    body = json.dumps(event).encode()
    fits = size <= 1_040_384
    answers = OK if fits or not wanted(event) else frozenset({413})
    return Case(signed_request(body, draw), answers, wanted(event) and fits)


def thin(draw: Random) -> Case:
    mapped = draw.random() < 0.5
    event = {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v1.invoice.paid" if mapped else "v1.billing.meter.no_meter_found",
        "created": "2026-11-18T11:06:40.123Z",
        "data": {PRIVATE: 1},
    }
    return Case(signed_request(written(event, draw), draw), OK, queues=mapped)


def bent(draw: Random) -> Case:
    """An event in which one value, at any depth, is replaced or removed."""
    event = event_of(draw)
    place: Any = event
    while True:
        key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if isinstance(place[key], dict | list) and place[key] and draw.random() < 0.7:
            place = place[key]
            continue
        if draw.random() < 0.3 and isinstance(place, dict):
            del place[key]
        else:
            place[key] = deepcopy(draw.choice(VALUES))
        # json.dumps writes 1e400 as Infinity, which is invalid JSON.
        return Case(signed_request(json.dumps(event).encode(), draw), OK | REFUSED)


def other_encoding(draw: Random) -> Case:
    """A correctly signed body that is not UTF-8, or starts with a byte order mark: Stripe sends neither."""
    body = written(event_of(draw), draw).decode().encode(draw.choice(["utf-16", "utf-32", "utf-8-sig"]))
    if draw.random() < 0.4:
        body = b'{"id": "' + draw.randbytes(20) + b'\xff"}'
    return Case(request_of(body, sign(body, OLD, NOW), draw), REFUSED, queues=False)
