"""Verify that a request comes from Stripe, by the `Stripe-Signature` header over the exact bytes of the body.

https://docs.stripe.com/webhooks#verify-webhook-signatures-with-official-libraries
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe import SignatureVerificationError, WebhookSignature

from stripe_to_segment.errors import SignatureRefusedError
from stripe_to_segment.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TOLERANCE_SECONDS", "verify"]

TOLERANCE_SECONDS = 300


def verify(body: bytes, header: str | None, secrets: Iterable[str], now: float) -> frozenset[str]:
    """Verify a body against the signing secrets, within the tolerance to past and future; returns those that signed it.

    Parameters
    ----------
    body
        The exact bytes received.
    header
        The `Stripe-Signature` header.
    secrets
        Every active signing secret; a rolled one stays valid beside the new one for up to a day.
    now
        Epoch seconds.

    Raises
    ------
    SignatureRefusedError
        in every other case, whatever header and body contain.
    """
    if not header:
        raise SignatureRefusedError(Reason.MISSING, "no Stripe-Signature header")
    signed_at = _timestamp(header)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise SignatureRefusedError(Reason.WRONG, "the signature matches no active signing secret") from None
    # Every secret is tried, so that the time this takes does not reveal which of them signed.
    signers = frozenset([secret for secret in secrets if _signed_with(secret, text, header)])
    if not signers:
        raise SignatureRefusedError(Reason.WRONG, "the signature matches no active signing secret")
    # Checked last, so that a sender who cannot sign learns nothing about the time.
    if signed_at < now - TOLERANCE_SECONDS:
        raise SignatureRefusedError(Reason.STALE, f"signed more than {TOLERANCE_SECONDS} seconds ago")
    if signed_at > now + TOLERANCE_SECONDS:
        raise SignatureRefusedError(Reason.FUTURE, f"signed more than {TOLERANCE_SECONDS} seconds ahead")
    return signers


def _timestamp(header: str) -> int:
    fields = [field.split("=", 2) for field in header.split(",")]
    if not header.isascii() or not any(field[0] == "v1" and len(field) > 1 for field in fields):
        raise SignatureRefusedError(Reason.MALFORMED, "the Stripe-Signature header has no v1 signature")
    try:
        # The first one, like the stripe package.
        return next(int(field[1]) for field in fields if field[0] == "t")
    except (StopIteration, ValueError, IndexError):
        raise SignatureRefusedError(Reason.MALFORMED, "the Stripe-Signature header has no timestamp") from None


def _signed_with(secret: str, text: str, header: str) -> bool:
    try:
        # No tolerance here: the package checks only the past, and `verify` checks both.
        return bool(WebhookSignature.verify_header(text, header, secret, tolerance=None))
    except SignatureVerificationError:
        return False
