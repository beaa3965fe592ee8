"""Stripe's event destinations that post thin events. https://docs.stripe.com/api/v2/core/event-destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.stripe_api.reader import stripe_client
from stripe_to_segment.stripe_side.thin import V1
from stripe_to_segment_tools.commands.register.webhook_endpoints import (
    API_VERSION,
    RETRIES,
    TIMEOUT_SECONDS,
    Endpoint,
    EndpointRefusedError,
    plain_url,
    speaking,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ThinDestinations"]

# Stripe returns both only on request.
URL, SECRET = "webhook_endpoint.url", "webhook_endpoint.signing_secret"
READ_ACCESS = "read access to event destinations"
ACCESS = "write access to event destinations"


class ThinDestinations:
    """The destinations of an account in the mode of the key, used and failing like `WebhookEndpoints`.

    Event types are those of the catalog, without the "v1." of their thin events.
    """

    def __init__(self, key: str, base: str) -> None:
        client = stripe_client(key, base, TIMEOUT_SECONDS, retries=RETRIES)
        self._destinations: Any = client.v2.core.event_destinations

    def at(self, url: str) -> list[Endpoint]:
        """The destinations of thin events with this URL, oldest first."""
        with speaking("list the event destinations", ACCESS):
            found = [
                each
                for each in self._destinations.list({"include": [URL]}).auto_paging_iter()
                if each.type == "webhook_endpoint" and each.event_payload == "thin" and _url(each) == plain_url(url)
            ]
        return [_read(each) for each in sorted(found, key=lambda each: str(each.created))]

    def has(self, destination: str) -> bool:
        """Whether the account has a destination of this id, of whatever kind."""
        try:
            with speaking("read the event destination", READ_ACCESS):
                self._destinations.retrieve(destination)
        except EndpointRefusedError:
            return False
        return True

    def create(
        self, url: str, events: Iterable[str], *, connect: bool, metadata: dict[str, str], description: str
    ) -> tuple[Endpoint, str]:
        """Create a destination; returns it with its signing secret, which Stripe returns only this once."""
        with speaking("create an event destination", ACCESS):
            made = self._destinations.create(
                {
                    "name": description,
                    "type": "webhook_endpoint",
                    "event_payload": "thin",
                    "enabled_events": _named(events),
                    "events_from": ["@accounts" if connect else "@self"],
                    "webhook_endpoint": {"url": url},
                    "metadata": metadata,
                    "include": [URL, SECRET],
                }
            )
        return _read(made), str(made.webhook_endpoint.signing_secret)

    def update(self, endpoint: str, *, enabled_events: Iterable[str], disabled: bool = False) -> Endpoint:
        """Change the event types of a destination, and enable it unless it is to stay disabled."""
        with speaking(f"change {endpoint}", ACCESS):
            made = self._destinations.update(endpoint, {"enabled_events": _named(enabled_events), "include": [URL]})
            if made.status == "disabled" and not disabled:
                self._destinations.enable(endpoint)
        return _read(made)

    def delete(self, endpoint: str) -> None:
        """Delete a destination; Stripe then stops retrying the events that it could not deliver to it."""
        with speaking(f"delete {endpoint}", ACCESS):
            self._destinations.delete(endpoint)


def _named(events: Iterable[str]) -> list[str]:
    return [f"{V1}{kind}" for kind in events]


def _url(found: Any) -> str:
    return plain_url(getattr(found.webhook_endpoint, "url", "") or "")


def _read(found: Any) -> Endpoint:
    metadata = found.metadata
    return Endpoint(
        id=found.id,
        url=_url(found),
        events=frozenset(kind.removeprefix(V1) for kind in found.enabled_events),
        version=API_VERSION,
        enabled=found.status == "enabled",
        metadata=metadata.to_dict() if hasattr(metadata, "to_dict") else dict(metadata or {}),
    )
