"""The StateTable: customers' records, product names and orders.

The only module that knows DynamoDB. Keys carry account and mode, so no two of them ever mix.
"""

from __future__ import annotations

import itertools
import json
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
        """The condition of a conditional write."""

        ConditionExpression: str
        ExpressionAttributeNames: Mapping[str, str]
        ExpressionAttributeValues: Attributes


__all__ = ["DynamoStore"]

# Conditions by attribute. An attribute of an unexpected type fails its condition, and so is never changed.
SETS = {name: f"attribute_not_exists(#{name}) OR attribute_type(#{name}, :set)" for name in ("records", "marked")}
NO_NEWER = {
    name: f"attribute_not_exists(#{name}) OR (attribute_type(#{name}, :number) AND #{name} <= :{name})"
    for name in ("as_of", "format")
}
SET: Attributes = {":set": {"S": "SS"}}
OURS: Attributes = {":format": {"N": str(FORMAT)}, ":number": {"S": "N"}}
BATCH_GET_LIMIT = 100
ATTEMPTS = 5
# The number of receipts that are cached in memory.
RECEIPTS = 500
# The names of products and prices that are cached in memory, and for how many seconds: few change, and most events ask.
NAMES, NAME_SECONDS = 500, 60


class DynamoStore:
    """The StateTable itself.

    Parameters
    ----------
    client
        A low-level boto3 DynamoDB client.
    table
        The table's name; its key is `pk`, its time-to-live attribute `expires_at`.
    pause, clock
        Wait for some seconds; the time in epoch seconds, by which cached names grow old.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._table = table
        self._pause = pause
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=8)
        self._receipts: dict[str, Receipt] = {}
        # Each with the second as of which it is true, and the one at which it was read.
        self._names: dict[str, tuple[str, int, float]] = {}

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        """Load the items with these kinds and keys, with one BatchGetItem for each hundred of them.

        A name that was read less than NAME_SECONDS ago is not read again.
        """
        memory, now = Memory(asked={key for kind, key in keys if kind == "order"}), self._clock()
        memory.circuits |= {name: Circuit() for kind, name in keys if kind == "circuit"}
        wanted = {pk(kind, key) for kind, key in keys if kind != "product" or not self._recall_name(key, memory, now)}
        for item in self._get(sorted(wanted)):
            kind, key = key_of(item)
            try:
                if kind == "profile":
                    memory.profiles[key] = profile_from(item)
                elif kind == "circuit":
                    memory.circuits[key] = circuit_from(item)
                else:
                    memory.learnt(kind)[key], memory.as_of[kind, key] = value, as_of = fact_from(item)
                    if kind == "product":
                        _keep(self._names, key, (value, as_of, now), NAMES)
                    if owner := item.get("owner", {}).get("S"):
                        memory.owners[key] = memory.stored_owners[key] = owner
            except UnreadableRecordError as error:
                # A circuit that cannot be read stays closed: batches go on sending.
                memory.unreadable[kind, key] = error.reason
        return memory

    def _recall_name(self, key: str, memory: Memory, now: float) -> bool:
        """Whether the name of a product or a price was read lately; it then is in the memory."""
        if key not in self._names:
            return False
        name, as_of, read = self._names[key]
        if not read <= now < read + NAME_SECONDS:
            return False
        memory.product_names[key], memory.as_of["product", key] = name, as_of
        return True

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write each record if its version is still the one read, and each learnt fact unless a newer one is stored."""
        # Learnt facts are written first: once the record counts the event as done, nothing writes them again.
        # Where several facts have one key, only the newest is written.
        newest: dict[tuple[str, str], Learnt] = {}
        for fact in sorted(learnt, key=lambda fact: fact.as_of):
            known = newest.get((fact.kind, fact.key))
            newest[fact.kind, fact.key] = fact.over(known) if fact.kind == "order" else fact
        errors = _errors((fact.key, self._pool.submit(self._put_learnt, fact, now)) for fact in newest.values())
        if errors:
            errors |= {fact.owner: errors[fact.key] for fact in learnt if fact.owner and fact.key in errors}
        written = [profile for profile in profiles if profile.key not in errors]
        return errors | _errors((each.key, self._pool.submit(self._put_profile, each, now)) for each in written)

    def everything(self) -> Iterator[Kept]:
        """Every item about a customer. This scans the whole table, so only `audit` and the command line use it.

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
        """The receipts of these deliveries; one without a receipt is left out. Raises StoreUnavailableError."""
        found = {name: self._receipts[name] for name in deliveries if name in self._receipts}
        for item in self._get(sorted(pk("receipt", name) for name in deliveries if name not in found)):
            _, name = key_of(item)
            try:
                found[name] = receipt_from(item)
                _keep(self._receipts, name, found[name], RECEIPTS)
            except UnreadableRecordError as error:
                # A broken receipt counts as none: the next batch sends the claimed calls again, and Segment drops the
                # repeats. Where a newer release wrote it, the events wait for a release that can read it.
                if error.reason == Reason.NEWER_RECORD:
                    found[name] = Receipt(unreadable=error.reason)
        return found

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write the receipt of a delivery. Raises StoreUnavailableError."""
        # No condition: only the batch that sent the delivery writes its receipt.
        self._put(receipt_item(delivery, receipt, now), {})
        # It never changes, and mostly the environment that wrote it reads it.
        _keep(self._receipts, delivery, receipt, RECEIPTS)

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """The stored persons with these keys. Raises StoreUnavailableError."""
        return {key_of(item)[1]: _person(item) for item in self._get(sorted(pk("person", key) for key in keys))}

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Add records to their persons, given as pairs of person and record; returns the persons afterwards.

        A person that has MOST_RECORDS records already takes no more. Raises StoreUnavailableError.
        """
        persons: dict[str, Person] = {}
        for key, person in self._pool.map(self._tie, *zip(*sorted(pairs), strict=True)):
            # The updates of one person run in parallel; the one that was applied last returns the most records.
            known = persons.get(key, person)
            persons[key] = person if len(person.records) >= len(known.records) else known
        return persons

    def untie(self, pairs: Collection[tuple[str, str]]) -> None:
        """Remove records from their persons. Raises StoreUnavailableError."""
        for key, record in pairs:
            # A person that cannot be read stays as it is: a record too many in it does no harm.
            with suppress(_ConditionFailedError):
                self._update(
                    pk("person", key),
                    "DELETE #records :record, #marked :record",
                    {":record": {"SS": [record]}, **SET},
                    *SETS.values(),
                )

    def claim(self, persons: Mapping[str, Person], delivery: str, lease_until: int) -> dict[str, Exception]:
        """Claim these persons for a delivery, if their version is still the one read; returns the errors by key.

        Their payments as a guest are written too.
        """
        jobs = [
            (key, self._pool.submit(self._claim, key, person, delivery, lease_until)) for key, person in persons.items()
        ]
        return _errors(jobs)

    def _claim(self, key: str, person: Person, delivery: str, lease_until: int) -> None:
        values: Attributes = {
            ":delivery": {"S": delivery},
            ":lease_until": {"N": str(lease_until)},
            ":guests": {"S": json.dumps(person.guests, separators=(",", ":"))},
            ":one": {"N": "1"},
        }
        unchanged = "attribute_not_exists(#version)"
        if person.version:
            unchanged, values[":read"] = "#version = :read", {"N": str(person.version)}
        try:
            self._update(
                pk("person", key),
                "SET #format = :format, #delivery = :delivery, #lease_until = :lease_until, #guests = :guests "
                "ADD #version :one",
                values,
                unchanged,
            )
        except _ConditionFailedError:
            raise StoreConflictError(key) from None

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:
        """Mark records as sharing their person, also those not written yet; returns the new version of each marked one.

        A record that cannot be read is left as it is. Raises StoreUnavailableError.
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
                # Not `size(records) < :most` alone: a missing attribute and a number have no size, and would fail it.
                "attribute_not_exists(#records) OR (attribute_type(#records, :set) AND size(#records) < :most)",
            )
        except _ConditionFailedError:
            return key, self.persons([key]).get(key, Person())
        return key, _person(item)

    def _share(self, record: str, now: float) -> int:
        """Mark one record and return its new version, 0 where the record cannot be read.

        A record that does not exist yet is created with nothing but the mark, so that the invocation that is about to
        write it loses the race, reads again and finds it shared.
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
        """The stored state of these circuits. Raises StoreUnavailableError."""
        return self.load([("circuit", name) for name in names]).circuits

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:
        """Write a circuit if the stored one is still `seen`; returns whether it was. Raises StoreUnavailableError."""
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
        """The epoch second at which the table, and so the stack, was created. Raises StoreUnavailableError."""
        made = _asked(self._client.describe_table, TableName=self._table)["Table"]["CreationDateTime"]
        return int(made.timestamp())

    def bookmark(self, name: str) -> int | None:
        """The position of a repeated job in epoch seconds, None before its first run.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        found = next(self._get([pk("bookmark", name)]), None)
        return None if found is None else fact_from(found)[1]

    def put_bookmark(self, name: str, second: int, now: float) -> None:
        """Save the position of a repeated job; it never moves back. Raises StoreUnavailableError."""
        self._put_learnt(Learnt("bookmark", name, str(second), second), now)

    def _get(self, keys: list[str]) -> Iterator[Attributes]:
        for start in range(0, len(keys), BATCH_GET_LIMIT):
            waiting: dict[str, KeysAndAttributesOutputTypeDef] = {
                self._table: {
                    "Keys": [{"pk": {"S": key}} for key in keys[start : start + BATCH_GET_LIMIT]],
                    # A stale read would make the batch start over; a consistent one costs a fraction of a cent.
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
        self._names.pop(fact.key, None)
        # Where the condition fails, something newer is stored already.
        self._put(fact_item(fact, now), newer)

    def _put_order(self, fact: Learnt, now: float) -> None:
        """Merge a learnt order into its item, as `Learnt.over` does.

        Raises StoreConflictError where the batch did not know of the invoice or the owner that is stored.
        """
        item = fact_item(fact, now)
        values = {f":{name}": value for name, value in item.items() if name != "pk"}
        sets = [f"#{name} = :{name}" for name in ("format", "owner", "expires_at") if name in item]
        # The owner is always written; the order's id only where no better one is stored.
        which, conditions = [f"#{name} = if_not_exists(#{name}, :{name})" for name in ("value", "as_of")], list[str]()
        if fact.names_another:
            values |= {":itself": {"S": fact.key.rpartition(":")[2]}}
            which = ["#value = :value", "#as_of = :as_of"]
            conditions = ["attribute_not_exists(#as_of) OR #as_of <= :as_of OR #value = :itself"]
        if fact.owner and fact.instead_of is not None:
            values |= {":instead_of": {"S": fact.instead_of}}
            conditions.append("attribute_not_exists(#owner) OR #owner = :owner OR #owner = :instead_of")
        try:
            stored = self._update(pk("order", fact.key), f"SET {', '.join([*which, *sets])}", values, *conditions)
        except _ConditionFailedError:
            if fact.may_own_after(self.load([("order", fact.key)]).owners.get(fact.key, "")):
                # A newer invoice is stored already.
                return
            raise StoreConflictError(fact.key) from None
        if fact.missed(stored["value"]["S"]):
            raise StoreConflictError(fact.key)

    def _put_opt_out(self, fact: Learnt) -> None:
        said: Attributes = {":said": {"BOOL": fact.value == "true"}, ":as_of": {"N": str(fact.as_of)}}
        try:
            # No `expires_at`: an opt-out never expires.
            self._update(
                pk("person", fact.key),
                "SET #format = :format, #opted_out = :said, #as_of = :as_of",
                said,
                NO_NEWER["as_of"],
            )
        except _ConditionFailedError:
            # Either a newer opt-out or consent is stored, or the stored person cannot be read.
            if why := self.persons([fact.key]).get(fact.key, Person()).unreadable:
                raise UnreadableRecordError(why) from None

    def _update(self, key: str, update: str, values: Attributes, *conditions: str) -> Attributes:
        """Update an item and return it as it is then; `update` and `conditions` write attribute names as `#name`.

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


def _keep[T](cache: dict[str, T], key: str, value: T, most: int) -> None:
    """Put a value into a cache, which keeps the latest."""
    cache[key] = value
    if len(cache) > most:
        del cache[next(iter(cache))]


class _ConditionFailedError(Exception):
    """A conditional write was refused."""


def _asked[**P, T](operation: Callable[P, T], *args: P.args, **arguments: P.kwargs) -> T:
    """Call DynamoDB. Raises StoreUnavailableError, _ConditionFailedError."""
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
    """Wait for all jobs; returns the errors by key."""
    errors: dict[str, Exception] = {}
    for key, job in list(jobs):
        try:
            job.result()
        except (StoreConflictError, StoreUnavailableError, UnreadableRecordError) as error:
            errors[key] = error
    return errors
