"""The dbt package on DuckDB, behind models of Segment's and RudderStack's warehouses: every number is the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.simulator.till import USERS
from tests.simulator.tills import true
from tests.warehouse.conftest import DROPPED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulator.history import History
    from tests.simulator.till import Till
    from tests.warehouse.conftest import Warehouse
    from tests.warehouse.truth import Truth

type Warehouses = dict[str, Warehouse]

pytestmark = pytest.mark.warehouse

# Everything in its order; else only what everything sums up to is the truth.
PRIMED = ["segment", "segment_orders", "segment_renamed", "rudderstack", "rudderstack_renamed"]
LEFT_OUT = {*DROPPED, "refund_failed", "dispute"}
ENDED = [*PRIMED, "segment_mixed"]
GROWTH = {
    "new": "new_mrr",
    "expansion": "expansion_mrr",
    "reactivation": "reactivation_mrr",
    "contraction": "contraction_mrr",
    "churn": "churned_mrr",
}


def of_the_till(order: str) -> bool:
    """Ids of histories tell the customer and a number, those of the till a number alone."""
    return "n" not in order.partition("_")[2]


def payments_in(warehouse: Warehouse) -> dict[str, tuple[str, date, Decimal, Decimal]]:
    return {
        row["order_id"]: (row["currency"], day(row["paid_on"]), Decimal(row["total"]), Decimal(row["revenue"]))
        for row in warehouse.models["payments"]
        if row["revenue"] is not None
    }


def day(text: str) -> date:
    return date.fromisoformat(text)


def month_after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


@pytest.mark.parametrize("way", [*ENDED, "segment_unprimed", "rudderstack_unprimed", "new"])
def test_every_model_is_built_and_every_test_of_the_package_holds(warehouses: Warehouses, way: str) -> None:
    assert warehouses[way].wrong == []
    assert warehouses[way].models.keys() >= {"payments"}


def test_every_column_is_documented(warehouses: Warehouses, project: Path) -> None:
    """Those of the views of calls were not, though the guide says that `dbt docs generate` shows all."""
    files = [*(project / "warehouse" / "models").rglob("*.yml")]
    described = [model for file in files for model in yaml.safe_load(file.read_text("utf-8"))["models"]]
    documented = {model["name"]: {column["name"] for column in model["columns"]} for model in described}
    assert all(column["description"] for model in described for column in model["columns"])
    assert documented == {name: {*rows[0]} for name, rows in warehouses["segment"].models.items()}


@pytest.mark.parametrize("way", ENDED)
def test_each_payment_is_one_row_with_its_day_and_its_amounts(warehouses: Warehouses, truth: Truth, way: str) -> None:
    found = {order: paid for order, paid in payments_in(warehouses[way]).items() if not of_the_till(order)}
    assert found == truth.payments
    assert len(found) > 50


@pytest.mark.parametrize("way", PRIMED)
def test_revenue_and_returned_money_are_right_on_each_day(
    warehouses: Warehouses, truth: Truth, till: Till, way: str
) -> None:
    rows = {(day(row["day"]), row["currency"]): row for row in warehouses[way].models["revenue_daily"]}
    kept = {key: Decimal(row["kept"]) for key, row in rows.items()}
    assert {key: amount for key, amount in kept.items() if amount} == {
        key: sums["kept"] for key, sums in truth.days.items() if sums["kept"]
    }, "what was collected less refunds, disputes and credit notes, of the till too"
    stated_later = [moment for moment in till.moments if moment.moved != moment.stated]
    assert stated_later, "some payment was captured on several days, and stands on the last of them"
    at_the_till = {day_of(moment.at) for moment in till.moments}
    for (on, currency), row in rows.items():
        if on not in at_the_till:
            expected = truth.days[on, currency]
            for column in ("payments", "collected", "revenue", "refunded"):
                assert Decimal(row[column]) == expected[column], f"{column} of {on} in {currency}"


@pytest.mark.parametrize("way", PRIMED)
def test_an_invoice_paid_in_parts_is_all_revenue_and_its_refunds_count_once(
    warehouses: Warehouses, truth: Truth, till: Till, way: str
) -> None:
    models = warehouses[way].models
    orders = Counter(row["order_id"] for row in models["payments"])
    assert any(times > 1 for times in orders.values()), "some invoice was paid in parts"
    told: dict[str, Decimal] = defaultdict(Decimal)
    for row in models["revenue_daily"]:
        told[row["currency"]] += Decimal(row["revenue"])
    for (_, currency), sums in truth.days.items():
        told[currency] -= sums["revenue"]
    assert {code: told[code.upper()] for code in till.revenue} == true(till.revenue)
    refunded = sum(Decimal(row["refunded"]) for row in models["payments"])
    back = [row for row in models["refunds_and_disputes"] if row["kind"] in {"refund", "refund_failed"}]
    known = [row for row in back if row["order_id"] in orders]
    assert refunded == sum(Decimal(row["amount"]) for row in known)


def test_revenue_events_as_orders_change_no_number(warehouses: Warehouses) -> None:
    """All payments are in the table order_completed then; renewals and parts of invoices are told by their columns."""
    named, orders = (dict(warehouses[way].models) for way in ("segment", "segment_orders"))
    assert {row["event"] for row in orders["payments"]} == {"Order Completed"}
    assert {row["event"] for row in named["payments"]} > {"Subscription Renewed", "Invoice Payment Received"}
    assert any(Decimal(row["renewal_revenue"]) for row in orders["revenue_daily"])
    for model in ("payments", "revenue_daily", "subscriptions", "customers", "dunning"):
        assert rows_of(named[model]) == rows_of(orders[model]), model


@pytest.mark.parametrize("way", ["segment_renamed", "rudderstack_renamed"])
def test_renamed_events_change_no_number(warehouses: Warehouses, way: str) -> None:
    """The table of the name of before was left out, and so was one whose digits RudderStack parts from letters."""
    named, renamed = warehouses["segment"].models, warehouses[way].models
    for model in named.keys() - {name for name in named if name.startswith("stg_")}:
        assert rows_of(named[model]) == rows_of(renamed[model]), model


def test_two_events_of_one_name_are_refused_where_their_rows_cannot_be_told_apart(warehouses: Warehouses) -> None:
    """Each dispute that was lost was counted as won, or the other way round, as the warehouse liked."""
    (said,) = warehouses["segment_confused"].wrong
    assert "Dispute Won and Dispute Lost one name" in said


def test_dropped_events_are_missing_and_change_nothing_else(warehouses: Warehouses) -> None:
    whole, left = warehouses["segment"].models, warehouses["segment_dropped"].models
    for model in ("payments", "mrr_movements", "refunds_and_disputes"):
        assert {row["call_id"] for row in left[model]} == {
            row["call_id"] for row in whole[model] if row.get("event", row.get("kind")) not in LEFT_OUT
        }, model
    for row in left["revenue_daily"]:
        assert Decimal(row["renewal_revenue"]) == 0


def rows_of(rows: list[dict[str, Any]]) -> Counter[str]:
    """The rows of a model in any order, without the name of the event."""
    return Counter(str({column: value for column, value in row.items() if column != "event"}) for row in rows)


def day_of(epoch: int) -> date:
    return datetime.fromtimestamp(epoch, UTC).date()


@pytest.mark.parametrize("way", ENDED)
def test_the_changes_of_each_subscription_sum_to_its_mrr(warehouses: Warehouses, truth: Truth, way: str) -> None:
    assert {row["subscription_id"]: Decimal(row["mrr"]) for row in warehouses[way].models["subscriptions"]} == truth.mrr


@pytest.mark.parametrize("way", ENDED)
def test_a_subscription_has_its_product_and_its_amount_also_after_its_trial(
    warehouses: Warehouses, histories: list[History], way: str
) -> None:
    """Trial Converted, which is stated by an invoice, is the last call for a long time, and has neither."""
    last = {
        event["data"]["object"]["id"]: event["data"]["object"]
        for one in histories
        for event in one.events
        if event["type"].startswith("customer.subscription.")
    }
    converted = [row for row in warehouses[way].models["subscriptions"] if row["trial_converted_at"]]
    for row in converted:
        items = last[row["subscription_id"]]["items"]["data"]
        assert row["product_id"] in {(item.get("price") or item["plan"])["product"] for item in items}
        assert row["amount"] is not None
    assert converted


@pytest.mark.parametrize("way", PRIMED)
def test_each_month_of_the_mrr_waterfall_is_right(warehouses: Warehouses, truth: Truth, way: str) -> None:
    rows, waterfall = warehouses[way].models["mrr_monthly"], truth.waterfall()
    for row in rows:
        month = day(row["month"])
        growth = {kind: Decimal(row[column]) for kind, column in GROWTH.items()}
        expected = waterfall.pop((month, row["currency"]), {})
        assert {kind: amount for kind, amount in growth.items() if amount} == {
            kind: amount for kind, amount in expected.items() if amount
        }, f"{month} in {row['currency']}"
        assert Decimal(row["opening_mrr"]) == truth.mrr_at(month)[row["currency"]]
        assert Decimal(row["closing_mrr"]) == truth.mrr_at(month_after(month))[row["currency"]]
    assert waterfall == {}, "no month is missing"


@pytest.mark.parametrize("way", PRIMED)
def test_churn_counts_customers_without_mrr(warehouses: Warehouses, truth: Truth, way: str) -> None:
    for row in warehouses[way].models["churn_monthly"]:
        month = day(row["month"])
        before = truth.customers_at(month)[row["currency"]]
        after = truth.customers_at(month_after(month))[row["currency"]]
        assert row["customers_at_start"] == len(before)
        assert row["customers_came"] == len(after - before)
        assert row["customers_churned"] == len(before - after)
        assert row["customers_at_end"] == len(after)
    assert any(row["customers_churned"] for row in warehouses[way].models["churn_monthly"])


@pytest.mark.parametrize("way", PRIMED)
def test_lifetime_values_are_payments_less_money_returned(
    warehouses: Warehouses, truth: Truth, histories: list[History], way: str
) -> None:
    worth = worth_in(warehouses[way], "lifetime_value")
    alone = alone_of(truth, histories)
    assert {key: worth[key] for key in alone} == alone
    everybody: dict[str, Decimal] = defaultdict(Decimal)
    for (_, currency), amount in worth.items():
        everybody[currency] += amount
    for (_, currency), amount in truth.worth.items():
        everybody[currency] -= amount
    assert not any(everybody.values()), "the guests too"


@pytest.mark.parametrize("way", ENDED)
def test_the_lifetime_values_sent_last_are_right_in_any_order(
    warehouses: Warehouses, truth: Truth, histories: list[History], way: str
) -> None:
    """A refund that was told before its payment may name another order, so no recount finds it; the trait knows."""
    worth = worth_in(warehouses[way], "lifetime_value_told")
    every, of_the_till = alone_of(truth, histories), {*USERS.values()}
    alone = {key: amount for key, amount in every.items() if way in PRIMED or key[0] not in of_the_till}
    assert {key: worth[key] for key in alone} == alone


def worth_in(warehouse: Warehouse, column: str) -> dict[tuple[str, str], Decimal]:
    """By Stripe's customer and currency; the user of a customer is that one."""
    worth: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in warehouse.models["customers"]:
        if row["currency"]:
            worth[row["person_id"].removeprefix("user of "), row["currency"]] += Decimal(row[column] or 0)
    return worth


