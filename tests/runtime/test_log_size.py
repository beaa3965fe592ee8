"""Every byte that is logged is paid for: what the built functions write in Lambda's environment for an event."""

from __future__ import annotations

import json
from itertools import batched

import pytest

from benchmarks.cost import LOG_BYTES
from stripe_to_segment_tools.samples.files import samples
from tests.runtime.marked_world import World

pytestmark = [pytest.mark.built, pytest.mark.emulator]

NAMES = [each.name for each in samples()]


def own_lines(log: str) -> list[str]:
    """What the function wrote; the emulator's lines are no JSON, and Lambda's own are switched off."""
    return [line for line in log.splitlines(keepends=True) if line.startswith("{")]


@pytest.mark.parametrize("batch", [10, 60])
def test_an_event_costs_few_bytes_of_log(batch: int) -> None:
    # One after the other: there is one imitation of AWS in a process.
    with World("receive", "INFO") as door:
        for event in door.happened(*NAMES):
            door.invoke(door.request(json.dumps(event).encode()))
    with World("deliver", "INFO") as behind:
        for events in batched(behind.happened(*NAMES), batch, strict=False):
            assert behind.deliver(*events)[0].answer == {"batchItemFailures": []}
    lines = [*own_lines(door.runtime.log), *own_lines(behind.runtime.log)]
    assert len(lines) >= 2 * len(NAMES), "each event has a line in each function"
    assert sum(map(len, lines)) / len(NAMES) <= LOG_BYTES
