"""The StateTable: customers' records, product names and orders.

The only module that knows DynamoDB. Keys carry account and mode, so no two of them ever mix.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from stripe_to_segment.circuit import Circuit
from stripe_to_segment.errors import StoreConflictError, StoreUnavailableError, code_of
from stripe_to_segment.memory import DAY, Learnt, Memory
from stripe_to_segment.packing import (
    MARK_WIDTH,
    compressed,
    decompressed,
    packed_ledger,
    packed_marks,
    unpacked_ledger,
    unpacked_marks,
)
from stripe_to_segment.profile import LEDGER_DAYS, UNSURE, Claim, Profile, Receipt, SubscriptionRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

__all__ = ["DynamoStore"]

# Refunds and disputes arrive months later; a year and a month covers a yearly plan.
KEEP_DAYS = 400
BATCH_GET_LIMIT = 100
ATTEMPTS = 5
# So many are kept in memory.
RECEIPTS = 500
# DynamoDB takes 409,600 an item, the attributes' names included.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
ITEM_BYTES = 400_000
# Of these at most what is no ledger.
RECORD_BYTES = 200_000


class DynamoStore:
    """The StateTable itself.

    Parameters
    ----------
    client
        A low-level boto3 DynamoDB client.
    table
        The table's name; its key is `pk`, its time-to-live attribute `expires_at`.
    """

    def __init__(self, client: Any, table: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._table = table
        self._pause = pause
        self._pool = ThreadPoolExecutor(max_workers=8)
        self._receipts: dict[str, Receipt] = {}

    def load(
        self,
        profiles: Iterable[str],
        orders: Iterable[str],
        product_names: Iterable[str],
        circuits: Collection[str] = (),
    ) -> Memory:
        """Everything known under these keys, and these circuits, in one BatchGetItem for up to a hundred of them."""
        kinds = (("profile", profiles), ("order", orders), ("product", product_names), ("circuit", circuits))
        wanted = {_pk(kind, key) for kind, keys in kinds for key in keys}
        memory = Memory(circuits=dict.fromkeys(circuits, Circuit()))
        for item in self._get(sorted(wanted)):
            kind, _, key = item["pk"]["S"].partition("#")
            if kind == "profile":
                memory.profiles[key] = _profile_from(key, item)
            elif kind == "circuit":
                memory.circuits[key] = _circuit_from(item)
            else:
                (memory.orders if kind == "order" else memory.product_names)[key] = item["value"]["S"]
                memory.as_of[kind, key] = int(item["as_of"]["N"])
        return memory

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write each record under a condition on its version, and what was learnt unless something newer is known."""
        # What was learnt goes first: once its record says that an event is done, the event teaches nothing again.
        errors = _errors((fact.key, self._pool.submit(self._put_learnt, fact, now)) for fact in learnt)
        if errors:
            error = next(iter(errors.values()))
            return {**{profile.key: error for profile in profiles}, **errors}
        return _errors((profile.key, self._pool.submit(self._put_profile, profile, now)) for profile in profiles)

    def forget(self, key: str, *, really: bool = True) -> Profile | None:
        """Delete a customer's record; gives what it was, or None where there was none.

        Parameters
        ----------
        key
            The record's key, as `identity.owner_key` makes it.
        really
            False only looks.
        """
        if not really:
            return self.load([key], [], []).profiles.get(key)
        wanted = {"pk": {"S": _pk("profile", key)}}
        item = self._call("delete_item", TableName=self._table, Key=wanted, ReturnValues="ALL_OLD").get("Attributes")
        return _profile_from(key, item) if item else None

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """What became of these deliveries, as far as it was written down. Raises StoreUnavailableError."""
        found = {name: self._receipts[name] for name in deliveries if name in self._receipts}
        for item in self._get(sorted(_pk("receipt", name) for name in deliveries if name not in found)):
            name = item["pk"]["S"].partition("#")[2]
            found[name] = _receipt_from(item)
            self._know(name, found[name])
        return found

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write down what became of a delivery. Raises StoreUnavailableError."""
        item = {
            "pk": {"S": _pk("receipt", delivery)},
            "arrived": {"B": packed_marks(receipt.arrived)},
            "given_up": {"B": packed_marks(receipt.given_up)},
            "unwanted": {"B": packed_marks(receipt.unwanted)},
            "expires_at": _expiry(now, LEDGER_DAYS),
        }
        # Nobody else writes it.
        self._put(item, {})
        self._know(delivery, receipt)

    def _know(self, delivery: str, receipt: Receipt) -> None:
        """What was written once never changes, and mostly it is this environment that asks for it."""
        self._receipts[delivery] = receipt
        if len(self._receipts) > RECEIPTS:
            del self._receipts[next(iter(self._receipts))]

    def circuits(self, names: Collection[str]) -> dict[str, Circuit]:
        """These circuits as they were written down last. Raises StoreUnavailableError."""
        return self.load((), (), (), names).circuits

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:
        """Write a circuit down if it is still as seen; gives whether it was. Raises StoreUnavailableError."""
        item = {"pk": {"S": _pk("circuit", name)}, **_circuit_item(circuit), "expires_at": _expiry(now, 1)}
        same = "#failures = :failures AND #until = :until AND #probing = :probing"
        condition = {
            "ConditionExpression": same if seen.failures else f"attribute_not_exists(pk) OR ({same})",
            "ExpressionAttributeNames": {f"#{field}": field for field in _circuit_item(seen)},
            "ExpressionAttributeValues": {f":{field}": value for field, value in _circuit_item(seen).items()},
        }
        return self._put(item, condition)

    def bookmark(self, name: str) -> int | None:
        """How far something has come, in epoch seconds, or None before its first time. Raises StoreUnavailableError."""
        found = next(self._get([_pk("bookmark", name)]), None)
        return None if found is None else int(found["as_of"]["N"])

    def put_bookmark(self, name: str, second: int, now: float) -> None:
        """Note how far something has come; it never goes back. Raises StoreUnavailableError."""
        self._put_learnt(Learnt("bookmark", name, str(second), second), now)

    def _get(self, keys: list[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(keys), BATCH_GET_LIMIT):
            waiting = {
                self._table: {
                    "Keys": [{"pk": {"S": key}} for key in keys[start : start + BATCH_GET_LIMIT]],
                    # A stale read would cost a repeat; a consistent one costs a fraction of a cent.
                    "ConsistentRead": True,
                }
            }
            for attempt in range(ATTEMPTS):
                answer = self._call("batch_get_item", RequestItems=waiting)
                yield from answer.get("Responses", {}).get(self._table, [])
                waiting = answer.get("UnprocessedKeys") or {}
                if not waiting:
                    break
                self._pause(0.05 * 2**attempt)
            else:
                raise StoreUnavailableError("the StateTable left keys unprocessed: it is throttled")

    def _put_profile(self, profile: Profile, now: float) -> None:
        profile = profile.pruned(int(now) // DAY)
        item = _item_of(profile, now)
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if profile.version:
            condition = {
                "ConditionExpression": "version = :read",
                "ExpressionAttributeValues": {":read": {"N": str(profile.version)}},
            }
        if not self._put(item, condition):
            raise StoreConflictError(profile.key)

    def _put_learnt(self, fact: Learnt, now: float) -> None:
        item = {
            "pk": {"S": _pk(fact.kind, fact.key)},
            "value": {"S": fact.value},
            "as_of": {"N": str(fact.as_of)},
            "expires_at": _expiry(now, KEEP_DAYS),
        }
        newer = {
            "ConditionExpression": "attribute_not_exists(pk) OR as_of <= :as_of",
            "ExpressionAttributeValues": {":as_of": {"N": str(fact.as_of)}},
        }
        # Refused by the condition means that something newer is known already.
        self._put(item, newer)

    def _put(self, item: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
        try:
            self._call("put_item", TableName=self._table, Item=item, **condition)
        except _ConditionFailedError:
            return False
        return True

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except Exception as error:
            code = code_of(error)
            if code == "ConditionalCheckFailedException":
                raise _ConditionFailedError from None
            raise StoreUnavailableError(f"DynamoDB {operation} failed: {code}") from error
        return answer


class _ConditionFailedError(Exception):
    """A conditional write was refused."""


def _pk(kind: str, key: str) -> str:
    """The table's key: `profile`, `order`, `product`, `receipt`, `bookmark` or `circuit`, and a key of that kind."""
    return f"{kind}#{key}"


