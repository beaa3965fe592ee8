"""Check each call against Segment's limits and against the tracking plan. Pure."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.receiver.contract import WRITE_KEY_LENGTH, Request, check
from stripe_to_segment_tools.tracking_plan import violations as plan_violations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.settings import Settings

__all__ = ["checks"]

_KEY = "0" * WRITE_KEY_LENGTH
_HEADERS = {
    "authorization": f"Basic {b64encode(f'{_KEY}:'.encode()).decode()}",
    "content-type": "application/json",
}


def checks(call: Mapping[str, Any], settings: Settings) -> dict[str, list[str]]:
    """The errors in a call, as sentences: `limits` are Segment's, `plan` is the tracking plan under the settings."""
    now = datetime.now(UTC)
    # The request around the call is valid, so every violation is one of the call.
    sent_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = json.dumps({"writeKey": _KEY, "sentAt": sent_at, "batch": [call]}, ensure_ascii=False)
    validation = check(Request(_HEADERS, body.encode("utf-8", "surrogatepass"), now))
    return {
        "limits": [f"{violation.message} ({violation.consequence})" for violation in validation.violations],
        "plan": plan_violations(call, settings),
    }
