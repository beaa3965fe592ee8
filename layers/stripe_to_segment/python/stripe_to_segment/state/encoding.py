"""The encoding of records, persons, receipts and circuits as items of the StateTable, in both directions.

Keys carry account and mode, so no two of them ever mix.
"""

from __future__ import annotations

import json
from copy import replace
from dataclasses import asdict
from functools import wraps
from typing import TYPE_CHECKING

from stripe_to_segment.errors import UnreadableRecordError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.reasons import Reason
from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.claim import Claim, Receipt
from stripe_to_segment.state.packing import (
    DEDUP_KEY_BYTES,
    DEDUP_KEY_DIGITS,
    DEDUP_KEY_WIDTH,
    LONG_DEDUP_KEY_BYTES,
    compressed,
    decompressed,
    packed_dedup_keys,
    packed_ledger,
    unpacked_dedup_keys,
    unpacked_ledger,
)
from stripe_to_segment.state.person import Person
from stripe_to_segment.state.profile import LEDGER_DAYS, UNSURE, Profile
from stripe_to_segment.state.store import DAY
from stripe_to_segment.state.subscription import SubscriptionRecord
from stripe_to_segment.state.written import known_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from stripe_to_segment.state.store import Learnt
    from stripe_to_segment.stripe_side.fields import JsonObject

    # An item, or the values of an expression.
    type Attributes = dict[str, AttributeValueTypeDef]
    type Read[T] = Callable[[Attributes], T]

__all__ = [
    "FORMAT",
    "KEEP_DAYS",
    "Kept",
    "circuit_from",
    "circuit_item",
    "expiry",
    "fact_from",
    "fact_item",
    "kept_from",
    "key_of",
    "person_from",
    "pk",
    "profile_from",
    "profile_item",
    "receipt_from",
    "receipt_item",
]

# Every item carries the number of its format. A release raises it when older releases would misread its items; an older
# release that is deployed again then waits. A new field that older releases may ignore needs no new format.
FORMAT = 4
# Since this format deduplication keys have twelve hex digits; of the sixteen before, the first twelve count.
SHORT_DEDUP_KEYS = 4
# Instead of the order's id, in a payment that the order itself states.
ITSELF = "="
# Fields that have been renamed since, and the names under which they are stored, so that older releases find them.
WRITTEN_AS = {"fallback_id": "stranger", "lease_until": "busy_until", "as_of": "told"}
READ_AS = {written: name for name, written in WRITTEN_AS.items()}
# The same for the fields of a subscription.
SUBSCRIPTION_WRITTEN_AS = {"mrr_sent": "told", "unsent": "untold"}
# Three years: a payment may be disputed for 540 days, which may be decided a year later, a yearly plan may be refunded
# after its renewal, and whoever returns after years is no new customer.
KEEP_DAYS = 1_100
# DynamoDB takes 409,600 bytes an item, the attributes' names included.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
ITEM_BYTES = 400_000
# At most this many of them for the record without its ledger.
RECORD_BYTES = 200_000


def pk(kind: str, key: str) -> str:
    """The partition key of an item: its kind (profile, person, order, product, coupon, …) and its key of that kind."""
    return f"{kind}#{key}"


def expiry(now: float, days: int) -> AttributeValueTypeDef:
    """The time so many days from now, when DynamoDB may delete the item."""
    return {"N": str(int(now) + days * DAY)}


def _guarded[T](read: Read[T]) -> Read[T]:
    """A reader of items of one kind that raises UnreadableRecordError, and nothing else."""

    @wraps(read)
    def guarded(item: Attributes) -> T:
        try:
            found = None if _format_of(item) > FORMAT else read(item)
        except Exception:  # noqa: BLE001 - a broken item may raise any error
            # Not chained: the error's text may quote the item.
            raise UnreadableRecordError(Reason.BROKEN_RECORD) from None
        if found is None:
            raise UnreadableRecordError(Reason.NEWER_RECORD)
        return found

    return guarded


def _format_of(item: Attributes) -> int:
    return int(item["format"]["N"]) if "format" in item else 0


def key_of(item: Attributes) -> tuple[str, str]:
    """The kind of an item, and its key of that kind."""
    kind, _, key = item["pk"]["S"].partition("#")
    return kind, key


@frozen
class Kept:
    """An item with personal data: a customer's record, a person, or the order of a payment.

    `owner` is the key of the record of the customer who paid the order, empty where an old release did not store it.
    `unreadable` is the reason why the item cannot be read, empty where it can be.
    """

    kind: str
    key: str
    profile: Profile | None = None
    person: Person | None = None
    owner: str = ""
    unreadable: str = ""


