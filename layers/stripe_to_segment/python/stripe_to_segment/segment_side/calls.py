"""Segment calls as they stand in a `/v1/batch` request, and the messageId by which Segment drops repeats.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

import hashlib
import json
import uuid
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen_with_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Literal, TypedDict

    type Kind = Literal["track", "identify", "group"]

    class CallBody(TypedDict, total=False):
        """One item of a batch; its `type` decides which of the fields it has."""

        type: Kind
        messageId: str
        timestamp: str
        userId: str
        anonymousId: str
        groupId: str
        event: str
        properties: dict[str, object]
        traits: dict[str, object]
        context: Context
        integrations: dict[str, object]

    class Context(TypedDict, total=False):
        """The context, which all calls of one event share."""

        library: dict[str, str]
        active: bool
        stripe: dict[str, str]
        groupId: str
        consent: dict[str, dict[str, bool]]
        externalIds: list[dict[str, str]]
        traits: dict[str, object]
        campaign: dict[str, str]
        page: dict[str, str]
        ip: str
        userAgent: str
        locale: str


__all__ = [
    "MAX_CALL_BYTES",
    "Call",
    "call_from",
    "dedup_key_for",
    "dedup_key_of",
    "encode",
    "fitting",
    "identifier",
    "message_id",
    "wire",
]

# Any fixed value serves; changing it would send every fact of the last 24 hours twice.
NAMESPACE = uuid.UUID("5b8f6a0e-3d0b-5b0a-9c55-6f1a2f7a7c11").bytes

# The two highest bits of a digit are 10.
VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

DEDUP_KEY_LENGTH = 12

# The types of most values, which JSON holds unchanged.
PLAIN = (str, int, type(None))

# Segment takes 32 KB a call; https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#max-request-size
MAX_CALL_BYTES = 32_000


@frozen_with_cache
class Call:
    """One item of a batch: `body` is what goes over the wire, `encoded` its JSON."""

    body: CallBody
    encoded: bytes

    @property
    def message_id(self) -> str:
        """The id by which Segment drops a repeated call, for about 24 hours."""
        return self.body["messageId"]

    @cached_property
    def dedup_key(self) -> str:
        """The ledger's short form of the messageId."""
        return dedup_key_of(self.message_id)


def call_from(encoded: str) -> Call:
    """The call from its encoded form."""
    return Call(json.loads(encoded), encoded.encode())


def identifier(*parts: str) -> str:
    """A UUIDv5 of these parts: 36 characters, which every Segment-compatible endpoint keeps whole."""
    # Built by hand in half the time of `uuid.uuid5`: the 13th digit is the version, half of the 17th the variant.
    digits = _digest(parts)
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{VARIANTS[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def dedup_key_for(*parts: str) -> str:
    """The deduplication key of the UUID of these parts, of which it is the beginning."""
    return _digest(parts)[:DEDUP_KEY_LENGTH]


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha1(NAMESPACE + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()


def message_id(source: str, scope: str, kind: Kind, fact: str) -> str:
    """The id of one call about one fact.

    Segment drops repeats across all sources and workspaces, so the source (one stack), the scope (account and mode)
    and the kind of call are part of it.
    """
    return identifier(source, scope, kind, fact)


def dedup_key_of(identifier_text: str) -> str:
    """The first 48 bits of a UUID, in hex: enough to be unique within one customer's record."""
    return identifier_text.replace("-", "")[:DEDUP_KEY_LENGTH]


def wire(values: Mapping[str, object]) -> dict[str, object]:
    """The values as JSON types; amounts become numbers that read back as the same decimal."""
    # Most values are plain; calling a function for each would take twice as long.
    return {name: value if isinstance(value, PLAIN) else _wired(value) for name, value in values.items()}


def _wired(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return wire(value)
    if isinstance(value, list | tuple):
        return [_wired(entry) for entry in value]
    return value


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON. NaN is refused: Segment would take it for broken JSON and reject the whole request."""
    return _ENCODER.encode(value).encode()


# A value that contains itself ends in a RecursionError, as one that is nested too deep does.
_ENCODER = json.JSONEncoder(check_circular=False, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def fitting(body: CallBody) -> Call:
    """The call, encoded; one that is too large for Segment loses its last products, and `products_omitted` counts them.

    Nothing else is ever cut: a call that is still too large is refused when it is sent.
    """
    encoded = encode(body)
    # A team's `enrich.py` may have put anything there.
    found: Any = body.get("properties")
    properties: dict[str, object] = found if isinstance(found, dict) else {}
    products = properties.get("products")
    if len(encoded) <= MAX_CALL_BYTES or not isinstance(products, list):
        return Call(body, encoded)
    for kept in range(len(products) - 1, -1, -1):
        shorter = {**properties, "products": products[:kept], "products_omitted": len(products) - kept}
        if not kept:
            del shorter["products"]
        trimmed: CallBody = {**body, "properties": shorter}
        encoded = encode(trimmed)
        if len(encoded) <= MAX_CALL_BYTES:
            return Call(trimmed, encoded)
    return Call(body, encode(body))
