"""Compare Stripe's list of events with the ledger, slice by slice of time, and queue the events that are missing.

The listing, the store and the queue are given to it; nothing else does I/O here.
"""

from __future__ import annotations

import json
from copy import replace
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.load import keys_of, known_to, owned, recall, take_over, unreadable
from stripe_to_segment.delivery.persons import Persons
from stripe_to_segment.errors import MalformedEventError, QueueUnavailableError, StoreUnavailableError
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.mapping.identity import profile_key, stated_by
from stripe_to_segment.mapping.translate import event_dedup_key, refusal, translate
from stripe_to_segment.receiving import MAX_EVENT_BYTES
from stripe_to_segment.stripe_side.event import event_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Protocol

    from stripe_to_segment.enqueuing import Enqueued
    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.mapping.translate import Translation
    from stripe_to_segment.segment_side.calls import CallBody
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Memory, Store
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

    class Lister(Protocol):
        """Gives the events created within some seconds, or None where they are more than `most`."""

        def __call__(self, since: int, until: int, most: int | None = None) -> list[JsonObject] | None: ...

    class Queuer(Protocol):
        """Queues raw events; says of each whether that worked."""

        def __call__(self, bodies: Sequence[str]) -> list[Enqueued]: ...


__all__ = ["STRIPE_KEEPS_SECONDS", "Reconciliation", "Step", "missing", "raw", "window"]

