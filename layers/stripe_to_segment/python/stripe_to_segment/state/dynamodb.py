"""The StateTable: customers' records, product names and orders.

The only module that knows DynamoDB. Keys carry account and mode, so no two of them ever mix.
"""

from __future__ import annotations

import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StoreConflictError, StoreUnavailableError, UnreadableRecordError, code_of
from stripe_to_segment.reasons import Reason
from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.claim import Receipt
from stripe_to_segment.state.encoding import (
    FORMAT,
    KEEP_DAYS,
    circuit_from,
    circuit_item,
    expiry,
    fact_from,
    fact_item,
    kept_from,
    key_of,
    person_from,
    pk,
    profile_from,
    profile_item,
    receipt_from,
    receipt_item,
)
from stripe_to_segment.state.person import MOST_RECORDS, Person
from stripe_to_segment.state.store import DAY, OPT_OUT, Learnt, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from typing import TypedDict

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesOutputTypeDef, ScanInputTypeDef

    from stripe_to_segment.state.encoding import Attributes, Kept
    from stripe_to_segment.state.profile import Profile

    class Condition(TypedDict, total=False):
        """That of a conditional write."""

        ConditionExpression: str
        ExpressionAttributeNames: Mapping[str, str]
        ExpressionAttributeValues: Attributes


__all__ = ["DynamoStore"]

# Conditions, by what they are about. What is of another type is neither compared nor added to.
SETS = {name: f"attribute_not_exists(#{name}) OR attribute_type(#{name}, :set)" for name in ("records", "marked")}
NO_NEWER = {
    name: f"attribute_not_exists(#{name}) OR (attribute_type(#{name}, :number) AND #{name} <= :{name})"
    for name in ("as_of", "format")
}
SET: Attributes = {":set": {"S": "SS"}}
OURS: Attributes = {":format": {"N": str(FORMAT)}, ":number": {"S": "N"}}
BATCH_GET_LIMIT = 100
ATTEMPTS = 5
# So many are kept in memory.
RECEIPTS = 500


