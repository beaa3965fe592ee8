"""Send a signed event through the deployed webhook, the queue and `deliver`, and a request without a signature.

The event is a `product.updated` without a name. `deliver` makes no call of this type and only stores the product's
name; without a name it stores nothing. `receive` has to refuse the request without a signature. A forged signature
would test the same, but would ring the alarm signatures-refused.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from stripe_to_segment.state.circuit import circuit_name
from stripe_to_segment_tools.commands.doctor.check import GONE, bad, good, unknown
from stripe_to_segment_tools.commands.register.webhook_endpoints import API_VERSION
from stripe_to_segment_tools.commands.send.command import UnreachableError, send
from stripe_to_segment_tools.commands.tail.command import OutcomeLog
from stripe_to_segment_tools.samples.files import body_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check
    from stripe_to_segment_tools.commands.send.command import Sent

__all__ = ["check_door", "harmless_event"]

OK, BAD_REQUEST, FORBIDDEN, NOT_FOUND, TOO_MANY_REQUESTS, INTERNAL = 200, 400, 403, 404, 429, 500
# In addition to the time for which a batch may wait to fill up: a cold start, and the delay of CloudWatch Logs.
PATIENCE_SECONDS = 45.0
PAUSE_SECONDS = 1.0
# This clock and AWS's may differ by as much as a signature may.
SKEW_SECONDS = 300
THROUGH = frozenset({"delivered", "ignored"})
# At these levels an event that went through has no line.
SILENT = frozenset({"WARNING", "ERROR"})


def harmless_event(now: float, *, livemode: bool) -> dict[str, Any]:
    """An event that makes no call and stores nothing, with a new id."""
    mark = os.urandom(8).hex()
    product = {
        "id": f"prod_doctor{mark}",
        "object": "product",
        "livemode": livemode,
        "metadata": {},
        "created": int(now),
    }
    return {
        "id": f"evt_doctor{mark}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(now),
        "data": {"object": product, "previous_attributes": {"updated": int(now)}},
        "livemode": livemode,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": "product.updated",
    }


def check_door(stack: Stack, settings: Settings) -> Iterator[Check]:
    """Post the event without a signature, then with one, then wait for `deliver` to log its outcome."""
    secrets = stack.signing_secrets()
    # A test event where possible: a live one stores nothing either, but is counted as live.
    modes = [live for live in (False, True) if settings.accepts(livemode=live) and secrets.vouching(livemode=live)]
    if not modes:
        # receive would answer now with 503, which rings not-ready, or with 400.
        yield unknown("signed event", "not sent: there is no signing secret to sign it with")
        return
    livemode = modes[0]
    event = harmless_event(time.time(), livemode=livemode)
    # Without a secret there is no signature to send.
    knocked = _post(stack, event, [])
    if knocked is None:
        yield bad("unsigned request", f"nothing answers at {stack.webhook_url}", f"if this machine is online, {GONE}")
        return
    if knocked.status == BAD_REQUEST:
        yield good("unsigned request", "refused with 400")
    else:
        yield bad("unsigned request", f"{knocked.status}: {knocked.body}", _fix_of(knocked.status))
    name = circuit_name(livemode=livemode)
    if stack.store().circuits([name])[name].tripped:
        yield unknown("signed event", "not sent: the circuit is open, so all events wait", "try again afterwards")
        return
    log = OutcomeLog(stack, time.time() - SKEW_SECONDS, event["id"])
    sent = _post(stack, event, secrets.vouching(livemode=livemode))
    if sent is None or sent.status != OK or "received" not in sent.body:
        said = "nothing answers" if sent is None else f"{sent.status or 'no answer'}: {sent.body}"
        fix = "if the secret was just changed, try again in half a minute; else docs/operations.md, signatures-refused"
        yield bad("signed event", said, fix)
        return
    yield good("signed event", f"accepted with 200 in {sent.milliseconds} ms: {event['id']}")
    yield _delivered(stack, log, event["id"])


def _fix_of(status: int | None) -> str:
    """What to do about this answer, if any, to a request that has to be refused with 400."""
    if status in {FORBIDDEN, NOT_FOUND}:
        # Of an API without the route, or of none.
        return GONE
    if status == TOO_MANY_REQUESTS:
        return "docs/operations.md, door-refuses"
    if status is None or status >= INTERNAL:
        return "docs/operations.md, receive-errors"
    return "deploy again: make deploy"


def _delivered(stack: Stack, log: OutcomeLog, event: str) -> Check:
    name, again = "queue to deliver", " ".join(stack.options)
    started = time.monotonic()
    patience = PATIENCE_SECONDS + float(stack.parameters.get("BatchWindowSeconds") or 5)
    while (waited := time.monotonic() - started) < patience:
        for outcome in log.new():
            if outcome.function == "deliver" and outcome.outcome in THROUGH:
                return good(name, f"processed {waited:.0f} s later, without a call to Segment")
            if outcome.function == "deliver":
                why = f"{outcome.outcome}: {outcome.reason} {outcome.detail}".strip()
                return bad(name, why, "docs/operations.md, Reasons")
        time.sleep(PAUSE_SECONDS)
    if (level := stack.parameters.get("LogLevel")) in SILENT:
        said = f"deliver logged no failure within {patience:.0f} s; at LogLevel={level} it logs nothing else"
        return unknown(name, said, "deploy with LogLevel=INFO to see it delivered")
    look = f"stripe-to-segment tail {again} --event {event}; docs/operations.md, queue-not-worked"
    return bad(name, f"deliver logged nothing of it within {patience:.0f} s", look)


def _post(stack: Stack, event: dict[str, Any], secrets: Any) -> Sent | None:
    try:
        return next(send([body_of(event)], stack.webhook_url, secrets))
    except UnreachableError:
        return None
