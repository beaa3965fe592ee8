"""Everything that the page shows, collected from the webhook, the log, the queues and Segment's stand-in."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.page.checks import checks
from stripe_to_segment_tools.page.comparing import PreviousValues
from stripe_to_segment_tools.page.entries import KEPT_ENTRIES, Entries, key_of, key_of_call
from stripe_to_segment_tools.page.entry import read_event
from stripe_to_segment_tools.page.numbers import numbers
from stripe_to_segment_tools.page.people import people
from stripe_to_segment_tools.page.showing import show_detail, show_entry, show_person
from stripe_to_segment_tools.page.totals import Totals
from stripe_to_segment_tools.samples.stripe_lists import objects_after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.local_stack.emulator import Message
    from stripe_to_segment_tools.local_stack.stack import Queued
    from stripe_to_segment_tools.page.entry import Attempt, Entry
    from stripe_to_segment_tools.page.numbers import Numbers
    from stripe_to_segment_tools.page.webhook_proxy import SeenRequest
    from stripe_to_segment_tools.receiver import AcceptedCall, RefusedCall

__all__ = ["Journal"]

# The length shown of a body that is no event, and kept of one that is.
KEPT_BYTES = 2000
# A refused body that is larger is not read, because anybody may have sent it.
READ_BYTES = 256_000
OK = range(200, 300)
REFUSED = range(400, 500)


class Journal:
    """The entries by key, the calls, and a version that each change increases. Thread-safe.

    Parameters
    ----------
    settings
        The settings of the deliver function, for the names of events and the tracking plan.
    kept
        The number of events that are kept. Of older ones only the totals and the users keep the data.
    """

    def __init__(self, settings: Settings, kept: int = KEPT_ENTRIES) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._entries = Entries(kept)
        self._in_queues: set[str] = set()
        self._calls: list[AcceptedCall] = []
        self._flawed = 0
        self._totals = Totals(settings)
        self._depths = (0, 0)
        self._keys: dict[str, str] = {}
        self.version = 0

    @property
    def under_way(self) -> bool:
        """Whether any event will change again soon."""
        with self._lock:
            return any(entry.under_way for entry in self._entries)

    def note_request(self, seen: SeenRequest) -> None:
        """Record a request to the webhook address."""
        refused = seen.status in REFUSED
        event_id, event = ("", None) if refused and len(seen.body) > READ_BYTES else read_event(seen.body)
        # Without a valid signature the body may name any event, so the request gets an entry of its own.
        key = f"request-{seen.number}"
        with self._lock:
            entry = self._entries.arrived(key if refused else key_of(event_id, key), seen.received_at)
            if event is not None and (entry.event is None or seen.status in OK):
                entry.event = event
            entry.seen.append(replace(seen, body=seen.body[:KEPT_BYTES]))
            self._touch(entry)

    def stripe_objects(self) -> list[dict[str, Any]]:
        """What Stripe's lists would show now, by the accepted events of test mode and of the account itself."""
        with self._lock:
            accepted = [entry.event for entry in self._entries if any(seen.status in OK for seen in entry.seen)]
        own = (event for event in accepted if event and event.object and not (event.livemode or event.account))
        return objects_after(event.body for event in own)

    def note_attempt(self, attempt: Attempt) -> None:
        """Record a log line of the deliver function about one record."""
        with self._lock:
            key = key_of(attempt.event_id, f"message-{attempt.message_id}")
            if (entry := self._entries.named(key, attempt.at)) is not None:
                entry.attempts.append(attempt)
                self._touch(entry)

    def note_call(self, kept: AcceptedCall) -> None:
        """Record a call that Segment kept."""
        call = kept.call
        found = checks(call, self._settings)
        with self._lock:
            self._calls.append(kept)
            self._flawed += any(found.values())
            self._totals.add(call)
            if (entry := self._entries.named(key_of_call(call), kept.received_at)) is not None:
                entry.calls.append(kept)
                entry.checks[str(call.get("messageId"))] = found
                self._touch(entry)

    def note_refused(self, refused: RefusedCall) -> None:
        """Record a call that Segment refused for good."""
        with self._lock:
            if (entry := self._entries.named(key_of_call(refused.call), datetime.now(UTC))) is not None:
                entry.refused[str(refused.call.get("messageId"))] = refused
                self._touch(entry)

    def note_queues(self, queued: Queued, now: datetime) -> None:
        """Record the messages in the two queues."""
        with self._lock:
            waiting, dead = self._by_key(queued.events, now), self._by_key(queued.dead_letters, now)
            there = waiting.keys() | dead.keys()
            for entry in filter(None, map(self._entries.get, there | self._in_queues)):
                events, letters = tuple(waiting.get(entry.key, ())), tuple(dead.get(entry.key, ()))
                next_at = _next_at(events, now)
                if (_ids(events), _ids(letters)) != (_ids(entry.queued), _ids(entry.dead)) or _moved(
                    next_at, entry.next_at
                ):
                    entry.queued, entry.dead, entry.next_at = events, letters, next_at
                    self._touch(entry)
            self._in_queues = there
            present = {message.message_id for message in (*queued.events, *queued.dead_letters)}
            self._keys = {message_id: key for message_id, key in self._keys.items() if message_id in present}
            depths = (len(queued.events), len(queued.dead_letters))
            if depths != self._depths:
                self._depths = depths
                self.version += 1

    def forget_calls(self) -> None:
        """Empty the totals and the users, because Segment's stand-in was emptied."""
        with self._lock:
            self._calls.clear()
            self._totals = Totals(self._settings)
            self._flawed = 0
            for entry in self._entries:
                if entry.calls:
                    entry.calls.clear()
                    self._touch(entry)

    def changed_since(self, version: int) -> list[dict[str, Any]]:
        """The entries that changed after a version, oldest first, as the list shows them."""
        with self._lock:
            changed = [entry for entry in self._entries if entry.version > version]
            return [show_entry(entry) for entry in changed]

    def summary(self) -> dict[str, Any]:
        """The totals and depths."""
        with self._lock:
            return {
                "totals": self._totals.texts(),
                "events": self._entries.count,
                "calls": len(self._calls),
                "flawed": self._flawed,
                "waiting": self._depths[0],
                "dead": self._depths[1],
            }

    def detail(self, key: str) -> dict[str, Any] | None:
        """Everything about one entry, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            previous, last = self._values_before(entry)
            return show_detail(entry, self._settings, previous, last)

    def dead_letters(self, key: str) -> frozenset[str]:
        """The message ids of an entry's dead letters."""
        with self._lock:
            entry = self._entries.get(key)
            return frozenset() if entry is None else frozenset(_ids(entry.dead))

    def people(self) -> list[dict[str, Any]]:
        """Every user, the one with the latest call first."""
        with self._lock:
            return [person.as_json() for person in people(self._calls)]

    def numbers(self) -> dict[str, Numbers]:
        """The numbers of each currency."""
        with self._lock:
            calls = list(self._calls)
        return numbers(calls, self._settings)

    def person(self, key: str) -> dict[str, Any] | None:
        """The user with this id of any kind, or None."""
        with self._lock:
            found = (one for one in people(self._calls) if any(value == key for _, value in one.ids))
            person = next(found, None)
            return None if person is None else show_person(person)

    def _values_before(self, entry: Entry) -> tuple[PreviousValues, Entry | None]:
        """The values that earlier events of the same subscription sent, and the last of these events."""
        previous, last = PreviousValues(), None
        if entry.subscription is not None:
            place = (entry.created, entry.order)
            for other in sorted(self._entries, key=lambda each: (each.created, each.order)):
                if other.calls and other.subscription == entry.subscription and (other.created, other.order) < place:
                    previous.learn(kept.call for kept in other.calls)
                    last = other
        return previous, last

    def _touch(self, entry: Entry) -> None:
        self.version += 1
        entry.version = self.version

    def _by_key(self, messages: Iterable[Message], now: datetime) -> dict[str, list[Message]]:
        found: dict[str, list[Message]] = {}
        for message in messages:
            found.setdefault(self._key_of(message, now), []).append(message)
        return found

    def _key_of(self, message: Message, now: datetime) -> str:
        """The key of a message's event; each message is parsed only once."""
        key = self._keys.get(message.message_id)
        if key is None:
            event_id, event = read_event(message.body)
            key = self._keys[message.message_id] = key_of(event_id, f"message-{message.message_id}")
            # It may not have come through the webhook, but from an event bus, or by hand.
            entry = self._entries.named(key, now)
            if entry is not None and entry.event is None and event is not None:
                entry.event = event
                self._touch(entry)
        return key


def _next_at(messages: tuple[Message, ...], now: datetime) -> datetime | None:
    waits = [message.visible_in for message in messages]
    return now + timedelta(seconds=min(waits)) if waits else None


def _moved(one: datetime | None, other: datetime | None) -> bool:
    """Whether these are different times; two readings of the same time differ a little."""
    if one is None or other is None:
        return one is not other
    # A message that can be received now is due; since when does not matter.
    now = datetime.now(UTC)
    return abs(max(one, now) - max(other, now)) > timedelta(seconds=0.3)


def _ids(messages: tuple[Message, ...]) -> list[str]:
    return [message.message_id for message in messages]
