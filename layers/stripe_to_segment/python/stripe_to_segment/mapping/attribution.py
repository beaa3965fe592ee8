"""Where somebody came from: metadata that the merchant's checkout code sets, put where Segment's destinations read it.

The places are those of https://github.com/segmentio/action-destinations: campaign, page, ip, user agent and locale in
the context, click ids mostly among the properties, some as options of one destination. None of it is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from stripe_to_segment.mapping.identity import metadata_places
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
# True of one visit alone: a renewal a year later is no visit.
VISIT = frozenset({"page", "referrer", "ip", "user_agent", "ga_session_id"})
# Destinations that read a click id in their own options and nowhere else that is theirs alone.
DESTINATION_OPTIONS = {
    "rdt_cid": ("Reddit Conversions Api", "click_id"),
    "sc_click_id": ("Snap Conversions Api", "click_id"),
}
IN_CONTEXT = frozenset({*CAMPAIGN, "page", "referrer", "ip", "user_agent", "locale"})
DAY = 86_400


_EMPTY: Context = {}


@dataclass(frozen=True, slots=True)
class Attribution:
    """What goes into the context of each call, the properties of tracks, and the options of single destinations."""

    context: Context = field(default_factory=lambda: _EMPTY)
    properties: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def allowed(self, integrations: Mapping[str, Any]) -> dict[str, Any]:
        """These integrations with the options of destinations that they let in: options would switch one on."""
        chosen = dict(integrations)
        for name, options in self.options.items():
            here = chosen.get(name, chosen.get("All", True))
            if here is not False:
                chosen[name] = {**options, **(here if isinstance(here, dict) else {})}
        return chosen


NOTHING = Attribution()


def attribution_of(event: StripeEvent, settings: Settings) -> Attribution:
    """What the metadata of the event's object, its subscription or its customer says; the newest place counts."""
    metadata: dict[str, str] = {}
    for place in reversed(metadata_places(event)):
        metadata |= place
    keys = settings.attribution_keys
    if not metadata.keys() & keys.keys():
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
        {
            destination: {option: said[name]}
            for name, (destination, option) in DESTINATION_OPTIONS.items()
            if name in said
        },
    )


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
    """The page in the words of analytics.js. https://segment.com/docs/connections/spec/common/#context."""
    page = {"url": url, "referrer": referrer}
    try:
        parts = urlsplit(url or "")
    except ValueError:
        # What is no address is nobody's page.
        page["url"] = None
    else:
        page |= {"path": parts.path or None, "search": f"?{parts.query}" if parts.query else None}
    return {name: value for name, value in page.items() if value}


def _address(written: str | None) -> str | None:
    try:
        return written and str(ip_address(written))
    except ValueError:
        return None


def _is_visit(event: StripeEvent) -> bool:
    """Whether the customer did it at the visit of which the metadata speaks.

    A subscription hands its metadata on to each of its invoices, of which the first alone is of the visit.
    """
    reason = text(event.object.get("billing_reason"))
    if reason is not None and reason.startswith("subscription"):
        return reason == "subscription_create"
    made = integer(event.object.get("created"))
    return made is None or event.created - made <= DAY
