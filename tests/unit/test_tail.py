"""`tail` shows what the functions log of each event, once, and nothing that is personal."""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.delivery.record import Record, RecordOutcome, Status
from stripe_to_segment.delivery.report import report
from stripe_to_segment.observability import logger
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.tail import command as tail
from stripe_to_segment_tools.commands.tail.command import OutcomeLog, _outcomes
from stripe_to_segment_tools.commands.tail.function_log import FunctionLog
from stripe_to_segment_tools.commands.tail.outcomes import OUTCOMES, outcome_in
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import speaking
from tests.unit.log_groups import Logs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> Iterator[Deployed]:
    with deployed() as stack:
        stack.logs = logs
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["tail", "--no-follow", *words])


def told(*words: str) -> list[Mapping[str, Any]]:
    result = run("--json", *words)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def an_event(logs: Logs, number: int, outcome: str = "delivered", kind: str = "invoice.paid", **more: Any) -> None:
    """Both functions log it."""
    about = {"event_id": f"evt_{number}", "event_type": kind, "livemode": False, "account": None}
    logs.write("receive", message="event queued", outcome="queue", status=200, reason="", ago=60 - number, **about)
    more = {"calls": ["Subscription Renewed"], "received": 1, "reason": "", "detail": ""} | more
    logs.write("deliver", message="event", outcome=outcome, message_id="m", ago=50 - number, **about, **more)


def test_an_event_is_a_line_with_its_outcome_and_what_it_became(logs: Logs) -> None:
    an_event(logs, 1)
    logs.write("deliver", message="batch done", records=1, again=0)
    logs.raw("deliver", '{"_aws": {"Timestamp": 1}, "EventsDelivered": [1.0]}')
    logs.raw("deliver", "START RequestId: 1")
    result = run()
    assert result.exit_code == 0
    at = datetime.fromtimestamp(logs.now - 51, UTC)
    (line,) = result.stdout.splitlines()
    assert line.split() == [f"{at:%Y-%m-%dT%H:%M:%SZ}", "delivered", "invoice.paid", "evt_1", "Subscription", "Renewed"]


def test_what_failed_says_why_and_how_often(logs: Logs) -> None:
    an_event(logs, 1, "retry", reason="http_500", detail="upstream down", received=7)
    an_event(logs, 2, "dead", reason="http_400", detail="bad event")
    first, second = run().stdout.splitlines()
    assert first.endswith("evt_1  http_500: upstream down  try 7")
    assert second.endswith("evt_2  http_400: bad event")


def test_a_request_that_receive_refused_is_a_line_too(logs: Logs) -> None:
    logs.write("receive", message="the signature matches no active signing secret", outcome="refused", reason="wrong")
    logs.write("receive", message="no mapping for x", outcome="ignored", reason="not_wanted", event_id="evt_2", ago=59)
    first, second = run().stdout.splitlines()
    assert "refused   -" in first
    assert first.endswith("wrong: the signature matches no active signing secret")
    assert second.endswith("evt_2  not_wanted: no mapping for x")


def test_a_function_that_stops_is_a_line_too(logs: Logs) -> None:
    logs.write("deliver", errorType="ConfigurationError", errorMessage="SEGMENT_ENDPOINT is 'x'")
    stopped = {"time": "2026-11-22T08:00:00Z", "type": "platform.runtimeDone", "record": {"status": "timeout"}}
    logs.raw("receive", json.dumps(stopped), ago=10)
    lines = [line.split(maxsplit=1)[1] for line in run().stdout.splitlines()]
    assert lines[0].startswith("error")
    assert lines[0].endswith("ConfigurationError: SEGMENT_ENDPOINT is 'x'")
    assert lines[1].endswith("timeout")


def test_the_lines_of_both_functions_are_in_the_order_of_writing(logs: Logs) -> None:
    for number in range(5):
        an_event(logs, number)
    logs.write("receive", message="no", outcome="refused", reason="wrong", ago=48.5)
    outcomes = [line["outcome"] for line in told()]
    assert (
        outcomes == ["delivered", "delivered", "refused", "delivered", "delivered", "delivered"]
        or outcomes[1] == "refused"
    )
    moments = [line["at"] for line in told("--outcome", "queued", "--outcome", "delivered")]
    assert moments == sorted(moments)
    assert len(moments) == 10


