"""One step of an import: all its lists, in parts of time, several at once."""

from __future__ import annotations

import json
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from stripe_to_segment.errors import QueueUnavailableError
from stripe_to_segment.receiving.examine import MAX_EVENT_BYTES
from stripe_to_segment.stripe_api.lists import PARTS, Part
from stripe_to_segment.stripe_api.requests import RefusedError
from stripe_to_segment.stripe_side.fields import listed
from stripe_to_segment.stripe_side.listing import record_of
from stripe_to_segment_tools.commands.importing.steps import TELLING, is_older, says_something

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from stripe_to_segment.enqueuing import Enqueued
    from stripe_to_segment.stripe_api.lists import Lists
    from stripe_to_segment.stripe_side.event import Level
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment_tools.commands.importing.progress import Progress
    from stripe_to_segment_tools.commands.importing.users import Users

    class Queuer(Protocol):
        """Queues bodies; returns the result of each."""

        def __call__(self, bodies: Sequence[str]) -> list[Enqueued]: ...


__all__ = ["Walk"]

# Enough to use the permitted rate, as Stripe takes most of a second for a page.
WORKERS = 16
# After this many pages of one thread, another may take the older half of the rest.
PAGES = 4
# Shorter parts are not halved.
NARROWEST_SECONDS = 3_600
QUEUE_ATTEMPTS = 3


@dataclass(slots=True)
class Walk:
    """Lists the parts of a step, and queues a record for each object that states something.

    Parameters
    ----------
    lists, progress
        The source of the objects, and the progress so far.
    level, livemode
        The level of the step, and the mode of the lists.
    queue
        Puts records into the ImportQueue; None counts only, also the records of `later`.
    later
        The levels that a dry run counts beside its own: those of its objects' later steps.
    more
        Further fields of every record: `integrations`, `enrich`.
    users
        The users of customers, from a file.
    report
        Called about once a second.
    """

    lists: Lists
    progress: Progress
    level: Level
    livemode: bool
    queue: Queuer | None
    more: dict[str, object]
    users: Users | None = None
    later: Sequence[Level] = ()
    report: Callable[[], None] = lambda: None
    _stopped: Event = field(default_factory=Event)

    def run(self) -> None:
        """List the rest of the step.

        Raises
        ------
        ConfigurationError, QueueUnavailableError, StripeUnavailableError
            if a list cannot be read or a record cannot be queued; the progress is saved.
        """
        with ThreadPoolExecutor(WORKERS) as pool:
            under_way: set[Future[list[Part]]] = {pool.submit(self._read, part) for part in [*self.progress.parts]}
            try:
                while under_way:
                    done, under_way = wait(under_way, timeout=1.0, return_when=FIRST_COMPLETED)
                    for job in done:
                        under_way |= {pool.submit(self._read, part) for part in job.result()}
                    self.report()
            finally:
                # A page that is being read is finished, and its progress saved.
                self._stopped.set()
                for job in under_way:
                    job.cancel()
        self.progress.save()

    def _read(self, part: Part) -> list[Part]:
        """Read some pages of a part; returns the rest of it, in halves if there is much."""
        for _ in range(PAGES):
            if self._stopped.is_set():
                return []
            try:
                page, more = self.lists.page(part)
            except RefusedError as error:
                with self.progress.lock:
                    again = part.begins_again(error)
                if not again:
                    raise
                continue
            objects = [one for one in _objects(part.kind, page) if not is_older(one, self.progress.since)]
            self._take(part.kind, objects)
            with self.progress.lock:
                self.progress.listed[part.kind] += len(objects)
                if not (page and more):
                    self.progress.parts.remove(part)
                    break
                part.passed(page)
            self.progress.noted()
        else:
            return self._halves(part)
        self.progress.noted()
        return []

    def _halves(self, part: Part) -> list[Part]:
        middle = (part.since + part.reached) // 2
        if part.left < 2 * NARROWEST_SECONDS:
            return [part]
        with self.progress.lock:
            older = Part(part.kind, part.since, middle)
            part.since = middle
            self.progress.parts.append(older)
        return [part, older]

    def _take(self, kind: str, objects: list[JsonObject]) -> None:
        """Queue the records of a page's objects."""
        bodies: list[str] = []
        for each in objects:
            one = self.users.named(each) if self.users is not None and kind == "customer" else each
            if not says_something(one, self.level):
                continue
            if kind == "subscription" and self.queue is not None:
                one = self.lists.whole(one)
            record = record_of(one, self.level, self.progress.moment, livemode=self.livemode, **self.more)
            body = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
            if len(body.encode()) > MAX_EVENT_BYTES:
                with self.progress.lock:
                    self.progress.oversize.append(str(each["id"]))
            else:
                bodies.append(body)
        if self.queue is not None:
            self._enqueue(bodies)
        with self.progress.lock:
            self.progress.queued[f"{self.level} {kind}"] += len(bodies)
            for level in self.later:
                if kind in TELLING[level]:
                    said = sum(says_something(one, level) for one in objects)
                    self.progress.queued[f"{level} {kind}"] += said

    def _enqueue(self, bodies: list[str]) -> None:
        assert self.queue is not None, "asked before"  # noqa: S101 - for the type checker
        failure = ""
        for _ in range(QUEUE_ATTEMPTS):
            results = self.queue(bodies)
            failure = next((one.failure for one in results if one.failure), "")
            bodies = [body for body, one in zip(bodies, results, strict=True) if one.failure]
            if not bodies:
                return
        raise QueueUnavailableError(f"SQS did not take {len(bodies)} records: {failure}")


def _objects(kind: str, page: list[JsonObject]) -> list[JsonObject]:
    """The objects of a page: parts of invoices are listed with their invoices."""
    if kind not in PARTS:
        return page
    return [part for invoice in page for part in listed(invoice.get("payments")) if part.get("status") == "paid"]
