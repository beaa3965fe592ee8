"""Which log lines CloudWatch keeps at each value of LogLevel: those of the chosen levels, and always the metrics."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.lambda_runtime.built_function import read_built_function
from tests.runtime.marked_world import World
from tests.unit.edges import say

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.built, pytest.mark.emulator]

# https://www.rfc-editor.org/rfc/rfc3339#section-5.6
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
SEVERITY = {"TRACE": 0, "DEBUG": 1, "INFO": 2, "WARN": 3, "WARNING": 3, "ERROR": 4, "FATAL": 5, "CRITICAL": 5}


def kept(log: str, name: str, level: str) -> Iterator[dict[str, Any]]:
    """The log lines that pass Lambda's filter, as the template sets it.

    A line without a valid level, or without a valid timestamp, counts as INFO.
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    least = read_built_function(f"{name.capitalize()}Function", parameters={"LogLevel": level}).log_level
    assert least is not None
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        counts_as = str(said.get("level")) if RFC_3339.fullmatch(str(said.get("timestamp"))) else "INFO"
        if SEVERITY.get(counts_as, SEVERITY["INFO"]) >= SEVERITY[least]:
            yield said


def levels(lines: list[dict[str, Any]]) -> set[str]:
    return {line["level"] for line in lines if "level" in line}


def counted(lines: list[dict[str, Any]]) -> set[str]:
    return {
        metric["Name"] for line in lines if "_aws" in line for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }


FROM = [
    ("DEBUG", {"DEBUG", "INFO", "WARNING", "ERROR"}),
    ("INFO", {"INFO", "WARNING", "ERROR"}),
    ("WARNING", {"WARNING", "ERROR"}),
    ("ERROR", {"ERROR"}),
]


@pytest.mark.parametrize(("level", "expected"), FROM)
def test_deliver_logs_from_the_chosen_level_and_writes_metrics_at_any(level: str, expected: set[str]) -> None:
    """Powertools prefers Lambda's own level to LogLevel, and with Lambda's level at WARN every metric was dropped."""
    with World("deliver", level) as world:
        world.deliver(*world.happened("customer.deleted"))
        # An error, the warning that the circuit opens, and a debug line about events that are not sent.
        world.segment.answering = say(429, Retry_After="30")
        world.deliver(*world.happened("customer.deleted"))
        world.deliver(*world.happened("customer.deleted"))
    lines = [*kept(world.runtime.log, "deliver", level)]
    assert levels(lines) == expected
    assert counted(lines) >= {"EventsDelivered", "EventsRetried", "CircuitOpened"}


@pytest.mark.parametrize(("level", "expected"), FROM)
def test_receive_logs_from_the_chosen_level_and_writes_metrics_at_any(level: str, expected: set[str]) -> None:
    with World("receive", level) as world:
        (event,) = world.happened("customer.created")
        request = world.request(json.dumps(event).encode())
        world.invoke(request)
        world.invoke(request | {"headers": {}})
        world.aws.faults["send_message"] = "AccessDenied"
        world.invoke(request)
    lines = [*kept(world.runtime.log, "receive", level)]
    assert levels(lines) == expected - {"DEBUG"}
    assert counted(lines) >= {"RequestsRefused", "NotReady"}
