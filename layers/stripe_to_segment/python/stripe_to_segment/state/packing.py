"""Compression of a record's parts, because DynamoDB charges for each kilobyte written."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from stripe_to_segment.state.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "DEDUP_KEY_WIDTH",
    "compressed",
    "decompressed",
    "packed_dedup_keys",
    "packed_ledger",
    "unpacked_dedup_keys",
    "unpacked_ledger",
]

DEDUP_KEY_BYTES, DAY_BYTES = 8, 2
DEDUP_KEY_WIDTH = DEDUP_KEY_BYTES + DAY_BYTES
# Compressed data names its dictionary: bytes 2 to 5 are the checksum of the words that it was compressed with.
# https://www.rfc-editor.org/rfc/rfc1950#section-2.2
ID = slice(2, 6)
WORDS_BY_ID = {zlib.adler32(words).to_bytes(4): words for words in WORDS}


def compressed(lines: Iterable[str]) -> bytes:
    """Compress lines of JSON; no line may hold a line break."""
    packer = zlib.compressobj(zdict=WORDS[-1])
    return packer.compress("\n".join(lines).encode()) + packer.flush()


def decompressed(packed: bytes) -> list[str]:
    """The lines that were compressed."""
    return zlib.decompressobj(zdict=WORDS_BY_ID[packed[ID]]).decompress(packed).decode().split("\n")


def packed_dedup_keys(dedup_keys: Iterable[str]) -> bytes:
    """Deduplication keys as bytes, eight each."""
    return b"".join(map(bytes.fromhex, sorted(dedup_keys)))


def unpacked_dedup_keys(packed: bytes) -> frozenset[str]:
    """The deduplication keys that were packed."""
    return frozenset(packed[start : start + DEDUP_KEY_BYTES].hex() for start in range(0, len(packed), DEDUP_KEY_BYTES))


def packed_ledger(ledger: Mapping[str, int]) -> bytes:
    """The ledger in ten bytes a key: a month of one customer's facts fits the first kilobyte that DynamoDB charges."""
    return b"".join(bytes.fromhex(dedup_key) + day.to_bytes(DAY_BYTES) for dedup_key, day in ledger.items())


def unpacked_ledger(packed: bytes) -> dict[str, int]:
    """The ledger that was packed: each deduplication key with its day."""
    return {
        packed[start : start + DEDUP_KEY_BYTES].hex(): int.from_bytes(
            packed[start + DEDUP_KEY_BYTES : start + DEDUP_KEY_WIDTH]
        )
        for start in range(0, len(packed), DEDUP_KEY_WIDTH)
    }