def test_outcomes_types_and_one_event_can_be_chosen(logs: Logs) -> None:
    an_event(logs, 1)
    an_event(logs, 2, "dead", "charge.refunded", reason="http_400")
    an_event(logs, 3, "waiting", "customer.subscription.created")
    assert [line["event_id"] for line in told("--outcome", "dead")] == ["evt_2"]
    assert [line["event_id"] for line in told("--outcome", "dead", "--outcome", "waiting")] == ["evt_2", "evt_3"]
    assert [line["event_id"] for line in told("--type", "customer.*", "--type", "invoice.paid")] == ["evt_1", "evt_3"]
    assert [line["outcome"] for line in told("--event", "evt_2")] == ["queued", "dead"]
    assert told("--event", "evt_9") == []


def test_one_event_is_left_to_cloudwatch_to_find(logs: Logs) -> None:
    told("--event", "evt_2")
    assert [asked["filterPattern"] for asked in logs.asked] == ['"evt_2"', '"evt_2"']


def test_only_what_is_not_too_old_is_shown(logs: Logs) -> None:
    an_event(logs, 1)
    logs.write("deliver", outcome="delivered", event_id="evt_old", ago=3600)
    assert [line["event_id"] for line in told()] == ["evt_1"]
    assert [line["event_id"] for line in told("--since", "2h")] == ["evt_old", "evt_1"]


def test_an_outcome_that_does_not_exist_is_refused_with_those_that_do() -> None:
    result = run("--outcome", "lost")
    assert result.exit_code == 2
    assert "there is no outcome lost: there are delivered, ignored" in result.stderr
    assert {str(outcome) for outcome in Status} < set(OUTCOMES)


def test_later_lines_are_shown_once_and_a_network_failure_is_tolerated(here: Deployed, logs: Logs) -> None:
    an_event(logs, 1)
    log = OutcomeLog(here.stack, logs.now - 600)
    rounds = 0

    def pause(_: float) -> None:
        nonlocal rounds
        rounds += 1
        match rounds:
            case 1:
                an_event(logs, 2)
            case 2:
                logs.failures = 1
                an_event(logs, 3)
            case 4:
                # Filed late, behind a line that is newer.
                logs.write("deliver", outcome="delivered", event_id="evt_4", ago=52)
            case 5:
                raise KeyboardInterrupt

    seen: list[str] = []
    with suppress(KeyboardInterrupt):
        for outcome in _outcomes(log, follow=True, pause=pause):
            seen += [outcome.event_id] if outcome.outcome == "delivered" else []
    assert seen == ["evt_1", "evt_2", "evt_3", "evt_4"]


def test_ctrl_c_ends_it_without_a_word(monkeypatch: pytest.MonkeyPatch, logs: Logs) -> None:
    an_event(logs, 1)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tail, "_outcomes", lambda log, follow: _outcomes(log, follow=follow, pause=interrupt))
    result = CliRunner().invoke(app, ["tail"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "evt_1" in result.stdout


def test_a_line_that_says_no_mode_is_of_a_live_event_if_it_is_of_any(logs: Logs) -> None:
    an_event(logs, 1)
    logs.write("deliver", outcome="delivered", event_id="evt_2", ago=40)
    logs.write("receive", message="no", outcome="refused", reason="wrong", ago=30)
    assert [line["livemode"] for line in told("--outcome", "delivered", "--outcome", "refused")] == [False, True, None]


def test_long_lines_are_kept_whole_without_a_terminal(logs: Logs) -> None:
    an_event(logs, 1, "dead", detail="x" * 500)
    (line,) = run().stdout.splitlines()
    assert line.endswith("x" * 500)
    assert "\x1b" not in line


def test_the_groups_are_those_of_the_functions_whatever_they_are_called(logs: Logs) -> None:
    class Named:
        def get_function_configuration(self, **_: Any) -> dict[str, Any]:
            return {"LoggingConfig": {"LogGroup": "/aws/lambda/mine-deliver"}}

    FunctionLog(Named(), logs, "generated-name-X7", logs.now).new()
    assert logs.asked[-1]["logGroupName"] == "/aws/lambda/mine-deliver"


def test_every_line_that_the_functions_write_of_an_event_is_understood() -> None:
    """What reporting.py logs, read back."""
    level = logger.log_level
    logger.setLevel(logging.DEBUG)
    with speaking() as spoken:
        report([RecordOutcome(Record("m", "{}"), outcome, "why") for outcome in Status], time.time())
    logger.setLevel(level)
    found = [outcome_in(line, datetime.now(UTC), "deliver") for line in spoken.lines]
    assert [each.outcome for each in found if each] == [str(outcome) for outcome in Status]
