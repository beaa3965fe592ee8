"""Each logged byte costs money: the number of bytes that the built functions log for an event."""

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
    """The function's own lines, which are JSON; the emulator's are not, and Lambda's are switched off."""
    return [line for line in log.splitlines(keepends=True) if line.startswith("{")]


@pytest.mark.parametrize("batch", [10, 60])
def test_an_event_costs_few_bytes_of_log(batch: int) -> None:
    # One after the other, because a process can have only one stand-in for AWS.
    with World("receive", "INFO") as receive:
        for event in receive.happened(*NAMES):
            receive.invoke(receive.request(json.dumps(event).encode()))
    with World("deliver", "INFO") as deliver:
        for events in batched(deliver.happened(*NAMES), batch, strict=False):
            assert deliver.deliver(*events)[0].answer == {"batchItemFailures": []}
    lines = [*own_lines(receive.runtime.log), *own_lines(deliver.runtime.log)]
    assert len(lines) >= 2 * len(NAMES), "each event has a line in each function"
    assert sum(map(len, lines)) / len(NAMES) <= LOG_BYTES
