"""Stripe's webhook endpoints, through its API. https://docs.stripe.com/api/webhook_endpoints."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError, StripeUnavailableError
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.stripe_api.reader import reason_of, stripe_client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "API_VERSION",
    "EVENT_TYPES",
    "Endpoint",
    "EndpointRefusedError",
    "WebhookEndpoints",
    "plain_url",
    "speaking",
]

# The API version of endpoints that `register` creates, which is that of the sample events and the tests. Other versions
# work too, because readers look for a field wherever any version puts it.
API_VERSION = "2026-10-28.endive"
EVENT_TYPES = tuple(CATALOG)
TIMEOUT_SECONDS = 20.0
RETRIES = 2
PAGE = 100
SHOWN = 4
READ, WRITE = (f"the permission 'Webhook Endpoints: {name}'" for name in ("Read", "Write"))
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
PERMISSION = re.compile(r"\brak_[a-z0-9_]+")


class EndpointRefusedError(StripeToSegmentError):
    """Stripe refused to create, change or delete an endpoint; the text is Stripe's own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint; `version` is None where it follows the account's.

    An endpoint of thin events has no version of its own, and counts as one of ours. The API does not state whether an
    endpoint takes the events of connected accounts.
    """

    id: str
    url: str
    events: frozenset[str]
    version: str | None
    enabled: bool
    metadata: Mapping[str, str]

    def shortcomings(self) -> list[str]:
        """The differences from an endpoint that `register` would create, in words."""
        missing, others = (
            [kind for kind in EVENT_TYPES if kind not in self.events],
            sorted(self.events - {*EVENT_TYPES}),
        )
        return [
            *([f"lacks {_some(missing)}"] if missing and "*" not in self.events else []),
            *([f"sends {_some(others)} too"] if others else []),
            *([] if self.version == API_VERSION else [f"has API version {self.version or 'of the account'}"]),
            *([] if self.enabled else ["is disabled"]),
        ]


def _some(events: Sequence[str]) -> str:
    """Event types in words; of many, the first and the number of all."""
    shown = ", ".join(events[:SHOWN])
    return shown if len(events) <= SHOWN else f"{len(events)} event types ({shown}, …)"


class WebhookEndpoints:
    """The endpoints of an account in the mode of the key.

    Every method raises ConfigurationError where Stripe refuses the key, EndpointRefusedError where it refuses the
    request, StripeUnavailableError where it does not answer.
    """

    def __init__(self, key: str, base: str) -> None:
        self._endpoints: Any = stripe_client(key, base, TIMEOUT_SECONDS, retries=RETRIES).v1.webhook_endpoints

    def at(self, url: str) -> list[Endpoint]:
        """The endpoints with this URL, oldest first."""
        with speaking("list the webhook endpoints", READ):
            pages = self._endpoints.list({"limit": PAGE}).auto_paging_iter()
            found = [each for each in pages if plain_url(each.url) == plain_url(url)]
        return [_read(each) for each in sorted(found, key=lambda each: int(each.created))]

    def create(self, url: str, events: Iterable[str], *, connect: bool, **texts: Any) -> tuple[Endpoint, str]:
        """Create an endpoint; returns it with its signing secret, which Stripe returns only this once."""
        with speaking("create a webhook endpoint", WRITE):
            wanted = {"url": url, "enabled_events": list(events), "api_version": API_VERSION, **texts}
            made = self._endpoints.create(wanted | ({"connect": True} if connect else {}))
        return _read(made), str(made.secret)

    def update(self, endpoint: str, **changes: Any) -> Endpoint:
        """Change an endpoint: `enabled_events`, `disabled`."""
        with speaking(f"change {endpoint}", WRITE):
            return _read(self._endpoints.update(endpoint, changes))

    def delete(self, endpoint: str) -> None:
        """Delete an endpoint; Stripe then stops retrying the events that it could not deliver to it."""
        with speaking(f"delete {endpoint}", WRITE):
            self._endpoints.delete(endpoint)


@contextmanager
def speaking(purpose: str, permission: str) -> Iterator[None]:
    """Raise the errors of `WebhookEndpoints` in the place of Stripe's; `permission` is what a restricted key needs."""
    try:
        yield
    # No error is chained: Stripe's errors carry the request's headers, the key among them.
    except Exception as error:  # noqa: BLE001 - Stripe's own errors, and any error from a proxy's broken JSON
        status, reason = getattr(error, "http_status", None), reason_of(error)
        if status == UNAUTHORIZED:
            raise ConfigurationError(f"Stripe refuses the API key ({reason}): was it revoked, or cut short?") from None
        if status == FORBIDDEN:
            # Stripe's message names the permission that is missing, and the account, which is not for a terminal.
            named = PERMISSION.search(getattr(error, "user_message", None) or "")
            permission += f" ({named[0]})" if named else ""
            raise ConfigurationError(
                f"the Stripe API key may not {purpose} ({reason}): a restricted key needs {permission}. "
                f"Give it to this key, or set STRIPE_API_KEY to one that has it"
            ) from None
        if status in {BAD_REQUEST, NOT_FOUND}:
            said = getattr(error, "user_message", None) or reason
            raise EndpointRefusedError(f"Stripe does not {purpose}: {said}") from None
        raise StripeUnavailableError(f"Stripe did not {purpose}: {reason}") from None


def _read(found: Any) -> Endpoint:
    metadata = found.metadata
    return Endpoint(
        id=found.id,
        url=found.url,
        events=frozenset(found.enabled_events),
        version=found.api_version,
        enabled=found.status == "enabled",
        metadata=metadata.to_dict() if hasattr(metadata, "to_dict") else dict(metadata or {}),
    )


def plain_url(url: object) -> str:
    """A URL to compare with another."""
    return str(url).rstrip("/")
