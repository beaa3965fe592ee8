"""Signed client references: a reference in a Payment Link's address that only the merchant can create.

A visitor can change the address of a Payment Link and the attribute of a pricing table, so a plain user id there proves
nothing. `<user>_<mac>` does: the mac is an HMAC of the user id with a key that visitors do not have.
https://docs.stripe.com/payment-links/url-parameters#streamline-reconciliation-with-a-url-parameter
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from stripe_to_segment.errors import ConfigurationError

__all__ = ["MAX_REFERENCE", "signed_reference", "user_of"]

# Stripe takes up to 200 of these characters, and drops a reference with any other.
MAX_REFERENCE = 200
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
# 128 bits in hex, which nobody can guess; they leave 167 characters for the user.
_MAC_LENGTH = 32


def signed_reference(user: str, key: str) -> str:
    """The signed reference of a user: the id, or its base64url if Stripe would not take its characters, and the mac.

    Raises
    ------
    ConfigurationError
        without a user or a key, or where the reference would be longer than Stripe takes.
    """
    if not user or not key:
        raise ConfigurationError("a signed reference takes a user id, and the client_reference_key of the secret")
    named = user if _PLAIN.fullmatch(user) else base64.urlsafe_b64encode(user.encode()).decode().rstrip("=")
    reference = f"{named}_{_mac(user, key)}"
    if len(reference) > MAX_REFERENCE:
        raise ConfigurationError(f"the user id is too long: Stripe takes references of {MAX_REFERENCE} characters")
    return reference


def user_of(reference: str, key: str) -> str | None:
    """The user in a signed reference; None if this key did not sign it."""
    named, separator, mac = reference.rpartition("_")
    if not key or not separator or not named:
        return None
    # The mac is over the user's id itself, so one signature is never valid for two users.
    for user in (named, _decoded(named)):
        if user and hmac.compare_digest(_mac(user, key).encode(), mac.encode()):
            return user
    return None


def _mac(user: str, key: str) -> str:
    return hmac.new(key.encode(), user.encode(), hashlib.sha256).hexdigest()[:_MAC_LENGTH]


def _decoded(named: str) -> str | None:
    try:
        return base64.b64decode(named + "=" * (-len(named) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
