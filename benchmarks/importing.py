"""The import of a large business: `python -m benchmarks.importing` prints what it takes.

The command's own code reads an imitation of Stripe's lists through the real client; the records that it queues are
delivered by the deliver function, in batches of 100.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cost import (
    DELIVER_MB,
    DYNAMODB_READ_UNIT,
    DYNAMODB_SECONDS,
    DYNAMODB_WRITE_UNIT,
    GB,
    LAMBDA_GB_SECOND,
    LAMBDA_REQUEST,
    LOGS_GB,
    ONE_PROCESSOR_MB,
    SQS_ENTRIES,
    SQS_REQUEST,
    WRITES_AT_A_TIME,
)
from benchmarks.pages import table
from benchmarks.targets import Target, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["IMPORT_HEAD", "import_note", "import_rows", "import_targets", "measured"]

ROOT = Path(__file__).resolve().parents[1]
SIZES = (1_000, 10_000)
# 100,000 customers and subscriptions, 1,000,000 invoices, and the 1,000,000 payments of these, which Stripe lists too.
FULL = 100_000
SIZE = f"{FULL:,} customers and subscriptions, {10 * FULL:,} invoices and payments"
BATCH = 100
# The template's ImportConcurrency by default, and what docs/import.md recommends for a business of the FULL size.
USUAL, RECOMMENDED = 2, 5
# The command sees an empty queue three times, ten seconds apart, before a step begins; a batch may wait to fill up.
STEP_SECONDS = 35
MOST_SECONDS, MOST_DOLLARS, MOST_GROWTH = 3_600, 8.0, 1.3


def measured(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """What an import of the level `state` takes, in processes of its own.

    `sizes` gives what the command takes for so many customers each, `record` what the function takes for a record: that
    does not depend on how many customers there are, so it delivers those of the first size alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        spools = [Path(folder) / str(size) for size in sizes]
        # The first in the environment that has the command line, the second in the benchmarks' own.
        listed = [
            {"customers": size, **_part(".venv", "import_listing", str(size), str(spool))}
            for size, spool in zip(sizes, spools, strict=True)
        ]
        return {"sizes": listed, "record": _part(".tools/bench", "import_delivery", str(spools[0]))}


def _part(place: str, module: str, *arguments: str) -> dict[str, Any]:
    command = [str(ROOT / place / "bin/python"), "-m", f"benchmarks.{module}", *arguments]
    sources = (ROOT, ROOT / "tools", ROOT / "layers/stripe_to_segment/python")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources)), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def record_seconds(record: dict[str, Any]) -> float:
    """What Lambda bills for a record of a full batch, in which nothing is sent to Segment."""
    share = DELIVER_MB / ONE_PROCESSOR_MB
    call = record["write processor"] / share
    write = max(call, DYNAMODB_SECONDS / WRITES_AT_A_TIME) * record["writes"]
    read = max(call, DYNAMODB_SECONDS) * record["requests"]
    return float(record["processor"] / share + write + read)


def full_seconds(listed: dict[str, Any], record: dict[str, Any], concurrent: int = RECOMMENDED) -> float:
    """The duration of an import of the FULL size: of each step the slower of listing and delivering.

    `concurrent` is ImportConcurrency.
    """
    times, each = FULL / listed["customers"], record_seconds(record) / concurrent
    steps = (max(step["listing"] * times, step["records"] * times * each) for step in listed["steps"])
    return float(sum(steps)) + STEP_SECONDS * len(listed["steps"])


def full_dollars(listed: dict[str, Any], record: dict[str, Any]) -> float:
    """What AWS bills for it."""
    chunks = listed["chunks"] / listed["records"]
    # Sent, fetched and deleted ten at a time.
    sqs = SQS_REQUEST * (2 * chunks + 1 / SQS_ENTRIES)
    function = LAMBDA_REQUEST / BATCH + record_seconds(record) * DELIVER_MB / 1024 * LAMBDA_GB_SECOND
    state = record["written"] * DYNAMODB_WRITE_UNIT + record["read"] * DYNAMODB_READ_UNIT
    logs = record["log"] / GB * LOGS_GB
    return float((sqs + function + state + logs) * listed["records"] * FULL / listed["customers"])


def import_targets(found: dict[str, Any]) -> list[Target]:
    """What is held against a limit."""
    record, (small, *_, large) = found["record"], found["sizes"]
    promised = f"minutes of import with ImportConcurrency={RECOMMENDED}, {SIZE}"
    grown = f"peak memory of import, {large['customers']:,} customers / {small['customers']:,}"
    return [
        Target(grown, large["peak"] / small["peak"], MOST_GROWTH),
        Target(promised, full_seconds(large, record) / 60, MOST_SECONDS / 60),
        Target(f"US$ of import, {SIZE}", full_dollars(large, record), MOST_DOLLARS),
        Target("import: requests that Stripe's rate limit refused", large["refused"], 0),
        Target("import at the level state: requests to Segment", record["sent"], 0),
    ]


def import_rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each size, and one for the full size."""
    record = found["record"]
    for each in found["sizes"]:
        listing = sum(step["listing"] for step in each["steps"])
        counts = [f"{each[name]:,}" for name in ("objects", "requests", "records")]
        yield f"{each['customers']:,}", *counts, f"{listing / 60:.1f}", f"{each['peak'] / 1e6:.0f}", "", "", ""
    last, times = found["sizes"][-1], FULL / found["sizes"][-1]["customers"]
    listing = sum(step["listing"] for step in last["steps"]) * times
    counts = [f"{last[name] * times:,.0f}" for name in ("objects", "requests", "records")]
    minutes = (f"{full_seconds(last, record, each) / 60:.0f}" for each in (USUAL, RECOMMENDED))
    totals = *minutes, f"{full_dollars(last, record):.2f}"
    yield f"{FULL:,}, extrapolated", *counts, f"{listing / 60:.0f}", "", *totals


def import_note(found: dict[str, Any]) -> str:
    """What a record takes, in words."""
    record = found["record"]
    return (
        f"A record takes {record_seconds(record) * 1e3:.1f} ms of the function, {record['writes']:.1f} writes and "
        f"{record['written']:.1f} written units of DynamoDB. `ImportConcurrency` is {USUAL} by default."
    )


IMPORT_HEAD = (
    "customers",
    "objects",
    "requests to Stripe",
    "records",
    "minutes of listing",
    "peak memory, MB",
    f"minutes in all with ImportConcurrency={USUAL}",
    f"with {RECOMMENDED}",
    "US$",
)


def main(arguments: list[str]) -> int:
    """Print the table and the targets; 1 where one is missed."""
    found = measured([*map(int, arguments)] or SIZES)
    targets = import_targets(found)
    print(table(IMPORT_HEAD, import_rows(found)), import_note(found), sep="\n\n")
    print(*(f"{target.found:10.2f} ≤ {target.most:<8g} {target.name}" for target in targets), sep="\n")
    return exit_status(targets)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
