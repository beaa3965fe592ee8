"""An imitation of Stripe's webhook endpoints, under the conditions that Stripe keeps.

https://docs.stripe.com/api/webhook_endpoints: the signing secret is returned once, at creation; the API version cannot
be changed; an account has 16 in each mode; the list comes in pages, newest first, and does not say which endpoints take
the events of connected accounts.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import error
from tests.unit.edges import a_signing_secret

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 16
DEFAULT_VERSION = "2024-06-20"
PATH = re.compile(r"/v1/webhook_endpoints(?:/(we_\w+))?")
CREATES = {"url", "enabled_events", "api_version", "connect", "description", "metadata"}
UPDATES = {"url", "enabled_events", "disabled", "description", "metadata"}

type Answer = tuple[int, dict[str, Any]]


@dataclass
class StripeWebhooks:
    """The endpoints of one mode of an account.

    `permission` is what the key may do with them: write, read or none. `before` is asked before each request with its
    method and path and may raise in the place of a lost connection. `log` has the writing requests.
    """

    livemode: bool
    permission: str = "write"
    before: Callable[[str, str], Answer | None] = lambda _method, _path: None
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    connect: set[str] = field(default_factory=set)
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def clear(self) -> None:
        """Forget all endpoints."""
        fresh = StripeWebhooks(self.livemode)
        self.__dict__.update(fresh.__dict__)

    def add(self, url: str, events: list[str], **more: Any) -> dict[str, Any]:
        """An endpoint that was made by hand."""
        number = next(self._numbers)
        name = f"we_{number}"
        self.secrets[name] = a_signing_secret(f"{self.livemode} {name}")
        made = {
            "id": name,
            "object": "webhook_endpoint",
            "api_version": None,
            "application": None,
            "created": 1_790_000_000 + number,
            "description": None,
            "enabled_events": events,
            "livemode": self.livemode,
            "metadata": {},
            "status": "enabled",
            "url": url,
        }
        self.endpoints[name] = made | more
        return self.endpoints[name]

    def answer(self, method: str, path: str, query: dict[str, list[str]], form: dict[str, Any]) -> Answer:
        """The status and body for a request."""
        found = PATH.fullmatch(path)
        if found is None or (found[1] and found[1] not in self.endpoints):
            return 404, error("invalid_request_error", f"No such object: {path}")
        if told := self.before(method, path):
            return told
        if self.permission == "none" or (self.permission == "read" and method != "GET"):
            return 403, error("invalid_request_error", "The provided key does not have the required permissions")
        name: str = found[1] or ""
        if method == "GET":
            return (200, self.endpoints[name]) if name else self._page(query)
        self.log.append((f"{method} {name}".strip(), form))
        if method == "DELETE":
            del self.endpoints[name]
            return 200, {"id": name, "object": "webhook_endpoint", "deleted": True}
        return self._update(name, form) if name else self._create(form)

    def _create(self, form: dict[str, Any]) -> Answer:
        if refused := self._refused(form, CREATES):
            return refused
        if len(self.endpoints) >= MOST:
            return 400, error("invalid_request_error", f"You have reached the maximum of {MOST} webhook endpoints.")
        made = self.add(form["url"], form["enabled_events"])
        made |= {name: form[name] for name in ("api_version", "description", "metadata") if name in form}
        if form.get("connect") == "true":
            self.connect.add(made["id"])
        return 200, made | {"secret": self.secrets[made["id"]]}

    def _update(self, name: str, form: dict[str, Any]) -> Answer:
        if refused := self._refused(form, UPDATES):
            return refused
        changed = {key: value for key, value in form.items() if key not in {"disabled", "metadata"}}
        if "disabled" in form:
            changed["status"] = "disabled" if form["disabled"] == "true" else "enabled"
        self.endpoints[name] |= changed
        self.endpoints[name]["metadata"] |= form.get("metadata", {})
        return 200, self.endpoints[name]

    def _refused(self, form: dict[str, Any], known: set[str]) -> Answer | None:
        if unknown := set(form) - known:
            return 400, error("invalid_request_error", f"Received unknown parameters: {', '.join(sorted(unknown))}")
        if self.livemode and not form.get("url", "https://").startswith("https://"):
            return 400, error("invalid_request_error", "Invalid URL: webhook endpoints in live mode take https only")
        return None

    def _page(self, query: dict[str, list[str]]) -> Answer:
        limit = int(query.get("limit", ["10"])[0])
        if set(query) - {"limit", "starting_after"} or not 1 <= limit <= 100:
            return 400, error("invalid_request_error", "Received unknown parameters")
        found = sorted(self.endpoints.values(), key=lambda each: each["created"], reverse=True)
        if after := query.get("starting_after"):
            found = found[[each["id"] for each in found].index(after[0]) + 1 :]
        data = found[:limit]
        return 200, {"object": "list", "url": "/v1/webhook_endpoints", "has_more": len(found) > limit, "data": data}


def parse_form(raw: bytes) -> dict[str, Any]:
    """The content of a form: `a[0]=` makes a list, `a[b]=` an object, and every value is text."""
    form: dict[str, Any] = {}
    for key, value in parse_qsl(raw.decode(), keep_blank_values=True):
        name, _, rest = key.partition("[")
        inner = rest.removesuffix("]")
        if not rest:
            form[name] = value
        elif inner.isdigit() or not inner:
            form.setdefault(name, []).append(value)
        else:
            form.setdefault(name, {})[inner] = value
    return form
