"""The events that every subject gets: the sample events, each time with ids of their own."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["SAMPLES", "event_texts", "large_event", "sqs_batch"]

ROOT = Path(__file__).resolve().parents[1]
# What makes an event, a customer, a subscription, … another one. Products and prices are few in every account.
IDS = re.compile(r'"(evt|cus|sub|si|in|il|cs|ch|pi|py|re)_([A-Za-z0-9_]+)"')
LARGE = 10_000


@cache
def _samples() -> tuple[tuple[str, str], ...]:
    return tuple((path.name, path.read_text("utf-8")) for path in sorted((ROOT / "events").glob("*.json")))


SAMPLES = _samples()


def event_texts(first: int, count: int) -> list[str]:
    """So many raw events from a number on; no two are of one customer, so a batch has as much to remember as it can."""
    return [
        IDS.sub(rf'"\1_\g<2>{number}"', SAMPLES[number % len(SAMPLES)][1]) for number in range(first, first + count)
    ]


def large_event() -> str:
    """A sample event of at least ten kilobytes."""
    return min((text for _, text in SAMPLES if len(text) >= LARGE), key=len)


def sqs_batch(texts: list[str]) -> dict[str, list[dict[str, object]]]:
    """The events as the queue hands them to deliver."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": text,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000"},
            }
            for number, text in enumerate(texts)
        ]
    }
