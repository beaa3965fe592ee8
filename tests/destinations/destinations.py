"""The measured destinations: how each is set up in Segment, and where its requests hold revenue and refunds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["DESTINATIONS", "Destination"]

type Json = Any
type Amounts = Iterable[Decimal]


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination; `revenue` and `refunds` read the amounts in major units that one request counts as such.

    `mappings` None are the presets, which Segment creates with the destination. Where there are none, they are the
    actions that a user adds, with their default trigger and fields, and what has no default. `advised` are the
    mappings of the page's recipe, where it changes them.
    """

    name: str
    slug: str
    settings: dict[str, str]
    revenue: Callable[[Json], Amounts]
    refunds: Callable[[Json], Amounts] = lambda _: ()
    mappings: tuple[Json, ...] | None = None
    advised: tuple[Json, ...] | None = None

    def told(self, *, advised: bool) -> Json:
        """The destination as `send.cjs` takes it."""
        mappings = self.advised if advised and self.advised is not None else self.mappings
        return {"name": self.name, "slug": self.slug, "settings": self.settings, "mappings": mappings}


def path(name: str) -> dict[str, str]:
    """A field's mapping to a place in the call."""
    return {"@path": f"$.{name}"}


def named(body: Json, name: str) -> list[Json]:
    """The events of this name in a body."""
    return [event for event in body.get("events", ()) if event["name"] == name]


NOT_AN_ORDER = 'type = "track" and event != "Order Completed"'
PROFILE = {"profile": {"email": path("context.traits.email"), "external_id": path("userId")}}
KLAVIYO = (
    {"action": "upsertProfile"},
    {"action": "trackEvent", "subscribe": NOT_AN_ORDER, "mapping": PROFILE},
    {"action": "orderCompleted", "subscribe": 'event = "Order Completed"', "mapping": PROFILE},
)

DESTINATIONS = (
    Destination(
        "Amplitude",
        "amplitude",
        {"apiKey": "k", "secretKey": "s"},
        lambda body: [event["revenue"] for event in body.get("events", ()) if "revenue" in event],
    ),
    Destination(
        "Mixpanel",
        "mixpanel",
        {"projectToken": "k", "apiSecret": "s"},
        lambda body: [event["properties"]["revenue"] for event in body if "revenue" in event.get("properties", {})],
    ),
    Destination(
        "Google Analytics 4",
        "google-analytics-4",
        {"measurementId": "G-1", "apiSecret": "s"},
        lambda body: [event["params"]["value"] for event in named(body, "purchase")],
        lambda body: [event["params"]["value"] for event in named(body, "refund")],
        mappings=(
            {"action": "purchase"},
            {"action": "refund"},
            {"action": "customEvent", "subscribe": f'{NOT_AN_ORDER} and event != "Order Refunded"'},
        ),
    ),
    Destination(
        "HubSpot",
        "hubspot",
        {"portalId": "1"},
        lambda body: [body["properties"]["revenue"]] if "revenue" in body.get("properties", {}) else [],
        mappings=(
            {"action": "upsertContact"},
            {"action": "upsertCompany"},
            {
                "action": "sendCustomBehavioralEvent",
                "subscribe": 'event = "Order Completed"',
                "mapping": {"eventName": "pe1_order_completed", "properties": {"revenue": path("properties.revenue")}},
            },
        ),
    ),
    Destination(
        "Braze",
        "braze",
        {"api_key": "k", "endpoint": "https://rest.iad-01.braze.com", "app_id": ""},
        lambda body: [event["properties"]["total_value"] for event in named(body, "ecommerce.order_placed")],
        lambda body: [event["properties"]["total_value"] for event in named(body, "ecommerce.order_refunded")],
    ),
    Destination(
        "Customer.io",
        "customerio",
        {"siteId": "k", "apiKey": "s", "accountRegion": "US 🇺🇸"},
        lambda body: [body["attributes"]["revenue"]] if "revenue" in body.get("attributes", {}) else [],
    ),
    Destination(
        "Iterable",
        "iterable",
        {"apiKey": "k", "dataCenterLocation": "united_states"},
        lambda body: [body["total"]] if "total" in body else [],
    ),
    Destination(
        "Klaviyo",
        "klaviyo",
        {"api_key": "k"},
        lambda body: [body["data"]["attributes"]["value"]] if "value" in body["data"]["attributes"] else [],
        mappings=KLAVIYO,
        advised=(
            {"action": "upsertProfile", "mapping": {"external_id": path("userId")}},
            KLAVIYO[1],
            {**KLAVIYO[2], "mapping": {**PROFILE, "value": path("properties.revenue")}},
        ),
    ),
    Destination(
        "Intercom",
        "intercom",
        {},
        lambda body: (
            [body["metadata"]["price"]["amount"] / Decimal(100)] if "price" in body.get("metadata", {}) else []
        ),
        mappings=(
            {"action": "identifyContact", "mapping": {"role": "user"}},
            {"action": "groupIdentifyContact"},
            {"action": "trackEvent"},
        ),
    ),
    Destination(
        "Facebook Conversions API",
        "facebook-conversions-api",
        {"pixelId": "1"},
        lambda body: [
            event["custom_data"]["value"] for event in body.get("data", ()) if event["event_name"] == "Purchase"
        ],
        mappings=({"action": "purchase2", "mapping": {"action_source": "system_generated"}},),
    ),
    Destination(
        "TikTok Conversions",
        "tiktok-conversions",
        {"accessToken": "k", "pixelCode": "1"},
        lambda body: [
            event["properties"]["value"] for event in body.get("data", ()) if event["event"] == "CompletePayment"
        ],
    ),
)
