"""The imitation of Stripe's lists that `make bench` imports from, and what its figures come to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.import_listing import list_all
from benchmarks.importing import full_dollars, full_seconds, import_rows, import_targets, record_seconds
from benchmarks.stripe_lists import KEY, NOW, START, Clock, StripeLists
from stripe_to_segment.stripe_api.lists import Lists, Part
from stripe_to_segment.stripe_api.requests import Pace

if TYPE_CHECKING:
    from pathlib import Path

RECORD: dict[str, Any] = {
    "processor": 0.0002,
    "write processor": 0.0006,
    "writes": 1.9,
    "requests": 0.03,
    "written": 1.9,
    "read": 1.9,
    "log": 3.0,
    "sent": 0,
}
LISTED: dict[str, Any] = {
    "customers": 10_000,
    "objects": 220_000,
    "requests": 2_300,
    "refused": 0,
    "records": 120_000,
    "chunks": 12_000,
    "peak": 90e6,
    "steps": [{"listing": 10.0, "records": 10_000}, {"listing": 100.0, "records": 110_000}],
}
FOUND: dict[str, Any] = {"sizes": [LISTED | {"customers": 1_000, "peak": 85e6}, LISTED], "record": RECORD}


def pages(kind: str, customers: int, since: int = 0, until: int = NOW + 1) -> list[list[dict[str, Any]]]:
    """All pages of a list, by the real client."""
    found: list[list[dict[str, Any]]] = []
    with StripeLists(customers, Clock()) as stripe:
        lists, part, more = Lists(KEY, stripe.url, Pace(0, pause=lambda _: None)), Part(kind, since, until), True
        while more:
            page, more = lists.page(part)
            found.append(page)
            part.after = page[-1]["id"] if page else ""
    return found


def test_a_list_has_each_object_once_newest_first_in_pages_of_a_hundred() -> None:
    found = pages("invoice", 25)
    assert [len(page) for page in found] == [100, 100, 50]
    every = [one for page in found for one in page]
    assert len({one["id"] for one in every}) == 250
    times = [one["created"] for one in every]
    assert times == sorted(times, reverse=True)
    assert {one["customer"] for one in every} == {f"cus_{number:09d}" for number in range(25)}


def test_parts_of_time_have_all_objects_together_and_none_twice() -> None:
    middle = (START + NOW) // 2
    older, newer = pages("customer", 333, until=middle), pages("customer", 333, since=middle)
    names = [one["id"] for page in (*older, *newer) for one in page]
    assert len(names) == len(set(names)) == 333
    assert all(one["created"] < middle for page in older for one in page)


def test_more_than_stripes_rate_is_refused_and_the_command_slows_down_and_loses_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with StripeLists(400, clock) as stripe:
        pace = Pace(1 / 200, clock=clock, pause=clock.pause)
        lists, part, found, more = Lists(KEY, stripe.url, pace), Part("invoice", 0, NOW + 1), 0, True
        while more:
            page, more = lists.page(part)
            found, part.after = found + len(page), page[-1]["id"]
    assert found == 4_000
    assert stripe.refused == pace.refused > 0
    assert list_all(30, tmp_path / "records")["refused"] == 0, "the command's own pace keeps to the limit"


def test_the_command_queues_a_record_of_each_object_but_payments_of_invoices(tmp_path: Path) -> None:
    listed = list_all(30, tmp_path / "records")
    lines = (tmp_path / "records").read_text("utf-8").splitlines()
    kinds = [json.loads(line)["data"]["object"] for line in lines]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"customer": 30, "subscription": 30, "invoice": 300}
    assert (listed["objects"], listed["records"]) == (660, 360)
    assert [step["records"] for step in listed["steps"]] == [0, 30, 330, 0]


def test_time_is_that_of_the_slower_side_of_each_step() -> None:
    quick = RECORD | {"processor": 0.0, "write processor": 0.0, "writes": 0}
    assert full_seconds(LISTED, quick) == pytest.approx(10 * 110 + 2 * 35, rel=0.1)
    each = record_seconds(RECORD) / 5
    assert full_seconds(LISTED, RECORD) == pytest.approx(10 * (10_000 + 110_000) * each + 2 * 35, rel=0.05)
    assert full_seconds(LISTED, RECORD, 2) == pytest.approx(2.5 * full_seconds(LISTED, RECORD), rel=0.05)


def test_what_grows_or_is_slow_or_dear_misses_its_target() -> None:
    assert all(target.met for target in import_targets(FOUND))
    for changed in (
        {**FOUND, "sizes": [FOUND["sizes"][0], LISTED | {"peak": 170e6}]},
        {**FOUND, "sizes": [FOUND["sizes"][0], LISTED | {"refused": 1}]},
        {**FOUND, "record": RECORD | {"writes": 5}},
        {**FOUND, "record": RECORD | {"written": 20}},
        {**FOUND, "record": RECORD | {"sent": 1}},
    ):
        assert sum(not target.met for target in import_targets(changed)) == 1, changed


def test_the_last_row_is_the_full_size() -> None:
    *_, last = import_rows(FOUND)
    assert last[:4] == ("100,000, extrapolated", "2,200,000", "23,000", "1,200,000")
    assert float(last[-1]) == pytest.approx(full_dollars(LISTED, RECORD), abs=0.01)
