"""Log and count the answer to a request: ids and the outcome, no body, no header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.observability import about, count, logger
from stripe_to_segment.reasons import Reason

if TYPE_CHECKING:
    from stripe_to_segment.receiving.examine import Reply

__all__ = ["report"]

# Queued events need no metric of their own: SQS counts them, also those from elsewhere (NumberOfMessagesSent).
METRIC_OF = {"ignored": "EventsIgnored", "refused": "RequestsRefused", "unready": "NotReady"}

# Refusals that a wrong signing secret or a wrong clock can explain. A request without a signature is not from Stripe.
DOUBTFUL = frozenset({Reason.WRONG, Reason.STALE, Reason.FUTURE, Reason.WRONG_MODE})

OK = 200


def report(reply: Reply) -> None:
    """Log one line for a request, and count it unless it was queued."""
    fields: dict[str, object] = {"outcome": reply.outcome}
    if reply.status != OK:
        fields["status"] = reply.status
    if reply.reason:
        fields["reason"] = reply.reason
    if reply.event is not None:
        fields |= about(reply.event)
    log = logger.error if reply.outcome == "unready" else logger.warning if reply.outcome == "refused" else logger.info
    log(reply.message or "event queued", extra=fields)
    if reply.outcome in METRIC_OF:
        count(METRIC_OF[reply.outcome])
    if reply.outcome == "refused" and reply.reason in DOUBTFUL:
        count("SignaturesRefused")
    if reply.reason == Reason.WRONG_MODE:
        count("WrongMode")
