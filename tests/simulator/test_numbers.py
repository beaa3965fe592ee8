"""The numbers of the page equal the truth of simulated customers and of a till, to the minor unit."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.page.numbers import MOVEMENTS, numbers
from stripe_to_segment_tools.receiver import AcceptedCall
from tests.simulator import laws
from tests.simulator.history import a_history
from tests.simulator.till import a_till
from tests.simulator.tills import HOLDS, true
from tests.unit.worlds import World
from tests.warehouse.truth import truth_of

if TYPE_CHECKING:
    from stripe_to_segment_tools.page.numbers import Numbers, Table
    from tests.simulator.history import History
    from tests.simulator.till import Till
    from tests.warehouse.truth import Truth

type Told = dict[str, Numbers]

CUSTOMERS = 30
ARRIVED = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def histories() -> list[History]:
    """Customers whose mrr every payload states."""
    every = map(a_history, range(1, CUSTOMERS + 1))
    return [one for one in every if all(each.mrr is not None for each in one.happenings if each.subscription)]


@pytest.fixture(scope="module")
def till() -> Till:
    return a_till(Random(1), payments=20)


@pytest.fixture(scope="module")
def truth(histories: list[History], till: Till) -> Truth:
    return truth_of(histories, till)


@pytest.fixture(scope="module")
def told(histories: list[History]) -> Told:
    """In another order than that in which it happened: calls come late."""
    return numbers_of([call for one in histories for call in laws.in_order(one).calls])


def numbers_of(calls: list[dict[str, Any]]) -> Told:
    Random(1).shuffle(calls)
    wired = [json.loads(json.dumps(call, default=float)) for call in calls]
    return numbers([AcceptedCall(call, 1, ARRIVED, "test") for call in wired], Settings())


def values(table: Table, *names: str) -> dict[str, dict[str, Decimal]]:
    return {on: {name: row[name].value for name in names if row[name].value} for on, row in table.items()}


def first_of(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def after(month: str) -> date:
    first = first_of(month)
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def test_revenue_is_right_on_each_day(told: Told, truth: Truth, histories: list[History]) -> None:
    # Of a till's days the truth knows what was kept, and no revenue.
    paid = {(day.isoformat(), code): sums["revenue"] for (day, code), sums in truth.days.items() if sums["revenue"]}
    assert {
        (on, code): amounts["revenue"]
        for code, tables in told.items()
        for on, amounts in values(tables.revenue, "revenue").items()
        if "revenue" in amounts
    } == paid
    assert len(paid) > len(histories)


def test_the_revenue_of_a_till_is_right_with_payments_in_parts_refunds_and_disputes(till: Till) -> None:
    world = World(PAYMENT_HOLD_SECONDS="300")
    for moment in till.moments:
        for after in (0, *HOLDS):
            world.now = moment.at + after + 1
            world.batch(*moment.events)
    found = numbers_of(world.calls)
    assert {
        code.lower(): sum(row["revenue"].value for row in tables.revenue.values()) for code, tables in found.items()
    } == true(till.revenue)
    refunded = {
        code.lower(): -sum(row["refunded"].value for row in tables.revenue.values()) for code, tables in found.items()
    }
    assert {code: amount for code, amount in refunded.items() if amount} == true(till.returned)
    assert any(refunded.values())


def test_the_mrr_is_right_at_the_end_of_each_day_on_which_it_moves(told: Told, truth: Truth) -> None:
    for code, tables in told.items():
        sums: dict[str, Decimal] = defaultdict(Decimal)
        moved: Decimal = Decimal(0)
        for one in sorted(truth.movements, key=lambda one: one.at):
            if one.currency == code:
                moved += one.change
                sums[datetime.fromtimestamp(one.at, UTC).date().isoformat()] = moved
        assert {on: row["mrr"].value for on, row in tables.mrr.items()} == sums


def test_the_waterfall_is_right_in_each_month(told: Told, truth: Truth) -> None:
    waterfall = truth.waterfall()
    for code, tables in told.items():
        for month, amounts in values(tables.waterfall, *MOVEMENTS, "other").items():
            expected = waterfall.pop((first_of(month), code), {})
            assert amounts == {kind: amount for kind, amount in expected.items() if amount}, f"{month} in {code}"
        for month, row in tables.waterfall.items():
            assert row["start"].value == truth.mrr_at(first_of(month))[code]
            assert row["end"].value == truth.mrr_at(after(month))[code]
    assert waterfall == {}, "no month is missing"


def test_churn_counts_the_customers_without_mrr(told: Told, truth: Truth) -> None:
    for code, tables in told.items():
        for month, row in tables.churn.items():
            before, then = truth.customers_at(first_of(month))[code], truth.customers_at(after(month))[code]
            counted = {name: row[name].value for name in ("start", "came", "left", "end")}
            assert counted == {
                "start": len(before),
                "came": len(then - before),
                "left": -len(before - then),
                "end": len(then),
            }
            assert ("rate" in row) == bool(before)
            if before:
                assert row["rate"].value == Decimal(len(before - then)) / len(before)
    assert any(row["left"].value for tables in told.values() for row in tables.churn.values())


def test_the_outcome_of_each_trial_is_counted_in_the_month_in_which_it_began(told: Told, truth: Truth) -> None:
    outcomes = ("converted", "lost", "unpaid", "running")
    rows = [row for tables in told.values() for row in tables.trials.values()]
    found = {name: int(sum(row[name].value for row in rows)) for name in outcomes}
    # The truth knows the first trial of each subscription; later ones are free days of a running one.
    first = {name: sum(outcome == name for outcome in truth.trials.values()) for name in outcomes}
    assert all(found[name] >= first[name] for name in outcomes)
    assert sum(found.values()) == sum(row["started"].value for row in rows) >= len(truth.trials)
    assert found["converted"]
    assert found["lost"]


def test_each_figure_names_the_events_that_make_it(told: Told, histories: list[History]) -> None:
    """Every event that moves the mrr is in one month of the waterfall, in one column, and nowhere else."""
    known = {event["id"] for one in histories for event in one.events}
    named = [
        event
        for tables in told.values()
        for row in tables.waterfall.values()
        for name in (*MOVEMENTS, "other")
        for event in row[name].events
    ]
    assert set(named) <= known
    days = [event for tables in told.values() for row in tables.mrr.values() for event in row["change"].events]
    assert set(days) == set(named)
    assert len(days) == len(set(days))
