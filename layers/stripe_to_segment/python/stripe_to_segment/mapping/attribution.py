"""Attribution: metadata that the merchant's checkout code sets, put where Segment's destinations read it.

The places are those of https://github.com/segmentio/action-destinations: campaign, page, ip, user agent and locale in
the context, click ids mostly among the properties, some as options of one destination. Nothing of it is stored.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import field
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.identity import NO_VALUE, metadata_places
from stripe_to_segment.stripe_side.fields import integer, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stripe_to_segment.segment_side.calls import Context
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["CAMPAIGN", "DESTINATION_OPTIONS", "NOTHING", "VISIT", "Attribution", "attribution_of"]

# context.campaign, by what `ATTRIBUTION_KEYS` calls it.
CAMPAIGN = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
    "utm_id": "id",
}
# Valid for one visit only: a renewal a year later is not a visit.
VISIT = frozenset({"page", "referrer", "ip", "user_agent", "ga_session_id"})
# Ids of clicks and browsers that their destinations read only from their own options.
DESTINATION_OPTIONS = {
    "ndclid": ("Nextdoor Conversions API", "click_id"),
    "rdt_cid": ("Reddit Conversions Api", "click_id"),
    "rdt_uuid": ("Reddit Conversions Api", "uuid"),
    "sc_click_id": ("Snap Conversions Api", "click_id"),
    "scid": ("Snap Conversions Api", "uuid_c1"),
}
IN_CONTEXT = frozenset({*CAMPAIGN, "page", "referrer", "ip", "user_agent", "locale"})
DAY = 86_400


_EMPTY: Context = {}


@frozen
class Attribution:
    """The attribution in the context of calls, in the properties of tracks, and in the options of destinations."""

    context: Context = field(default_factory=lambda: _EMPTY)
    properties: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def allowed(self, integrations: Mapping[str, Any]) -> dict[str, Any]:
        """The integrations with the options of enabled destinations; options for another one would enable it."""
        chosen = dict(integrations)
        for name, options in self.options.items():
            here = chosen.get(name, chosen.get("All", True))
            if here is not False:
                chosen[name] = {**options, **(here if isinstance(here, dict) else {})}
        return chosen


NOTHING = Attribution()


def attribution_of(event: StripeEvent, settings: Settings) -> Attribution:
    """The attribution in the metadata of the object, else of its subscription, else of its customer."""
    metadata: dict[str, str] = {}
    keys = settings.attribution_keys
    for place in reversed(metadata_places(event)):
        metadata |= {key: value for key, value in place.items() if key in keys and value not in NO_VALUE}
    if not metadata:
        return NOTHING
    said: dict[str, str] = {}
    for key, name in keys.items():
        if key in metadata:
            said.setdefault(name, metadata[key])
    if not _is_visit(event):
        said = {name: value for name, value in said.items() if name not in VISIT}
    return Attribution(
        _context(said),
        {name: value for name, value in said.items() if name not in IN_CONTEXT and name not in DESTINATION_OPTIONS},
        _options(said),
    )


def _options(said: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, (destination, option) in DESTINATION_OPTIONS.items():
        if name in said:
            found.setdefault(destination, {})[option] = said[name]
    return found


def _context(said: Mapping[str, str]) -> Context:
    found = {
        "campaign": {field: said[name] for name, field in CAMPAIGN.items() if name in said},
        "page": _page(said.get("page"), said.get("referrer")),
        "ip": _address(said.get("ip")),
        "userAgent": said.get("user_agent"),
        "locale": said.get("locale"),
    }
    return cast("Context", {name: value for name, value in found.items() if value})


def _page(url: str | None, referrer: str | None) -> dict[str, str]:
    """The page with the field names of analytics.js. https://segment.com/docs/connections/spec/common/#context."""
    page = {"referrer": referrer}
    with suppress(ValueError):
        parts = urlsplit(url or "")
        # A text that is no address is no page.
        if parts.scheme in {"http", "https"} and parts.hostname:
            page |= {"url": url, "path": parts.path or None, "search": f"?{parts.query}" if parts.query else None}
    return {name: value for name, value in page.items() if value}


def _address(written: str | None) -> str | None:
    try:
        return written and str(ip_address(written))
    except ValueError:
        return None


def _is_visit(event: StripeEvent) -> bool:
    """Whether the event belongs to the visit that the metadata describes.

    A subscription copies its metadata to each of its invoices, and only the first one belongs to the visit.
    """
    reason = text(event.object.get("billing_reason"))
    if reason is not None and reason.startswith("subscription"):
        return reason == "subscription_create"
    made = integer(event.object.get("created"))
    return made is None or event.created - made <= DAY
