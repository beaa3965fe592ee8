"""The sources that a stack sends to, and what is remembered of the priming of each."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stripe_to_segment.errors import StripeToSegmentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.secrets import Keys
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.dynamodb import DynamoStore
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["Source", "is_segments", "sources_of", "to_be_primed"]

# What was done once stays so; else DynamoDB forgets a bookmark after 400 days.
FOR_GOOD = 100 * 365 * 86_400
SEGMENTS = ("segment.io", "segmentapis.com")


@dataclass(frozen=True, slots=True)
class Source:
    """One source of the endpoint: that of live or of test events."""

    mode: str
    endpoint: str
    write_key: str

    @property
    def name(self) -> str:
        """Another key or endpoint is another source, with tables of its own; a digest names it, for keys are secret."""
        digest = hashlib.sha256(f"{self.endpoint}\x1f{self.write_key}".encode()).hexdigest()
        return digest[:16]

    def primed_at(self, store: DynamoStore) -> int | None:
        """When it was primed, in epoch seconds. Raises StoreUnavailableError, UnreadableRecordError."""
        return store.bookmark(f"primed:{self.name}")

    def declined_at(self, store: DynamoStore) -> int | None:
        """When somebody said that it needs no priming, in epoch seconds. Raises as `primed_at` does."""
        return store.bookmark(f"primer-declined:{self.name}")

    def remember(self, store: DynamoStore, *, declined: bool) -> None:
        """Note that it was primed just now, or declined. Raises StoreUnavailableError."""
        now = time.time()
        store.put_bookmark(f"{'primer-declined' if declined else 'primed'}:{self.name}", int(now), now + FOR_GOOD)


def sources_of(settings: Settings, keys: Keys) -> Iterator[Source]:
    """The sources of the modes that the stack takes and has a write key for; both keys may be of one source."""
    seen = set()
    for live in (True, False):
        key = keys.write_key(livemode=live)
        if key and key not in seen and settings.accepts(livemode=live):
            seen.add(key)
            yield Source("live" if live else "test", settings.segment_endpoint, key)


def is_segments(stack: Stack, endpoint: str) -> bool:
    """Whether calls go to Segment itself, or to what plays it on this machine."""
    host = urlsplit(endpoint).hostname or ""
    return stack.local or any(host == own or host.endswith(f".{own}") for own in SEGMENTS)


def to_be_primed(stack: Stack, settings: Settings, mode: str) -> bool:
    """Whether the source of a mode was neither primed nor declined; False where nobody can look."""
    store = stack.store()
    try:
        return not stack.local and any(
            source.primed_at(store) is None and source.declined_at(store) is None
            for source in sources_of(settings, stack.keys())
            if source.mode == mode
        )
    except StripeToSegmentError:
        return False