# https://docs.stripe.com/api/events: "events going back up to 30 days".
STRIPE_KEEPS_SECONDS = 30 * 86_400
SETTLED_SECONDS = 3_600
# So many are held in memory, and lost work where the run ends in the middle.
SLICE = 1000
FIRST_WIDTH, LARGEST_WIDTH = 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Step:
    """One finished slice of time: all that was created from `since` on and before `until`, in epoch seconds.

    `missing` are the events that the ledger lacks, in the order in which they happened; `oversize` are more of them,
    which no queue takes.
    """

    since: int
    until: int
    listed: int
    missing: tuple[StripeEvent, ...]
    oversize: tuple[StripeEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Compares Stripe's list of events with the ledger.

    Parameters
    ----------
    listing
        Stripe's list of events.
    store
        The ledger.
    settings
        Those of the deliver function, which decide what an event becomes.
    queue
        Puts events into the EventsQueue; None only looks.
    """

    listing: Lister
    store: Store
    settings: Settings
    queue: Queuer | None = None

    def between(self, since: int, until: int) -> Iterator[Step]:
        """Queue what is missing of the events created from `since` on and before `until`, oldest first.

        Each step that was yielded is done for good, so who stops goes on at its `until`. Both are in epoch seconds.

        Raises
        ------
        ConfigurationError, QueueUnavailableError, StoreUnavailableError, StripeUnavailableError
            where a slice could not be done; what is queued of it is queued again next time, and delivered once.
        """
        width = FIRST_WIDTH
        while since < until:
            end = min(since + width, until)
            # A slice of one second cannot be cut.
            listed = self.listing(since, end, SLICE if end - since > 1 else None)
            if listed is None:
                width = max((end - since) // 2, 1)
                continue
            yield self._step(since, end, listed)
            since = end
            if len(listed) < SLICE // 4:
                width = min(width * 2, LARGEST_WIDTH)

    def _step(self, since: int, until: int, listed: list[JsonObject]) -> Step:
        lacking = {event.id: (event, raw(event)) for event in missing(listed, self.store, self.settings)}
        fitting = [(event, body) for event, body in lacking.values() if len(body) <= MAX_EVENT_BYTES]
        oversize = [event for event, body in lacking.values() if len(body) > MAX_EVENT_BYTES]
        if self.queue is not None:
            failed = [result.failure for result in self.queue([body for _, body in fitting]) if result.failure]
            if failed:
                raise QueueUnavailableError(f"SQS did not take {len(failed)} of {len(fitting)} events: {failed[0]}")
        return Step(since, until, len(listed), tuple(event for event, _ in fitting), tuple(oversize))


def window(bookmark: int | None, began: int, now: float) -> tuple[int, int]:
    """The time that a scheduled run covers: its start and end, in epoch seconds.

    The first run begins when the stack began: what happened before is not missing here, it is an import's. Nobody lists
    what is older than thirty days, and what is younger than an hour may still be on its way.
    """
    since = began if bookmark is None else bookmark
    return max(since, int(now) - STRIPE_KEEPS_SECONDS), int(now) - SETTLED_SECONDS


def missing(listed: Iterable[JsonObject], store: Store, settings: Settings) -> list[StripeEvent]:
    """The listed events that are missing here, in the order in which they happened.

    An event without calls leaves no deduplication key in the ledger; it is known if what it teaches is.
    """
    read = (event for event in map(_read, listed) if event is not None)
    wanted = [event for event in read if refusal(event, settings) is None]
    wanted.sort(key=_moment)
    return _isolated(wanted, store, settings)


def _isolated(events: list[StripeEvent], store: Store, settings: Settings) -> list[StripeEvent]:
    """What is missing; what fails to be compared is halved until one event stands out, which is deliver's to judge."""
    try:
        return _missing(events, store, settings)
    except StoreUnavailableError:
        raise
    except Exception:  # noqa: BLE001 - one event, or what is kept of its customer, must not stop the others
        if len(events) == 1:
            return events
    middle = len(events) // 2
    return [*_isolated(events[:middle], store, settings), *_isolated(events[middle:], store, settings)]


def _missing(wanted: list[StripeEvent], store: Store, settings: Settings) -> list[StripeEvent]:
    wanted = [event for event in wanted if keys_of(event).fit]
    memory = recall(wanted, store)
    wanted = [*owned(wanted, memory, store)]
    # Nobody can say what such a record knows of the event. In the queue it waits until somebody can.
    doubtful = [event for event in wanted if unreadable(event, memory)]
    wanted = [event for event in wanted if not unreadable(event, memory)]
    take_over(wanted, memory, store)
    unmarked = [event for event in wanted if not _under_way(event, memory.profiles[profile_key(event)])]
    stated = {event.id: stated_by(event, settings) for event in unmarked}
    # Only to hear who opted out: nothing is written.
    Persons(settings).meet([(event, stated[event.id]) for event in unmarked], memory, store)
    told = [_told(event, stated[event.id], memory, settings) for event in unmarked]
    names = store.load(
        (),
        _taught(unmarked, told, "orders"),
        _taught(unmarked, told, "product_names"),
        (),
        _taught(unmarked, told, "coupons"),
    )
    lacking = [
        event
        for event, translation in zip(unmarked, told, strict=True)
        if translation is None or _tells(event, translation, memory, names)
    ]
    return sorted([*doubtful, *lacking], key=_moment) if doubtful else lacking


def _moment(event: StripeEvent) -> tuple[int, int]:
    return event.created, CATALOG[event.type].rank


def raw(event: StripeEvent) -> str:
    """The event as text for the queue: the API's own values, and nothing that SQS refuses, for all of it is ASCII."""
    return json.dumps(event.body, separators=(",", ":"))


def _read(body: JsonObject) -> StripeEvent | None:
    try:
        return event_from(body)
    except MalformedEventError:
        # Without an object there is nothing to map, and deliver would only dead-letter it.
        return None


def _under_way(event: StripeEvent, profile: Profile) -> bool:
    """Whether an event was delivered, or its calls are claimed: it waits in the queue, or is a dead letter."""
    dedup_key = event_dedup_key(event)
    return dedup_key in profile.ledger or dedup_key in profile.claims


def _told(event: StripeEvent, stated: Stated, memory: Memory, settings: Settings) -> Translation | None:
    """What `deliver` would map the event to now; None where the mapper fails on it."""
    known = known_to(event, memory, stated, settings)
    # Traits that changed by events without an identify are shown by the next that brings one: no news of this event.
    known = replace(known, profile=replace(known.profile, shown=None))
    try:
        return translate(event, known, settings, enrich=_as_it_is)
    except Exception:  # noqa: BLE001 - deliver dead-letters it, with the reason
        return None


def _taught(events: list[StripeEvent], told: list[Translation | None], what: str) -> list[str]:
    """The keys of the orders, product names or coupons that these events teach."""
    return [
        f"{event.scope}:{key}"
        for event, translation in zip(events, told, strict=True)
        if translation is not None
        for key in getattr(translation, what)
    ]


def _tells(event: StripeEvent, told: Translation, memory: Memory, names: Memory) -> bool:
    profile = memory.profiles[profile_key(event)]
    # A customer that is gone stays gone, whatever an event from before says.
    after = replace(told.profile, shown=profile.shown, deleted=profile.deleted or told.profile.deleted)
    return (
        bool(told.calls)
        or after != profile
        or any(key not in profile.ledger for key in told.counted)
        or any(_is_news(event, names, "order", key, value) for key, value in told.orders.items())
        or any(_is_news(event, names, "product", key, value) for key, value in told.product_names.items())
        or any(_is_news(event, names, "coupon", key, value) for key, value in told.coupons.items())
    )


def _is_news(event: StripeEvent, names: Memory, kind: str, key: str, value: str) -> bool:
    """Whether an order or a product's name is unknown, or known only by something older than this event."""
    full = f"{event.scope}:{key}"
    known = names.learnt(kind)
    if full not in known:
        return True
    return known[full] != value and names.as_of[kind, full] < event.created


def _as_it_is(call: CallBody, _event: JsonObject) -> CallBody:
    """No `enrich`: it is deliver's, and may drop the call yet."""
    return call
