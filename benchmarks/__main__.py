"""Measure everything once, write benchmarks/README.md and docs/cost.md, and fail where a target is missed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyperf

from benchmarks.cold_start import cold_starts, cold_targets, environment_beside
from benchmarks.cost import DELIVER_MB, RECEIVE_MB, write_cost
from benchmarks.importing import import_targets
from benchmarks.importing import measured as measured_import
from benchmarks.measured import Measured
from benchmarks.report import write_report
from benchmarks.start import start_targets, starts
from benchmarks.targets import Target, exit_status

ROOT = Path(__file__).resolve().parents[1]
SCRATCH = ROOT / ".local/bench"
COLD_ROUNDS, WARM_ROUNDS = 15, 25
SIZES = (10, 100, 1_000, 10_000)

# The limits are processor times on a machine where one `track` call of segment-analytics-python's sync mode, sent to a
# loopback receiver, costs 360 µs. That call is measured here beside the rest, so the limits move with the machine.
YARDSTICK_MICROSECONDS = 360.0
# Work without any I/O is held against json.loads and json.dumps of the same events instead: caches that a busy machine
# takes away slow both alike. They cost 0.061 of the yardstick where nothing else runs.
JSON_MICROSECONDS = 22.0


def main() -> int:
    """Run it all; 1 where a target is missed."""
    began = time.monotonic()
    cold = cold_starts(COLD_ROUNDS)
    start = starts(COLD_ROUNDS)
    found = _worker()
    warm = {name: Measured(name, tuple(values)) for name, values in found["values"].items()}
    growth = {size: _growth(size) for size in SIZES}
    memory = _in_development("benchmarks.memory")
    imported = measured_import()
    targets = [
        *cold_targets(cold),
        *start_targets(start),
        *_warm_targets(warm, found),
        *_growth_targets(growth),
        *_memory_targets(memory),
        *_busy_targets(_in_development("benchmarks.busy_customer")),
        *import_targets(imported),
    ]
    pyperf.BenchmarkSuite([each.benchmark for each in (*cold.values(), *start.values(), *warm.values())]).dump(
        str(SCRATCH / "results.json"), replace=True
    )
    targets += write_cost(cold, warm, found)
    write_report(cold, warm, found, growth, memory, imported, targets, seconds=time.monotonic() - began)
    return exit_status(targets)


def _warm_targets(warm: dict[str, Measured], found: dict[str, Any]) -> list[Target]:
    units = {"yardstick": YARDSTICK_MICROSECONDS, "json": JSON_MICROSECONDS}

    def within(name: str, what: str, microseconds: float, unit: str = "yardstick") -> Target:
        note = f"{microseconds:,.0f} µs where that costs {units[unit]:g} µs"
        return Target(f"{what} / {unit}", warm[name].over(warm[unit]), microseconds / units[unit], note=note)

    return [
        within("door", "receive, beyond the SQS call, an event of over 10 KB", 1_000),
        within("mapped", "parse, identity, map, pack, an event (median of the samples)", 150, "json"),
        within("deliver", "deliver, SQS record to Segment, an event (3,000 a second and core)", 1_000_000 / 3_000),
        Target("deliver / official client in sync mode", warm["deliver"].over(warm["sync"]), 1),
        Target("deliver / naive handler", warm["deliver"].over(warm["naive"]), 1),
        Target("HTTPS requests for 100 events", found["https requests"], 1),
        Target("DynamoDB reads and receipts for 100 events of 100 customers", found["reads"] + found["receipts"], 3),
        Target("DynamoDB conditional writes for each event", found["writes"] / 100, 1),
    ]


def _growth_targets(growth: dict[int, dict[str, float]]) -> list[Target]:
    first, last = growth[100], growth[10_000]
    return [
        Target("time for a batch / json beside it, second half of 10,000 events / first half", last["drift"], 1.3),
        Target("peak memory, 10,000 events / 100", last["peak"] / first["peak"], 1.15),
    ]


def _memory_targets(memory: dict[str, dict[str, float]]) -> list[Target]:
    def peak(function: str) -> float:
        return max(each["megabytes"] for name, each in memory.items() if name.startswith(function))

    return [
        Target("memory of receive at its worst / its size", peak("receive") / RECEIVE_MB, 0.5),
        Target("memory of deliver at its worst / its size", peak("deliver") / DELIVER_MB, 0.5),
    ]


def _busy_targets(busy: dict[str, dict[str, float]]) -> list[Target]:
    return [
        target
        for user, each in busy.items()
        for target in (
            Target(f"seconds until 3,000 events of one customer within 120 s are done, {user}", each["seconds"], 150),
            Target(f"receives of each of them, {user}", each["receives"], 3),
        )
    ]


def _in_development(module: str) -> dict[str, dict[str, float]]:
    # In the environment that has the simulations, and what drives AWS's runtime interface emulator.
    command = [str(ROOT / ".venv/bin/python"), "-m", module]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def _worker() -> dict[str, Any]:
    result = SCRATCH / "warm.json"
    # Its log is thrown away by the operating system, as Lambda's would be taken by CloudWatch.
    _python("benchmarks.worker", str(result), str(WARM_ROUNDS), output=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    return found


def _growth(events: int) -> dict[str, float]:
    found: dict[str, float] = json.loads(_python("benchmarks.growth", str(events), output=subprocess.PIPE))
    return found


def _python(module: str, *arguments: str, output: int) -> str:
    command = [sys.executable, "-m", module, *arguments]
    # A function's environment from the start: Powertools reads it when it is imported.
    environment = {**os.environ, **environment_beside("DeliverFunction"), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, check=True, stdout=output, text=True, env=environment)
    return done.stdout or ""


if __name__ == "__main__":
    raise SystemExit(main())
