"""`backfill` says what is missing, queues it, and can be stopped and repeated at will."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import TABLE, refusal
from tests.unit.shapes import DAY, a_customer, an_event
from tests.unit.stripe_list import KEY, StripeList
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.stripe_side.event import StripeEvent


# Where the imitation of Stripe is: the stack's own setting is not enough for a key to go there.
AT: list[str] = []


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, api: StripeList) -> Iterator[Deployed]:
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    AT[:] = ["--stripe-api-base", api.url]
    with deployed() as stack:
        stack.functions.variables = {"STRIPE_API_BASE": api.url}
        stack.put_keys(stripe_api_key=KEY)
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["backfill", *words, *AT])


def customers(*days_ago: float, **more: Any) -> list[StripeEvent]:
    now = int(time.time())
    return [
        an_event("customer.created", a_customer(id=f"cus_{days}"), created=int(now - days * DAY), **more)
        for days in days_ago
    ]


def delivered(here: Deployed, *events: StripeEvent) -> None:
    world = World(DynamoStore(here.dynamodb, TABLE))
    world.now = int(time.time())
    world.deliver(*events)


def queued(here: Deployed) -> list[str]:
    return sorted(json.loads(body)["id"] for body in here.events)


def ids(events: list[StripeEvent]) -> list[str]:
    return sorted(event.id for event in events)


def test_only_the_gap_is_queued(here: Deployed, api: StripeList) -> None:
    events = customers(6, 5, 4, 3, 2)
    api.happened(*events)
    delivered(here, events[0], events[2], events[4])
    result = run("--since", "7d", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert (said["listed"], said["missing"], said["queued"]) == (5, 2, 2)
    assert said["by_type"] == {"customer.created": 2}
    assert queued(here) == ids([events[1], events[3]])


def test_a_window_that_was_delivered_queues_nothing(here: Deployed, api: StripeList) -> None:
    events = customers(3, 2, 1)
    api.happened(*events)
    delivered(here, *events)
    assert run("--since", "7d").stdout == "3 events listed, 0 missing\n"
    assert queued(here) == []


@pytest.mark.parametrize("verdict", [Meaning.RETRY, Meaning.REFUSED])
def test_an_event_whose_letter_is_gone_is_queued_again(here: Deployed, api: StripeList, verdict: Meaning) -> None:
    """SQS had deleted it after fourteen days, or somebody: the command that the guide names for it found nothing."""
    (lost,) = customers(20)
    api.happened(lost)
    world = World(DynamoStore(here.dynamodb, TABLE))
    world.answer = lambda _: Answer(verdict, "http")
    world.now = int(time.time()) - 20 * DAY
    world.batch(lost)
    assert run("--since", "30d").exit_code == 0
    assert queued(here) == [lost.id]
    delivered(here, lost)
    assert run("--since", "30d").stdout == "1 events listed, 0 missing\n"


def test_a_dry_run_queues_nothing(here: Deployed, api: StripeList) -> None:
    api.happened(*customers(1))
    result = run("--since", "7d", "--dry-run")
    assert "1 events listed, 1 missing and would be queued" in result.stdout
    assert queued(here) == []


def test_until_types_and_undelivered_narrow_it_down(here: Deployed, api: StripeList) -> None:
    missed, told = customers(3, 3)
    api.happened(*customers(1), told)
    api.happened(missed, an_event("customer.deleted", a_customer(), created=missed.created), delivered=False)
    run("--since", "7d", "--until", "2d", "--undelivered-only", "--types", "customer.created, customer.updated")
    assert queued(here) == [missed.id]


def test_a_date_is_utc_and_a_time_may_carry_its_offset(api: StripeList) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 5 * DAY))
    run("--since", day, "--until", f"{day}T05:00:00+02:00")
    asked = [int(query["created[gte]"][0]) for query in api.asked] + [
        int(query["created[lt]"][0]) for query in api.asked
    ]
    assert (max(asked) - min(asked), min(asked) % DAY) == (3 * 3600, 0)


def test_a_window_older_than_stripes_list_is_refused_with_the_reason(api: StripeList) -> None:
    result = run("--since", "45d")
    assert result.exit_code == 2
    assert "the last 30 days" in result.stderr
    assert "--since 30d" in result.stderr
    assert api.asked == []


def test_the_whole_of_stripes_list_can_be_asked_for(here: Deployed, api: StripeList) -> None:
    events = customers(29.9, 0.1)
    api.happened(*events, *customers(31))
    assert run("--since", "30d").exit_code == 0
    assert queued(here) == ids(events)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--since", "yesterday"], "it takes 7d, 12h, 90m"),
        (["--since", "2d", "--until", "3d"], "not before --until"),
        (["--since", "2d", "--types", "charge.succeeded"], "nothing is mapped from charge.succeeded"),
    ],
)
def test_invalid_options_are_refused_with_valid_ones(words: list[str], complaint: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_without_a_key_the_error_says_where_to_put_one(here: Deployed) -> None:
    here.put_keys(stripe_api_key="")
    result = run("--since", "1d")
    assert result.exit_code == 2
    assert "STRIPE_API_KEY" in result.stderr
    assert "read access to Events" in result.stderr


def test_the_environments_key_comes_before_the_secrets(
    here: Deployed, api: StripeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.key = "rk_live_mine"
    monkeypatch.setenv("STRIPE_API_KEY", api.key)
    live, test = customers(1, livemode=True), customers(1)
    api.happened(*live, *test)
    result = run("--since", "2d")
    assert "live mode, API key from STRIPE_API_KEY" in result.stderr
    assert queued(here) == ids(live)
    assert api.key not in result.output


def test_the_stacks_setting_alone_never_sends_a_key_to_another_address(api: StripeList) -> None:
    """Anyone who may change the stack's parameter could get the key of any user of a command, of any account."""
    address = AT.pop()
    AT.clear()
    result = run("--since", "2d")
    assert result.exit_code == 2
    assert f"this stack's StripeApiBase is {address}" in result.stderr
    assert f"--stripe-api-base {address}" in result.stderr
    assert api.requests == []


