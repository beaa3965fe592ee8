"""The fields of a stack's two secrets, checked by the form of their values, for `doctor` and for `secret`.

Of a value only its fingerprint is shown, which is too short to guess the value from.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment.key_shapes import api_key_flaw, reference_key_flaw, signing_secret_flaw, write_key_flaw
from stripe_to_segment.secrets import KEY_FIELDS, SIGNING_FIELDS, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stripe_to_segment.settings import Settings

__all__ = ["FIELDS", "UNASSIGNED", "Value", "fingerprint", "flaw_of", "values_in"]

UNASSIGNED = SIGNING_FIELDS["unassigned"]
# The secret that each field belongs to.
FIELDS = dict.fromkeys(SIGNING_FIELDS.values(), "SigningSecret") | dict.fromkeys(KEY_FIELDS, "KeysSecret")
SIGNING_FLAWS = {
    "sample": "the sample of this repository, which everybody can read",
    "placeholder": "a placeholder",
    "malformed": "no signing secret: they begin with whsec_ and are longer than 24 characters",
}
WRITE_KEY_FLAWS = {
    "placeholder": "no write key: it is a placeholder, or has a space or another character that no write key has",
    "foreign": "no write key: it is a key of something else",
}
API_KEY_FLAWS = {
    "placeholder": "a placeholder",
    "malformed": "no secret or restricted key: they begin with rk_live_, rk_test_, sk_live_ or sk_test_",
}
REFERENCE_KEY_FLAWS = {
    "placeholder": "a placeholder, or easy to guess: it is to be a long random text",
    "short": "too short: it is to be a long random text, of 32 letters or so",
}
# Segment's keys have 32 letters and digits; those of other endpoints have any form.
SEGMENT_KEY = re.compile(r"[A-Za-z0-9]{32}")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a field, by its fingerprint; `flaw` is the reason why it cannot be used, empty if it can."""

    field: str
    fingerprint: str
    flaw: str


def values_in(content: Mapping[str, Any], fields: Iterable[str], settings: Settings, *, strict: bool) -> list[Value]:
    """The values in these fields of a secret."""
    return [
        Value(field, fingerprint(text), flaw_of(field, text, settings, strict=strict))
        for field in fields
        for text in texts(content.get(field))
    ]


def flaw_of(field: str, text: str, settings: Settings, *, strict: bool) -> str:
    """The reason why a text cannot be a value of the field; empty if it can. `strict` refuses samples, as on AWS."""
    if field in SIGNING_FIELDS.values():
        return SIGNING_FLAWS.get(signing_secret_flaw(text), "") if strict else ""
    if field == "stripe_api_key":
        return API_KEY_FLAWS.get(api_key_flaw(text), "")
    if field == "client_reference_key":
        return REFERENCE_KEY_FLAWS.get(reference_key_flaw(text), "")
    if flaw := write_key_flaw(text):
        return WRITE_KEY_FLAWS[flaw]
    if settings.sends_to_segment and not SEGMENT_KEY.fullmatch(text):
        return f"{len(text)} characters; Segment's have 32 letters and digits, and it answers 200 to a wrong one"
    return ""


def fingerprint(text: str) -> str:
    """The name of a value that does not reveal it: the first 8 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
