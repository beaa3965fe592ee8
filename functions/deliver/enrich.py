"""Change or drop any call before it is sent. As shipped, this file changes nothing.

`enrich` gets the call exactly as it would stand in the `/v1/batch` request, and the whole Stripe event it came from.
Return the call, changed or not, or None to drop it. `type` and `messageId` must stay as they are. An exception sends
the event to the dead-letter queue with the reason `enrich_failed`; after a fix, redrive it.

`logging.getLogger(__name__).info(…)` goes to the function's log, which is kept for weeks: log ids, never a call or an
event, which hold personal data.

Example: add the sales region from the subscription's metadata, and keep free plans out of the revenue tools::

    def enrich(call, event):
        region = (event["data"]["object"].get("metadata") or {}).get("region")
        if region and call["type"] == "track":
            call["properties"]["region"] = region
        if call.get("event") == "Subscription Created" and call["properties"].get("mrr") == 0:
            call["integrations"] = {"All": True, "Salesforce": False}
        return call
"""

from __future__ import annotations

from typing import Any


def enrich(call: dict[str, Any], event: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG001 - for you to use
    """Return the call to send, or None to send nothing."""
    return call
