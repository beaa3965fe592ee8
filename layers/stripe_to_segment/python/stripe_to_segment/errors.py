"""Every error this package raises, each carrying what its handler needs to decide."""

from __future__ import annotations

import re

from stripe_to_segment.reasons import Reason

__all__ = [
    "ConfigurationError",
    "EnrichError",
    "MalformedEventError",
    "QueueUnavailableError",
    "SignatureRefusedError",
    "StoreConflictError",
    "StoreUnavailableError",
    "StripeToSegmentError",
    "StripeUnavailableError",
    "ThinEventError",
    "UnexpectedError",
    "UnreadableRecordError",
    "code_of",
]


class StripeToSegmentError(Exception):
    """Base of all errors of this package. Its text never holds a payload, a header or personal data."""


class ConfigurationError(StripeToSegmentError):
    """A setting or the secret has a value that cannot be used; the text names the setting and the fix."""


class EnrichError(StripeToSegmentError):
    """`enrich.py` failed on a call or gave back something that is none; its event goes to the dead-letter queue.

    The text names the kind of error only: the error's own text may quote the call.
    """


class MalformedEventError(StripeToSegmentError):
    """The text received is no Stripe event; nothing of it was used.

    `reason` is a short code (`not_json`, `not_an_event`, …) fit for a metric or a message attribute.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ThinEventError(MalformedEventError):
    """The text is a thin event (`v2.core.event`), which carries no `data.object` to map."""

    def __init__(self, event_id: str | None, event_type: str | None) -> None:
        super().__init__(
            Reason.THIN_EVENT,
            "thin events carry no object: in Stripe, set the event destination's payload style to Snapshot",
        )
        self.event_id = event_id
        self.event_type = event_type


class SignatureRefusedError(StripeToSegmentError):
    """The request is not proven to come from Stripe; it must be answered with 400 and go no further.

    `reason` is a short code: `missing`, `malformed`, `stale`, `future` or `wrong`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreUnavailableError(StripeToSegmentError):
    """The StateTable did not answer; what was asked is unknown, so the event must wait, never be guessed."""


class QueueUnavailableError(StripeToSegmentError):
    """SQS did not take an event; those before it in the same call may be queued."""


class UnreadableRecordError(StripeToSegmentError):
    """An item of the StateTable is there and cannot be read; who needs it must wait, never go on as if it were not.

    `reason` is `newer_record` (a newer release wrote it, and this one was deployed afterwards) or `broken_record`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"an item of the StateTable cannot be read: {reason}")
        self.reason = reason


class StripeUnavailableError(StripeToSegmentError):
    """The Stripe API did not answer, even when asked again; what it would have said is unknown."""


class StoreConflictError(StripeToSegmentError):
    """Another invocation wrote the same customer's record first; read it again and repeat the work."""

    def __init__(self, key: str) -> None:
        super().__init__("the customer's record changed meanwhile")
        self.key = key


class UnexpectedError(StripeToSegmentError):
    """Something that nobody foresaw left a handler; the text is the kind of error it was, the traceback its place."""


def code_of(error: BaseException) -> str:
    """What kind of error it was, fit for a log: AWS's own code where it has one, else the class's name."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else type(error).__name__


# AccessDeniedException, AWS.SimpleQueueService.NonExistentQueue: a code, and nothing that only stands in its place.
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
