"""Make sample events look as if they had just happened: new ids and new times, the scenario unchanged."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["freshen"]

# Ids of what happens. Prices, products, tax rates, coupons and the account are the shop's furniture: they stay, since
# the same shop sells again. The product's own ids in metadata stay too: it is the same user who comes back.
_ID = re.compile(
    r"\b(evt|cus|sub|si|in|il_tmp|il|ii|inpay|pi|ch|py|re|txn|pm|seti|cs_test|cs_live|di|req)_"
    r"(?=[a-z]*[A-Z0-9])([A-Za-z0-9]{14,})",
)
_TIME_KEY = re.compile(
    r"(?:^|_)(?:created|updated|at|start|end|anchor|date|attempt|timestamp|by|until|on)$|^next_pending_invoice_item_invoice$",
)
_EARLIEST = 1_000_000_000
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def freshen(events: Iterable[dict[str, Any]], now: int, *, seed: str | None = None) -> list[dict[str, Any]]:
    """Return copies of the events with times up to `now` and ids nobody has seen.

    Parameters
    ----------
    events
        Events that belong together: an id that occurs in several is replaced by the same new id everywhere.
    now
        Seconds since the epoch. The newest event happens now, the others keep their distance to it.
    seed
        Same events and seed, same ids. Derived from `now` when left out.
    """
    events = list(events)
    created = [event["created"] for event in events if isinstance(event.get("created"), int)]
    shift = now - max(created, default=now)
    salt = str(now) if seed is None else seed
    return [_walk(event, "", shift, salt) for event in events]


def _walk(value: Any, key: str, shift: int, seed: str) -> Any:
    if isinstance(value, dict):
        return {name: _walk(inner, name, shift, seed) for name, inner in value.items()}
    if isinstance(value, list):
        return [_walk(inner, key, shift, seed) for inner in value]
    if isinstance(value, str):
        return _ID.sub(lambda found: f"{found[1]}_{_fresh(found[1], found[2], seed)}", value)
    if isinstance(value, int) and not isinstance(value, bool) and value > _EARLIEST and _TIME_KEY.search(key):
        return value + shift
    return value


def _fresh(kind: str, old: str, seed: str) -> str:
    """Return as many letters and digits as the old id has; its first two tell the kind (a payment intent's `3`)."""
    letters: list[str] = []
    while len(letters) < len(old):
        digest = hashlib.sha256(f"{seed}/{kind}/{old}/{len(letters)}".encode()).digest()
        letters += [_ALPHABET[byte % len(_ALPHABET)] for byte in digest]
    return old[:2] + "".join(letters[2 : len(old)])
