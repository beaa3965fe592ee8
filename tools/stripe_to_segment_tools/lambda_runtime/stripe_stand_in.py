"""An imitation of Stripe's list of events, `GET /v1/events`, with the features that the package uses.

https://docs.stripe.com/api/events/list and https://docs.stripe.com/api/pagination
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from stripe_to_segment_tools.receiver.runner import ServerThread

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.requests import Request

__all__ = ["EventList", "StripeEventsStandIn", "error", "query_of"]

THIRTY_DAYS = 30 * 86_400
KNOWN = {"types", "created[gte]", "created[lt]", "delivery_success", "starting_after", "limit"}


@dataclass(frozen=True, slots=True)
class EventList:
    """The events that an API key can read.

    Attributes
    ----------
    events
        All events, in any order.
    undelivered
        The ids of those that Stripe could not deliver.
    livemode
        The mode of the key.
    """

    events: Sequence[dict[str, Any]]
    undelivered: Collection[str]
    livemode: bool

    def answer(self, query: dict[str, list[str]], now: float) -> tuple[int, dict[str, Any]]:
        """The status and body for a query, at a time in epoch seconds: one page, the newest event first."""
        if unknown := set(query) - KNOWN:
            return 400, error("invalid_request_error", f"Received unknown parameters: {unknown}")
        types, limit = query.get("types", []), int(query.get("limit", ["10"])[0])
        if len(types) > 20 or not 1 <= limit <= 100:  # noqa: PLR2004 - Stripe's limits
            return 400, error("invalid_request_error", "too many")
        delivered = {"true": True, "false": False}.get(query.get("delivery_success", [""])[0])
        earliest = max(int(query.get("created[gte]", ["0"])[0]), int(now) - THIRTY_DAYS)
        before = int(query.get("created[lt]", ["99999999999"])[0])
        found = [
            event
            for event in sorted(self.events, key=lambda event: (event["created"], event["id"]), reverse=True)
            if event["livemode"] is self.livemode
            and earliest <= event["created"] < before
            and (not types or event["type"] in types)
            and (delivered is None or delivered is (event["id"] not in self.undelivered))
        ]
        if after := query.get("starting_after"):
            if after[0] not in {event["id"] for event in self.events}:
                return 404, error("invalid_request_error", f"No such event: {after[0]}")
            found = found[[event["id"] for event in found].index(after[0]) + 1 :]
        page = found[:limit]
        return 200, {"object": "list", "url": "/v1/events", "has_more": len(found) > limit, "data": page}


class StripeEventsStandIn(ServerThread):
    """The list as a server, as a context manager; any other path is not found."""

    def __init__(self, events: EventList) -> None:
        async def listed(request: Request) -> JSONResponse:
            status, body = events.answer(query_of(request.url.query), time.time())
            return JSONResponse(body, status)

        super().__init__(Starlette(routes=[Route("/v1/events", listed)]))


def query_of(text: str) -> dict[str, list[str]]:
    """The values of a query by name; `types[0]=` is one of `types`."""
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        query.setdefault(re.sub(r"\[\d*\]$", "", name), []).append(value)
    return query


def error(kind: str, message: str) -> dict[str, Any]:
    """An error as Stripe puts it."""
    return {"error": {"type": kind, "message": message}}