def alone_of(truth: Truth, histories: list[History]) -> dict[tuple[str, str], Decimal]:
    """What is the customer's alone: a guest may be the same user."""
    shared = {one.customer for one in histories for paid in one.truth.payments.values() if paid.guest}
    return {key: amount for key, amount in truth.worth.items() if key[0] not in {*shared, "a guest"}}


def test_a_refund_that_came_before_its_payment_lowers_the_payers_lifetime_value(warehouses: Warehouses) -> None:
    """A refund names no customer: it stood as a person of its own, below zero, and the payer had all of the money."""
    models = warehouses["segment_mixed"].models
    payers = {row["order_id"]: row["person_id"] for row in models["payments"]}
    early = [
        row
        for row in models["refunds_and_disputes"]
        if str(row["anonymous_id"]).startswith("pi_") and row["order_id"] in payers
    ]
    assert [row["person_id"] for row in early] == [payers[row["order_id"]] for row in early] != []


@pytest.mark.parametrize("way", PRIMED)
def test_the_outcome_of_each_trial_is_known(warehouses: Warehouses, truth: Truth, way: str) -> None:
    models = warehouses[way].models
    found = {
        (row["subscription_id"], int(datetime.fromisoformat(f"{row['started_at']}+00:00").timestamp())): row["outcome"]
        for row in models["trials"]
    }
    assert {key: found.get(key) for key in truth.trials} == truth.trials
    assert {*truth.trials.values()} >= {"converted", "lost"}
    summed = Counter(
        {name: sum(row[name] for row in models["trial_funnel"]) for name in ("converted", "lost", "unpaid")}
    )
    assert summed == Counter(outcome for outcome in found.values() if outcome != "running")


