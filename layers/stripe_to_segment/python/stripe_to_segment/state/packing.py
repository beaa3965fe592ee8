"""Compression of a record's parts, because DynamoDB charges for each kilobyte written."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from stripe_to_segment.state.dictionaries import DICTIONARIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "DEDUP_KEY_BYTES",
    "DEDUP_KEY_DIGITS",
    "DEDUP_KEY_WIDTH",
    "LONG_DEDUP_KEY_BYTES",
    "compressed",
    "decompressed",
    "packed_dedup_keys",
    "packed_ledger",
    "unpacked_dedup_keys",
    "unpacked_ledger",
]

DEDUP_KEY_BYTES, DAY_BYTES = 6, 2
# Those of items in formats before 4, of which the first six count.
LONG_DEDUP_KEY_BYTES = 8
DEDUP_KEY_DIGITS, DEDUP_KEY_WIDTH = 2 * DEDUP_KEY_BYTES, DEDUP_KEY_BYTES + DAY_BYTES
# Compressed data names its dictionary: bytes 2 to 5 are the checksum of the one that it was compressed with.
# https://www.rfc-editor.org/rfc/rfc1950#section-2.2
ID = slice(2, 6)
DICTIONARIES_BY_ID = {zlib.adler32(one).to_bytes(4): one for one in DICTIONARIES}


def compressed(lines: Iterable[str]) -> bytes:
    """Compress lines of JSON; no line may hold a line break."""
    packer = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zdict=DICTIONARIES[-1])
    return packer.compress("\n".join(lines).encode()) + packer.flush()


def decompressed(packed: bytes) -> list[str]:
    """The lines that were compressed."""
    return zlib.decompressobj(zdict=DICTIONARIES_BY_ID[packed[ID]]).decompress(packed).decode().split("\n")


def packed_dedup_keys(dedup_keys: Iterable[str]) -> bytes:
    """Deduplication keys as bytes, six each."""
    return b"".join(map(bytes.fromhex, sorted(dedup_keys)))


def unpacked_dedup_keys(packed: bytes, width: int = DEDUP_KEY_BYTES) -> frozenset[str]:
    """The deduplication keys that were packed, so many bytes each."""
    return frozenset(packed[start : start + DEDUP_KEY_BYTES].hex() for start in range(0, len(packed), width))


def packed_ledger(ledger: Mapping[str, int]) -> bytes:
    """The ledger in eight bytes a key: a month of a customer's facts fits the first kilobyte that DynamoDB charges."""
    return b"".join(bytes.fromhex(dedup_key) + day.to_bytes(DAY_BYTES) for dedup_key, day in ledger.items())


def unpacked_ledger(packed: bytes, width: int = DEDUP_KEY_BYTES) -> dict[str, int]:
    """The ledger that was packed, so many bytes a key: each deduplication key with its day."""
    return {
        packed[start : start + DEDUP_KEY_BYTES].hex(): int.from_bytes(packed[start + width : start + width + DAY_BYTES])
        for start in range(0, len(packed), width + DAY_BYTES)
    }
