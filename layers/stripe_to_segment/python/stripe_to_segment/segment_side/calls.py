"""Segment calls as they stand in a `/v1/batch` request, and the messageId that makes a repeat a repeat.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

__all__ = [
    "MAX_CALL_BYTES",
    "Call",
    "call_from",
    "dedup_key_of",
    "encode",
    "fitting",
    "identifier",
    "message_id",
    "wire",
]

# Any fixed value serves; changing it would send every fact of the last 24 hours twice.
NAMESPACE = uuid.UUID("5b8f6a0e-3d0b-5b0a-9c55-6f1a2f7a7c11").bytes

DEDUP_KEY_LENGTH = 16

# What most values are, and JSON holds as it is.
PLAIN = (str, int, type(None))

# Segment takes 32 KB a call; https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#max-request-size
MAX_CALL_BYTES = 32_000


@dataclass(frozen=True, slots=True)
class Call:
    """One item of a batch: `body` is what goes over the wire, `encoded` its JSON."""

    body: dict[str, Any]
    encoded: bytes

    @property
    def message_id(self) -> str:
        """Segment drops a repeat of it for about 24 hours."""
        return str(self.body["messageId"])

    @property
    def dedup_key(self) -> str:
        """The ledger's short form of the messageId."""
        return dedup_key_of(self.message_id)


def call_from(encoded: str) -> Call:
    """A call that was encoded before."""
    return Call(json.loads(encoded), encoded.encode())


def identifier(*parts: str) -> str:
    """A UUIDv5 of these parts: 36 characters, which every Segment-compatible endpoint keeps whole."""
    # By hand, at half the price of `uuid.uuid5`: the 13th digit is the version, half of the 17th the variant.
    name = NAMESPACE + "\x1f".join(parts).encode()
    digits = hashlib.sha1(name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def message_id(source: str, scope: str, kind: str, fact: str) -> str:
    """The id of one call about one fact.

    Segment drops repeats across all sources and workspaces, so the source (one stack), the scope (account and mode)
    and the kind of call are part of it.
    """
    return identifier(source, scope, kind, fact)


def dedup_key_of(identifier_text: str) -> str:
    """64 of a UUID's 122 bits, in hex: within one customer's record no two ever meet."""
    return identifier_text.replace("-", "")[:DEDUP_KEY_LENGTH]


def wire(value: object) -> Any:
    """A value as JSON can hold it: amounts as numbers that read back as the same decimal."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        # Most are plain, and to call this for each of them would take twice as long.
        return {key: entry if isinstance(entry, PLAIN) else wire(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [wire(entry) for entry in value]
    return value


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON. NaN is refused: Segment would take it for broken JSON and reject the whole request."""
    return _ENCODER.encode(value).encode()


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def fitting(body: dict[str, Any]) -> Call:
    """A call, encoded; one too large for Segment goes without its last products and says how many it left out.

    Nothing else is ever cut: a call that is too large without its products is refused as it is.
    """
    encoded = encode(body)
    found = body.get("properties")
    properties: dict[str, Any] = found if isinstance(found, dict) else {}
    products = properties.get("products")
    if len(encoded) <= MAX_CALL_BYTES or not isinstance(products, list):
        return Call(body, encoded)
    for kept in range(len(products) - 1, -1, -1):
        shorter = {**properties, "products": products[:kept], "products_omitted": len(products) - kept}
        if not kept:
            del shorter["products"]
        trimmed = {**body, "properties": shorter}
        encoded = encode(trimmed)
        if len(encoded) <= MAX_CALL_BYTES:
            return Call(trimmed, encoded)
    return Call(body, encode(body))