def kept_from(item: Attributes) -> Kept | None:
    """The item as a Kept, None where it has no personal data."""
    kind, key = key_of(item)
    match kind:
        case "profile":
            try:
                return Kept(kind, key, profile=profile_from(item))
            except UnreadableRecordError as error:
                return Kept(kind, key, profile=Profile(key), unreadable=error.reason)
        case "person":
            try:
                return Kept(kind, key, person=person_from(item))
            except UnreadableRecordError as error:
                return Kept(kind, key, person=Person(), unreadable=error.reason)
        case "order":
            return Kept(kind, key, owner=item.get("owner", {}).get("S", ""))
        case _:
            return None


def fact_item(fact: Learnt, now: float) -> Attributes:
    """A learnt fact: an order, the name of a product, a coupon or a bookmark."""
    item: Attributes = {
        "pk": {"S": pk(fact.kind, fact.key)},
        "format": {"N": str(FORMAT)},
        "value": {"S": fact.value},
        "as_of": {"N": str(fact.as_of)},
    }
    if fact.kind != "order":
        # Few, about nobody, and needed for as long as something is sold: no event may ever state them again.
        return item
    item["expires_at"] = expiry(now, KEEP_DAYS)
    # `forget` finds the orders of a customer by their owner.
    return item | ({"owner": {"S": fact.owner}} if fact.owner else {})


def receipt_item(delivery: str, receipt: Receipt, now: float) -> Attributes:
    """The receipt of a delivery."""
    return {
        "pk": {"S": pk("receipt", delivery)},
        "format": {"N": str(FORMAT)},
        "arrived": {"B": packed_dedup_keys(receipt.arrived)},
        "given_up": {"B": packed_dedup_keys(receipt.given_up)},
        "unwanted": {"B": packed_dedup_keys(receipt.unwanted)},
        "expires_at": expiry(now, LEDGER_DAYS),
    }


@_guarded
def fact_from(item: Attributes) -> tuple[str, int]:
    """The value of a learnt fact, and the epoch second as of which it is true."""
    return str(item["value"]["S"]), int(item["as_of"]["N"])


@_guarded
def receipt_from(item: Attributes) -> Receipt:
    """The receipt of a delivery."""
    width = DEDUP_KEY_BYTES if _format_of(item) >= SHORT_DEDUP_KEYS else LONG_DEDUP_KEY_BYTES
    arrived, given_up, unwanted = (
        unpacked_dedup_keys(item[name]["B"], width) for name in ("arrived", "given_up", "unwanted")
    )
    return Receipt(arrived, given_up, unwanted)


@_guarded
def person_from(item: Attributes) -> Person:
    """A person or a group."""
    return Person(
        # DynamoDB has no empty set: it drops the attribute with its last entry.
        frozenset(item["records"]["SS"] if "records" in item else ()),
        frozenset(item["marked"]["SS"] if "marked" in item else ()),
        item["opted_out"]["BOOL"] if "opted_out" in item else None,
        int(item["as_of"]["N"]) if "as_of" in item else 0,
        guests=json.loads(item["guests"]["S"]) if "guests" in item else {},
        delivery=item["delivery"]["S"] if "delivery" in item else "",
        lease_until=int(item["lease_until"]["N"]) if "lease_until" in item else 0,
        version=int(item["version"]["N"]) if "version" in item else 0,
    )


@_guarded
def circuit_from(item: Attributes) -> Circuit:
    """A circuit."""
    return Circuit(int(item["failures"]["N"]), int(item["until"]["N"]), item["probing"]["BOOL"])


def circuit_item(circuit: Circuit) -> Attributes:
    """A circuit, without its key and expiry."""
    return {
        "format": {"N": str(FORMAT)},
        "failures": {"N": str(circuit.failures)},
        "until": {"N": str(circuit.until)},
        "probing": {"BOOL": circuit.probing},
    }


