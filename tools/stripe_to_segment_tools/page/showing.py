"""The answers to the browser: entries, details and users as JSON values. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.commands.headlines import headline
from stripe_to_segment_tools.page.entries import key_of_call
from stripe_to_segment_tools.page.entry import Stage
from stripe_to_segment_tools.page.meaning import meaning_of
from stripe_to_segment_tools.page.steps import steps_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.page.comparing import PreviousValues
    from stripe_to_segment_tools.page.entry import Entry
    from stripe_to_segment_tools.page.people import Person
    from stripe_to_segment_tools.receiver import AcceptedCall, RefusedCall

# No real name is longer, and the beginning is enough to recognise it.
LONGEST = 200
# The number of calls of a user that are listed.
LATEST = 200

__all__ = ["show_detail", "show_entry", "show_person"]


def show_entry(entry: Entry) -> dict[str, Any]:
    """An entry as the list shows it."""
    waiting = entry.outcome is Stage.WAITING
    event = entry.event
    return {
        "key": entry.key,
        "order": entry.order,
        "event": event.id if event else "",
        "type": entry.type[:LONGEST],
        "at": (entry.seen[0].received_at if entry.seen else entry.first_at).isoformat(),
        "times": len(entry.seen),
        "outcome": entry.outcome,
        "reason": entry.reason,
        "attempts": len(entry.attempts),
        "tried": not entry.attempts or entry.attempts[-1].tried,
        "next_at": entry.next_at.isoformat() if waiting and entry.next_at else None,
        "object": str(event.object.get("id") or "")[:LONGEST] if event else "",
        "customer": (event.customer or "") if event else "",
        "subscription": entry.subscription or "",
        "livemode": event.livemode if event else None,
        "users": _users(entry),
        "calls": [{**_headline(kept), "flawed": any(_checks(entry, kept).values())} for kept in entry.calls],
        "pending": list(entry.pending),
    }


def show_detail(entry: Entry, settings: Settings, previous: PreviousValues, last: Entry | None) -> dict[str, Any]:
    """Everything about an entry: its path, the raw event, and each call with its checks and its changed values."""
    body = entry.seen[-1].body.decode(errors="replace") if entry.seen else "".join(each.body for each in entry.dead[:1])
    return {
        **show_entry(entry),
        "steps": steps_of(entry),
        "raw": entry.event.body if entry.event and _is_json(entry.event.body) else None,
        "text": body[:2000],
        "last": None if last is None else {"key": last.key, "type": last.type},
        "sent": [
            {
                **_headline(kept),
                "meaning": meaning_of(kept.call, settings),
                "call": kept.call,
                "at": kept.received_at.isoformat(),
                "source": kept.source,
                "request": kept.request,
                "checks": _checks(entry, kept),
                "rows": previous.compare(kept.call),
            }
            for kept in entry.calls
        ],
        "refused": [
            {**_headline(refused), "call": refused.call, "answer": refused.answer}
            for message_id, refused in entry.refused.items()
            if entry.outcome is Stage.DEAD and message_id not in entry.checks
        ],
        "letters": len(entry.dead),
    }


def show_person(person: Person) -> dict[str, Any]:
    """Everything about a user. The timeline is newest first; `earlier` is the number of calls left out of it."""
    return {
        **person.as_json(),
        "traits": [{"name": name, "value": value} for name, value in sorted(person.traits.items())],
        "groups": [{"id": name, "traits": traits} for name, traits in person.groups.items()],
        "timeline": [
            {
                **_headline(kept),
                "at": kept.call.get("timestamp"),
                "event": key_of_call(kept.call),
                "anonymous": not kept.call.get("userId"),
                "as": kept.call.get("userId") or kept.call.get("anonymousId"),
            }
            # The newest first, also among calls of the same second.
            for kept in sorted(person.calls, key=_when)[: -LATEST - 1 : -1]
        ],
        "earlier": max(len(person.calls) - LATEST, 0),
    }


def _headline(kept: AcceptedCall | RefusedCall) -> dict[str, str]:
    """The headline of a call."""
    shown = headline(kept.call)
    return {"kind": str(kept.call.get("type")), "name": shown.name, "says": shown.says}


def _users(entry: Entry) -> list[str]:
    ids = (kept.call.get(kind) for kind in ("userId", "anonymousId") for kept in entry.calls)
    return list(dict.fromkeys(value for value in ids if isinstance(value, str)))


def _is_json(body: Any) -> bool:
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        # 1e999 is parsed as infinity.
        return False
    return True


def _checks(entry: Entry, kept: AcceptedCall) -> Mapping[str, list[str]]:
    return entry.checks[str(kept.call.get("messageId"))]


def _when(kept: AcceptedCall) -> str:
    return str(kept.call.get("timestamp") or kept.received_at.isoformat())
