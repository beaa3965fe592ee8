"""The Numbers view: its charts, their columns, and the numbers in them as JSON values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from stripe_to_segment_tools.terminal.amounts import amount_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from stripe_to_segment_tools.page.numbers import Figure, Numbers, Table

__all__ = ["CHARTS", "Chart", "Column", "counted_events", "show_numbers"]

MONTH = len("2026-11")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a chart's table: `drawn` says how the chart draws it, if it does."""

    name: str
    title: str
    drawn: Literal["bar", "line", "steps", ""] = ""
    unit: Literal["money", "count", "share"] = "money"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: the name of its table in `Numbers`, and the meaning of what it shows."""

    name: str
    title: str
    description: str
    columns: tuple[Column, ...]


CHARTS = (
    Chart(
        "revenue",
        "Revenue by day",
        "The amount collected less tax and shipping (revenue), and the part of it that was refunded"
        " (revenue_refunded).",
        (Column("revenue", "Revenue", "bar"), Column("refunded", "Refunded", "bar"), Column("net", "Net")),
    ),
    Chart(
        "mrr",
        "MRR over time",
        "The sum of every mrr_change up to the end of the day.",
        (Column("mrr", "MRR", "steps"), Column("change", "Change")),
    ),
    Chart(
        "waterfall",
        "MRR movements by month",
        "How the MRR came from the start of a month to its end: the sums of mrr_change by mrr_movement.",
        (
            Column("start", "Start"),
            Column("opening", "Opening balances", "bar"),
            Column("new", "New", "bar"),
            Column("reactivation", "Reactivation", "bar"),
            Column("expansion", "Expansion", "bar"),
            Column("contraction", "Contraction", "bar"),
            Column("churn", "Churn", "bar"),
            Column("other", "Other", "bar"),
            Column("end", "End", "line"),
        ),
    ),
    Chart(
        "trials",
        "Trials by the month in which they began",
        "What came of each trial: Trial Converted is its first payment. Unpaid: it ended, and no payment is known yet.",
        (
            Column("started", "Started", unit="count"),
            Column("converted", "Converted", "bar", "count"),
            Column("running", "Running", "bar", "count"),
            Column("unpaid", "Unpaid", "bar", "count"),
            Column("lost", "Lost", "bar", "count"),
            Column("rate", "Converted of ended", unit="share"),
        ),
    ),
    Chart(
        "churn",
        "Customers with MRR by month",
        "Who began to count in the MRR, and who ceased to. Churn is the share of those at the start who left.",
        (
            Column("start", "Start", unit="count"),
            Column("came", "Came", "bar", "count"),
            Column("left", "Left", "bar", "count"),
            Column("end", "End", "line", "count"),
            Column("rate", "Churn", unit="share"),
        ),
    ),
)


def show_numbers(numbers: Mapping[str, Numbers]) -> dict[str, Any]:
    """Every currency's charts. Empty charts are there without rows, and columns of zeros are left out."""
    return {
        "currencies": [
            {"currency": currency, "charts": [_chart(chart, getattr(tables, chart.name), currency) for chart in CHARTS]}
            for currency, tables in numbers.items()
        ]
    }


def counted_events(numbers: Mapping[str, Numbers], sought: str) -> dict[str, Any] | None:
    """The events of one figure, `revenue.EUR.2026-11-28.refunded`, or of a whole row without the last part.

    None for an address that names no figure.
    """
    name, currency, on, column = (sought.split(".") + [""] * 4)[:4]
    chart = next((chart for chart in CHARTS if chart.name == name), None)
    if chart is None or currency not in numbers:
        return None
    table: Table = getattr(numbers[currency], name)
    row = table.get(on)
    chosen = [each for each in chart.columns if column in {"", each.name}]
    if row is None or not chosen:
        return None
    events = dict.fromkeys(key for each in chosen if each.name in row for key in row[each.name].events)
    titles = [chart.title, *([chosen[0].title] if column else []), f"{_label(on)}, {currency}"]
    return {"title": ": ".join(titles), "events": list(events)}


def _chart(chart: Chart, table: Table, currency: str) -> dict[str, Any]:
    shown = [each for each in chart.columns if any(row[each.name].value for row in table.values() if each.name in row)]
    return {
        "name": chart.name,
        "title": chart.title,
        "description": chart.description,
        "columns": [{"name": each.name, "title": each.title, "drawn": each.drawn, "unit": each.unit} for each in shown],
        "rows": [
            {"on": on, "label": _label(on), "cells": [_cell(each, row, currency) for each in shown]}
            for on, row in table.items()
        ],
    }


def _cell(column: Column, row: Mapping[str, Figure], currency: str) -> dict[str, Any]:
    figure = row.get(column.name)
    if figure is None:
        return {"value": None, "text": "", "events": 0}
    return {"value": float(figure.value), "text": _text(column, figure.value, currency), "events": len(figure.events)}


def _text(column: Column, value: Decimal, currency: str) -> str:
    match column.unit:
        case "money":
            return amount_text(value, currency)
        case "share":
            return f"{value:.1%}"
        case _:
            return f"{value:,f}".replace("-", "\N{MINUS SIGN}")


def _label(on: str) -> str:
    """28 Nov 2026, or Nov 2026 for a month."""
    if len(on) == MONTH:
        return f"{date.fromisoformat(f'{on}-01'):%b %Y}"
    day = date.fromisoformat(on)
    return f"{day.day} {day:%b %Y}"
