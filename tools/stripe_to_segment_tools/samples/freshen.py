"""Give sample events new ids and times, as if they had just happened; the scenario stays the same."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["freshen"]

# The form of Stripe's ids: lower-case words that name the kind, and 14 or more letters and digits. A capital letter or
# a digit among these distinguishes an id from a word such as `card_present`.
_ID = re.compile(r"(?<![A-Za-z0-9_])([a-z]+(?:_[a-z]+)*)_(?=[a-z]*[A-Z0-9])([A-Za-z0-9]{14,})")
# The ids of the shop and of what it sells stay, because the same shop sells again: account, application, price, plan,
# product, promotion code, shipping rate, tax code and tax rate. Every other object is a new one.
_KEPT_KINDS = frozenset({"acct", "ca", "plan", "price", "prod", "promo", "shr", "txcd", "txr"})
# The merchant's own values stay too, because the same user comes back. But they may name an object of the events.
_PRODUCTS_OWN = frozenset({"client_reference_id", "lookup_key", "metadata"})
_TIME_KEY = re.compile(
    r"(?:^|_)(?:created|updated|at|start|end|anchor|date|attempt|timestamp|by|until|on)$|^next_pending_invoice_item_invoice$",
)
_EARLIEST = 1_000_000_000
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def freshen(events: Iterable[dict[str, Any]], now: int, *, seed: str | None = None) -> list[dict[str, Any]]:
    """Return copies of the events with new ids, and times up to `now`.

    Parameters
    ----------
    events
        Events that belong together: an id that occurs in several of them gets the same new id in all.
    now
        Seconds since the epoch. The newest event happens now; the others keep their distance to it.
    seed
        The same events and seed give the same ids. Derived from `now` if left out.
    """
    events = list(events)
    created = [event["created"] for event in events if isinstance(event.get("created"), int)]
    shift = now - max(created, default=now)
    salt = str(now) if seed is None else seed
    new_ids = {found[0]: _fresh(found[1], found[2], salt) for found in _ids(events) if found[1] not in _KEPT_KINDS}
    return [_walk(event, "", shift, new_ids) for event in events]


def _ids(value: Any) -> Iterator[re.Match[str]]:
    """Every id in Stripe's own fields."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _PRODUCTS_OWN:
                yield from _ids(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _ids(inner)
    elif isinstance(value, str):
        yield from _ID.finditer(value)


def _walk(value: Any, key: str, shift: int, new_ids: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _walk(inner, name, shift, new_ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [_walk(inner, key, shift, new_ids) for inner in value]
    if isinstance(value, str):
        return _ID.sub(lambda found: new_ids.get(found[0], found[0]), value)
    if isinstance(value, int) and not isinstance(value, bool) and value > _EARLIEST and _TIME_KEY.search(key):
        return value + shift
    return value


def _fresh(kind: str, old: str, seed: str) -> str:
    """A new id of the same length. The first two characters stay: they may encode a kind (a payment intent's `3`)."""
    letters: list[str] = []
    while len(letters) < len(old):
        digest = hashlib.sha256(f"{seed}/{kind}/{old}/{len(letters)}".encode()).digest()
        letters += [_ALPHABET[byte % len(_ALPHABET)] for byte in digest]
    return f"{kind}_{old[:2]}{''.join(letters[2 : len(old)])}"
