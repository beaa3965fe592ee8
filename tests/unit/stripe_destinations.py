"""An imitation of Stripe's event destinations, under the conditions that Stripe keeps.

https://docs.stripe.com/api/v2/core/event-destinations: URL and signing secret are returned only on request, the secret
only at creation; bodies are JSON; the list holds destinations of all payloads and kinds, in pages.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import error
from tests.unit.edges import a_signing_secret

PATH = re.compile(r"/v2/core/event_destinations(?:/(ed_\w+))?(/enable|/disable)?")
CREATES = {
    "description",
    "enabled_events",
    "event_payload",
    "events_from",
    "include",
    "metadata",
    "name",
    "snapshot_api_version",
    "type",
    "webhook_endpoint",
}
UPDATES = {"description", "enabled_events", "include", "metadata", "name", "webhook_endpoint"}
URL, SECRET = "webhook_endpoint.url", "webhook_endpoint.signing_secret"
# A page of the list.
PAGE = 1
# Stripe's sentence; the name that it gives this permission is not documented.
REFUSED = (
    "The provided key 'rk_test_***' does not have the required permissions for this endpoint on account 'acct_1'. "
    "Having the 'rak_of_these_write' permission would allow this request to continue."
)

type Answer = tuple[int, dict[str, Any]]


@dataclass
class StripeDestinations:
    """The event destinations of one mode of an account; `allowed` says whether the key may see and change them."""

    livemode: bool
    allowed: bool = True
    destinations: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    made: int = 0

    def add(self, url: str, events: list[str], **more: Any) -> dict[str, Any]:
        """A destination that was made by hand."""
        self.made += 1
        name = f"ed_test_{self.made}"
        self.secrets[name] = a_signing_secret(f"{self.livemode} {name}")
        made = {
            "id": name,
            "object": "v2.core.event_destination",
            "created": f"2026-11-18T11:06:{self.made:02}.000Z",
            "description": "",
            "enabled_events": events,
            "event_payload": "thin",
            "events_from": ["@self"],
            "livemode": self.livemode,
            "metadata": {},
            "name": name,
            "snapshot_api_version": None,
            "status": "enabled",
            "status_details": None,
            "type": "webhook_endpoint",
            "updated": "2026-11-18T11:06:40.000Z",
            "webhook_endpoint": {"url": url},
        }
        self.destinations[name] = made | more
        return self.destinations[name]

    def answer(  # noqa: PLR0911 - one return for each kind of request
        self, method: str, path: str, query: dict[str, list[str]], raw: bytes
    ) -> Answer:
        """The status and body for a request."""
        found = PATH.fullmatch(path)
        name, verb = found.groups() if found else (None, None)
        if found is None or (name and name not in self.destinations):
            return 404, error("invalid_request_error", f"No such object: {path}")
        if not self.allowed:
            return 403, error("invalid_request_error", REFUSED)
        if method == "GET":
            include = query.get("include", [])
            return 200, _shown(self.destinations[name], include) if name else self._page(query)
        body: dict[str, Any] = json.loads(raw) if raw else {}
        self.log.append((" ".join([method, f"{name or ''}{verb or ''}"]).strip(), body))
        if unknown := set(body) - (UPDATES if name else CREATES):
            return 400, error("invalid_request_error", f"Received unknown parameters: {unknown}")
        if name is None:
            return 200, self._created(body)
        if method == "DELETE":
            del self.destinations[name]
            return 200, {"id": name, "object": "v2.core.event_destination", "deleted": True}
        change = {"status": f"{verb[1:]}d"} if verb else {key: body[key] for key in body if key != "include"}
        self.destinations[name] |= change
        return 200, _shown(self.destinations[name], body.get("include", []))

    def _created(self, body: dict[str, Any]) -> dict[str, Any]:
        include = body.pop("include", [])
        made = self.add(body["webhook_endpoint"]["url"], body["enabled_events"])
        made |= body
        shown = _shown(made, include)
        if SECRET in include:
            shown["webhook_endpoint"] = shown["webhook_endpoint"] | {"signing_secret": self.secrets[made["id"]]}
        return shown

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        start, include = int(query.get("page", ["0"])[0]), query.get("include", [])
        every = [_shown(each, include) for each in reversed(self.destinations.values())]
        after = "&".join([f"page={start + PAGE}", *(f"include[0]={each}" for each in include)])
        return {
            "data": every[start : start + PAGE],
            "next_page_url": f"/v2/core/event_destinations?{after}" if start + PAGE < len(every) else None,
            "previous_page_url": None,
        }


def _shown(made: dict[str, Any], include: list[str]) -> dict[str, Any]:
    return made | {"webhook_endpoint": made["webhook_endpoint"] if URL in include else None}
