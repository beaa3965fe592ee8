"""Thin events: they name an object and carry none. Pure: other code reads the object from the Stripe API.

https://docs.stripe.com/events/how-events-work#thin-events
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.frozen import frozen, frozen_with_cache
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_side.event import END_OF_TIME, THIN, EventHead, event_from, read_json
from stripe_to_segment.stripe_side.fields import dig, hash_of, merged, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["V1", "ThinEvent", "Unread", "at_the_time", "object_path", "of_account", "read_event", "sent_event"]

# Events of API v1 are named after their snapshots: v1.invoice.paid.
V1 = "v1."
# The address comes from Stripe, and must lead to nothing but an object.
PATH = re.compile(r"/v1(/[A-Za-z0-9_%-][A-Za-z0-9_.%-]*)+")


@frozen_with_cache
class ThinEvent(EventHead):
    """A thin event; `type` is that of its snapshot, and without one Stripe's own.

    `context` is to be sent along when something is read for it; the account that it ends in is a connected one.
    """

    context: str | None
    related: str | None


@frozen
class Unread:
    """Why a thin event could not be read; `hopeless` says that it never will be."""

    reason: str
    detail: str
    hopeless: bool = False


def read_event(raw: str | bytes) -> StripeEvent | ThinEvent:
    """The event in a JSON text, a snapshot or a thin one; raises MalformedEventError, with the reason."""
    return sent_event(read_json(raw))


def sent_event(data: object) -> StripeEvent | ThinEvent:
    """The event of a decoded JSON value, a snapshot or a thin one; raises MalformedEventError, with the reason."""
    return _thin_from(data) if isinstance(data, dict) and data.get("object") == THIN else event_from(data)


def object_path(thin: ThinEvent, full: JsonObject) -> str:
    """Where the API has the object of a thin event, which the API returned as `full`; raises MalformedEventError."""
    path = text(dig(full, "related_object", "url")) or thin.related or ""
    if not PATH.fullmatch(path):
        raise MalformedEventError(Reason.NOT_AN_EVENT, "the thin event names no object of API v1")
    return path


def of_account(thin: ThinEvent, body: JsonObject) -> StripeEvent:
    """The snapshot of a thin event; read on an account's behalf it may not name the account."""
    return event_from({**body, "account": text(body.get("account")) or thin.account})


def at_the_time(thin: ThinEvent, full: JsonObject, found: JsonObject) -> StripeEvent:
    """The event of a thin one that has no snapshot, from its object as it is now and what changed in it then."""
    changes = hash_of(full.get("changes"))
    return event_from(
        {
            "id": thin.id,
            "object": "event",
            "account": thin.account,
            "created": thin.created,
            "data": {
                "object": merged(found, hash_of(changes.get("after"))),
                "previous_attributes": hash_of(changes.get("before")),
            },
            "livemode": thin.livemode,
            "type": thin.type,
        }
    )


def _thin_from(data: JsonObject) -> ThinEvent:
    event_id, kind, created = text(data.get("id")), text(data.get("type")), _seconds(text(data.get("created")))
    if event_id is None or kind is None or created is None:
        raise MalformedEventError(Reason.NOT_AN_EVENT, "the body is no thin event: no usable id, type or created")
    context = text(data.get("context"))
    account = (context or "").rpartition("/")[2]
    return ThinEvent(
        id=event_id,
        type=kind.removeprefix(V1),
        created=created,
        livemode=data.get("livemode") is True,
        account=account if account.startswith("acct_") else None,
        context=context,
        related=text(dig(data, "related_object", "url")),
    )


def _seconds(moment: str | None) -> int | None:
    try:
        parsed = datetime.fromisoformat(moment or "")
        seconds = int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    except (OverflowError, ValueError):
        return None
    return seconds if 0 <= seconds < END_OF_TIME else None
