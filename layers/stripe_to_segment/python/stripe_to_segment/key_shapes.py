"""Checks of the keys in a secret by their form, shared by the functions and the commands. Pure.

A check cannot prove that a key is valid; it finds a placeholder, a sample or a key of another service before it is
used. No regular expressions, because compiling them would lengthen a cold start.
"""

from __future__ import annotations

import string

__all__ = [
    "LOCAL_SECRET",
    "SAMPLE_SECRET",
    "api_key_flaw",
    "reference_key_flaw",
    "signing_secret_flaw",
    "write_key_flaw",
]

# Both are public and open nothing: one signs the sample requests in events/, the other was in the local stack of
# earlier versions.
SAMPLE_SECRET = "whsec_sampleRequestsOnly0123456789abcdef"  # noqa: S105 - everybody may know it
LOCAL_SECRET = "whsec_local0stack0signing0secret0"  # noqa: S105 - likewise

# Secrets of the Dashboard have 32 letters and digits after the prefix, those of `stripe listen` 64; Stripe documents
# neither length.
SIGNING_PREFIX = "whsec_"
LEAST_LENGTH = 24
SIGNING_LETTERS = frozenset(string.ascii_letters + string.digits + "+/=_-")
# A random text of that length has more than twice as many different characters, "xxxx" or "abcd1234abcd1234" fewer.
LEAST_CHARACTERS = 10
# Words that a random secret practically never contains: the shortest appears in one of ten million.
PLACEHOLDERS = (
    *("your_", "your-", "_here", "-here", "changeme", "change_me", "change-me", "replace_", "replace-", "replaceme"),
    *("placeholder", "write_key", "write-key", "...", "<", ">", "{", "}"),
)
EXAMPLES = ("example", "secret", "12345678", "abcdefgh")
# Stripe's API keys. Sent as a write key, they would be disclosed to another company.
API_KEYS = ("sk_live_", "sk_test_", "rk_live_", "rk_test_")
FOREIGN = (SIGNING_PREFIX, *API_KEYS, "pk_live_", "pk_test_", "sgp_")
LEAST_OF_AN_API_KEY = 8
# An attacker who guesses the key can sign references for any user. Sixteen random hex digits have more different ones.
LEAST_REFERENCE_KEY, LEAST_REFERENCE_CHARACTERS = 16, 5


def signing_secret_flaw(text: str) -> str:
    """The reason why a text is not a signing secret of Stripe (sample, placeholder, malformed), or an empty text."""
    if text in {SAMPLE_SECRET, LOCAL_SECRET}:
        return "sample"
    if not text.startswith(SIGNING_PREFIX):
        return "malformed"
    rest = text.removeprefix(SIGNING_PREFIX)
    if _is_placeholder(rest, EXAMPLES):
        return "placeholder"
    if len(rest) < LEAST_LENGTH or not SIGNING_LETTERS.issuperset(rest):
        return "malformed"
    return "placeholder" if len(set(rest)) < LEAST_CHARACTERS else ""


def write_key_flaw(text: str) -> str:
    """The reason why a text is not a write key (placeholder, foreign), or an empty text."""
    if _is_placeholder(text):
        return "placeholder"
    return "foreign" if text.startswith(FOREIGN) else ""


def api_key_flaw(text: str) -> str:
    """The reason why a text is not a secret or restricted key of Stripe (malformed, placeholder), or an empty text."""
    rest = text[len(API_KEYS[0]) :]
    whole = len(rest) >= LEAST_OF_AN_API_KEY and rest.isascii() and rest.replace("_", "").isalnum()
    if not text.startswith(API_KEYS) or not whole:
        return "malformed"
    return "placeholder" if _is_placeholder(rest) else ""


def reference_key_flaw(text: str) -> str:
    """The reason why a text cannot be the key that signs references (short, placeholder), or an empty text."""
    if len(text) < LEAST_REFERENCE_KEY:
        return "short"
    lower = text.lower()
    guessable = len(set(text)) < LEAST_REFERENCE_CHARACTERS or any(word in lower for word in PLACEHOLDERS)
    return "placeholder" if guessable else ""


def _is_placeholder(text: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a text is empty, has a space or a character that no header can carry, or has a placeholder's word."""
    lower = text.lower()
    return (
        not (text.isascii() and text.isprintable())
        or " " in text
        or set(lower) <= {"x"}
        or any(word in lower for word in (*PLACEHOLDERS, *more))
    )