def _expiry(now: float, days: int) -> dict[str, str]:
    return {"N": str(int(now) + days * DAY)}


def _receipt_from(item: Mapping[str, Any]) -> Receipt:
    return Receipt(**{name: unpacked_marks(item[name]["B"]) for name in ("arrived", "given_up", "unwanted")})


def _circuit_from(item: Mapping[str, Any]) -> Circuit:
    return Circuit(int(item["failures"]["N"]), int(item["until"]["N"]), item["probing"]["BOOL"])


def _circuit_item(circuit: Circuit) -> dict[str, Any]:
    return {
        "failures": {"N": str(circuit.failures)},
        "until": {"N": str(circuit.until)},
        "probing": {"BOOL": circuit.probing},
    }


def _errors(jobs: Iterable[tuple[str, Future[None]]]) -> dict[str, Exception]:
    """What went wrong, by key, after all of them are done."""
    errors: dict[str, Exception] = {}
    for key, job in list(jobs):
        try:
            job.result()
        except (StoreConflictError, StoreUnavailableError) as error:
            errors[key] = error
    return errors


def _item_of(profile: Profile, now: float) -> dict[str, Any]:
    record = _written(profile)
    # The newest marks come first, and hundreds of subscriptions leave less room for the oldest.
    ledger = packed_ledger(profile.ledger)[: max(ITEM_BYTES - len(record), 0) // MARK_WIDTH * MARK_WIDTH]
    item: dict[str, Any] = {
        "pk": {"S": _pk("profile", profile.key)},
        "version": {"N": str(profile.version + 1)},
        "record": {"B": record},
        "ledger": {"B": ledger},
    }
    if not profile.live:
        # Nobody who has something now is ever forgotten; the others once no refund or retry can come any more.
        days = LEDGER_DAYS if profile.deleted else KEEP_DAYS
        item["expires_at"] = _expiry(now, days)
    return item


def _written(profile: Profile) -> bytes:
    """The record: a line of JSON, and one for each call that it claims, which is kept as it is.

    Where there is no room for all claims the newest are kept; an event without one is told anew, as if it had none.
    """
    record = _without_blanks(asdict(profile))
    for name in ("key", "version", "ledger"):
        record.pop(name, None)
    claims = record.pop("claims", {})
    while True:
        known = {mark: _without_blanks(claim | {"tracks": [*claim["tracks"]]}) for mark, claim in claims.items()}
        calls = [call for claim in claims.values() for call in claim["tracks"].values()]
        written = compressed([json.dumps(record | {"claims": known}, separators=(",", ":")), *calls])
        if len(written) <= RECORD_BYTES or not claims:
            return written
        dropped = len(claims) // 2 + 1
        for claim in [*claims.values()][:dropped]:
            record |= {"shown": UNSURE} if claim["shows"] else {}
            record |= {"joined": False} if claim["joins"] else {}
        claims = dict([*claims.items()][dropped:])


def _without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _profile_from(key: str, item: Mapping[str, Any]) -> Profile:
    """A record, also one that another release wrote: what this one does not know is left out, what it lacks is new."""
    written = item["record"]
    head, *calls = decompressed(written["B"]) if "B" in written else [written["S"]]
    record = json.loads(head)
    subscriptions = {key: _subscription_from(values) for key, values in record.pop("subscriptions", {}).items()}
    told, claims = iter(calls), {}
    for mark, values in record.pop("claims", {}).items():
        known = _of(Claim, values)
        claims[mark] = Claim(**known | {"tracks": {track: next(told) for track in known.get("tracks", ())}})
    return Profile(
        **{
            **_of(Profile, record),
            "key": key,
            "subscriptions": subscriptions,
            "claims": claims,
            "ledger": unpacked_ledger(item["ledger"]["B"]),
            "version": int(item["version"]["N"]),
        }
    )


def _subscription_from(values: Mapping[str, Any]) -> SubscriptionRecord:
    known = _of(SubscriptionRecord, values)
    # JSON has no tuples, and watermarks are compared as tuples.
    known |= {name: tuple(known[name]) for name in ("as_of", "lost_as_of") if name in known}
    return SubscriptionRecord(**known)


def _of(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
