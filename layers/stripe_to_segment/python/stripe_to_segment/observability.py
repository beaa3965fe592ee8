"""The one logger and the one set of metrics; nobody else makes any.

Logs carry ids, types, counts and reasons, never a body, a header or a trait.
"""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

__all__ = ["count", "logger", "measure", "metrics"]

# Every line is paid for: the place in the code, which the message tells as well, is left out.
logger = Logger(location=None)
metrics = Metrics()


def count(name: str, value: int = 1) -> None:
    """Add to a counter, written as EMF when the handler returns."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure(name: str, seconds: float) -> None:
    """Note a duration."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=seconds)
