"""An imitation of Stripe's lists, of events and of objects, and of its webhook endpoints, for the real client.

https://docs.stripe.com/api/events/list and https://docs.stripe.com/api/pagination, as far as the package can meet them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import EventList, ObjectLists, error, query_of
from tests.unit.edges import Endpoint, say
from tests.unit.stripe_destinations import StripeDestinations
from tests.unit.stripe_webhooks import StripeWebhooks, parse_form

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

    from stripe_to_segment.stripe_side.event import StripeEvent
    from tests.unit.edges import HttpRequest

KEY = "rk_test_listing1"
TOO_MANY_REQUESTS = 429
NOT_PERMITTED = "The provided key does not have the required permissions"


class StripeList(Endpoint):
    """A server that lists events and objects newest first; `failures` are answered first, one for each request.

    `failures_after` are answered after so many requests; `retry_after` is the header of a 429. `objects` is what there
    is, `forbidden` are the addresses that the key may not read, and "POST" with one that it may not write below.

    Parameters
    ----------
    clock
        Epoch seconds, by which events grow too old to be listed.
    key
        The one API key; its mode decides which events it sees.
    """

    def __init__(self, clock: Callable[[], float] = time.time, key: str = KEY) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.undelivered: set[str] = set()
        self.objects: list[dict[str, Any]] = []
        self.forbidden: set[str] = set()
        self.failures_after: dict[int, list[int]] = {}
        self.retry_after = ""
        self.failures: list[int] = []
        self.asked: list[dict[str, list[str]]] = []
        self.key = key
        self.webhooks = StripeWebhooks(livemode="_live_" in key)
        self.destinations = StripeDestinations(livemode="_live_" in key)
        self._clock = clock

    def respond(self, handler: BaseHTTPRequestHandler, request: HttpRequest) -> None:
        """Answer as Stripe does."""
        status, body = self.answer(request)
        headers = {"Retry_After": self.retry_after} if self.retry_after and status == TOO_MANY_REQUESTS else {}
        say(status, json.dumps(body, ensure_ascii=False, indent=2).encode(), **headers)(handler)

    def happened(self, *events: StripeEvent | Mapping[str, Any], delivered: bool = True) -> None:
        """Something happened; Stripe could deliver its event, or not."""
        for event in events:
            body = dict(event) if isinstance(event, Mapping) else event.body
            self.events.append(body)
            if not delivered:
                self.undelivered.add(body["id"])

    def clear(self) -> None:
        """Forget all that happened."""
        self.events.clear()
        self.undelivered.clear()
        self.objects.clear()
        self.forbidden.clear()
        self.failures_after.clear()
        self.retry_after = ""
        self.failures.clear()
        self.asked.clear()
        self.webhooks.clear()

    def answer(self, request: HttpRequest) -> tuple[int, dict[str, Any]]:
        """The status and body for a request."""
        authorization = request.headers.get("authorization", "")
        parts = urlsplit(request.path)
        query = query_of(parts.query)
        self.asked.append(query)
        if authorization != f"Bearer {self.key}":
            return 401, error("invalid_request_error", f"Invalid API Key provided: {authorization[-4:]}")
        later = next((statuses for after, statuses in self.failures_after.items() if len(self.asked) > after), [])
        if failures := self.failures or later:
            return failures.pop(0), error("api_error", "told to fail")
        if self.forbidden & {parts.path, f"{request.method} {parts.path.rpartition('/')[0]}"}:
            return 403, error("invalid_request_error", NOT_PERMITTED)
        # Nothing says that a key may expand what it may not read.
        if OBJECTS["coupon"].path in self.forbidden and any(one.endswith(".coupon") for one in query.get("expand", [])):
            return 403, error("invalid_request_error", NOT_PERMITTED)
        listed = ObjectLists(self.objects).answer(parts.path, query)
        return self._answer(request, parts.path, query) if listed is None else listed

    def _answer(self, request: HttpRequest, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if path == "/v1/events":
            events = EventList(self.events, self.undelivered, livemode="_live_" in self.key)
            return events.answer(query, self._clock())
        if request.method == "GET" and path.startswith("/v1/prices/"):
            found = next((one for one in self.objects if one["id"] == path.rpartition("/")[2]), None)
            return (404, error("invalid_request_error", "No such price")) if found is None else (200, found)
        if request.method == "POST" and path.startswith("/v1/customers/"):
            return self._changed(path.rpartition("/")[2], parse_form(request.raw))
        if path.startswith("/v2/"):
            return self.destinations.answer(request.method, path, query, request.raw)
        return self.webhooks.answer(request.method, path, query, parse_form(request.raw))

    def _changed(self, customer: str, form: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """A Customer with other metadata. https://docs.stripe.com/api/customers/update and /metadata"""
        found = next((one for one in self.objects if one["id"] == customer), None)
        if found is None:
            return 404, error("invalid_request_error", f"No such customer: '{customer}'")
        metadata = {**(found.get("metadata") or {}), **form.get("metadata", {})}
        if form.keys() - {"metadata"} or len(metadata) > 50 or any(len(value) > 500 for value in metadata.values()):
            return 400, error("invalid_request_error", "Received unknown parameters, or too much metadata")
        found["metadata"] = {key: value for key, value in metadata.items() if value}
        return 200, found
