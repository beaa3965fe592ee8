"""Keeps the journal up to date: looks at the door, the log, the queues and Segment's stand-in, as often as it pays."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment_tools.local_stack import LocalStackError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from stripe_to_segment_tools.local_stack.stack import Queued
    from stripe_to_segment_tools.page.entry import Attempt
    from stripe_to_segment_tools.page.gate import Gate
    from stripe_to_segment_tools.page.journal import Journal
    from stripe_to_segment_tools.receiver import Record

__all__ = ["Sources", "Watcher"]

BUSY_SECONDS = 0.2
IDLE_SECONDS = 1.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look.

    Attributes
    ----------
    gate, record
        What came from Stripe, and what Segment has kept.
    attempts
        Gives what the deliver function has logged since it was last asked.
    queued
        Looks into the two queues without receiving.
    """

    gate: Gate
    record: Record
    attempts: Callable[[], Sequence[Attempt]]
    queued: Callable[[], Queued]


class Watcher:
    """Looks in a thread of its own, as a context manager; `look` looks once."""

    def __init__(self, sources: Sources, journal: Journal) -> None:
        self._sources = sources
        self._journal = journal
        self._requests = 0
        self._calls = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="page-watcher", daemon=True)

    def look(self) -> None:
        """Look everywhere once."""
        for seen in self._sources.gate.since(self._requests):
            self._journal.note_request(seen)
            self._requests = seen.number
        # Before the log: a call arrives before the function says so, and an event is never shown without its calls.
        attempts = self._sources.attempts()
        self._look_at_calls()
        for attempt in attempts:
            self._journal.note_attempt(attempt)
        self._journal.note_queues(self._sources.queued(), datetime.now(UTC))

    def _look_at_calls(self) -> None:
        calls = self._sources.record.calls
        if len(calls) < self._calls:
            self._journal.forget_calls()
            self._calls = 0
        for kept in calls[self._calls :]:
            self._journal.note_call(kept)
        self._calls = len(calls)

    def _watch(self) -> None:
        came = self._sources.gate.came
        while not self._stopping.is_set():
            came.clear()
            started = time.monotonic()
            try:
                self.look()
            except (LocalStackError, ClientError, BotoCoreError):
                # The stack is going or gone, which `make run` itself notices and says.
                self._stopping.wait(IDLE_SECONDS)
            # With thousands of events in the queues a look takes long: then most of the time is the page's own.
            took = time.monotonic() - started
            if self._stopping.wait(took if took > BUSY_SECONDS else 0):
                return
            came.wait(BUSY_SECONDS if self._journal.under_way else IDLE_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._sources.gate.came.set()
        self._thread.join(STOP_SECONDS)
