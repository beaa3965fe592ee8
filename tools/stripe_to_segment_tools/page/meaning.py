"""The meaning of a call in one sentence, from the tracking plan. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.tracking_plan import TrackingPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.settings import Settings

__all__ = ["meaning_of"]

_OF_OTHERS = {
    "identify": "who the user is, and the traits as they are now",
    "group": "which company or team the user belongs to, and its traits as they are now",
}


def meaning_of(call: Mapping[str, Any], settings: Settings) -> str:
    """When a track is sent, or what another call is for; empty for an event that is not in the plan."""
    if call.get("type") != "track":
        return _OF_OTHERS.get(str(call.get("type")), "")
    found = TrackingPlan(settings).events.get(str(call.get("event")))
    return "" if found is None else f"sent when {found.when}"
