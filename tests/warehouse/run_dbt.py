"""Runs the dbt package on DuckDB or Postgres. Belongs to the environment .tools/dbt, not to the tests' own.

    .tools/dbt/bin/python tests/warehouse/run_dbt.py FOLDER [SOCKETS]

FOLDER/warehouses.json holds the tables of each warehouse, dbt's command and vars for it, and the queries to run there;
FOLDER/models.json is written: the rows of each model and query, by warehouse, with what dbt found wrong. Amounts are
texts, exact. SOCKETS is the folder in which a Postgres listens; without one it is DuckDB, in a file.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from dbt.cli.main import dbtRunner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = Path(__file__).resolve().parents[2] / "warehouse"
SCHEMA, MODELS, QUERIES = "stripe", "models", "queries"
USER = "postgres"


class DuckDb:
    """A warehouse in a file."""

    SEARCH = f"set search_path = '{QUERIES},{MODELS}'"

    def __init__(self, folder: Path) -> None:
        self.file, self._rows = folder / "warehouse.duckdb", folder / "rows.json"
        # One thread: dbt reads its package again, for two seconds, if the profile or the target is another.
        self.profile = {"type": "duckdb", "path": str(self.file), "schema": MODELS, "threads": 1}

    def connect(self) -> Any:
        return duckdb.connect(str(self.file))

    def fill(self, database: Any, name: str, table: dict[str, Any]) -> None:
        """Write a table as a loader left it; row by row would take a minute."""
        self._rows.write_text(json.dumps(table["rows"]), "utf-8")
        database.execute(
            f'create table {SCHEMA}."{name}" as select * from read_json($rows, columns = $columns)',  # noqa: S608 - our own names
            {"rows": str(self._rows), "columns": table["columns"]},
        )


class Postgres:
    """A warehouse in the Postgres that listens in a folder."""

    # In place of DuckDB's words, as Segment and RudderStack make columns there.
    TYPES: Mapping[str, str] = {"DOUBLE": "double precision", "TIMESTAMP": "timestamp with time zone"}
    SEARCH = f"set search_path = {QUERIES}, {MODELS}; set time zone 'UTC'"

    def __init__(self, sockets: str) -> None:
        self.profile = {"type": "postgres", "host": sockets, "user": USER, "password": "", "port": 5432}
        self.profile |= {"dbname": "postgres", "schema": MODELS, "threads": 1}

    def connect(self) -> Any:
        import psycopg2  # noqa: PLC0415 - only here

        connection = psycopg2.connect(host=self.profile["host"], user=USER, dbname="postgres")
        connection.autocommit = True
        return closing(_Cursors(connection))

    def fill(self, database: Any, name: str, table: dict[str, Any]) -> None:
        """Write a table as a loader left it."""
        columns = {column: self.TYPES.get(type_, type_) for column, type_ in table["columns"].items()}
        told = ", ".join(f'"{column}" {type_}' for column, type_ in columns.items())
        rows = json.dumps([_in_utc(row, table["columns"]) for row in table["rows"]])
        database.execute(f'create table {SCHEMA}."{name}" ({told})')
        database.execute(
            f'insert into {SCHEMA}."{name}" select * from json_to_recordset(%s) as rows ({told})',  # noqa: S608 - our own names
            [rows],
        )


class _Cursors:
    """A connection with `execute`, as DuckDB has it."""

    def __init__(self, connection: Any) -> None:
        self.close = connection.close
        self._connection = connection

    def execute(self, query: str, given: list[Any] | None = None) -> Any:
        cursor = self._connection.cursor()
        cursor.execute(query, given)
        return cursor


def _in_utc(row: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    return {key: f"{value}Z" if columns[key] == "TIMESTAMP" and value else value for key, value in row.items()}


def main(folder: Path, sockets: str = "") -> int:
    given = json.loads((folder / "warehouses.json").read_text("utf-8"))
    os.environ |= {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "DBT_USE_COLORS": "false"}
    # One warehouse for all, in turn.
    here = Postgres(sockets) if sockets else DuckDb(folder)
    profiles = {"stripe_to_segment": {"target": "test", "outputs": {"test": here.profile}}}
    (folder / "profiles.yml").write_text(json.dumps(profiles), "utf-8")
    found = {}
    # dbt reads its package again, for four seconds, whenever the vars are others than those of the run before.
    for name in sorted(given["warehouses"], key=lambda name: json.dumps(given["vars"][name])):
        with here.connect() as database:
            fill(here, database, given["warehouses"][name])
        wrong = built(folder, given["commands"][name], given["vars"][name])
        with here.connect() as database:
            found[name] = {"wrong": wrong, "models": dict(models(database)), "answers": {}}
            if name in given["queries"]:
                found[name]["answers"] = answers(here, database, *given["queries"][name])
    (folder / "models.json").write_text(json.dumps(found), "utf-8")
    return 0


def fill(here: DuckDb | Postgres, database: Any, tables: dict[str, Any]) -> None:
    """Write tables as a loader left them, in place of what was there."""
    for schema in (QUERIES, MODELS, SCHEMA):
        database.execute(f"drop schema if exists {schema} cascade")
    if tables:
        database.execute(f"create schema {SCHEMA}")
    for name, table in tables.items():
        here.fill(database, name, table)


def built(folder: Path, command: list[str], variables: dict[str, Any]) -> list[str]:
    """`dbt build` or the like: each model or test that did not succeed."""
    arguments = [
        *command,
        "--project-dir",
        str(PACKAGE),
        "--profiles-dir",
        str(folder),
        "--profile",
        "stripe_to_segment",
    ]
    arguments += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    arguments += ["--vars", json.dumps(variables), "--quiet", "--no-version-check"]
    # Nobody reads what dbt writes of its work.
    arguments += ["--log-level-file", "none", "--no-write-json"]
    result = dbtRunner().invoke(arguments)
    if result.exception is not None:
        raise result.exception
    return [
        f"{one.node.name}: {one.status}: {one.message}"
        for one in result.result
        if one.status not in {"success", "pass"}
    ]


def models(database: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each model with its rows."""
    there = f"select table_name from information_schema.tables where table_schema = '{MODELS}'"  # noqa: S608 - our own names
    for (name,) in database.execute(there).fetchall():
        yield name, rows(database, f'select * from {MODELS}."{name}"')  # noqa: S608 - our own names


def answers(here: DuckDb | Postgres, database: Any, views: str, queries: dict[str, str]) -> dict[str, Any]:
    """The rows of each query, after its views were made in a schema of their own."""
    database.execute(f"create schema {QUERIES}")
    database.execute(here.SEARCH)
    database.execute(views)
    return {name: rows(database, query) for name, query in queries.items()}


def rows(database: Any, query: str) -> list[dict[str, Any]]:
    found = database.execute(query)
    columns = [column[0] for column in found.description]
    return [dict(zip(columns, map(plain, row), strict=True)) for row in found.fetchall()]


def plain(value: object) -> object:
    """A value as JSON holds it."""
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), *sys.argv[2:]))