@pytest.mark.parametrize("way", PRIMED)
def test_dunning_has_each_failed_payment_with_its_attempts(warehouses: Warehouses, truth: Truth, way: str) -> None:
    rows = warehouses[way].models["dunning"]
    assert {row["case_id"]: row["attempts"] for row in rows} == truth.attempts
    recovered = {row["case_id"] for row in rows if row["outcome"] == "recovered"}
    assert recovered == truth.attempts.keys() & truth.payments.keys() != set()


@pytest.mark.parametrize("way", ["segment_unprimed", "rudderstack_unprimed"])
def test_a_warehouse_that_was_not_primed_cuts_the_cents_off(warehouses: Warehouses, truth: Truth, way: str) -> None:
    """The first amounts were whole, so the columns hold whole numbers: 19.99 became 19."""
    found = payments_in(warehouses[way])
    wrong = {order for order, paid in truth.payments.items() if found.get(order) != paid}
    assert wrong, "the loss that priming prevents"
    for order in wrong & found.keys():
        (_, _, total, revenue), (_, _, *told) = truth.payments[order], found[order]
        assert {*told} <= {total, revenue, Decimal(int(total)), Decimal(int(revenue))}, "and nothing else is lost"


def test_the_primer_is_in_no_model(warehouses: Warehouses) -> None:
    for way in PRIMED:
        for model, rows in warehouses[way].models.items():
            told: list[Any] = [value for row in rows for value in row.values()]
            assert not {"XTS", "stripe-to-segment-primer", "primer"} & {*map(str, told)}, model


def test_an_event_that_was_never_sent_is_an_empty_model_and_not_an_error(warehouses: Warehouses) -> None:
    models = warehouses["new"].models
    assert {name for name, rows in models.items() if rows} == {"stg_stripe__identifies", "customers"}


def test_a_schema_that_is_not_there_is_an_error_that_names_the_var(warehouses: Warehouses) -> None:
    """Without its tables every model is empty, and so it was with a slip in the schema's name."""
    (said,) = warehouses["elsewhere"].wrong
    assert "set the var stripe_to_segment_schema" in said
