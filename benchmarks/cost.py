"""US dollars per million events, from what `make bench` measured and AWS's public price list, into docs/cost.md.

`make bench` calls it; `python -m benchmarks.cost` writes the page anew from the last run's figures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import between_marks, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measured import Measured

__all__ = ["TARGET", "costs", "write_cost"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/cost.md"
FIGURES = ROOT / ".local/bench/cost.json"

TARGET = 3.50
YARDSTICK_SECONDS = 360e-6
MILLION = 1_000_000

# us-east-1, on demand, first tier, without free tiers, from aws.amazon.com/<service>/pricing.
# They change: look there before relying on a cent.
PRICES_AS_OF = "2025"
HTTP_API_REQUEST = 1.00 / MILLION  # api-gateway: HTTP APIs, in steps of 512 KB
LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000133334  # lambda: Arm
SQS_REQUEST = 0.40 / MILLION  # sqs: standard queues, in steps of 64 KB
DYNAMODB_WRITE_UNIT = 0.625 / MILLION  # dynamodb: on demand, 1 KB
DYNAMODB_READ_UNIT = 0.125 / MILLION  # dynamodb: on demand, 4 KB, strongly consistent
LOGS_GB = 0.50  # cloudwatch: logs, standard class, ingestion
EVENTBRIDGE_EVENT = 1.00 / MILLION  # eventbridge: partner events, in steps of 64 KB
TRANSFER_GB = 0.09  # ec2: data transfer out to the internet
XRAY_TRACE = 5.00 / MILLION  # xray: traces recorded
GB = 10**9

# A function of 1,769 MB has one processor, others in proportion.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
ONE_PROCESSOR_MB = 1_769
MEMORY_MB = 512

# Waiting is not measured here, so it is assumed, generously: Lambda bills it too.
SQS_SECONDS, DYNAMODB_SECONDS, SEGMENT_SECONDS = 0.010, 0.010, 0.150
WRITES_AT_A_TIME = 8
# What the API writes to its access log for a request; CloudWatch adds 26 bytes to every line. Lambda's own lines are
# switched off in template.yaml (SystemLogLevel).
ACCESS_LINE_BYTES, LINE_OVERHEAD = 420, 26
# Bytes to Segment for an event, with headers and TLS.
SENT_BYTES = 1_600
SQS_ENTRIES = 10
# X-Ray's default rule: the first request of each second and 5% of the others; the share with steady busy traffic.
SAMPLED = 0.05
XRAY = "X-Ray, sampled"


@dataclass(frozen=True, slots=True)
class Load:
    """Traffic by how many events an invocation of deliver gets."""

    name: str
    batch: int


LOADS = (Load("trickle, 2 to a batch", 2), Load("usual, 10 to a batch", 10), Load("burst, 100 to a batch", 100))


def costs(figures: dict[str, float], load: Load, *, direct: bool) -> dict[str, float]:
    """Dollars per million events by service."""
    share = MEMORY_MB / ONE_PROCESSOR_MB
    gigabytes = MEMORY_MB / 1024
    batch = load.batch
    received = (figures["door"] + figures["sqs"]) / share + SQS_SECONDS
    writes = max(figures["dynamodb"] / share, DYNAMODB_SECONDS / WRITES_AT_A_TIME)
    delivered = figures["deliver"] / share + writes + (SEGMENT_SECONDS + DYNAMODB_SECONDS) / batch
    fetched = 1 / min(batch, SQS_ENTRIES)
    logged = figures["log deliver"] + (1 + 2 / batch) * LINE_OVERHEAD
    way_in = {"EventBridge": EVENTBRIDGE_EVENT}
    if direct:
        way_in = {
            "HTTP API": HTTP_API_REQUEST,
            "Lambda, receive": LAMBDA_REQUEST + received * gigabytes * LAMBDA_GB_SECOND,
        }
        logged += figures["log receive"] + ACCESS_LINE_BYTES + 3 * LINE_OVERHEAD
    return {
        name: dollars * MILLION
        for name, dollars in {
            **way_in,
            # Sent one by one, fetched and deleted together.
            "SQS": SQS_REQUEST * (1 + 2 * fetched),
            "Lambda, deliver": LAMBDA_REQUEST / batch + delivered * gigabytes * LAMBDA_GB_SECOND,
            "DynamoDB": figures["write units"] * DYNAMODB_WRITE_UNIT + figures["keys read"] * DYNAMODB_READ_UNIT,
            "CloudWatch Logs": logged / GB * LOGS_GB,
            "Data transfer": SENT_BYTES / GB * TRANSFER_GB,
            XRAY: SAMPLED * XRAY_TRACE * ((1 if direct else 0) + 1 / batch),
        }.items()
    }


def write_cost(cold: dict[str, Measured], warm: dict[str, Measured], found: dict[str, Any]) -> None:
    """Keep the figures that matter here and write the page."""
    # As on the yardstick's machine, so that a busy machine does not make Lambda dearer.
    scale = YARDSTICK_SECONDS / warm["yardstick"].median
    figures = {
        **{name: warm[name].median * scale for name in ("door", "sqs", "deliver", "dynamodb")},
        "init receive": cold["receive, ready to answer"].median * scale,
        "write units": found["write units"] / 100,
        "keys read": found["keys read"] / 100,
        "log deliver": found["log bytes deliver"],
        "log receive": found["log bytes receive"],
    }
    FIGURES.write_text(json.dumps(figures), "utf-8")
    write_page(figures)


def write_page(figures: dict[str, float]) -> None:
    """The tables in docs/cost.md."""
    text = "\n\n".join(
        [
            f"Of {datetime.now(UTC):%Y-%m-%d}, by `benchmarks/cost.py`. Prices: us-east-1, as of {PRICES_AS_OF}.",
            "### Stripe → HTTP API (direct)",
            _table(figures, direct=True),
            "### Stripe → EventBridge",
            _table(figures, direct=False),
            "### Memory",
            table(
                (
                    "memory",
                    "receive, billed ms",
                    "deliver, billed ms an event",
                    "cold start, s",
                    "US$ of both per million",
                ),
                _memory_rows(figures),
            ),
        ]
    )
    PAGE.write_text(between_marks(PAGE.read_text("utf-8"), text), "utf-8")


def _table(figures: dict[str, float], *, direct: bool) -> str:
    columns = [costs(figures, load, direct=direct) for load in LOADS]
    rows = [(name, *(f"{column[name]:.2f}" for column in columns)) for name in columns[0]]
    totals = [sum(column.values()) for column in columns]
    untraced = [total - column[XRAY] for total, column in zip(totals, columns, strict=True)]
    return table(
        ("US$ per million events", *(load.name for load in LOADS)),
        [*rows, ("**total**", *map(_judged, totals)), ("total without X-Ray", *map(_judged, untraced))],
    )


def _judged(dollars: float) -> str:
    return f"**{dollars:.2f}**" if dollars < TARGET else f"{dollars:.2f}"


def _memory_rows(figures: dict[str, float]) -> Iterator[tuple[str, ...]]:
    for memory in (128, 256, 512, 1_024, 1_769):
        share = memory / ONE_PROCESSOR_MB
        received = (figures["door"] + figures["sqs"]) / share + SQS_SECONDS
        delivered = figures["deliver"] / share + max(figures["dynamodb"] / share, DYNAMODB_SECONDS / WRITES_AT_A_TIME)
        delivered += (SEGMENT_SECONDS + DYNAMODB_SECONDS) / 10
        dollars = (received + delivered) * memory / 1024 * LAMBDA_GB_SECOND * MILLION
        yield (
            f"{memory:,} MB",
            f"{received * 1e3:.1f}",
            f"{delivered * 1e3:.1f}",
            # The start has the speed of one processor whatever the memory; what the first request makes has not.
            f"{figures['init receive']:.2f}",
            f"{dollars:.2f}",
        )


if __name__ == "__main__":
    write_page(json.loads(FIGURES.read_text("utf-8")))
