"""US dollars per million events and by the month, from what `make bench` measured and AWS's prices, into docs/cost.md.

`make bench` calls it; `python -m benchmarks.cost` writes the page anew from the last run's figures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pages import between_marks, table
from benchmarks.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measured import Measured

__all__ = ["DELIVER_MB", "LOG_BYTES", "RECEIVE_MB", "TARGETS", "costs", "write_cost"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/cost.md"
FIGURES = ROOT / ".local/bench/cost.json"

# What a million events may cost, by the way in; True is the one without EventBridge.
TARGETS = {True: 3.40, False: 2.70}
# What both functions may write for an event, where traffic fills batches.
LOG_BYTES = 700
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
SECRET_MONTH, SECRET_READ = 0.40, 0.05 / 10_000  # secrets-manager
ALARM_MONTH, METRIC_MONTH = 0.10, 0.30  # cloudwatch: standard resolution; a metric in each hour in which it is written
KEY_MONTH = 1.00  # kms
GB = 10**9
MONTH_SECONDS = 30 * 86_400

# A function of 1,769 MB has one processor, others in proportion.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
ONE_PROCESSOR_MB = 1_769
# The template's defaults, and the alarms that every stack has; a test compares.
RECEIVE_MB, DELIVER_MB = 512, 256
ALARMS = 15
# Those of docs/operations.md that are written while nothing is wrong.
METRICS = 14
# Lambda asks an idle queue from five places, and each waits twenty seconds for an answer.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLERS, POLL_SECONDS = 5, 20
# That of the events, and that of imports.
QUEUES = 2
# secrets.py fetches its secret as often, in each environment of a function; in quiet times each function has one.
SECRET_SECONDS, ENVIRONMENTS = 300, 2

# Waiting is not measured here, so it is assumed, generously: Lambda bills it too.
SQS_SECONDS, DYNAMODB_SECONDS, SEGMENT_SECONDS = 0.010, 0.010, 0.150
WRITES_AT_A_TIME = 8
# What the API writes to its access log for a request; CloudWatch adds 26 bytes to every line. Lambda's own lines are
# switched off in template.yaml (SystemLogLevel).
ACCESS_LINE_BYTES, LINE_OVERHEAD = 170, 26
# TLS and TCP around the bytes that are counted at the receiver, and the API's answer to Stripe with its headers.
TRANSFER_OVERHEAD, ANSWER_BYTES = 1.1, 250
# SQS deletes as many at once.
SQS_ENTRIES = 10
# X-Ray's rule, in Lambda a fixed one: one request a second, and of the others a twentieth.
TRACED_A_SECOND, TRACED_OF_OTHERS = 1.0, 0.05
XRAY = "X-Ray, only with `Tracing=Active`"


@dataclass(frozen=True, slots=True)
class Load:
    """Steady traffic: how many events there are in a second, an invocation of deliver, and an answer of the queue.

    Long polling answers as soon as something is there, so the queue gives few at a time until some wait.
    """

    name: str
    rate: float
    batch: int
    fetched: int

    def traced(self, invocations: float) -> float:
        """How many of so many invocations in a second X-Ray traces, for each event."""
        others = max(invocations - TRACED_A_SECOND, 0)
        return (min(invocations, TRACED_A_SECOND) + others * TRACED_OF_OTHERS) / self.rate


LOADS = (
    Load("0.4 a second, 2 to a batch", 0.4, 2, 1),
    Load("2 a second, 10 to a batch", 2, 10, 2),
    Load("100 a second, 100 to a batch", 100, 100, 10),
)


def costs(figures: dict[str, Any], load: Load, *, direct: bool) -> dict[str, float]:
    """Dollars per million events by service."""
    asked, batch = figures["loads"][str(load.batch)], load.batch
    logged = asked["log deliver"] + asked["lines deliver"] * LINE_OVERHEAD
    traced = load.traced(load.rate / batch)
    way_in, answered = {"EventBridge": EVENTBRIDGE_EVENT}, 0
    if direct:
        way_in = {
            "HTTP API": HTTP_API_REQUEST,
            "Lambda, receive": LAMBDA_REQUEST + _lambda(receive_seconds(figures, RECEIVE_MB), RECEIVE_MB),
        }
        logged += asked["log receive"] + asked["lines receive"] * LINE_OVERHEAD + ACCESS_LINE_BYTES + LINE_OVERHEAD
        traced += load.traced(load.rate)
        answered = ANSWER_BYTES
    return {
        name: dollars * MILLION
        for name, dollars in {
            **way_in,
            # Sent one by one, fetched as they come, deleted together.
            "SQS": SQS_REQUEST * (1 + 1 / load.fetched + 1 / min(batch, SQS_ENTRIES)),
            "Lambda, deliver": LAMBDA_REQUEST / batch + _lambda(deliver_seconds(figures, DELIVER_MB, load), DELIVER_MB),
            "DynamoDB": asked["written"] * DYNAMODB_WRITE_UNIT + asked["read"] * DYNAMODB_READ_UNIT,
            "CloudWatch Logs": logged / GB * LOGS_GB,
            "Data transfer": (asked["sent"] + answered) * TRANSFER_OVERHEAD / GB * TRANSFER_GB,
            XRAY: traced * XRAY_TRACE,
        }.items()
    }


def receive_seconds(figures: dict[str, Any], megabytes: int) -> float:
    """What Lambda bills for a request: the handler and its call at this share of a processor, and waiting for SQS."""
    return float(figures["door"] + figures["sqs"]) * ONE_PROCESSOR_MB / megabytes + SQS_SECONDS


def deliver_seconds(figures: dict[str, Any], megabytes: int, load: Load) -> float:
    """The same for an event of a batch; its records are written while others wait, the rest is shared."""
    share, asked = megabytes / ONE_PROCESSOR_MB, figures["loads"][str(load.batch)]
    call = figures["dynamodb"] / share
    write = max(call, DYNAMODB_SECONDS / WRITES_AT_A_TIME) * asked["writes"]
    read = max(call, DYNAMODB_SECONDS) * asked["requests"]
    return float(figures["deliver"] / share + write + read + SEGMENT_SECONDS / load.batch)


def _lambda(seconds: float, megabytes: int) -> float:
    return seconds * megabytes / 1024 * LAMBDA_GB_SECOND


def cost_targets(figures: dict[str, Any]) -> list[Target]:
    """What a million events may cost, both ways in, and what one may write, where traffic fills batches."""
    dollars = [
        Target(f"US$ per million events, {name}, {load.name}", _total(figures, load, direct=direct), TARGETS[direct])
        for name, direct in (("direct", True), ("EventBridge", False))
        for load in LOADS[1:]
    ]
    return [
        *dollars,
        *(Target(f"bytes of log an event, {load.name}", _logged(figures, load), LOG_BYTES) for load in LOADS[1:]),
    ]


def _logged(figures: dict[str, Any], load: Load) -> float:
    """What receive and deliver write for an event, in bytes."""
    asked = figures["loads"][str(load.batch)]
    return float(asked["log receive"] + asked["log deliver"])


def _total(figures: dict[str, Any], load: Load, *, direct: bool) -> float:
    found = costs(figures, load, direct=direct)
    return sum(found.values()) - found[XRAY]


def write_cost(cold: dict[str, Measured], warm: dict[str, Measured], found: dict[str, Any]) -> list[Target]:
    """Keep the figures that matter here and write the page; gives what is held against the aim."""
    # As on the yardstick's machine, so that a busy machine does not make Lambda dearer.
    scale = YARDSTICK_SECONDS / warm["yardstick"].median
    figures = {
        **{name: warm[name].median * scale for name in ("door", "sqs", "deliver", "dynamodb")},
        "clients": (cold["deliver, ready to answer"].median - cold["import deliver"].median) * scale,
        "loads": found["loads"],
    }
    FIGURES.write_text(json.dumps(figures), "utf-8")
    write_page(figures)
    return cost_targets(figures)


def write_page(figures: dict[str, Any]) -> None:
    """The tables in docs/cost.md."""
    text = "\n\n".join(
        [
            f"Of {datetime.now(UTC):%Y-%m-%d}, by `benchmarks/cost.py`. Prices: us-east-1, as of {PRICES_AS_OF}.",
            "### Stripe → HTTP API (direct)",
            _table(figures, direct=True),
            "### Stripe → EventBridge",
            _table(figures, direct=False),
            "### By the month, whatever comes",
            table(("US$ a month", "without events", "with events in every hour"), _month_rows()),
            "### Memory",
            table(MEMORY_HEAD, _memory_rows(figures)),
        ]
    )
    PAGE.write_text(between_marks(PAGE.read_text("utf-8"), text), "utf-8")


def _table(figures: dict[str, Any], *, direct: bool) -> str:
    columns = [costs(figures, load, direct=direct) for load in LOADS]
    rows = [(name, *(f"{column[name]:.2f}" for column in columns)) for name in columns[0] if name != XRAY]
    totals = [_total(figures, load, direct=direct) for load in LOADS]
    traced = [total + column[XRAY] for total, column in zip(totals, columns, strict=True)]
    return table(
        ("US$ per million events", *(load.name for load in LOADS)),
        [
            *rows,
            ("**total**", *(_judged(total, TARGETS[direct]) for total in totals)),
            (XRAY, *(f"{column[XRAY]:.2f}" for column in columns)),
            ("total with it", *(f"{total:.2f}" for total in traced)),
        ],
    )


def monthly() -> dict[str, tuple[float, float]]:
    """Dollars a month by what is paid for: in a stack to which nothing comes, and in one that always has something."""
    reads = ENVIRONMENTS * MONTH_SECONDS / SECRET_SECONDS * SECRET_READ
    polls = QUEUES * POLLERS * MONTH_SECONDS / POLL_SECONDS * SQS_REQUEST
    watch = ALARMS * ALARM_MONTH + KEY_MONTH
    return {
        "the two secrets": (2 * SECRET_MONTH, 2 * SECRET_MONTH),
        "reading them": (0, reads),
        "asking the two queues": (polls, polls),
        f"{ALARMS} alarms, and the key of their topic": (watch, watch),
        f"{METRICS} metrics": (0, METRICS * METRIC_MONTH),
    }


def _month_rows() -> Iterator[tuple[str, ...]]:
    found = monthly()
    yield from ((name, *(f"{dollars:.2f}" for dollars in both)) for name, both in found.items())
    yield "**total**", *(f"{sum(each):.2f}" for each in zip(*found.values(), strict=True))


def _judged(dollars: float, most: float) -> str:
    return f"**{dollars:.2f}**" if dollars <= most else f"{dollars:.2f}"


MEMORY_HEAD = ("memory", "receive, ms", "deliver, ms for 10", "for 100", "clients of a cold start, ms", "US$, both")


def _memory_rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    _, usual, burst = LOADS
    for memory in (128, 256, 512, 1_024, 1_769):
        received = receive_seconds(figures, memory)
        ten, hundred = (deliver_seconds(figures, memory, load) * load.batch for load in (usual, burst))
        dollars = (_lambda(received, memory) + _lambda(ten / usual.batch, memory)) * MILLION
        yield (
            f"{memory:,} MB",
            f"{received * 1e3:.1f}",
            f"{ten * 1e3:.0f}",
            f"{hundred * 1e3:.0f}",
            # The import has the speed of one processor whatever the memory; what the first request makes has not.
            f"{figures['clients'] * ONE_PROCESSOR_MB / memory * 1e3:.0f}",
            f"{dollars:.2f}",
        )


if __name__ == "__main__":
    write_page(json.loads(FIGURES.read_text("utf-8")))
