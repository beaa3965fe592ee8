"""An imitation of Stripe's lists of events and of objects, with the features that the package uses.

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

from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.receiver.runner import ServerThread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from starlette.requests import Request

__all__ = ["EventList", "ObjectLists", "StripeStandIn", "error", "query_of"]

THIRTY_DAYS = 30 * 86_400
# So many items of a subscription, and payments of an invoice, a list shows.
SHOWN = 10
PARTS = {"subscription": "items", "invoice": "payments"}
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


@dataclass(frozen=True, slots=True)
class ObjectLists:
    """Stripe's lists of objects, by path; `objects` are those of the key's mode, in any order, read anew each time.

    https://docs.stripe.com/api/pagination. Each list has the parameter `created`, and also `status` if its OBJECTS row
    needs it, and that of prices has `active`.
    """

    objects: Iterable[dict[str, Any]]

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]] | None:
        """The status and body for a query: one page, the newest object first; None where no list has this address."""
        for whole, parts in (("subscription", "/v1/subscription_items"), ("invoice", "/v1/invoice_payments")):
            if path == parts:
                return self._page(path, query, self._parts(whole, query.get(whole, [""])[0]), {whole})
        each = next((one for one in OBJECTS.values() if one.path == path and one.listing is not None), None)
        if each is None:
            return None
        found = [_cut(one) for one in self.objects if one["object"] == each.name and _has_status(one, query)]
        found.sort(key=lambda one: (one["created"], one["id"]), reverse=True)
        return self._page(path, query, found, {"created[gte]", "created[lt]", "status", "active"})

    @staticmethod
    def _page(
        path: str, query: dict[str, list[str]], found: list[dict[str, Any]], filters: set[str]
    ) -> tuple[int, dict[str, Any]]:
        if unknown := query.keys() - {"starting_after", "limit", "expand", *filters}:
            return 400, error("invalid_request_error", f"Received unknown parameters: {unknown}")
        limit = int(query.get("limit", ["10"])[0])
        if not 1 <= limit <= 100:  # noqa: PLR2004 - Stripe's limit
            return 400, error("invalid_request_error", "too many")
        if after := query.get("starting_after"):
            ids = [one["id"] for one in found]
            if after[0] not in ids:
                return 404, error("invalid_request_error", f"No such object: {after[0]}")
            found = found[ids.index(after[0]) + 1 :]
        earliest, before = (int(query.get(f"created[{name}]", ["-1"])[0]) for name in ("gte", "lt"))
        found = [one for one in found if one.get("created", 0) >= earliest and (before < 0 or one["created"] < before)]
        return 200, {"object": "list", "url": path, "has_more": len(found) > limit, "data": found[:limit]}

    def _parts(self, kind: str, name: str) -> list[dict[str, Any]]:
        """The items of a subscription, or the payments of an invoice."""
        found: list[dict[str, Any]] = next((one[PARTS[kind]]["data"] for one in self.objects if one["id"] == name), [])
        return found


def _has_status(one: dict[str, Any], query: dict[str, list[str]]) -> bool:
    """Whether the object has the queried status.

    Without one Stripe leaves out cancelled subscriptions, and prices that are not active.
    """
    if one["object"] == "price":
        return str(one.get("active", True)).lower() == query.get("active", ["true"])[0]
    if (wanted := query.get("status", [""])[0]) and wanted != "all":
        return bool(one.get("status") == wanted)
    return bool(wanted) or one["object"] != "subscription" or one.get("status") != "canceled"


def _cut(one: dict[str, Any]) -> dict[str, Any]:
    """A subscription or an invoice as a list shows it, with the first of its parts; of items four levels deep."""
    name = PARTS.get(one["object"], "")
    parts = (one.get(name) or {}).get("data", [])
    shown = [_with_ids_of_coupons(part) if part.get("discounts") else part for part in parts[:SHOWN]]
    if shown == parts:
        return one
    return {**one, name: {**one[name], "data": shown, "has_more": len(parts) > SHOWN}}


def _with_ids_of_coupons(item: dict[str, Any]) -> dict[str, Any]:
    """An item of a listed subscription: its discounts name their coupons, which are a fifth level.

    https://docs.stripe.com/expand#depth
    """
    sources = ((one, one.get("source") if isinstance(one, dict) else None) for one in item["discounts"])
    named = [
        {**one, "source": {**source, "coupon": source["coupon"]["id"]}}
        if source and isinstance(source["coupon"], dict)
        else one
        for one, source in sources
    ]
    return {**item, "discounts": named}


class StripeStandIn(ServerThread):
    """Lists as a server, as a context manager; any other path is not found."""

    def __init__(self, events: EventList | None = None, objects: ObjectLists | None = None) -> None:
        async def listed(request: Request) -> JSONResponse:
            path, query = request.url.path, query_of(request.url.query)
            answer = None
            if events is not None and path == OBJECTS["event"].path:
                answer = events.answer(query, time.time())
            elif objects is not None:
                answer = objects.answer(path, query)
            status, body = answer or (404, error("invalid_request_error", f"Unrecognized request URL: {path}"))
            return JSONResponse(body, status)

        super().__init__(Starlette(routes=[Route("/{path:path}", listed)]))


def query_of(text: str) -> dict[str, list[str]]:
    """The values of a query by name; `types[0]=` is one of `types`."""
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        query.setdefault(re.sub(r"\[\d*\]$", "", name), []).append(value)
    return query


def error(kind: str, message: str) -> dict[str, Any]:
    """The body of an error answer of Stripe."""
    return {"error": {"type": kind, "message": message}}
