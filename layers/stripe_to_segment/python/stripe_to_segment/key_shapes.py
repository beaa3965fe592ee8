"""What a text that stands in a secret cannot be: pure, and the same for the functions and for the commands.

A shape proves nothing; it tells a placeholder, a sample or a key of something else before it is used. Without regular
expressions, whose compiling a cold start would notice.
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

# Both open nothing, and everybody can read them here: they sign the sample requests in events/, and stood in the
# local stack of earlier versions.
SAMPLE_SECRET = "whsec_sampleRequestsOnly0123456789abcdef"  # noqa: S105
LOCAL_SECRET = "whsec_local0stack0signing0secret0"  # noqa: S105

# The Dashboard's have 32 letters and digits after the prefix, those of `stripe listen` 64; Stripe promises neither.
SIGNING_PREFIX = "whsec_"
LEAST_LENGTH = 24
SIGNING_LETTERS = frozenset(string.ascii_letters + string.digits + "+/=_-")
# A random text of that length has more than twice as many different characters; "xxxx" and "abcd1234abcd1234" have not.
LEAST_CHARACTERS = 10
# Nothing that chance writes: the shortest word that a random secret can hold comes up in one of ten million.
PLACEHOLDERS = (
    *("your_", "your-", "_here", "-here", "changeme", "change_me", "change-me", "replace_", "replace-", "replaceme"),
    *("placeholder", "write_key", "write-key", "...", "<", ">", "{", "}"),
)
EXAMPLES = ("example", "secret", "12345678", "abcdefgh")
# Stripe's keys and Segment's API tokens: sent as a write key, they would be shown to somebody else.
API_KEYS = ("sk_live_", "sk_test_", "rk_live_", "rk_test_")
FOREIGN = (SIGNING_PREFIX, *API_KEYS, "pk_live_", "pk_test_", "sgp_")
LEAST_OF_AN_API_KEY = 8
# Who guesses the key signs references in anybody's name. Sixteen random hex digits have more different ones.
LEAST_REFERENCE_KEY, LEAST_REFERENCE_CHARACTERS = 16, 5


def signing_secret_flaw(text: str) -> str:
    """Why a text is no signing secret of Stripe's: sample, placeholder or malformed; empty where it may be one."""
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
    """Why a text is no write key: placeholder or foreign; empty where it may be one of some service's."""
    if _is_placeholder(text):
        return "placeholder"
    return "foreign" if text.startswith(FOREIGN) else ""


def api_key_flaw(text: str) -> str:
    """Why a text is no secret or restricted API key of Stripe's: malformed, placeholder; empty where it may be one."""
    rest = text[len(API_KEYS[0]) :]
    whole = len(rest) >= LEAST_OF_AN_API_KEY and rest.isascii() and rest.replace("_", "").isalnum()
    if not text.startswith(API_KEYS) or not whole:
        return "malformed"
    return "placeholder" if _is_placeholder(rest) else ""


def reference_key_flaw(text: str) -> str:
    """Why a text is no key to sign references with: short, placeholder; empty where it may be one."""
    if len(text) < LEAST_REFERENCE_KEY:
        return "short"
    lower = text.lower()
    guessable = len(set(text)) < LEAST_REFERENCE_CHARACTERS or any(word in lower for word in PLACEHOLDERS)
    return "placeholder" if guessable else ""


def _is_placeholder(text: str, more: tuple[str, ...] = ()) -> bool:
    """Whether a text is empty, holds what no header can carry or a space, or says that it stands for something."""
    lower = text.lower()
    return (
        not (text.isascii() and text.isprintable())
        or " " in text
        or set(lower) <= {"x"}
        or any(word in lower for word in (*PLACEHOLDERS, *more))
    )
