"""How Segment and RudderStack load calls into a warehouse, as far as it changes what the models read.

A column's type is that of its first value. What comes later is made to fit: 19.99 in a column of whole numbers is 19.
https://segment.com/docs/connections/storage/warehouses/schema/ (data types, column sizing, timestamps, id) and
rudder-transformer's src/warehouse with rudder-server's warehouse loader (Number.isInteger decides; the existing column
stays as it is).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["RudderStack", "Segment", "Table"]

Json = dict[str, Any]
LONGEST = 512
# Calls of one load of the warehouse; Segment takes the newest of several values in it for a new column's type.
LOAD = 40
# From sending to receipt, by which Segment moves `timestamp`.
UNDER_WAY = timedelta(milliseconds=140)
ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")


@dataclass(slots=True)
class Table:
    """The columns with their types, DuckDB's words for them, and the rows."""

    columns: dict[str, str] = field(default_factory=dict)
    rows: list[Json] = field(default_factory=list)


@dataclass
class Loader:
    """What both have in common; `tables` is the warehouse."""

    tables: dict[str, Table] = field(default_factory=dict)

    def load(self, calls: Sequence[Json]) -> None:
        """Load calls, as they stand in a request, in the order of their arrival."""
        for start in range(0, len(calls), LOAD):
            rows = [row for call in calls[start : start + LOAD] for row in self.rows_of(call)]
            for table, row in self.by_precedence(rows):
                known = self.tables.setdefault(table, Table()).columns
                for column, value in row.items():
                    if value is not None:
                        known.setdefault(column, type_of(value))
            for table, row in rows:
                self.put(table, row)

    def rows_of(self, call: Json) -> Iterator[tuple[str, Json]]:
        """The rows that a call becomes, each with its table."""
        common = self.common(call)
        if call["type"] == "track":
            common |= {"event": self.name(call["event"]), "event_text": call["event"]}
            yield "tracks", common
            yield self.name(call["event"]), self.flat(call["properties"]) | common
        elif call["type"] == "identify":
            traits = self.flat(call["traits"])
            yield "identifies", traits | common
            if self.has_users and call.get("userId"):
                yield "users", traits | {"id": call["userId"], "received_at": common["received_at"]}
        else:
            yield "groups", self.flat(call["traits"]) | common | {"group_id": call["groupId"]}

    has_users = True

    def common(self, call: Json) -> Json:
        """The columns of every table."""
        return {
            "id": call["messageId"],
            "user_id": call.get("userId"),
            "anonymous_id": call.get("anonymousId"),
            **self.flat(call["context"], "context_"),
            **self.times(call),
        }

    def flat(self, value: Json, prefix: str = "") -> Json:
        """An object's entries as columns; lists become text."""
        found: Json = {}
        for key, entry in value.items():
            column = f"{prefix}{self.name(key)}"
            if isinstance(entry, dict):
                found |= self.flat(entry, f"{column}_")
            else:
                found[column] = json.dumps(entry, separators=(",", ":")) if isinstance(entry, list) else entry
        return found

    def put(self, table: str, row: Json) -> None:
        """One row more, in the types that the columns have."""
        into = self.tables[table]
        into.rows.append({column: fitted(row.get(column), type_) for column, type_ in into.columns.items()})

    def by_precedence(self, rows: list[tuple[str, Json]]) -> list[tuple[str, Json]]:
        """The rows of one load, those first whose values decide on the types of new columns."""
        raise NotImplementedError

    def times(self, call: Json) -> Json:
        """The columns of time."""
        raise NotImplementedError

    def name(self, given: str) -> str:
        """A table's or column's name."""
        raise NotImplementedError


class Segment(Loader):
    """A table for each event, users by their id."""

    def name(self, given: str) -> str:
        return re.sub(r"[^a-z0-9]+", "_", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", given).lower())

    def by_precedence(self, rows: list[tuple[str, Json]]) -> list[tuple[str, Json]]:
        """The most recent occurrence of a column decides."""
        return rows[::-1]

    def times(self, call: Json) -> Json:
        told = call["timestamp"]
        moved = (datetime.fromisoformat(told) + UNDER_WAY).isoformat().replace("+00:00", "Z")
        return {"original_timestamp": told, "timestamp": moved, "received_at": received(call), "sent_at": sent(call)}

    def put(self, table: str, row: Json) -> None:
        users = self.tables[table].rows
        if table == "users" and (known := next((one for one in users if one["id"] == row["id"]), None)):
            users.remove(known)
            row = {**known, **{column: value for column, value in row.items() if value is not None}}
        super().put(table, row)


class RudderStack(Loader):
    """As it is set up by default: rows are appended, and there is no table of users. `copies` of a call may come."""

    has_users = False

    def name(self, given: str) -> str:
        """lodash's snakeCase, which parts digits from letters."""
        words = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", given)
        return "_".join(words).lower()

    def by_precedence(self, rows: list[tuple[str, Json]]) -> list[tuple[str, Json]]:
        return rows

    def flat(self, value: Json, prefix: str = "") -> Json:
        """Null and empty values are left out."""
        return {key: entry for key, entry in super().flat(value, prefix).items() if entry not in {None, "", "[]"}}

    def times(self, call: Json) -> Json:
        """A timestamp that was sent stays; originalTimestamp, which was not, is the time of receipt."""
        at = received(call)
        return {"original_timestamp": at, "timestamp": call["timestamp"], "received_at": at, "sent_at": sent(call)}


def received(call: Json) -> str:
    """When the call was received."""
    return f"{call['receivedAt']}"


def sent(call: Json) -> str:
    """When the request was sent."""
    return (datetime.fromisoformat(call["receivedAt"]) - UNDER_WAY).isoformat().replace("+00:00", "Z")


def type_of(value: object) -> str:
    """The type of a column that begins with this value, in DuckDB's words."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, (int, float)):
        return "BIGINT" if float(value).is_integer() else "DOUBLE"
    return "TIMESTAMP" if isinstance(value, str) and ISO.fullmatch(value) else "VARCHAR"


def fitted(value: object, type_: str) -> object:  # noqa: PLR0911 - a type is a case
    """A value as a column of this type takes it; null where it cannot."""
    match type_, value:
        case _, None:
            return None
        case "VARCHAR", _:
            return f"{value}"[:LONGEST]
        case "BOOLEAN", bool():
            return value
        case "BIGINT", int() | float() if not isinstance(value, bool):
            # Without its fraction: this is where the cents go.
            return int(value)
        case "DOUBLE", int() | float() if not isinstance(value, bool):
            return float(value)
        case "TIMESTAMP", str() if ISO.fullmatch(value):
            return value.removesuffix("Z")
        case _:
            return None
