"""The one logger and the one set of metrics; nobody else makes any.

Logs carry ids, types, counts and reasons, never a body, a header or a trait.
"""

from __future__ import annotations

import logging
from itertools import batched
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["count", "logger", "measure", "metrics"]

# Every line is paid for: the place in the code, which the message tells as well, is left out. Messages are words: each
# would be tried as JSON otherwise.
logger = Logger(location=None, json_deserializer=str)
# Nor does a line name these; https://docs.python.org/3/howto/logging.html#optimization
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
metrics = Metrics()


def count(name: str, value: int = 1) -> None:
    """Add to a counter, written as EMF when the handler returns."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure(name: str, seconds: Iterable[float]) -> None:
    """Note durations, to a tenth of a second; once for each name in an invocation."""
    for some in batched((round(each, 1) for each in seconds), VALUES, strict=False):
        *others, last = some
        # Not one by one: at each value, `add_metric` writes all of them so far into a line for debugging.
        metrics.metric_set[name] = {"Value": others}
        metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=last)


# So many values of a metric fit one line of EMF; at the last of them `add_metric` prints it.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
VALUES = 100
