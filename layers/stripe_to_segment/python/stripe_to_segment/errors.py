"""All errors of this package, each with the data that the code that catches it needs."""

from __future__ import annotations

import re

__all__ = [
    "ConfigurationError",
    "EnrichError",
    "MalformedEventError",
    "OutOfRequestsError",
    "QueueUnavailableError",
    "SignatureRefusedError",
    "StoreConflictError",
    "StoreUnavailableError",
    "StripeToSegmentError",
    "StripeUnavailableError",
    "UnexpectedError",
    "UnreadableRecordError",
    "code_of",
]


class StripeToSegmentError(Exception):
    """Base of all errors of this package. Its text never holds a payload, a header or personal data."""


class ConfigurationError(StripeToSegmentError):
    """A setting or the secret has a value that cannot be used; the text names the setting and the fix."""


class EnrichError(StripeToSegmentError):
    """`enrich.py` raised an error or returned something that is not a call; its event goes to the dead-letter queue.

    The text names only the kind of error, because the error's own text may quote the call.
    """


class MalformedEventError(StripeToSegmentError):
    """The received text is not a Stripe event; no part of it was used.

    `reason` is a short code (`not_json`, `not_an_event`, …) fit for a metric or a message attribute.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SignatureRefusedError(StripeToSegmentError):
    """Nothing proves that the request comes from Stripe; answer it with 400 and do not queue it.

    `reason` is a short code: `missing`, `malformed`, `stale`, `future` or `wrong`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreUnavailableError(StripeToSegmentError):
    """The StateTable did not answer. The event must wait: mapping it without the stored data would be a guess."""


class QueueUnavailableError(StripeToSegmentError):
    """SQS did not take an event; those before it in the same call may be queued."""


class UnreadableRecordError(StripeToSegmentError):
    """An item of the StateTable exists and cannot be read. Its events must wait, and never treat it as missing.

    `reason` is `newer_record` (a newer release wrote it, and this one was deployed afterwards) or `broken_record`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"an item of the StateTable cannot be read: {reason}")
        self.reason = reason


class StripeUnavailableError(StripeToSegmentError):
    """The Stripe API did not answer, after retries; the requested data is unknown."""


class StoreConflictError(StripeToSegmentError):
    """Another invocation wrote the same customer's record first; load it again and map again."""

    def __init__(self, key: str) -> None:
        super().__init__("the customer's record changed meanwhile")
        self.key = key


class OutOfRequestsError(StripeToSegmentError):
    """A run has asked Stripe as often as it may; another run does the rest."""


class OutOfTimeError(StripeToSegmentError):
    """A run cannot finish in the time that its function has; its findings so far are incomplete."""


class UnexpectedError(StripeToSegmentError):
    """An unforeseen error left a handler; the text is the kind of error, the traceback shows the place."""


def code_of(error: BaseException) -> str:
    """The kind of an error, safe to log: AWS's own code where it has one, else the name of the class."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else type(error).__name__


# The form of AWS's codes (AccessDeniedException, AWS.SimpleQueueService.NonExistentQueue); other text is not logged.
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
