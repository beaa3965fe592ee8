"""What people use instead, for the same events and the same receiver."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import segment.analytics
import stripe

from benchmarks.functions import SIGNING_SECRET, WRITE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["naive_handler", "queue_and_flush", "signature", "sync_calls", "sync_mode"]


def sync_mode(url: str) -> Callable[[list[str]], None]:
    """segment-analytics-python in sync mode: one request for each event."""
    client = segment.analytics.Client(WRITE_KEY, host=url, sync_mode=True)

    def handle(texts: list[str]) -> None:
        for text in texts:
            _track(client, json.loads(text))

    return handle


def queue_and_flush(url: str) -> Callable[[list[str]], None]:
    """segment-analytics-python with its queue, flushed before the handler returns, as it has to be in Lambda."""
    client = segment.analytics.Client(WRITE_KEY, host=url)

    def handle(texts: list[str]) -> None:
        for text in texts:
            _track(client, json.loads(text))
        client.flush()

    return handle


def naive_handler(url: str) -> Callable[[list[tuple[str, str]]], None]:
    """What a tutorial ends with: construct_event, then a call in sync mode, while Stripe waits."""
    client = segment.analytics.Client(WRITE_KEY, host=url, sync_mode=True)

    def handle(signed: list[tuple[str, str]]) -> None:
        for text, header in signed:
            event = stripe.Webhook.construct_event(text, header, SIGNING_SECRET)
            _track(client, event.to_dict())

    return handle


def sync_calls(url: str) -> Callable[[int], None]:
    """Calls of one fixed event in sync mode: the yardstick by which a machine's speed is known."""
    client = segment.analytics.Client(WRITE_KEY, host=url, sync_mode=True)

    def call(count: int) -> None:
        for number in range(count):
            client.track("user", "Order Completed", {"order_id": f"{number}", "total": 19.99, "currency": "USD"})

    return call


def _track(client: Any, event: dict[str, Any]) -> None:
    body = event["data"]["object"]
    amount = body.get("amount_total") or body.get("amount_paid") or body.get("amount") or 0
    client.track(
        user_id=str(body.get("customer") or body["id"]),
        event=event["type"],
        properties={"id": body.get("id"), "status": body.get("status"), "value": amount / 100, "currency": "usd"},
        message_id=event["id"],
    )


def signature(text: str) -> str:
    """A `Stripe-Signature` header for a text, of now."""
    return stripe.WebhookSignature.generate_signature_header(text, SIGNING_SECRET, timestamp=int(time.time()))
