"""Everything the page knows, put together from what was seen at the door, in the log, in the queues and at Segment."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tools.page.checks import checks
from tools.page.comparing import Told
from tools.page.entry import Entry, read_event
from tools.page.people import people
from tools.page.showing import show_detail, show_entry, show_person
from tools.page.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.settings import Settings
    from tools.local_stack.emulator import Message
    from tools.local_stack.stack import Queued
    from tools.page.entry import Attempt
    from tools.page.gate import SeenRequest
    from tools.receiver import AcceptedCall

__all__ = ["Journal"]

KEPT_ENTRIES = 1000


class Journal:
    """The entries by key, the calls, and a version that rises with every change. Safe to use from any thread.

    Parameters
    ----------
    settings
        Those of the deliver function: its names of events, and its tracking plan.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._count = 0
        self._calls: list[AcceptedCall] = []
        self._checks: dict[str, dict[str, list[str]]] = {}
        self._totals = Totals(settings)
        self._depths = (0, 0)
        self._keys: dict[str, str] = {}
        self.version = 0

    @property
    def under_way(self) -> bool:
        """Whether more is to be heard soon of any event."""
        with self._lock:
            return any(entry.under_way for entry in self._entries.values())

    def note_request(self, seen: SeenRequest) -> None:
        """Take in a request that came to the webhook address."""
        key, event = read_event(seen.body)
        with self._lock:
            entry = self._entry(key or f"request-{seen.number}", seen.received_at)
            entry.event = entry.event or event
            entry.seen.append(seen)
            self._touch(entry)

    def note_attempt(self, attempt: Attempt) -> None:
        """Take in what the deliver function said of one record."""
        with self._lock:
            entry = self._entry(attempt.event_id or f"message-{attempt.message_id}", attempt.at)
            entry.attempts.append(attempt)
            self._touch(entry)

    def note_call(self, kept: AcceptedCall) -> None:
        """Take in a call that Segment has kept."""
        call = kept.call
        found = checks(call, self._settings)
        with self._lock:
            self._calls.append(kept)
            self._checks[str(call.get("messageId"))] = found
            self._totals.add(call)
            entry = self._entry(_event_id_of(kept), kept.received_at)
            entry.calls.append(kept)
            self._touch(entry)

    def note_queues(self, queued: Queued, now: datetime) -> None:
        """Take in what is in the two queues."""
        with self._lock:
            waiting, dead = self._by_key(queued.events, now), self._by_key(queued.dead_letters, now)
            for key, entry in self._entries.items():
                events, letters = tuple(waiting.get(key, ())), tuple(dead.get(key, ()))
                next_at = _next_at(events, now)
                if (_ids(events), _ids(letters)) != (_ids(entry.queued), _ids(entry.dead)) or _moved(
                    next_at, entry.next_at
                ):
                    entry.queued, entry.dead, entry.next_at = events, letters, next_at
                    self._touch(entry)
            depths = (len(queued.events), len(queued.dead_letters))
            if depths != self._depths:
                self._depths = depths
                self.version += 1

    def forget_calls(self) -> None:
        """Segment's stand-in has been emptied: so are the totals and the users."""
        with self._lock:
            self._calls.clear()
            self._totals = Totals(self._settings)
            for entry in self._entries.values():
                if entry.calls:
                    entry.calls.clear()
                    self._touch(entry)

    def changed_since(self, version: int) -> list[dict[str, Any]]:
        """The entries that changed after a version, oldest first, as the list shows them."""
        with self._lock:
            changed = [entry for entry in self._entries.values() if entry.version > version]
            return [show_entry(entry, self._checks, self._totals) for entry in changed]

    def summary(self) -> dict[str, Any]:
        """The totals and depths."""
        with self._lock:
            flawed = sum(1 for found in self._checks.values() if found["limits"] or found["plan"])
            return {
                "totals": self._totals.as_json(),
                "events": self._count,
                "calls": len(self._calls),
                "flawed": flawed,
                "waiting": self._depths[0],
                "dead": self._depths[1],
            }

    def detail(self, key: str) -> dict[str, Any] | None:
        """All about one entry; None when there is none of that key."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            told, last = self._told_before(entry)
            return show_detail(entry, self._checks, self._totals, told, last)

    def people(self) -> list[dict[str, Any]]:
        """Every user, the one with the latest call first."""
        with self._lock:
            return [person.as_json() for person in people(self._calls)]

    def person(self, key: str) -> dict[str, Any] | None:
        """The user who has this id, whichever kind it is; None when nobody has."""
        with self._lock:
            found = (one for one in people(self._calls) if any(value == key for _, value in one.ids))
            person = next(found, None)
            return None if person is None else show_person(person)

    def _told_before(self, entry: Entry) -> tuple[Told, Entry | None]:
        """What earlier events of the same subscription said, and the last of them that said anything."""
        told, last = Told(), None
        if entry.subscription is not None:
            place = (entry.created, entry.order)
            for other in sorted(self._entries.values(), key=lambda each: (each.created, each.order)):
                if other.calls and other.subscription == entry.subscription and (other.created, other.order) < place:
                    told.learn(kept.call for kept in other.calls)
                    last = other
        return told, last

    def _entry(self, key: str, at: datetime) -> Entry:
        if key not in self._entries:
            self._count += 1
            self._entries[key] = Entry(key, self._count, at)
            if len(self._entries) > KEPT_ENTRIES:
                del self._entries[next(iter(self._entries))]
        return self._entries[key]

    def _touch(self, entry: Entry) -> None:
        self.version += 1
        entry.version = self.version

    def _by_key(self, messages: Iterable[Message], now: datetime) -> dict[str, list[Message]]:
        found: dict[str, list[Message]] = {}
        for message in messages:
            found.setdefault(self._key_of(message, now), []).append(message)
        return found

    def _key_of(self, message: Message, now: datetime) -> str:
        """The key of a message's entry; each message is read once, however often it is looked at."""
        key = self._keys.get(message.message_id)
        if key is None or key not in self._entries:
            event_id, event = read_event(message.body)
            # It may have come another way than through the door: from an event bus, or by hand.
            entry = self._entry(event_id or f"message-{message.message_id}", now)
            if entry.event is None and event is not None:
                entry.event = event
                self._touch(entry)
            key = self._keys[message.message_id] = entry.key
        return key


def _event_id_of(kept: AcceptedCall) -> str:
    context = kept.call.get("context")
    stripe = context.get("stripe") if isinstance(context, dict) else None
    event_id = stripe.get("event_id") if isinstance(stripe, dict) else None
    return str(event_id or f"call-{kept.call.get('messageId')}")


def _next_at(messages: tuple[Message, ...], now: datetime) -> datetime | None:
    waits = [message.visible_in for message in messages]
    return now + timedelta(seconds=min(waits)) if waits else None


def _moved(one: datetime | None, other: datetime | None) -> bool:
    """Whether these are different times; looked at twice, one time is never quite the same."""
    if one is None or other is None:
        return one is not other
    # What may come now is due, since whenever.
    now = datetime.now(UTC)
    return abs(max(one, now) - max(other, now)) > timedelta(seconds=0.3)


def _ids(messages: tuple[Message, ...]) -> list[str]:
    return [message.message_id for message in messages]
