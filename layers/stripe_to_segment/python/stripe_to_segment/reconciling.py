"""Compare Stripe's list of events with the ledger, slice by slice of time, and queue the events that are missing.

All I/O goes through the listing, the store and the queue that it is given.
"""

from __future__ import annotations

import json
from copy import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.load import known_to, recall, storable, unreadable
from stripe_to_segment.delivery.payers import owned
from stripe_to_segment.delivery.persons import NO_TURN, Persons
from stripe_to_segment.delivery.take_over import take_over
from stripe_to_segment.errors import MalformedEventError, QueueUnavailableError, StoreUnavailableError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.catalog import CATALOG, refusal
from stripe_to_segment.mapping.identity import stated_by
from stripe_to_segment.mapping.translate import event_dedup_key, translate
from stripe_to_segment.observability import about, count, logger
from stripe_to_segment.receiving.examine import MAX_EVENT_BYTES
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
        """Lists the events created between two epoch seconds; None if there are more than `most`."""

        def __call__(self, since: int, until: int, most: int | None = None) -> list[JsonObject] | None: ...

    class Queuer(Protocol):
        """Queues raw events; returns the result of each."""

        def __call__(self, bodies: Sequence[str]) -> list[Enqueued]: ...


__all__ = ["STRIPE_KEEPS_SECONDS", "Reconciliation", "Step", "missing", "raw", "report", "window"]

# https://docs.stripe.com/api/events: "events going back up to 30 days".
STRIPE_KEEPS_SECONDS = 30 * 86_400
SETTLED_SECONDS = 3_600
# The events of one slice: they are held in memory, and compared again if the run ends in the middle of it.
SLICE = 1000
FIRST_WIDTH, LARGEST_WIDTH = 3_600, 86_400


@frozen
class Step:
    """One finished slice of time: the events created from `since` on and before `until`, in epoch seconds.

    `missing` are the events that the ledger lacks, in the order in which they happened; `oversize` are those of them
    that are too large for SQS.
    """

    since: int
    until: int
    listed: int
    missing: tuple[StripeEvent, ...]
    oversize: tuple[StripeEvent, ...] = ()