class DynamoStore:
    """The StateTable itself.

    Parameters
    ----------
    client
        A low-level boto3 DynamoDB client.
    table
        The table's name; its key is `pk`, its time-to-live attribute `expires_at`.
    """

    def __init__(self, client: DynamoDBClient, table: str, *, pause: Callable[[float], None] = time.sleep) -> None:
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
        coupons: Iterable[str] = (),
    ) -> Memory:
        """Everything known under these keys, and these circuits, in one BatchGetItem for up to a hundred of them."""
        kinds = (
            ("profile", profiles),
            ("order", orders),
            ("product", product_names),
            ("coupon", coupons),
            ("circuit", circuits),
        )
        wanted = {pk(kind, key) for kind, keys in kinds for key in keys}
        memory = Memory(circuits=dict.fromkeys(circuits, Circuit()))
        for item in self._get(sorted(wanted)):
            kind, key = key_of(item)
            try:
                if kind == "profile":
                    memory.profiles[key] = profile_from(item)
                elif kind == "circuit":
                    memory.circuits[key] = circuit_from(item)
                else:
                    memory.learnt(kind)[key], memory.as_of[kind, key] = fact_from(item)
                    if owner := item.get("owner", {}).get("S"):
                        memory.owners[key] = owner
            except UnreadableRecordError as error:
                # A circuit that cannot be read keeps nobody waiting.
                memory.unreadable[kind, key] = error.reason
        return memory

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write each record under a condition on its version, and what was learnt unless something newer is known."""
        # What was learnt goes first: once its record says that an event is done, the event teaches nothing again.
        # Of what is told several times the newest.
        newest: dict[tuple[str, str], Learnt] = {}
        for fact in sorted(learnt, key=lambda fact: fact.as_of):
            told = newest.get((fact.kind, fact.key))
            newest[fact.kind, fact.key] = fact.over(told) if fact.kind == "order" else fact
        errors = _errors((fact.key, self._pool.submit(self._put_learnt, fact, now)) for fact in newest.values())
        if errors:
            errors |= {fact.owner: errors[fact.key] for fact in learnt if fact.owner and fact.key in errors}
        written = [profile for profile in profiles if profile.key not in errors]
        return errors | _errors((each.key, self._pool.submit(self._put_profile, each, now)) for each in written)

    def everything(self) -> Iterator[Kept]:
        """All that is kept of customers, item by item. For a person at a command line: it reads the whole table.

        Raises StoreUnavailableError.
        """
        scan: ScanInputTypeDef = {"TableName": self._table, "ConsistentRead": True}
        while True:
            answer = _asked(self._client.scan, **scan)
            yield from filter(None, map(kept_from, answer["Items"]))
            if not answer.get("LastEvaluatedKey"):
                return
            scan["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def delete(self, kind: str, key: str) -> None:
        """Delete an item of a kind. Raises StoreUnavailableError."""
        _asked(self._client.delete_item, TableName=self._table, Key={"pk": {"S": pk(kind, key)}})

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """What became of these deliveries, as far as it was written down. Raises StoreUnavailableError."""
        found = {name: self._receipts[name] for name in deliveries if name in self._receipts}
        for item in self._get(sorted(pk("receipt", name) for name in deliveries if name not in found)):
            _, name = key_of(item)
            try:
                found[name] = receipt_from(item)
                self._know(name, found[name])
            except UnreadableRecordError as error:
                # A broken one is none: what was told is told again in the same words. A newer one knows better.
                if error.reason == Reason.NEWER_RECORD:
                    found[name] = Receipt(unreadable=error.reason)
        return found

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write down what became of a delivery. Raises StoreUnavailableError."""
        # Nobody else writes it.
        self._put(receipt_item(delivery, receipt, now), {})
        self._know(delivery, receipt)

    def _know(self, delivery: str, receipt: Receipt) -> None:
        """What was written once never changes, and mostly it is this environment that asks for it."""
        self._receipts[delivery] = receipt
        if len(self._receipts) > RECEIPTS:
            del self._receipts[next(iter(self._receipts))]

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """What is remembered of these persons. Raises StoreUnavailableError."""
        return {key_of(item)[1]: _person(item) for item in self._get(sorted(pk("person", key) for key in keys))}

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Tie records to persons, given as pairs of person and record; gives the persons then known.

        A person with MOST_RECORDS records keeps those it has. Raises StoreUnavailableError.
        """
        persons: dict[str, Person] = {}
        for key, person in self._pool.map(self._tie, *zip(*sorted(pairs), strict=True)):
            # Ties of one person overtake each other; the last one saw the most.
            known = persons.get(key, person)
            persons[key] = person if len(person.records) >= len(known.records) else known
        return persons

    def untie(self, pairs: Collection[tuple[str, str]]) -> None:
        """Untie records from persons. Raises StoreUnavailableError."""
        for key, record in pairs:
            # What cannot be read stays as it is; a tie too many marks a record for nothing.
            with suppress(_ConditionFailedError):
                self._update(
                    pk("person", key),
                    "DELETE #records :record, #marked :record",
                    {":record": {"SS": [record]}, **SET},
                    *SETS.values(),
                )

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:
        """Mark records as sharing their person, those not written yet too; gives the new versions of those marked.

        One that cannot be read is left as it is. Raises StoreUnavailableError.
        """
        tried = zip(records, self._pool.map(self._share, records, itertools.repeat(now)), strict=True)
        versions = {record: version for record, version in tried if version}
        if versions:
            with suppress(_ConditionFailedError):
                self._update(
                    pk("person", person),
                    "ADD #marked :records",
                    {":records": {"SS": sorted(versions)}, **SET},
                    SETS["marked"],
                )
        return versions

    def _tie(self, key: str, record: str) -> tuple[str, Person]:
        try:
            item = self._update(
                pk("person", key),
                "SET #format = :format ADD #records :record",
                {":record": {"SS": [record]}, ":most": {"N": str(MOST_RECORDS)}, **SET},
                # Not `size(records) < :most` alone: nothing has no size, and a number has none either.
                "attribute_not_exists(#records) OR (attribute_type(#records, :set) AND size(#records) < :most)",
            )
        except _ConditionFailedError:
            return key, self.persons([key]).get(key, Person())
        return key, _person(item)

    def _share(self, record: str, now: float) -> int:
        """Mark one record and give its new version, 0 where that cannot be done.

        One that another invocation is about to write is begun here, so that that one finds it shared.
        """
        marked: Attributes = {":shared": {"BOOL": True}, ":one": {"N": "1"}}
        for _ in range(ATTEMPTS):
            try:
                item = self._update(
                    pk("profile", record),
                    "SET #shared = :shared ADD #version :one",
                    marked,
                    "attribute_exists(pk) AND attribute_type(#version, :number)",
                )
            except _ConditionFailedError:
                begun: Attributes = {
                    "pk": {"S": pk("profile", record)},
                    "format": OURS[":format"],
                    "shared": marked[":shared"],
                    "version": marked[":one"],
                    "expires_at": expiry(now, KEEP_DAYS),
                }
                if self._put(begun, {"ConditionExpression": "attribute_not_exists(pk)"}):
                    return 1
            else:
                try:
                    return profile_from(item).version
                except UnreadableRecordError:
                    break
        return 0

    def circuits(self, names: Collection[str]) -> dict[str, Circuit]:
        """These circuits as they were written down last. Raises StoreUnavailableError."""
        return self.load((), (), (), names).circuits

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:
        """Write a circuit down if it is still as seen; gives whether it was. Raises StoreUnavailableError."""
        item: Attributes = {"pk": {"S": pk("circuit", name)}, **circuit_item(circuit), "expires_at": expiry(now, 1)}
        known = {name: value for name, value in circuit_item(seen).items() if name != "format"}
        same = " AND ".join(f"#{field} = :{field}" for field in known)
        condition: Condition = {
            "ConditionExpression": same if seen.failures else f"attribute_not_exists(pk) OR ({same})",
            "ExpressionAttributeNames": {f"#{field}": field for field in known},
            "ExpressionAttributeValues": {f":{field}": value for field, value in known.items()},
        }
        return self._put(item, condition)

    def began(self) -> int:
        """The epoch second at which the table was made, and the stack with it. Raises StoreUnavailableError."""
        made = _asked(self._client.describe_table, TableName=self._table)["Table"]["CreationDateTime"]
        return int(made.timestamp())

    def bookmark(self, name: str) -> int | None:
        """How far something has come, in epoch seconds, or None before its first time.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        found = next(self._get([pk("bookmark", name)]), None)
        return None if found is None else fact_from(found)[1]

    def put_bookmark(self, name: str, second: int, now: float) -> None:
        """Note how far something has come; it never goes back. Raises StoreUnavailableError."""
        self._put_learnt(Learnt("bookmark", name, str(second), second), now)

    def _get(self, keys: list[str]) -> Iterator[Attributes]:
        for start in range(0, len(keys), BATCH_GET_LIMIT):
            waiting: dict[str, KeysAndAttributesOutputTypeDef] = {
                self._table: {
                    "Keys": [{"pk": {"S": key}} for key in keys[start : start + BATCH_GET_LIMIT]],
                    # A stale read would cost a repeat; a consistent one costs a fraction of a cent.
                    "ConsistentRead": True,
                }
            }
            for attempt in range(ATTEMPTS):
                answer = _asked(self._client.batch_get_item, RequestItems=waiting)
                yield from answer.get("Responses", {}).get(self._table, [])
                waiting = answer.get("UnprocessedKeys") or {}
                if not waiting:
                    break
                self._pause(0.05 * 2**attempt)
            else:
                raise StoreUnavailableError("the StateTable left keys unprocessed: it is throttled")

    def _put_profile(self, profile: Profile, now: float) -> None:
        profile = profile.pruned(int(now) // DAY)
        item = profile_item(profile, now)
        condition: Condition = {"ConditionExpression": "attribute_not_exists(pk)"}
        if profile.version:
            condition = {
                "ConditionExpression": "version = :read",
                "ExpressionAttributeValues": {":read": {"N": str(profile.version)}},
            }
        if not self._put(item, condition):
            raise StoreConflictError(profile.key)

    def _put_learnt(self, fact: Learnt, now: float) -> None:
        if fact.kind == OPT_OUT:
            self._put_opt_out(fact)
            return
        if fact.kind == "order":
            self._put_order(fact, now)
            return
        newer: Condition = {
            "ConditionExpression": " AND ".join(f"({each})" for each in NO_NEWER.values()),
            "ExpressionAttributeNames": {f"#{name}": name for name in NO_NEWER},
            "ExpressionAttributeValues": {":as_of": {"N": str(fact.as_of)}, **OURS},
        }
        # Refused by the condition means that something newer is known already.
        self._put(fact_item(fact, now), newer)

    def _put_order(self, fact: Learnt, now: float) -> None:
        """Merge what is told of an order into its item, as `Learnt.over` does."""
        item = fact_item(fact, now)
        values = {f":{name}": value for name, value in item.items() if name != "pk"}
        sets = [f"#{name} = :{name}" for name in ("format", "owner", "expires_at") if name in item]
        # It tells the owner; which order it is, only where nobody knows better.
        which, conditions = [f"#{name} = if_not_exists(#{name}, :{name})" for name in ("value", "as_of")], list[str]()
        if fact.names_another:
            values |= {":itself": {"S": fact.key.rpartition(":")[2]}}
            which = ["#value = :value", "#as_of = :as_of"]
            conditions = ["attribute_not_exists(#as_of) OR #as_of <= :as_of OR #value = :itself"]
        with suppress(_ConditionFailedError):
            # Refused by a condition means that a newer invoice is known already.
            self._update(pk("order", fact.key), f"SET {', '.join([*which, *sets])}", values, *conditions)

    def _put_opt_out(self, fact: Learnt) -> None:
        said: Attributes = {":said": {"BOOL": fact.value == "true"}, ":as_of": {"N": str(fact.as_of)}}
        try:
            # What was said never expires.
            self._update(
                pk("person", fact.key),
                "SET #format = :format, #opted_out = :said, #as_of = :as_of",
                said,
                NO_NEWER["as_of"],
            )
        except _ConditionFailedError:
            # Somebody said something newer, unless nobody can say what is there.
            if why := self.persons([fact.key]).get(fact.key, Person()).unreadable:
                raise UnreadableRecordError(why) from None

    def _update(self, key: str, update: str, values: Attributes, *conditions: str) -> Attributes:
        """The item after the update; update and conditions write names as `#name`.

        Raises _ConditionFailedError, also where a newer release wrote the item.
        """
        condition = " AND ".join(f"({each})" for each in (*conditions, NO_NEWER["format"]))
        names = set(re.findall(r"#(\w+)", f"{update} {condition}"))
        answer = _asked(
            self._client.update_item,
            TableName=self._table,
            Key={"pk": {"S": key}},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues={**values, **OURS},
            ReturnValues="ALL_NEW",
        )
        return answer["Attributes"]

    def _put(self, item: Attributes, condition: Condition) -> bool:
        try:
            _asked(self._client.put_item, TableName=self._table, Item=item, **condition)
        except _ConditionFailedError:
            return False
        return True


class _ConditionFailedError(Exception):
    """A conditional write was refused."""


def _asked[**P, T](operation: Callable[P, T], *args: P.args, **arguments: P.kwargs) -> T:
    """DynamoDB's answer. Raises StoreUnavailableError, _ConditionFailedError."""
    try:
        return operation(*args, **arguments)
    except Exception as error:
        code = code_of(error)
        if code == "ConditionalCheckFailedException":
            raise _ConditionFailedError from None
        raise StoreUnavailableError(f"DynamoDB {operation.__name__} failed: {code}") from error


def _person(item: Attributes) -> Person:
    try:
        return person_from(item)
    except UnreadableRecordError as error:
        return Person(unreadable=error.reason)


def _errors(jobs: Iterable[tuple[str, Future[None]]]) -> dict[str, Exception]:
    """What went wrong, by key, after all of them are done."""
    errors: dict[str, Exception] = {}
    for key, job in list(jobs):
        try:
            job.result()
        except (StoreConflictError, StoreUnavailableError, UnreadableRecordError) as error:
            errors[key] = error
    return errors
