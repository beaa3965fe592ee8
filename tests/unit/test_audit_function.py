"""The audit function as Lambda runs it: it compares two months, and counts 0 only after a complete comparison."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.audit_reading import span_of, two_months
from stripe_to_segment.errors import StripeUnavailableError
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.lists import Lists
from stripe_to_segment.stripe_api.requests import Pace
from tests.simulator.imported import listed
from tests.unit.edges import TABLE, Spoken
from tests.unit.scheduled import Context, load_scheduled
from tests.unit.shapes import DAY
from tests.unit.stripe_list import KEY, StripeList
from tests.unit.test_audit_command import NOW, a_life
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.stripe_side.event import StripeEvent
    from tests.unit.a_stack import Deployed

pytestmark = pytest.mark.usefixtures("spoken")

LIVES = [*a_life(1), *a_life(2, currency="eur")]


@pytest.fixture
def stripe() -> Iterator[StripeList]:
    with StripeList() as listing:
        listing.objects = deepcopy(listed([event.body for event in LIVES], 10**10))
        yield listing


@pytest.fixture
def app(here: Deployed, stripe: StripeList, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = load_scheduled("audit", here, stripe, lambda: NOW - 100 * DAY, monkeypatch)
    monkeypatch.setattr(module, "Lists", lambda key, base: Lists(key, base, Pace(0, pause=lambda _: None)))
    return module


def deliver(here: Deployed, events: list[StripeEvent]) -> None:
    world = World(DynamoStore(here.dynamodb, TABLE))
    world.now = NOW + 60
    for event in events:
        world.batch(event)


def test_a_clean_business_counts_no_difference(app: Any, here: Deployed, spoken: Spoken) -> None:
    deliver(here, LIVES)
    summary = app.handler({}, Context(900))
    assert (summary["outcome"], summary["unexplained"], summary["differences"]) == ("done", 0, [])
    assert summary["months"] == two_months(int(time.time()))
    assert summary["customers"] >= 2
    assert spoken.metrics["UnexplainedDifference"] == 0
    assert "AuditUnfinished" not in spoken.metrics


def test_an_unexplained_cent_is_counted_and_named(app: Any, here: Deployed, stripe: StripeList, spoken: Spoken) -> None:
    deliver(here, LIVES)
    stripe.objects = [{**one, "amount_paid": 2001} if one["id"] == "in_1" else one for one in stripe.objects]
    summary = app.handler({}, Context(900))
    assert summary["differences"] == ["payments in_1 0.01 USD"]
    assert spoken.metrics["UnexplainedDifference"] == summary["unexplained"] == 1
    assert "payments in_1 0.01 USD" in spoken.text


def test_a_difference_of_now_is_counted_once_and_not_in_both_months(
    app: Any, here: Deployed, stripe: StripeList, spoken: Spoken
) -> None:
    deliver(here, LIVES)
    for one in stripe.objects:
        if one["id"] == "sub_1":
            one["items"]["data"][0]["price"]["unit_amount"] = 9900
            one["items"]["data"][0]["price"].pop("unit_amount_decimal", None)
    summary = app.handler({}, Context(900))
    assert spoken.metrics["UnexplainedDifference"] == len(summary["differences"]) == 1
    assert summary["differences"][0].startswith("mrr sub_1 ")


def test_what_never_came_or_waits_or_is_a_dead_letter_is_explained(app: Any, here: Deployed, spoken: Spoken) -> None:
    """The function may not read the queues, so of what they hold it says that it waits, or never came."""
    deliver(here, LIVES[:5])
    here.dead_letter(json.dumps(LIVES[-1].body), reason="http_400")
    summary = app.handler({}, Context(900))
    assert (summary["unexplained"], summary["explained"]) == (0, 4)
    here.sqs.send_message(QueueUrl=here.events_url, MessageBody="{}")
    assert app.handler({}, Context(900))["unexplained"] == 0
    assert spoken.metrics["UnexplainedDifference"] == 0


@pytest.mark.parametrize("seconds", [1, 119])
def test_a_run_without_time_says_so_and_never_0(app: Any, here: Deployed, spoken: Spoken, seconds: int) -> None:
    deliver(here, LIVES)
    assert app.handler({}, Context(seconds)) == {"outcome": "unfinished"}
    assert spoken.metrics["AuditUnfinished"] == 1
    assert "UnexplainedDifference" not in spoken.metrics
    assert "the account is too large for the function's time; read so far: 1 customers" in spoken.text


def test_a_list_that_takes_too_long_ends_the_run(
    app: Any, here: Deployed, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(here, LIVES)
    context = Context(900)

    def slowly(lists: Lists, *given: Any, page: Any = Lists.page) -> Any:
        context.seconds = 60
        return page(lists, *given)

    monkeypatch.setattr(Lists, "page", slowly)
    assert app.handler({}, context) == {"outcome": "unfinished"}
    assert "UnexplainedDifference" not in spoken.metrics
    assert "too large for the function's time; read so far: " in spoken.text


@pytest.mark.parametrize(
    ("keys", "mode", "said"),
    [({}, "send", "the KeysSecret has no stripe_api_key"), ({"stripe_api_key": KEY}, "log", "DeliveryMode is log")],
)
def test_what_cannot_be_compared_is_unfinished(
    app: Any,
    here: Deployed,
    spoken: Spoken,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, str],
    mode: str,
    said: str,
) -> None:
    here.put_keys(**keys)
    monkeypatch.setattr(app, "settings", app.settings.__replace__(delivery_mode=mode))
    assert app.handler({}, Context(900)) == {"outcome": "unfinished"}
    assert said in spoken.text
    assert spoken.metrics == {"AuditUnfinished": 1}


def test_stripe_that_does_not_answer_is_an_error(app: Any, monkeypatch: pytest.MonkeyPatch, spoken: Spoken) -> None:
    """Lambda runs it again, and the alarm on errors rings."""

    def silent(*_: Any) -> Any:
        raise StripeUnavailableError("Stripe does not answer")

    monkeypatch.setattr(Lists, "page", silent)
    with pytest.raises(StripeUnavailableError):
        app.handler({}, Context(900))
    assert "UnexplainedDifference" not in spoken.metrics


def test_the_log_holds_ids_and_amounts_and_no_person(
    app: Any, here: Deployed, stripe: StripeList, spoken: Spoken
) -> None:
    for one in stripe.objects:
        if one.get("object") == "customer":
            one |= {"name": "DoNotLogThis", "email": "do-not-log@example.com"}
    deliver(here, LIVES)
    app.handler({}, Context(900))
    assert "DoNotLogThis" not in spoken.text
    assert "do-not-log" not in spoken.text
    assert KEY not in spoken.text


@pytest.mark.parametrize(
    ("now", "months"),
    [(1_767_225_600, ("2025-12", "2026-01")), (1_772_323_199, ("2026-01", "2026-02"))],
)
def test_two_months_end_with_this_one(now: int, months: tuple[str, str]) -> None:
    assert two_months(now) == months


def test_the_parts_of_a_list_meet_without_a_gap() -> None:
    for span in (span_of(NOW), span_of(NOW, *two_months(NOW))):
        for kind in ("customer", "invoice"):
            parts = span.parts(kind)
            assert all(one.until == following.since for one, following in pairwise(parts))
            assert all(part.since < part.until for part in parts)
            assert (parts[-1].until, len(parts) > 1) == (span.now + 1, True)
