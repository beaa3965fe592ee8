"""The persons in the StateTable: their records, their claims, and the marks of records that share a person."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StoreConflictError, StoreUnavailableError, UnreadableRecordError
from stripe_to_segment.state.encoding import KEEP_DAYS, expiry, key_of, person_from, pk, profile_from
from stripe_to_segment.state.person import MOST_RECORDS, Person
from stripe_to_segment.state.table import ATTEMPTS, OURS, SET, SETS, ConditionFailedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from concurrent.futures import Future

    from stripe_to_segment.state.encoding import Attributes
    from stripe_to_segment.state.table import Table

__all__ = ["StoredPersons", "errors_of"]


class StoredPersons:
    """The part of the store that holds the persons."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._pool = ThreadPoolExecutor(max_workers=8)

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """The stored persons with these keys. Raises StoreUnavailableError."""
        return {key_of(item)[1]: _person(item) for item in self._table.get(sorted(pk("person", key) for key in keys))}

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
            with suppress(ConditionFailedError):
                self._table.update(
                    pk("person", key),
                    "DELETE #records :record, #marked :record",
                    {":record": {"SS": [record]}, **SET},
                    *SETS.values(),
                )

    def claim(self, persons: Mapping[str, Person], delivery: str, lease_until: int) -> dict[str, Exception]:
        """Claim these persons for a delivery, if their version and records are still those read.

        Their payments as a guest are written too. Returns the errors by key.
        """
        jobs = [
            (key, self._pool.submit(self._claim, key, person, delivery, lease_until)) for key, person in persons.items()
        ]
        return errors_of(jobs)

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
        # A record that was tied since is neither marked nor in the sums of this batch.
        tied = "attribute_not_exists(#records)"
        if person.records:
            tied, values[":records"] = "#records = :records", {"SS": sorted(person.records)}
        try:
            self._table.update(
                pk("person", key),
                "SET #format = :format, #delivery = :delivery, #lease_until = :lease_until, #guests = :guests "
                "ADD #version :one",
                values,
                unchanged,
                tied,
            )
        except ConditionFailedError:
            raise StoreConflictError(key) from None

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:
        """Mark records as sharing their person, also those not written yet; returns the new version of each marked one.

        A record that cannot be read is left as it is. Raises StoreUnavailableError.
        """
        tried = zip(records, self._pool.map(self._share, records, itertools.repeat(now)), strict=True)
        versions = {record: version for record, version in tried if version}
        if versions:
            with suppress(ConditionFailedError):
                self._table.update(
                    pk("person", person),
                    "ADD #marked :records",
                    {":records": {"SS": sorted(versions)}, **SET},
                    SETS["marked"],
                )
        return versions

    def _tie(self, key: str, record: str) -> tuple[str, Person]:
        try:
            item = self._table.update(
                pk("person", key),
                "SET #format = :format ADD #records :record",
                {":record": {"SS": [record]}, ":most": {"N": str(MOST_RECORDS)}, **SET},
                # Not `size(records) < :most` alone: a missing attribute and a number have no size, and would fail it.
                "attribute_not_exists(#records) OR (attribute_type(#records, :set) AND size(#records) < :most)",
            )
        except ConditionFailedError:
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
                item = self._table.update(
                    pk("profile", record),
                    "SET #shared = :shared ADD #version :one",
                    marked,
                    "attribute_exists(pk) AND attribute_type(#version, :number)",
                )
            except ConditionFailedError:
                begun: Attributes = {
                    "pk": {"S": pk("profile", record)},
                    "format": OURS[":format"],
                    "shared": marked[":shared"],
                    "version": marked[":one"],
                    "expires_at": expiry(now, KEEP_DAYS),
                }
                if self._table.put(begun, {"ConditionExpression": "attribute_not_exists(pk)"}):
                    return 1
            else:
                try:
                    return profile_from(item).version
                except UnreadableRecordError:
                    break
        return 0


def _person(item: Attributes) -> Person:
    try:
        return person_from(item)
    except UnreadableRecordError as error:
        return Person(unreadable=error.reason)


def errors_of(jobs: Iterable[tuple[str, Future[None]]]) -> dict[str, Exception]:
    """Wait for all jobs; returns the errors by key."""
    errors: dict[str, Exception] = {}
    for key, job in list(jobs):
        try:
            job.result()
        except (StoreConflictError, StoreUnavailableError, UnreadableRecordError) as error:
            errors[key] = error
    return errors
