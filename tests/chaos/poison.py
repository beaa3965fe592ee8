"""Poison events: they can never be delivered. Each has its own customer and the reason of its dead letter."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

from tests.chaos.proxy import REFUSED_WORD, UNLIKED_WORD

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KINDS", "Poison", "poisons"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Poison:
    """One poison event.

    `reason` is that of its dead letter, None if `receive` must refuse the event. `door` is False if the event goes
    straight into the queue.
    """

    kind: str
    body: bytes
    reason: str | None
    door: bool = True


def _customer(number: int, at: int, **more: Any) -> Json:
    body = {"id": f"cus_poison{number}", "object": "customer", "created": at, "livemode": False, "metadata": {}, **more}
    return _event(number, "customer.created", at, body)


def _event(number: int, kind: str, at: int, body: Json) -> Json:
    return {
        "id": f"evt_poison{number}",
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": at,
        "data": {"object": body},
        "livemode": False,
        "pending_webhooks": 1,
        "request": None,
        "type": kind,
    }


def _invoice(number: int, at: int) -> Json:
    """A paid invoice whose amount is larger than the mapper can calculate with."""
    body = {"id": f"in_poison{number}", "object": "invoice", "customer": f"cus_poison{number}", "currency": "usd"}
    return _event(number, "invoice.paid", at, body | {"status": "paid", "total": 10**400, "amount_paid": 10**400})


# Kind: how to make one, the reason of its dead letter (None: `receive` refuses it), whether it is sent to `receive`.
KINDS: dict[str, tuple[Callable[[int, int], Json], str | None, bool]] = {
    "Segment answers 400": (lambda number, at: _customer(number, at, name=REFUSED_WORD), "http_400", True),
    "answered ok: false": (lambda number, at: _customer(number, at, name=UNLIKED_WORD), "not_ok", True),
    "oversize call": (lambda number, at: _customer(number, at, name="x" * 40_000), "too_large", True),
    "mapper fails": (_invoice, "mapper_failed", True),
    "no event, in the queue": (
        lambda number, at: {"id": f"evt_poison{number}", "created": at},
        "not_an_event",
        False,
    ),
    "no event, signed": (lambda number, at: {"id": f"evt_poison{number}", "created": at}, None, True),
}


def poisons(count: int, at: int) -> list[Poison]:
    """`count` poison events, the kinds in turn; `at` is their `created` in epoch seconds."""
    return [
        Poison(kind, json.dumps(make(number, at), indent=1).encode(), reason, door)
        for number, (kind, (make, reason, door)) in zip(range(count), cycle(KINDS.items()), strict=False)
    ]
