"""The business that `make demo` imports, and the differences that the demo notices."""

from __future__ import annotations

import json
from copy import replace
from typing import Any

import pytest

from stripe_to_segment_tools.local_stack.import_rehearsal import ImportRehearsal, judged
from stripe_to_segment_tools.local_stack.plan import plan_samples
from stripe_to_segment_tools.local_stack.rehearsal import Planned, Played
from stripe_to_segment_tools.samples.existing_business import existing_business
from stripe_to_segment_tools.samples.files import body_of, samples
from stripe_to_segment_tools.samples.inputs import Input

NOW = 1_790_000_000


def rehearsed(seed: str = "a seed") -> tuple[list[Played], Played]:
    """The steps of the import and the first event, as they arrive where everything is as `explain` says."""
    business = existing_business(NOW, seed)
    rehearsal = ImportRehearsal(business, NOW)
    records = rehearsal.inputs()
    plan = plan_samples({}, [*records, Input("first", body_of(business.event), business.event)])
    steps = [Played(each, 200, "", each.calls, 0.1) for each in rehearsal.plan(plan[:-1])]
    return steps, Played(plan[-1], 200, "", plan[-1].calls, 0.1)


def test_the_numbers_of_the_business_are_what_an_import_and_the_first_event_tell() -> None:
    steps, event = rehearsed()
    seen = judged(existing_business(NOW, "a seed"), steps, event)
    assert seen.problems == []
    assert seen.note == "mrr_change 50.00 USD"
    assert [each.planned.name for each in steps] == [
        "import: 1 coupon",
        "import: 4 customers",
        "import: 3 subscriptions, 3 invoices, 1 session",
        "import: 1 payment intent, 1 refund",
        "import: traits of 4 customers",
        "import: opening of 3 subscriptions",
    ]
    assert sum(each.planned.objects for each in steps) == 14


@pytest.mark.parametrize(
    ("place", "name", "said"),
    [
        (
            4,
            "lifetime_value_by_currency",
            "the lifetime values are 1,285.20 EUR, 4,980 JPY, 80.00 USD, not 1,285.20 EUR, 4,980 JPY, 109.00 USD",
        ),
        (5, "mrr_change", "the opening balances are 90.00 EUR, 4,980 JPY, not 90.00 EUR, 4,980 JPY, 29.00 USD"),
        (-1, "mrr_change", "the first event changes nothing, not 50.00 USD"),
    ],
)
def test_a_number_that_is_not_that_of_the_business_is_named(place: int, name: str, said: str) -> None:
    steps, event = rehearsed()
    every = [*steps, event]
    every[place] = replace(every[place], calls=[*without(name, every[place].calls)])
    (problem,) = judged(existing_business(NOW, "a seed"), every[:-1], every[-1]).wrong
    assert problem.startswith(said)


def without(name: str, calls: Any) -> list[dict[str, Any]]:
    """The calls, where the first that has it lacks this property or trait."""
    found = [json.loads(json.dumps(call)) for call in calls]
    one = next(part for call in found for part in (call.get("properties"), call.get("traits")) if part and name in part)
    del one[name]
    return found


def test_the_people_of_a_history_are_none_of_the_samples() -> None:
    """One user of both would have had the traits of both, and the samples other calls than `make run` shows."""
    business = existing_business(NOW, "a seed")
    theirs = json.dumps([business.objects, business.event])
    for each in samples():
        about = each.event["data"]["object"] if each.event["object"] == "event" and "data" in each.event else {}
        for name in ("user_id", "group_id"):
            assert f'"{(about.get("metadata") or {}).get(name)}"' not in theirs
        assert not about.get("id", "").startswith("cus_") or about["id"] not in theirs


def test_a_list_that_lacks_something_is_a_difference() -> None:
    planned = Planned("import: 4 customers", None, "imported", "remembered", ())
    each = Played(planned, 200, "", (), 0.1, wrong=("3 customer were listed, and Stripe has 4",))
    assert each.problems == ["3 customer were listed, and Stripe has 4"]
