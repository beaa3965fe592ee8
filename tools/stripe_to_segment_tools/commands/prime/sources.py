"""The sources that a stack sends to, and the note in the StateTable about the priming of each."""

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

SEGMENTS = ("segment.io", "segmentapis.com")


@dataclass(frozen=True, slots=True)
class Source:
    """One source of the endpoint: that of live or of test events; `columns` is the digest of `primed_columns`."""

    mode: str
    endpoint: str
    write_key: str
    columns: str

    @property
    def name(self) -> str:
        """A digest of endpoint and write key, which are secret: another one is another source, with its own tables."""
        digest = hashlib.sha256(f"{self.endpoint}\x1f{self.write_key}".encode()).hexdigest()
        return digest[:16]

    def primed_at(self, store: DynamoStore) -> int | None:
        """The epoch second at which it was primed. Raises StoreUnavailableError, UnreadableRecordError.

        None too if it was primed before an update or a new name of an event brought columns of amounts.
        """
        return store.bookmark(f"primed:{self.name}:{self.columns}")

    def once_primed_at(self, store: DynamoStore) -> int | None:
        """The epoch second at which it was primed last, whatever came since. Raises the errors of `primed_at`."""
        return store.bookmark(f"primed:{self.name}")

    def declined_at(self, store: DynamoStore) -> int | None:
        """The epoch second at which a user declined its priming. Raises the errors of `primed_at`."""
        return store.bookmark(f"primer-declined:{self.name}")

    def remember(self, store: DynamoStore, *, declined: bool) -> None:
        """Store the note that it is primed or declined. Raises StoreUnavailableError."""
        now = time.time()
        primed = (f"primed:{self.name}", f"primed:{self.name}:{self.columns}")
        for note in (f"primer-declined:{self.name}",) if declined else primed:
            store.put_bookmark(note, int(now), now)


def sources_of(settings: Settings, keys: Keys) -> Iterator[Source]:
    """The sources of the modes that the stack takes and has a write key for; both keys may be of one source."""
    # Imported here alone: `register` needs it only at its end.
    from stripe_to_segment_tools.tracking_plan.primer import primed_columns

    seen, columns = set(), primed_columns(settings)
    for live in (True, False):
        key = keys.write_key(livemode=live)
        if key and key not in seen and settings.accepts(livemode=live):
            seen.add(key)
            yield Source("live" if live else "test", settings.segment_endpoint, key, columns)


def is_segments(stack: Stack, endpoint: str) -> bool:
    """Whether calls go to Segment itself, or to its imitation on this machine."""
    host = urlsplit(endpoint).hostname or ""
    return stack.local or any(host == own or host.endswith(f".{own}") for own in SEGMENTS)


def to_be_primed(stack: Stack, settings: Settings, mode: str) -> bool:
    """Whether the source of a mode was neither primed nor declined; False if that cannot be read."""
    store = stack.store()
    try:
        return not stack.local and any(
            source.primed_at(store) is None and source.declined_at(store) is None
            for source in sources_of(settings, stack.keys())
            if source.mode == mode
        )
    except StripeToSegmentError:
        return False
