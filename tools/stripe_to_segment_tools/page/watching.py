"""Keeps the journal up to date: polls the webhook, the log, the queues and Segment's stand-in."""

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
    from stripe_to_segment_tools.page.journal import Journal
    from stripe_to_segment_tools.page.webhook_proxy import WebhookProxy
    from stripe_to_segment_tools.receiver import Record

__all__ = ["Sources", "Watcher"]

BUSY_SECONDS = 0.2
IDLE_SECONDS = 1.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the journal.

    Attributes
    ----------
    webhook_proxy, record
        The requests from Stripe, and the calls that Segment kept.
    attempts
        Returns what the deliver function logged since the last call.
    queued
        Reads the two queues without receiving.
    """

    webhook_proxy: WebhookProxy
    record: Record
    attempts: Callable[[], Sequence[Attempt]]
    queued: Callable[[], Queued]


class Watcher:
    """Polls the sources in a separate thread, as a context manager; `look` polls once."""

    def __init__(self, sources: Sources, journal: Journal) -> None:
        self._sources = sources
        self._journal = journal
        self._requests = 0
        self._calls = 0
        self._refused = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="page-watcher", daemon=True)

    def look(self) -> None:
        """Poll each source once."""
        for seen in self._sources.webhook_proxy.since(self._requests):
            self._journal.note_request(seen)
            self._requests = seen.number
        # Before the log: a call arrives before the function logs it, so an event is never shown without its calls.
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
        for refused in self._sources.record.refused_since(self._refused):
            self._journal.note_refused(refused)
            self._refused = refused.request

    def _watch(self) -> None:
        came = self._sources.webhook_proxy.came
        while not self._stopping.is_set():
            came.clear()
            started = time.monotonic()
            try:
                self.look()
            except (LocalStackError, ClientError, BotoCoreError):
                # The stack stops or stopped, which `make run` itself notices and reports.
                self._stopping.wait(IDLE_SECONDS)
            # With thousands of events in the queues a poll takes long; the pause leaves most of the time to the page.
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
        self._sources.webhook_proxy.came.set()
        self._thread.join(STOP_SECONDS)
