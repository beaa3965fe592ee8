"""Runs the dbt package on warehouses of DuckDB. Belongs to the environment .tools/dbt, not to the tests' own.

    .tools/dbt/bin/python tests/warehouse/run_dbt.py FOLDER

FOLDER/warehouses.json holds the tables of each warehouse, dbt's command and vars for it, and the queries to run there;
FOLDER/models.json is written: the rows of each model and query, by warehouse, with what dbt found wrong. Amounts are
texts, exact.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner

PACKAGE = Path(__file__).resolve().parents[2] / "warehouse"
SCHEMA, MODELS, QUERIES = "stripe", "models", "queries"


def main(folder: Path) -> int:
    given = json.loads((folder / "warehouses.json").read_text("utf-8"))
    os.environ |= {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "DBT_USE_COLORS": "false"}
    # One file for all, in turn: dbt reads its package again, for two seconds, if the profile or the target is another.
    file = folder / "warehouse.duckdb"
    output = {"type": "duckdb", "path": str(file), "schema": MODELS, "threads": 1}
    profiles = {"stripe_to_segment": {"target": "test", "outputs": {"test": output}}}
    (folder / "profiles.yml").write_text(json.dumps(profiles), "utf-8")
    found = {}
    for name, tables in given["warehouses"].items():
        fill(file, tables)
        found[name] = built(folder, file, given["commands"][name], given["vars"][name])
        if name in given["queries"]:
            found[name]["answers"] = answers(file, *given["queries"][name])
    (folder / "models.json").write_text(json.dumps(found), "utf-8")
    return 0


def fill(file: Path, tables: dict[str, Any]) -> None:
    """Write tables as a loader left them, in place of what was there; row by row would take a minute."""
    rows = file.with_suffix(".rows.json")
    with duckdb.connect(str(file)) as database:
        for schema in (QUERIES, MODELS, SCHEMA):
            database.execute(f"drop schema if exists {schema} cascade")
        if tables:
            database.execute(f"create schema {SCHEMA}")
        for name, table in tables.items():
            rows.write_text(json.dumps(table["rows"]), "utf-8")
            database.execute(
                f'create table {SCHEMA}."{name}" as select * from read_json($rows, columns = $columns)',  # noqa: S608
                {"rows": str(rows), "columns": table["columns"]},
            )


def built(folder: Path, file: Path, command: list[str], variables: dict[str, Any]) -> dict[str, Any]:
    """`dbt build` or the like: the models' rows, and each model or test that did not succeed."""
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
    result = dbtRunner().invoke(arguments)
    if result.exception is not None:
        raise result.exception
    wrong = [
        f"{one.node.name}: {one.status}: {one.message}"
        for one in result.result
        if one.status not in {"success", "pass"}
    ]
    with duckdb.connect(str(file)) as database:
        names = [
            row[0]
            for row in database.execute(
                "select table_name from information_schema.tables where table_schema = ?", [MODELS]
            ).fetchall()
        ]
        models = {model: rows(database, f'select * from {MODELS}."{model}"') for model in names}  # noqa: S608
    return {"wrong": wrong, "models": models, "answers": {}}


def answers(file: Path, views: str, queries: dict[str, str]) -> dict[str, Any]:
    """The rows of each query, after its views were made in a schema of their own."""
    with duckdb.connect(str(file)) as database:
        database.execute(f"create schema {QUERIES}; set search_path = '{QUERIES},{MODELS}'; {views}")
        return {name: rows(database, query) for name, query in queries.items()}


def rows(database: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found = database.execute(query)
    columns = [column[0] for column in found.description]
    return [dict(zip(columns, map(plain, row), strict=True)) for row in found.fetchall()]


def plain(value: object) -> object:
    """A value as JSON holds it."""
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
