"""The numbers of the page: what they count, at which time and for which user, and their form.

The simulator tests the sums.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.page.charts import CHARTS, counted_events, show_numbers
from stripe_to_segment_tools.page.numbers import numbers
from stripe_to_segment_tools.receiver import AcceptedCall

if TYPE_CHECKING:
    from stripe_to_segment_tools.page.numbers import Numbers, Table

ARRIVED = datetime(2026, 11, 28, 12, tzinfo=UTC)


def track(event: str, at: str, event_id: str = "evt_1", user: str = "u", **properties: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "messageId": f"{event} {at}",
        "userId": user,
        "timestamp": at,
        "context": {"stripe": {"event_id": event_id}},
        "properties": {"currency": "EUR", **properties},
    }


def moved(at: str, change: float, kind: str | None = "new", event_id: str = "evt_1", **more: Any) -> dict[str, Any]:
    more |= {} if kind is None else {"mrr_movement": kind}
    return track("Subscription Created", at, event_id, mrr_change=change, **more)


def told(*calls: dict[str, Any], settings: Settings | None = None) -> dict[str, Numbers]:
    return numbers([AcceptedCall(call, 1, ARRIVED, "test") for call in calls], settings or Settings())


def values(table: Table, name: str) -> dict[str, Decimal]:
    return {on: row[name].value for on, row in table.items()}


def test_a_day_is_one_in_utc() -> None:
    calls = [
        track("Order Completed", "2026-11-01T00:30:00+01:00", revenue=1),
        track("Order Completed", "2026-10-31T23:59:59.999Z", revenue=2),
        track("Order Completed", "2026-11-01T00:00:00", revenue=4),
    ]
    assert values(told(*calls)["EUR"].revenue, "revenue") == {"2026-10-31": Decimal(3), "2026-11-01": Decimal(4)}


def test_a_call_without_a_readable_time_counts_when_it_arrived() -> None:
    assert values(told(track("Order Completed", "soon", revenue=1))["EUR"].revenue, "revenue") == {
        "2026-11-28": Decimal(1)
    }


def test_cents_sum_exactly() -> None:
    calls = [track("Invoice Paid", f"2026-11-01T00:00:{second:02}Z", revenue=0.1) for second in range(30)]
    assert values(told(*calls)["EUR"].revenue, "revenue") == {"2026-11-01": Decimal("3.0")}


def test_net_is_revenue_less_what_went_back_of_it_and_a_failed_refund_brings_it_back() -> None:
    calls = [
        track("Order Completed", "2026-11-01T00:00:00Z", revenue=100, revenue_refunded=10),
        track("Order Refunded", "2026-11-01T01:00:00Z", total=23, revenue_refunded=20),
        track("Refund Failed", "2026-11-01T02:00:00Z", total=23, revenue_refunded=-20),
    ]
    ((_, row),) = told(*calls)["EUR"].revenue.items()
    assert {name: figure.value for name, figure in row.items()} == {
        "revenue": Decimal(100),
        "refunded": Decimal(-10),
        "net": Decimal(90),
    }


def test_currencies_do_not_mix_and_one_without_numbers_is_not_there() -> None:
    found = told(
        track("Order Completed", "2026-11-01T00:00:00Z", revenue=1, currency="USD"),
        track("Order Completed", "2026-11-01T00:00:00Z", revenue=2),
        track("Payment Failed", "2026-11-01T00:00:00Z", value=3, currency="JPY"),
        track("Own Event", "2026-11-01T00:00:00Z", revenue=3, currency=None),
        {"type": "track", "event": "Own Event", "properties": None},
    )
    assert list(found) == ["EUR", "USD"]
    assert told() == {}


def test_months_without_movement_are_in_the_waterfall_and_it_adds_up() -> None:
    found = told(
        moved("2026-02-03T00:00:00Z", 5, "churn"),
        moved("2025-11-01T00:00:00Z", 60),
        moved("2025-11-02T00:00:00Z", -20, "contraction"),
        moved("2025-11-03T00:00:00Z", 7, None),
        moved("2025-11-04T00:00:00Z", 7, "of our own"),
    )["EUR"].waterfall
    assert list(found) == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert values(found, "other")["2025-11"] == 14
    assert values(found, "start") == {"2025-11": 0, "2025-12": 54, "2026-01": 54, "2026-02": 54}
    assert values(found, "end") == {"2025-11": 54, "2025-12": 54, "2026-01": 54, "2026-02": 59}


def test_a_customer_who_became_known_later_is_one_customer() -> None:
    joined = {"type": "identify", "userId": "ada", "anonymousId": "cus_1", "timestamp": "2026-11-05T00:00:00Z"}
    first = moved("2026-10-01T00:00:00Z", 60)
    del first["userId"]
    found = told(
        {**first, "anonymousId": "cus_1"}, joined, {**moved("2026-11-06T00:00:00Z", -60, "churn"), "userId": "ada"}
    )["EUR"].churn
    assert values(found, "left") == {"2026-10": 0, "2026-11": -1}
    assert values(found, "end") == {"2026-10": 1, "2026-11": 0}
    assert found["2026-11"]["rate"].value == 1
    assert "rate" not in found["2026-10"], "nobody was there who could leave"


def test_who_leaves_and_comes_back_within_a_month_did_not_churn() -> None:
    found = told(
        moved("2026-10-01T00:00:00Z", 60),
        moved("2026-11-02T00:00:00Z", -60, "churn"),
        moved("2026-11-20T00:00:00Z", 60, "reactivation"),
    )["EUR"].churn
    assert values(found, "left")["2026-11"] == 0
    assert found["2026-11"]["rate"].value == 0


TRIAL = {"subscription_id": "sub_1"}
BEGAN = track("Trial Started", "2026-10-20T00:00:00Z", "evt_began", **TRIAL)


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        ([], "running"),
        ([("Trial Ended", {})], "unpaid"),
        ([("Trial Ended", {}), ("Trial Converted", {})], "converted"),
        ([("Trial Converted", {}), ("Subscription Cancelled", {})], "converted"),
        ([("Trial Ended", {"converted": False})], "lost"),
        ([("Trial Ended", {}), ("Subscription Cancelled", {})], "lost"),
        ([("Subscription Expired", {})], "lost"),
        ([("Trial Converted", {"subscription_id": "sub_2"})], "running"),
    ],
)
def test_a_trial_counts_in_the_month_in_which_it_began(later: list[tuple[str, Any]], outcome: str) -> None:
    calls = [
        track(name, f"2026-11-0{at + 1}T00:00:00Z", "evt_later", **TRIAL | more)
        for at, (name, more) in enumerate(later)
    ]
    table = told(*calls, BEGAN)["EUR"].trials
    assert list(table) == ["2026-10"]
    row = table["2026-10"]
    assert {name for name, figure in row.items() if figure.value and name not in {"started", "rate"}} == {outcome}
    assert row["started"].value == 1
    assert list(row["started"].events) == ["evt_began"]
    assert row[outcome].events.keys() <= {"evt_began", "evt_later"}
    assert ("rate" in row) == (outcome != "running")


def test_a_second_trial_of_a_subscription_is_a_trial_of_its_own() -> None:
    again = track("Trial Started", "2026-11-02T00:00:00Z", **TRIAL)
    ended = track("Trial Ended", "2026-11-01T00:00:00Z", **TRIAL, converted=False)
    table = told(BEGAN, ended, again)["EUR"].trials
    assert table["2026-10"]["lost"].value == table["2026-11"]["running"].value == 1


def test_renamed_events_are_trials_too() -> None:
    settings = Settings(rename_events={"Trial Started": "Pilot Started", "Trial Converted": "Pilot Won"})
    calls = [{**BEGAN, "event": "Pilot Started"}, track("Pilot Won", "2026-11-01T00:00:00Z", **TRIAL)]
    assert told(*calls, settings=settings)["EUR"].trials["2026-10"]["converted"].value == 1


def test_each_chart_is_shown_with_its_texts_and_without_columns_of_zeros() -> None:
    shown = show_numbers(told(moved("2026-11-01T00:00:00Z", 60), BEGAN))
    (euro,) = shown["currencies"]
    charts = {chart["name"]: chart for chart in euro["charts"]}
    assert list(charts) == [chart.name for chart in CHARTS]
    assert charts["revenue"]["rows"] == []
    assert [column["title"] for column in charts["waterfall"]["columns"]] == ["New", "End"]
    (row,) = charts["waterfall"]["rows"]
    assert (row["on"], row["label"]) == ("2026-11", "Nov 2026")
    assert row["cells"] == [
        {"value": 60.0, "text": "€60.00", "events": 1},
        {"value": 60.0, "text": "€60.00", "events": 0},
    ]
    assert charts["mrr"]["rows"][0]["label"] == "1 Nov 2026"
    assert [cell["text"] for cell in charts["trials"]["rows"][0]["cells"]] == ["1", "1"]


def test_the_events_of_a_figure_and_of_a_row_can_be_asked_for() -> None:
    found = told(
        moved("2026-11-01T00:00:00Z", 60, event_id="evt_1"),
        moved("2026-11-02T00:00:00Z", -20, "contraction", "evt_2"),
    )
    assert counted_events(found, "waterfall.EUR.2026-11") == {
        "title": "MRR movements by month: Nov 2026, EUR",
        "events": ["evt_1", "evt_2"],
    }
    assert counted_events(found, "waterfall.EUR.2026-11.contraction") == {
        "title": "MRR movements by month: Contraction: Nov 2026, EUR",
        "events": ["evt_2"],
    }
    assert counted_events(found, "mrr.EUR.2026-11-02.mrr") == {
        "title": "MRR over time: MRR: 2 Nov 2026, EUR",
        "events": ["evt_2"],
    }


@pytest.mark.parametrize(
    "sought",
    [
        "",
        "waterfall",
        "other.EUR.2026-11",
        "waterfall.USD.2026-11",
        "waterfall.EUR.2026-12",
        "mrr.EUR.x",
        "waterfall.EUR.2026-11.x",
    ],
)
def test_a_number_that_the_page_does_not_have_has_no_events(sought: str) -> None:
    assert counted_events(told(moved("2026-11-01T00:00:00Z", 60)), sought) is None