def test_an_address_that_would_show_the_key_is_refused(api: StripeList) -> None:
    AT[:] = ["--stripe-api-base", "http://api.stripe.com"]
    result = run("--since", "2d")
    assert result.exit_code == 2
    assert "is neither an https address nor one of this machine" in result.stderr
    assert api.requests == []


def test_a_key_of_a_mode_that_the_stack_refuses_is_refused(here: Deployed) -> None:
    here.functions.variables["STRIPE_MODE"] = "live"
    result = run("--since", "2d")
    assert result.exit_code == 2
    assert "test mode" in result.stderr


def test_a_key_that_stripe_refuses_is_a_configuration_error(api: StripeList) -> None:
    api.key = "rk_test_another"
    result = run("--since", "2d")
    assert result.exit_code == 2
    assert "Stripe refuses the API key" in result.stderr


def test_an_interrupted_run_says_how_to_continue_and_misses_nothing(here: Deployed, api: StripeList) -> None:
    events = customers(*(day + 0.5 for day in range(9)))
    api.happened(*events, delivered=False)
    sent = 0

    def fault(operation: str, _: dict[str, Any]) -> None:
        nonlocal sent
        if operation == "send_message_batch":
            sent += 1
            if sent == 3:
                raise refusal("ServiceUnavailable", operation)

    here.fault = fault
    stopped = run("--since", "10d", "--undelivered-only", "--types", "customer.created")
    assert stopped.exit_code == 1
    assert "ServiceUnavailable" in stopped.stderr
    assert len(queued(here)) == 2
    command = stopped.stderr.split("continue with: stripe-to-segment backfill ")[1].split()
    assert "--undelivered-only" in command
    assert command[-2:] == ["--stack", "stripe-to-segment"]
    assert AT[1] in command
    here.fault = lambda *_: None
    done = CliRunner().invoke(app, ["backfill", *command])
    assert done.exit_code == 0
    assert queued(here) == ids(events), "each once: what was queued before the stop is not queued again"
