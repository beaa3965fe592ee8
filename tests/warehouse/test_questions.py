"""docs/analysts.md: each of its queries, plain and with the models, says what really happened."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS
from stripe_to_segment_tools.tracking_plan.warehouse import snake_case
from tests.warehouse.conftest import queries_of
from tests.warehouse.test_models import alone_of, day, day_of, month_after
from tests.warehouse.truth import first_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from tests.simulator.history import History
    from tests.simulator.till import Till
    from tests.warehouse.conftest import Warehouse
    from tests.warehouse.truth import Truth

type Warehouses = dict[str, Warehouse]
type Json = dict[str, Any]
type Amounts = dict[tuple[Any, ...], Decimal]

pytestmark = pytest.mark.warehouse

each_way = pytest.mark.parametrize("way", ["segment", "segment_orders", "rudderstack"])
KINDS = ("plain", "model")
each_kind = pytest.mark.parametrize("kind", KINDS)


def by(rows: Iterable[Json], column: str, *keys: str) -> Amounts:
    """A column that is not 0, by the values of others; months and days as dates."""
    found: Amounts = defaultdict(Decimal)
    for row in rows:
        found[tuple(day(row[key]) if key in {"month", "day"} else row[key] for key in keys)] += Decimal(row[column])
    return {key: amount for key, amount in found.items() if amount}


def monthly(amounts: Iterable[tuple[date, str, Decimal]]) -> Amounts:
    """Sums by month and currency."""
    found: Amounts = defaultdict(Decimal)
    for on, currency, amount in amounts:
        found[on.replace(day=1), currency] += amount
    return {key: amount for key, amount in found.items() if amount}


def without_the_till(rows: Iterable[Json], till: Till, column: str) -> list[Json]:
    """Rows of days or months in which the till saw nothing: of its payments only what is left is known."""
    days = {first_of(moment.at) if column == "month" else day_of(moment.at) for moment in till.moments}
    return [row for row in rows if day(row[column]) not in days]


def began_at(trial: Json) -> int:
    return int(datetime.fromisoformat(f"{trial['started_at']}+00:00").timestamp())


def test_the_page_asks_ten_questions_and_answers_each_twice(project: Path) -> None:
    _, queries = queries_of((project / "docs" / "analysts.md").read_text("utf-8"))
    assert list(queries) == [f"{number} {kind}" for number in range(1, 11) for kind in ("plain", "model")]


def test_the_views_read_each_table_that_has_what_they_sum(project: Path) -> None:
    """An event that gets an `mrr_change` or a `revenue` has to come into the page."""
    views, _ = queries_of((project / "docs" / "analysts.md").read_text("utf-8"))
    read = dict(re.findall(r"create view (\w+) as(.*?);", views, re.DOTALL))
    for view, properties in {
        "stripe_payments": ["revenue"],
        "stripe_mrr_changes": ["mrr_change"],
        "stripe_money_back": ["of_known_payment", "credit_note_id"],
    }.items():
        having = {snake_case(name) for name, plan in EVENT_PLANS.items() if {*properties} & plan.properties.keys()}
        assert {*re.findall(r"from stripe\.(\w+)", read[view])} == having, view


@each_way
@each_kind
def test_a_query_gives_the_revenue_of_each_day(
    warehouses: Warehouses, truth: Truth, till: Till, way: str, kind: str
) -> None:
    rows = without_the_till(warehouses[way].answers[f"1 {kind}"], till, "day")
    at_the_till = {day_of(moment.at) for moment in till.moments}
    expected = {key: sums["revenue"] for key, sums in truth.days.items() if key[0] not in at_the_till}
    assert by(rows, "revenue", "day", "currency") == {key: amount for key, amount in expected.items() if amount}


@each_way
@each_kind
def test_a_query_gives_what_is_left_of_each_months_revenue(
    warehouses: Warehouses, truth: Truth, way: str, kind: str
) -> None:
    """Refunds that fail, disputes and credit notes of the till included."""
    rows = warehouses[way].answers[f"2 {kind}"]
    kept = monthly((on, currency, sums["kept"]) for (on, currency), sums in truth.days.items())
    assert by(rows, "kept", "month", "currency") == kept
    assert any(Decimal(row["went_back"]) for row in rows)


@each_way
@each_kind
def test_a_query_tells_renewals_from_new_subscriptions(
    warehouses: Warehouses, truth: Truth, histories: list[History], till: Till, way: str, kind: str
) -> None:
    """By the reasons in Stripe's own invoices."""
    reasons = {
        event["data"]["object"]["id"]: event["data"]["object"].get("billing_reason")
        for one in histories
        for event in one.events
        if event["type"] == "invoice.paid"
    }
    rows = without_the_till(warehouses[way].answers[f"3 {kind}"], till, "month")
    months = {day(row["month"]) for row in rows}
    for column, reason in {"new_subscriptions": "subscription_create", "renewals": "subscription_cycle"}.items():
        expected = monthly(
            (on, currency, revenue)
            for order, (currency, on, _, revenue) in truth.payments.items()
            if reasons.get(order) == reason and on.replace(day=1) in months
        )
        assert by(rows, column, "month", "currency") == expected != {}, column


