"""The events that every subject gets: the sample events, each time with ids of their own."""

from __future__ import annotations

import hashlib
import json
import re
import string
import uuid
from functools import cache
from pathlib import Path

from stripe_to_segment.mapping.catalog import CATALOG
from tests.simulator.history import START, a_history

__all__ = ["BIGGEST", "SAMPLES", "customers_events", "event_texts", "large_event", "largest", "sqs_batch"]

ROOT = Path(__file__).resolve().parents[1]
# What makes an event, a customer, a subscription, … another one. Products and prices are few in every account.
STRIPES = "evt|cus|sub|si|in|il|cs|ch|pi|py|re"
IDS = re.compile(rf'"({STRIPES})_([A-Za-z0-9_]+)"')
# The merchant's own too, and not the name `user_id`: each customer is a user and a group by itself, as most are.
IDS_AND_PERSONS = re.compile(rf'"({STRIPES}|user|team)_([A-Za-z0-9_]+)"(?!:)')
PRODUCTS = re.compile(r'"(prod_\w+)"')
ALPHABET = string.digits + string.ascii_letters
# The part of Stripe's ids that is the same in all of an account.
ACCOUNT = "LkdIwHu7ix"
LARGE = 10_000
DAY = 86_400


@cache
def _samples() -> tuple[tuple[str, str], ...]:
    return tuple((path.name, path.read_text("utf-8")) for path in sorted((ROOT / "events").glob("*.json")))


SAMPLES = _samples()


def event_texts(first: int, count: int) -> list[str]:
    """So many raw events from a number on; no two are of one customer, so a batch has as much to remember as it can."""
    return [
        IDS_AND_PERSONS.sub(rf'"\1_\g<2>{number}"', SAMPLES[number % len(SAMPLES)][1])
        for number in range(first, first + count)
    ]


@cache
def customers_events(customers: int) -> tuple[str, ...]:
    """What so many simulated customers do over years, in the order of its happening, as far as the catalog maps it.

    A checkout or a renewal is some events of one customer within seconds, so a batch mostly has several of each.
    """
    histories = [a_history(seed, start=START + seed * DAY).events for seed in range(customers)]
    told = [event for events in histories for event in events if event["type"] in CATALOG]
    told.sort(key=lambda event: event["created"])
    # As almost all that is paid for: of the live mode.
    live = [json.dumps(event).replace('"livemode": false', '"livemode": true') for event in told]
    texts = [IDS.sub(_as_stripes, text) for text in live]
    return (*map(_product, sorted({found for text in texts for found in PRODUCTS.findall(text)})), *texts)


def _product(product_id: str) -> str:
    """The event of a product, which is older than its first customer."""
    made = {"id": product_id, "object": "product", "name": f"Plan {product_id[-1].upper()}"}
    event = {"id": f"evt_{product_id}", "type": "product.created", "created": START, "livemode": True}
    return json.dumps(event | {"data": {"object": made}})


def _as_stripes(found: re.Match[str]) -> str:
    """An id like Stripe's, for the sake of what is sent, logged and compressed.

    Those of customers and items are random. Others say when they were made and end at random; the account is between,
    always the same: in_1MtHbELkdIwHu7ixl4OzzPMv, pi_1NG8Du2eZvKYlo2CUI79vXWy.
    """
    kind, digits = found[1], _base62(hashlib.sha256(found[2].encode()).digest())
    made = digits[:14] if kind in {"cus", "si"} else f"1{digits[:5]}{ACCOUNT}{digits[5:13]}"
    return f'"{kind}_{made}"'


def _base62(random: bytes) -> str:
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in random)


def large_event() -> str:
    """A sample event of at least ten kilobytes."""
    return min((text for _, text in SAMPLES if len(text) >= LARGE), key=len)


BIGGEST = max((text for _, text in SAMPLES), key=len)


def largest(number: int, size: int = 0) -> str:
    """The largest sample event of some customer, grown to so many bytes as metadata grows events."""
    event = json.loads(IDS.sub(rf'"\1_\g<2>{number}"', BIGGEST))
    metadata = event["data"]["object"]["metadata"]
    missing = size - len(json.dumps(event))
    metadata.update({f"key_{count}": "x" * 500 for count in range(max(missing, 0) // 520)})
    return json.dumps(event)


def sqs_batch(texts: list[str]) -> dict[str, list[dict[str, object]]]:
    """The events as the queue hands them to deliver; each was queued when it happened."""
    return {
        "Records": [
            {
                "messageId": str(uuid.UUID(int=number)),
                "receiptHandle": f"handle-{number}",
                "body": text,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(1000 * (json.loads(text).get("created") or 0)),
                },
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:events",
            }
            for number, text in enumerate(texts)
        ]
    }
