"""The figures of one run as tables, on the screen and in benchmarks/README.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.cold_start import FLOOR
from benchmarks.importing import IMPORT_HEAD, import_note, import_rows
from benchmarks.pages import README, between_marks, machine, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measured import Measured
    from benchmarks.targets import Target

__all__ = ["write_report"]

WARM_NAMES = {
    "deliver": "**deliver**, 100 events to a batch",
    "queue": "segment-analytics-python 2.4.0, queue and flush in the handler",
    "sync": "segment-analytics-python 2.4.0, sync mode",
    "naive": "naive handler: construct_event, one call in sync mode",
    "mapped": "of deliver: parse, identity, map, pack (each event alone)",
    "door": "**receive**, an event of over 10 KB, beyond the SQS call",
    "json": "of that, what is inevitable: json.loads and json.dumps of the event",
    "sqs": "for comparison: one SendMessage through boto3",
    "dynamodb": "for comparison: one PutItem through boto3",
    "yardstick": "yardstick: one fixed `track` in sync mode",
}


def write_report(  # noqa: PLR0913, PLR0917 - every part of one run
    cold: dict[str, Measured],
    warm: dict[str, Measured],
    found: dict[str, Any],
    growth: dict[int, dict[str, float]],
    memory: dict[str, dict[str, float]],
    imported: dict[str, Any],
    targets: list[Target],
    seconds: float,
) -> None:
    """Print the tables and put them into the README."""
    text = "\n\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}, {machine()}. The run took {seconds:.0f} s.",
            "### Targets",
            table(("target", "found", "limit", "met"), _target_rows(targets)),
            "### Cold start: import in a fresh process",
            table(("subject", "ratio to the floor", "processor ms here", "spread"), _cold_rows(cold)),
            "### Warm: processor time for an event",
            table(("subject", "ratio to the yardstick", "processor µs here", "spread"), _warm_rows(warm)),
            _one_batch(warm, found),
            "### Growth: deliver, batches of 100",
            table(("events", "ratio to json", "processor µs an event here", "peak memory, MB"), _growth_rows(growth)),
            "### Memory: one invocation after a cold start, in AWS's runtime",
            table(("invocation", "peak memory, MB", "processor ms here, the start included"), _memory_rows(memory)),
            "### Import: the command and the function at the level `state`",
            table(IMPORT_HEAD, import_rows(imported)),
            import_note(imported),
        ]
    )
    print(text)
    README.write_text(between_marks(README.read_text("utf-8"), text), "utf-8")


def _one_batch(warm: dict[str, Measured], found: dict[str, Any]) -> str:
    segment = f"One batch of 100 events of 100 customers: {found['https requests']} HTTPS request"
    reads = f"{found['reads']} DynamoDB reads ({found['keys read']} keys)"
    written = f"{found['writes']} conditional writes, {found['receipts']} receipt"
    writes = f"{written} and, once for each customer, {found['ties']} ties to users ({found['write units']} units)"
    pace = f"With waiting for the receiver, deliver passed {1 / warm['deliver wall'].median:,.0f} events a second"
    return f"{segment}, {reads}, {writes}. {pace}."


def _target_rows(targets: list[Target]) -> Iterator[tuple[str, ...]]:
    for target in targets:
        name = f"{target.name} ({target.note})" if target.note else target.name
        yield name, f"{target.found:.2f}", f"≤ {target.most:.3g}", "yes" if target.met else "**no**"


def _cold_rows(cold: dict[str, Measured]) -> Iterator[tuple[str, ...]]:
    for name, each in sorted(cold.items(), key=lambda entry: entry[1].over(cold[FLOOR])):
        yield name, f"{each.over(cold[FLOOR]):.2f}", f"{each.median * 1e3:.0f}", f"±{each.spread:.0%}"


def _warm_rows(warm: dict[str, Measured]) -> Iterator[tuple[str, ...]]:
    for key, name in WARM_NAMES.items():
        each = warm[key]
        yield name, f"{each.over(warm['yardstick']):.2f}", f"{each.median * 1e6:.0f}", f"±{each.spread:.0%}"


def _memory_rows(memory: dict[str, dict[str, float]]) -> Iterator[tuple[str, ...]]:
    for name, each in memory.items():
        yield name, f"{each['megabytes']:.0f}", f"{each['seconds'] * 1e3:.0f}"


def _growth_rows(growth: dict[int, dict[str, float]]) -> Iterator[tuple[str, ...]]:
    for size, each in growth.items():
        yield f"{size:,}", f"{each['ratio']:.1f}", f"{each['seconds'] * 1e6:.0f}", f"{each['peak'] / 1e6:.0f}"
