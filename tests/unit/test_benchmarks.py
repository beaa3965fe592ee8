"""`make bench` fails where a limit is missed, and counts with the prices of what the template deploys."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from benchmarks.burst import Answer, Delivered, _add_empty_function, problems
from benchmarks.cost import (
    ACCESS_LINE_BYTES,
    ALARMS,
    DELIVER_MB,
    LOADS,
    RECEIVE_MB,
    XRAY,
    _table,
    cost_targets,
    costs,
    monthly,
)
from benchmarks.table import CountingTable
from benchmarks.targets import Target, exit_status
from benchmarks.workload import event_texts
from stripe_to_segment.mapping.identity import stated_by
from stripe_to_segment.settings import Settings
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.person import Person
from stripe_to_segment.stripe_side.event import parse_event

TEMPLATE = (Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8")
PAGE = (Path(__file__).parents[2] / "docs/cost.md").read_text(encoding="utf-8")
# About what is measured, in seconds, bytes and units for an event.
ASKED = {
    "written": 0.7,
    "writes": 0.7,
    "requests": 0.3,
    "read": 0.8,
    "sent": 900.0,
    "log deliver": 350.0,
    "lines deliver": 1.2,
    "log receive": 200.0,
    "lines receive": 1.0,
}
FIGURES: dict[str, Any] = {
    "door": 0.0001,
    "sqs": 0.0008,
    "deliver": 0.0002,
    "dynamodb": 0.0006,
    "loads": {str(load.batch): ASKED for load in LOADS},
}


def test_a_missed_limit_fails_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status([Target("import / floor", 1.1, 1.3), Target("writes", 1.2, 1)]) == 1
    assert capsys.readouterr().err == "missed: writes is 1.20, the limit is 1\n"


def test_a_value_equal_to_the_limit_meets_it() -> None:
    assert exit_status([Target("writes", 1.0, 1)]) == 0


def test_a_missing_measurement_is_no_success() -> None:
    assert exit_status([Target("writes", math.nan, 1)]) == 1


def test_the_cost_target_can_be_met_and_missed() -> None:
    assert exit_status(cost_targets(FIGURES)) == 0
    assert exit_status(cost_targets(FIGURES | {"sqs": 0.1})) == 1
    talkative = {size: asked | {"log receive": 400.0} for size, asked in FIGURES["loads"].items()}
    assert exit_status(cost_targets(FIGURES | {"loads": talkative})) == 1


def test_the_memory_that_is_counted_with_is_the_templates() -> None:
    for name, megabytes in (("Receive", RECEIVE_MB), ("Deliver", DELIVER_MB)):
        (default,) = re.findall(rf"^  {name}Memory:\n    Type: Number\n    Default: (\d+)$", TEMPLATE, re.MULTILINE)
        assert int(default) == megabytes


def test_the_alarms_that_are_counted_are_those_of_every_stack() -> None:
    always = re.findall(r"Type: AWS::CloudWatch::Alarm\n    Condition: IsWatched\n", TEMPLATE)
    assert len(always) == ALARMS


def test_the_apis_log_line_is_as_long_as_is_counted() -> None:
    (line,) = re.findall(r"Format: >-\n((?: {10}.*\n)+)", TEMPLATE)
    usual = {"requestId": "XqUIqhMXIAMEPtQ=", "identity.sourceIp": "255.255.255.255", "status": "200"}
    usual["responseLatency"] = "1234"
    written = re.sub(r"\$context\.([\w.]+)", lambda found: usual.get(found[1], "-"), " ".join(line.split()))
    assert ACCESS_LINE_BYTES * 0.7 < len(written) <= ACCESS_LINE_BYTES


def test_ten_usual_events_are_within_what_one_request_to_the_queue_may_hold() -> None:
    sizes = [path.stat().st_size for path in (Path(__file__).parents[2] / "events").glob("*.json")]
    assert 10 * sum(sizes) / len(sizes) < 64 * 1024


def test_an_idle_stack_pays_for_its_secrets_its_alarms_and_for_asking_its_queues() -> None:
    idle, busy = (sum(each) for each in zip(*monthly().values(), strict=True))
    assert idle == pytest.approx(2 * 0.40 + 2 * 5 * 3 * 60 * 24 * 30 * 0.4e-6 + 15 * 0.10 + 1.00)
    assert busy - idle == pytest.approx(14 * 0.30 + 2 * 12 * 24 * 30 * 0.05e-4)


def test_the_total_is_the_one_of_the_templates_defaults_and_traces_stand_below_it() -> None:
    """Tracing was Active by default, with which no quiet stack keeps below the aim."""
    assert re.search(r"^  Tracing:\n    Type: String\n    Default: PassThrough$", TEMPLATE, re.MULTILINE)
    *parts, total, traces, traced = (
        [float(cell.strip(" *")) for cell in row.split("|")[2:-1]]
        for row in _table(FIGURES, direct=True).splitlines()[2:]
    )
    assert total == pytest.approx([sum(column) for column in zip(*parts, strict=True)], abs=0.05)
    assert traced == pytest.approx([one + other for one, other in zip(total, traces, strict=True)], abs=0.011)
    assert re.findall(r"^\| (.*?) \|", PAGE.split("### By the month")[0], re.MULTILINE).count(XRAY) == 2


def test_one_trace_a_second_is_most_of_the_cost_at_low_load_and_little_of_it_in_a_burst() -> None:
    trickle, _, burst = (costs(FIGURES, load, direct=True) for load in LOADS)
    assert trickle[XRAY] == pytest.approx(5 + 2.5)
    assert burst[XRAY] == pytest.approx(5 * (1 + 99 * 0.05) / 100 + 5 / 100)


ARRIVED = Delivered(
    calls=3, events=2, expected_calls=3, expected_events=2, missing=0, left=0, violations=0, seconds=1.0
)


@pytest.mark.parametrize(
    ("answers", "delivered"),
    [
        ([Answer("/webhooks/stripe", 503, 0.1)], ARRIVED),
        ([], ARRIVED._replace(calls=2)),
        ([], ARRIVED._replace(events=1)),
        # As many calls of as many events as there should be, but one came twice in another's place.
        ([], ARRIVED._replace(missing=1)),
        ([], ARRIVED._replace(left=1)),
        ([], ARRIVED._replace(violations=1)),
    ],
)
def test_a_burst_fails_where_an_event_is_not_acknowledged_or_not_delivered(
    answers: list[Answer], delivered: Delivered
) -> None:
    assert len([*problems(answers, delivered)]) == 1
    assert not [*problems([Answer("/webhooks/stripe", 200, 0.1)], ARRIVED)]


def test_the_empty_function_in_the_burst_benchmark_has_the_layers_of_receive() -> None:
    """The emulator unpacks the layers for each environment: without them a slow start looked like receive's own."""
    stack = MagicMock()
    layers = [{"Arn": "dependencies:1"}, {"Arn": "package:1"}]
    stack.clients.functions.get_function_configuration.return_value = {"Role": "r", "MemorySize": 512, "Layers": layers}
    _add_empty_function(stack)
    made = stack.clients.functions.create_function.call_args.kwargs
    assert (made["Layers"], made["MemorySize"]) == (["dependencies:1", "package:1"], 512)


def test_the_counting_table_keeps_the_claims_of_persons() -> None:
    """It took each thing that is added for a set, so a batch that claimed a person failed and the bench with it."""
    client: Any = CountingTable()
    store = DynamoStore(client, "state")
    for version in range(3):
        person = Person(guests={"pi_1": {"usd": version}}, version=version)
        assert store.claim({"own:live:1": person}, "delivery", 17) == {}
        assert store.persons(["own:live:1"])["own:live:1"].version == version + 1
    store.tie([("own:live:1", "own:live:cus_1")])
    assert store.tie([("own:live:1", "own:live:cus_2")])["own:live:1"].records == {"own:live:cus_1", "own:live:cus_2"}


def test_no_two_events_of_a_benchs_batch_are_of_one_user() -> None:
    """Their customers were many and their users five, so the bench measured what customers who share a user cost."""
    events = [parse_event(text) for text in event_texts(0, 200)]
    users = [user for event in events if (user := stated_by(event, Settings(), None).user_id)]
    assert len(users) > 50
    assert len({*users}) == len(users)