def profile_item(profile: Profile, now: float) -> Attributes:
    """A customer's record in its next version."""
    record = _written(profile)
    # The newest deduplication keys come first, and hundreds of subscriptions leave less room for the oldest.
    ledger = packed_ledger(profile.ledger)[: max(ITEM_BYTES - len(record), 0) // DEDUP_KEY_WIDTH * DEDUP_KEY_WIDTH]
    item: Attributes = {
        "pk": {"S": pk("profile", profile.key)},
        "format": {"N": str(FORMAT)},
        "version": {"N": str(profile.version + 1)},
        "record": {"B": record},
        "keys": {"B": ledger},
    }
    if profile.shared:
        item["shared"] = {"BOOL": True}
    if not profile.live and not profile.opted_out:
        # A record with a live subscription or an opt-out never expires, the others once no refund or retry can come.
        days = LEDGER_DAYS if profile.deleted else KEEP_DAYS
        item["expires_at"] = expiry(now, days)
    return item


def _written(profile: Profile) -> bytes:
    """The record, compressed: a line of JSON, then one line for each claimed call, byte for byte.

    Where the claims do not all fit, the newest are kept; an event whose claim was dropped is mapped anew.
    """
    # `asdict` would copy the payments, which costs more than all the rest, and they are JSON already.
    bare = replace(profile, payments={}, ledger={}, withheld={})
    record = {WRITTEN_AS.get(name, name): value for name, value in _without_blanks(asdict(bare)).items()}
    record |= {"payments": _payments_written(profile.payments)} if profile.payments else {}
    record |= {"withheld": profile.withheld} if profile.withheld else {}
    if profile.sent and profile.summed == 1:
        # The sums say it, and each byte of a record is paid for.
        del record["summed"]
    if profile.subscriptions:
        record["subscriptions"] = {key: _subscription_written(one) for key, one in record["subscriptions"].items()}
    for name in ("key", "version", "ledger", "shared"):
        record.pop(name, None)
    claims = record.pop("claims", {})
    while True:
        known = {
            dedup_key: _without_blanks(claim | {"tracks": [*claim["tracks"]]}) for dedup_key, claim in claims.items()
        }
        calls = [call for claim in claims.values() for call in claim["tracks"].values()]
        written = compressed([json.dumps(record | {"claims": known}, separators=(",", ":")), *calls])
        if len(written) <= RECORD_BYTES or not claims:
            return written
        dropped = len(claims) // 2 + 1
        for claim in [*claims.values()][:dropped]:
            record |= {"shown": UNSURE} if claim["shows"] else {}
            record |= {"joined": False} if claim["joins"] else {}
            record |= {"shown_group": UNSURE} if claim["groups"] else {}
        claims = dict([*claims.items()][dropped:])


def _payments_written(payments: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    """The payments; most are stated by what their order is named after, whose id need not stand there twice."""
    return {
        order: {**payment, "stated_by": ITSELF} if payment.get("stated_by") == order else payment
        for order, payment in payments.items()
    }


def _payments_from(written: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    return {
        order: {**payment, "stated_by": order} if payment.get("stated_by") == ITSELF else payment
        for order, payment in written.items()
    }


def _without_blanks(values: JsonObject) -> JsonObject:
    return {name: value for name, value in values.items() if value}


@_guarded
def profile_from(item: Attributes) -> Profile:
    """A record, also one of another release: unknown fields are dropped, missing ones take their defaults."""
    _, key = key_of(item)
    shared, version = "shared" in item and item["shared"]["BOOL"], int(item["version"]["N"])
    if "record" not in item:
        # `DynamoStore.share` created the item, and no batch has written the record yet.
        return Profile(key, shared=shared, version=version)
    written = item["record"]
    head, *calls = decompressed(written["B"]) if "B" in written else [written["S"]]
    record = {READ_AS.get(name, name): value for name, value in json.loads(head).items()}
    subscriptions = {key: _subscription_from(values) for key, values in record.pop("subscriptions", {}).items()}
    encoded, claims = iter(calls), {}
    for dedup_key, values in record.pop("claims", {}).items():
        known = known_of(Claim, values)
        tracks = {track[:DEDUP_KEY_DIGITS]: next(encoded) for track in known.get("tracks", ())}
        claims[dedup_key[:DEDUP_KEY_DIGITS]] = Claim(**known | {"tracks": tracks})
    if payments := record.get("payments"):
        record["payments"] = _payments_from(payments)
    if withheld := record.get("withheld"):
        record["withheld"] = {dedup_key[:DEDUP_KEY_DIGITS]: one for dedup_key, one in withheld.items()}
    return Profile(
        **{
            # A release that kept no sums wrote neither them nor a day.
            "summed": int("sent" in record),
            **known_of(Profile, record),
            "key": key,
            "own_discounts": tuple(record.get("own_discounts", ())),
            "subscriptions": subscriptions,
            "claims": claims,
            "ledger": _ledger_from(item),
            "shared": shared,
            "version": version,
        }
    )


def _ledger_from(item: Attributes) -> dict[str, int]:
    """The ledger, which formats before SHORT_DEDUP_KEYS wrote under another name and with longer keys."""
    if "keys" in item:
        return unpacked_ledger(item["keys"]["B"])
    return unpacked_ledger(item["ledger"]["B"], LONG_DEDUP_KEY_BYTES)


def _subscription_written(values: JsonObject) -> JsonObject:
    # Keep zeros: an amount of 0 is known, not missing.
    written = {
        SUBSCRIPTION_WRITTEN_AS.get(name, name): value for name, value in values.items() if value or type(value) is int
    }
    beside = values["beside"]
    return written if beside is None else written | {"beside": _subscription_written(beside)}


def _subscription_from(values: JsonObject) -> SubscriptionRecord:
    known = known_of(SubscriptionRecord, values)
    known |= {name: values[written] for name, written in SUBSCRIPTION_WRITTEN_AS.items() if written in values}
    # JSON has no tuples, and watermarks are compared as tuples.
    known |= {"beside": _subscription_from(known["beside"])} if "beside" in known else {}
    return SubscriptionRecord(**known | {"as_of": tuple(known["as_of"])})