@frozen
class Reconciliation:
    """Compares Stripe's list of events with the ledger.

    Parameters
    ----------
    listing
        Stripe's list of events.
    store
        The ledger.
    settings
        The settings of the deliver function, which decide on the calls of an event.
    queue
        Puts events into the EventsQueue; with None the run only compares.
    claimed
        Whether an event is missing too whose calls are claimed and did not arrive: it is in a queue, maybe as a dead
        letter, or was there until somebody deleted it.
    """

    listing: Lister
    store: Store
    settings: Settings
    queue: Queuer | None = None
    claimed: bool = False

    def between(self, since: int, until: int) -> Iterator[Step]:
        """Queue the missing events of those created from `since` on and before `until` (epoch seconds), oldest first.

        A yielded step is finished for good: a run that stops can continue at the `until` of the last one.

        Raises
        ------
        ConfigurationError, QueueUnavailableError, StoreUnavailableError, StripeUnavailableError
            where a slice failed. The next run queues all of its events again; they are still delivered once.
        """
        width = FIRST_WIDTH
        while since < until:
            end = min(since + width, until)
            # A slice of one second cannot be divided, so it is listed without a limit.
            listed = self.listing(since, end, SLICE if end - since > 1 else None)
            if listed is None:
                width = max((end - since) // 2, 1)
                continue
            yield self._step(since, end, listed)
            since = end
            if len(listed) < SLICE // 4:
                width = min(width * 2, LARGEST_WIDTH)

    def _step(self, since: int, until: int, listed: list[JsonObject]) -> Step:
        found = missing(listed, self.store, self.settings, claimed=self.claimed)
        lacking = {event.id: (event, raw(event)) for event in found}
        fitting = [(event, body) for event, body in lacking.values() if len(body) <= MAX_EVENT_BYTES]
        oversize = [event for event, body in lacking.values() if len(body) > MAX_EVENT_BYTES]
        if self.queue is not None:
            failed = [result.failure for result in self.queue([body for _, body in fitting]) if result.failure]
            if failed:
                raise QueueUnavailableError(f"SQS did not take {len(failed)} of {len(fitting)} events: {failed[0]}")
        return Step(since, until, len(listed), tuple(event for event, _ in fitting), tuple(oversize))


def report(step: Step) -> None:
    """Log the missing events of a step, and count them."""
    for event in step.missing:
        logger.info("missing event queued", extra=about(event))
    for event in step.oversize:
        logger.error("missing event too large to queue", extra=about(event))
    count("EventsCompared", step.listed)
    count("EventsReconciled", len(step.missing))


def window(bookmark: int | None, began: int, now: float) -> tuple[int, int]:
    """The time that a scheduled run covers: its start and end, in epoch seconds.

    The first run starts at the stack's creation: earlier events are not missing, they are for an import. Stripe lists
    no event older than thirty days, and an event younger than an hour may still be on its way.
    """
    since = began if bookmark is None else bookmark
    return max(since, int(now) - STRIPE_KEEPS_SECONDS), int(now) - SETTLED_SECONDS


def missing(
    listed: Iterable[JsonObject], store: Store, settings: Settings, *, claimed: bool = False
) -> list[StripeEvent]:
    """The listed events that are missing in this stack, in the order in which they happened; `claimed` as above.

    An event without calls leaves no key in the ledger; it is missing if it would still change what is stored.
    """
    read = (event for event in map(_read, listed) if event is not None)
    wanted = [event for event in read if refusal(event, settings) is None]
    wanted.sort(key=_moment)
    return _isolated(wanted, store, settings, claimed=claimed)


def _isolated(events: list[StripeEvent], store: Store, settings: Settings, *, claimed: bool) -> list[StripeEvent]:
    """The missing events; a list that fails is halved until one event fails alone, which goes to `deliver` to judge."""
    try:
        return _missing(events, store, settings, claimed=claimed)
    except StoreUnavailableError:
        raise
    except Exception:  # noqa: BLE001 - one event, or what is kept of its customer, must not stop the others
        if len(events) == 1:
            return events
    middle = len(events) // 2
    halves = (events[:middle], events[middle:])
    return [event for half in halves for event in _isolated(half, store, settings, claimed=claimed)]


def _missing(wanted: list[StripeEvent], store: Store, settings: Settings, *, claimed: bool) -> list[StripeEvent]:
    wanted = [event for event in wanted if storable(event)]
    memory = recall(wanted, store)
    wanted = [*owned(wanted, memory, store)]
    # A record that cannot be read does not show whether the event is missing. Queued, the event waits until it can be.
    surely = [event for event in wanted if unreadable(event, memory)]
    wanted = [event for event in wanted if not unreadable(event, memory)]
    take_over(wanted, memory, store)
    marks = {event.id: _mark(event, memory.profiles[event.profile_key]) for event in wanted}
    if claimed:
        surely += [event for event in wanted if marks[event.id] is _Mark.CLAIMED]
    unmarked = [event for event in wanted if marks[event.id] is None]
    stated = {event.id: stated_by(event, settings) for event in unmarked}
    # Read the persons for their opt-outs; without a time, nothing is written.
    Persons(settings, NO_TURN).meet([(event, stated[event.id]) for event in unmarked], memory, store)
    translations = [_translated(event, stated[event.id], memory, settings) for event in unmarked]
    names = store.load(_taught(unmarked, translations))
    lacking = [
        event
        for event, translation in zip(unmarked, translations, strict=True)
        if translation is None or _has_news(event, translation, memory, names)
    ]
    return sorted([*surely, *lacking], key=_moment) if surely else lacking


def _moment(event: StripeEvent) -> tuple[int, int]:
    return event.created, CATALOG[event.type].rank


def raw(event: StripeEvent) -> str:
    """The event as JSON for the queue, with the API's own values; ASCII only, so SQS refuses no character of it."""
    return json.dumps(event.body, separators=(",", ":"))


def _read(body: JsonObject) -> StripeEvent | None:
    try:
        return event_from(body)
    except MalformedEventError:
        # There is no object to map, so `deliver` would only dead-letter the event.
        return None


class _Mark(Enum):
    """What a record says of an event: it was delivered, or its calls are claimed and did not arrive."""

    DELIVERED = auto()
    CLAIMED = auto()


def _mark(event: StripeEvent, profile: Profile) -> _Mark | None:
    dedup_key = event_dedup_key(event)
    if dedup_key in profile.ledger:
        return _Mark.DELIVERED
    return _Mark.CLAIMED if dedup_key in profile.claims else None


def _translated(event: StripeEvent, stated: Stated, memory: Memory, settings: Settings) -> Translation | None:
    """The translation that `deliver` would make of the event now; None where the mapper fails on it."""
    known = known_to(event, memory, stated, settings)
    # Some events change traits without sending an identify. The next event sends them; they are no news of this one.
    known = replace(known, profile=replace(known.profile, shown=None, shown_group=None))
    try:
        return translate(event, known, settings, enrich=_as_it_is)
    except Exception:  # noqa: BLE001 - deliver dead-letters it, with the reason
        return None


def _taught(events: list[StripeEvent], translations: list[Translation | None]) -> list[tuple[str, str]]:
    """The kinds and keys of the orders, product names and coupons that these events teach."""
    return [
        (kind, f"{event.scope}:{key}")
        for event, taught in zip(events, translations, strict=True)
        if taught is not None
        for kind, ids in (("order", taught.orders), ("product", taught.product_names), ("coupon", taught.coupons))
        for key in ids
    ]


def _has_news(event: StripeEvent, translation: Translation, memory: Memory, names: Memory) -> bool:
    profile = memory.profiles[event.profile_key]
    # A deleted customer stays deleted; an event from before is no news about that.
    after = replace(
        translation.profile,
        shown=profile.shown,
        shown_group=profile.shown_group,
        # The settings of `deliver` decide what is remembered of them.
        personal=profile.personal,
        deleted=profile.deleted or translation.profile.deleted,
    )
    return (
        bool(translation.calls)
        or (after != profile and _without_intents(after) != _without_intents(profile))
        or any(key not in profile.ledger for key in translation.counted)
        or any(_is_news(event, names, "order", key, value) for key, value in translation.orders.items())
        or any(_is_news(event, names, "product", key, value) for key, value in translation.product_names.items())
        or any(_is_news(event, names, "coupon", key, value) for key, value in translation.coupons.items())
    )


def _without_intents(profile: Profile) -> Profile:
    """The record without which intent has paid what: it is kept where it was known in time, and is no news later."""
    payments = {
        order: {name: value for name, value in written.items() if name not in {"intent", "further_intents"}}
        for order, written in profile.payments.items()
    }
    return replace(profile, payments=payments)


def _is_news(event: StripeEvent, names: Memory, kind: str, key: str, value: str) -> bool:
    """Whether a value is not stored yet, or only an older one than that of this event."""
    full = f"{event.scope}:{key}"
    known = names.learnt(kind)
    if full not in known:
        return True
    return known[full] != value and names.as_of[kind, full] < event.created


def _as_it_is(call: CallBody, _event: JsonObject) -> CallBody:
    """The call without `enrich`, which is the `deliver` function's and may still drop it."""
    return call
