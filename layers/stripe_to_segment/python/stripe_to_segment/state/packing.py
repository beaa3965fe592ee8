"""How a record's parts become few bytes: DynamoDB charges for each kilobyte that is written."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

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

# What records say over and over; compression starts from it. It must never change: records that were written with it
# could not be read any more. https://docs.python.org/3/library/zlib.html#zlib.compressobj
WORDS = (
    b'{"user_id":"user_","anonymous_id":"","group_id":"","opted_out":true,"consent":{},"told":{"user_id":17,"group_id":17}'
    b',"customer_created":17,"stranger":"cus_","joined":true,"shown":"","deleted":true,"subscriptions":{"sub_1":{"as_of":'
    b'[17,1],"status":"active","plan":"","price_id":"price_1","mrr":1000,"currency":"usd","period":"month","quantity":1,'
    b'"trial_end":null,"cancels_at":null,"came_from":"","was":"active","lost":null,"lost_as_of":[0,0]}},"paid":{"usd":1000'
    b'},"delivery":"","busy_until":17,"claims":{"":{"tracks":[""],"shows":true,"joins":true,"groups":true,"day":20},"":{'
    b'"tracks":[""],"day":20}}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","userId":"user_","anonymousId":"cus_","context":{"library":{"name":'
    b'"stripe-to-segment","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"customer.subscription'
    b'.deleted","account":"acct_1","identity":"metadata"},"groupId":"","consent":{"categoryPreferences":{}},"externalIds":[{'
    b'"id":"cus_","type":"stripe_customer_id","collection":"users","encoding":"none"}]},"integrations":{"All":true},"event":'
    b'"Trial Converted","properties":{"subscription_id":"sub_1","status":"trialing","plan":"","trial_start_date":"",'
    b'"trial_end_date":"","converted":true,"previous_plan":"","previous_mrr":0,"changed":["plan","quantity"],"cancels_at":'
    b'"","reason":"cancellation_requested","feedback":"too_expensive","cancelled_by":"customer","days_active":30}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","userId":"","anonymousId":"","context":{"library":{"name":'
    b'"stripe-to-segment","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"invoice.paid",'
    b'"identity":"unknown"},"externalIds":[{"id":"cus_","type":"stripe_customer_id","collection":"users","encoding":"none"}'
    b']},"event":"Order Completed","properties":{"order_id":"in_1","checkout_id":"cs_live_","total":1,"revenue":1,'
    b'"subtotal":1,"tax":0,"shipping":0,"discount":0,"currency":"EUR","products":[{"product_id":"prod_","name":"1 x ",'
    b'"price":1,"quantity":1}],"invoice_id":"in_1","billing_reason":"subscription_create","subscription_id":"sub_1","plan":'
    b'"","price_id":"price_1","product_id":"prod_","quantity":1}}\n'
    b'{"type":"track","messageId":"","timestamp":"202","userId":"","anonymousId":"","context":{"library":{"name":'
    b'"stripe-to-segment","version":"0.1.0"},"active":false,"stripe":{"event_id":"evt_1","event_type":"customer.subscription'
    b'.updated","identity":"client_reference_id"},"externalIds":[{"id":"cus_","type":"stripe_customer_id","collection":'
    b'"users","encoding":"none"}]},"event":"Subscription Renewed","properties":{"billing_reason":"subscription_cycle",'
    b'"subscription_id":"sub_1","status":"active","plan":"","price_id":"price_1","product_id":"prod_","quantity":1,'
    b'"billing_period":"month","amount":1,"currency":"USD","mrr":1,"mrr_change":1}}'
)


def compressed(lines: Iterable[str]) -> bytes:
    """Lines of JSON, none of which holds a line break, in few bytes."""
    packer = zlib.compressobj(zdict=WORDS)
    return packer.compress("\n".join(lines).encode()) + packer.flush()


def decompressed(packed: bytes) -> list[str]:
    """The lines again."""
    return zlib.decompressobj(zdict=WORDS).decompress(packed).decode().split("\n")


def packed_dedup_keys(dedup_keys: Iterable[str]) -> bytes:
    """Eight bytes a deduplication key."""
    return b"".join(map(bytes.fromhex, sorted(dedup_keys)))


def unpacked_dedup_keys(packed: bytes) -> frozenset[str]:
    """The deduplication keys again."""
    return frozenset(packed[start : start + DEDUP_KEY_BYTES].hex() for start in range(0, len(packed), DEDUP_KEY_BYTES))


def packed_ledger(ledger: Mapping[str, int]) -> bytes:
    """Ten bytes a key, so that a month of one customer's facts fits the first kilobyte DynamoDB charges for."""
    return b"".join(bytes.fromhex(dedup_key) + day.to_bytes(DAY_BYTES) for dedup_key, day in ledger.items())


def unpacked_ledger(packed: bytes) -> dict[str, int]:
    """The deduplication keys again, each with its day."""
    return {
        packed[start : start + DEDUP_KEY_BYTES].hex(): int.from_bytes(
            packed[start + DEDUP_KEY_BYTES : start + DEDUP_KEY_WIDTH]
        )
        for start in range(0, len(packed), DEDUP_KEY_WIDTH)
    }
