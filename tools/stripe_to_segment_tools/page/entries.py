"""The entries of the latest events. A dropped entry comes back only when Stripe sends its event again."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.page.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

__all__ = ["KEPT_ENTRIES", "Entries", "key_of", "key_of_call"]

KEPT_ENTRIES = 5000
# Of a call of an import or of the primer, which came of no event.
_CALL = "call-"
# Characters that need no escaping in an address. Stripe's ids have no others.
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,255}")


def key_of(event_id: str, otherwise: str) -> str:
    """An entry's key: the event's id, `otherwise` if it has none, and a digest if an address cannot hold the id."""
    if not event_id or _PLAIN.fullmatch(event_id):
        return event_id or otherwise
    return f"odd-{hashlib.sha256(event_id.encode(errors='surrogatepass')).hexdigest()[:16]}"


def key_of_call(call: Mapping[str, Any]) -> str:
    """The key of the entry of the event that a call was made of."""
    context = call.get("context")
    stripe = context.get("stripe") if isinstance(context, dict) else None
    event_id = stripe.get("event_id") if isinstance(stripe, dict) else None
    return key_of(str(event_id or ""), f"{_CALL}{call.get('messageId')}")


class Entries:
    """The entries by key, oldest first. `count` is the number of events so far, dropped ones included.

    A call that came of no event has an entry too, and does not count.
    """

    def __init__(self, limit: int = KEPT_ENTRIES) -> None:
        self._limit = limit
        self._entries: dict[str, Entry] = {}
        self._forgotten: set[str] = set()
        self._orders = 0
        self.count = 0

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, oldest first."""
        return iter(self._entries.values())

    def get(self, key: str) -> Entry | None:
        """The entry with this key, or None."""
        return self._entries.get(key)

    def arrived(self, key: str, at: datetime) -> Entry:
        """The entry of an event that came from Stripe; makes one if there is none."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(key, self._orders, at)
            self._orders += 1
            self.count += not (key in self._forgotten or key.startswith(_CALL))
            self._forgotten.discard(key)
            if len(self._entries) > self._limit:
                oldest = next(iter(self._entries))
                del self._entries[oldest]
                self._forgotten.add(oldest)
        return entry

    def named(self, key: str, at: datetime) -> Entry | None:
        """The entry of an event that a log line, a queue or a call names; None if it was dropped."""
        return None if key in self._forgotten else self.arrived(key, at)
