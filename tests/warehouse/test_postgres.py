"""The dbt package and the queries of docs/analysts.md on Postgres give the rows that they give on DuckDB."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pytest

from tests.warehouse.conftest import IN_POSTGRES

if TYPE_CHECKING:
    from tests.warehouse.conftest import Warehouse

type Warehouses = dict[str, Warehouse]

pytestmark = pytest.mark.warehouse


@pytest.mark.parametrize("way", IN_POSTGRES)
def test_every_model_has_the_same_rows_in_postgres(warehouses: Warehouses, in_postgres: Warehouses, way: str) -> None:
    assert in_postgres[way].wrong == []
    models = in_postgres[way].models
    assert models.keys() == warehouses[way].models.keys()
    for model, rows in warehouses[way].models.items():
        assert sorted(map(plain, models[model])) == sorted(map(plain, rows)), model


@pytest.mark.parametrize("way", IN_POSTGRES)
def test_every_query_of_the_guide_has_the_same_answer_in_postgres(
    warehouses: Warehouses, in_postgres: Warehouses, way: str
) -> None:
    """In a session in UTC, as the guide says."""
    answers = in_postgres[way].answers
    assert len(answers) == 20
    for query, rows in warehouses[way].answers.items():
        assert sorted(map(plain, answers[query])) == sorted(map(plain, rows)), query


def plain(row: dict[str, Any]) -> list[tuple[str, str]]:
    """A row to compare: a number is the same with fewer zeros, and a share to nine places."""
    return sorted((name, number(value)) for name, value in row.items())


def number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return repr(value)
    try:
        return f"{round(Decimal(value), 9).normalize()}"
    except InvalidOperation:
        return repr(value)