@each_way
@each_kind
def test_a_query_gives_the_mrr_at_the_end_of_each_month(
    warehouses: Warehouses, truth: Truth, way: str, kind: str
) -> None:
    rows = warehouses[way].answers[f"4 {kind}"]
    assert {*truth.waterfall()} <= {(day(row["month"]), row["currency"]) for row in rows}, "no month is missing"
    for row in rows:
        assert Decimal(row["mrr"]) == truth.mrr_at(month_after(day(row["month"])))[row["currency"]]


@each_way
@each_kind
def test_a_query_splits_the_growth_of_the_mrr_into_movements(
    warehouses: Warehouses, truth: Truth, way: str, kind: str
) -> None:
    rows = warehouses[way].answers[f"5 {kind}"]
    for movement in ("new", "expansion", "reactivation", "contraction", "churn"):
        expected = {key: growth[movement] for key, growth in truth.waterfall().items() if growth[movement]}
        assert by(rows, f"{movement}_mrr", "month", "currency") == expected, movement


@each_way
@each_kind
def test_a_query_gives_what_each_person_pays_a_month(warehouses: Warehouses, truth: Truth, way: str, kind: str) -> None:
    expected: Amounts = defaultdict(Decimal)
    for one in truth.movements:
        expected[one.customer, one.currency] += one.change
    found = by(warehouses[way].answers[f"6 {kind}"], "mrr", "person", "currency")
    told = {(person.removeprefix("user of "), currency): amount for (person, currency), amount in found.items()}
    assert told == {key: amount for key, amount in expected.items() if amount > 0}


@each_way
@each_kind
def test_a_query_counts_the_customers_that_left(warehouses: Warehouses, truth: Truth, way: str, kind: str) -> None:
    rows = warehouses[way].answers[f"7 {kind}"]
    expected: Amounts = {}
    for month, currency in truth.waterfall():
        gone = truth.customers_at(month)[currency] - truth.customers_at(month_after(month))[currency]
        if gone:
            expected[month, currency] = Decimal(len(gone))
    assert by(rows, "customers_churned", "month", "currency") == expected != {}


@each_way
@each_kind
def test_a_query_counts_the_trials_that_convert(warehouses: Warehouses, truth: Truth, way: str, kind: str) -> None:
    """The truth knows the trials that subscriptions begin with: months with later ones are left out."""
    trials = warehouses[way].models["trials"]
    later = {day(one["started_month"]) for one in trials if (one["subscription_id"], began_at(one)) not in truth.trials}
    rows = [row for row in warehouses[way].answers[f"8 {kind}"] if day(row["month"]) not in later]
    started: Amounts = defaultdict(Decimal)
    converted: Amounts = defaultdict(Decimal)
    for (_, began), outcome in truth.trials.items():
        if first_of(began) not in later:
            started[(first_of(began),)] += 1
            converted[(first_of(began),)] += outcome == "converted"
    assert by(rows, "trials", "month") == started
    assert by(rows, "converted", "month") == {month: number for month, number in converted.items() if number} != {}


@each_way
@each_kind
def test_a_query_counts_the_failed_payments_that_were_recovered(
    warehouses: Warehouses, truth: Truth, way: str, kind: str
) -> None:
    rows = warehouses[way].answers[f"9 {kind}"]
    recovered = truth.attempts.keys() & truth.payments.keys()
    assert sum(int(row["failed"]) for row in rows) == len(truth.attempts)
    assert sum(int(row["recovered"]) for row in rows) == len(recovered) > 0
    totals: Amounts = defaultdict(Decimal)
    for order in recovered:
        currency, _, total, _ = truth.payments[order]
        totals[(currency,)] += total
    assert by(rows, "recovered_total", "currency") == totals


@each_way
@each_kind
def test_a_query_gives_the_lifetime_value_of_each_customer(
    warehouses: Warehouses, truth: Truth, histories: list[History], way: str, kind: str
) -> None:
    found = by(warehouses[way].answers[f"10 {kind}"], "lifetime_value", "person", "currency")
    worth: Amounts = defaultdict(Decimal)
    for (person, currency), amount in found.items():
        worth[person.removeprefix("user of "), currency] += amount
    alone = {key: amount for key, amount in alone_of(truth, histories).items() if amount}
    assert {key: worth[key] for key in alone} == alone != {}


def test_after_an_import_that_sent_nothing_both_count_what_was_told(warehouses: Warehouses) -> None:
    """A refund of a payment that was only remembered lowered what a person had paid, by the models alone."""
    imported = warehouses["segment_imported"]
    paid, back = ({row["order_id"] for row in imported.models[name]} for name in ("payments", "refunds_and_disputes"))
    assert back - paid, "some of it is of payments that were not told"
    plain, model = (by(imported.answers[f"10 {kind}"], "lifetime_value", "person", "currency") for kind in KINDS)
    assert plain == model
