"""The logger and the metrics of all functions; no other module creates any.

Logs carry ids, types, counts and reasons, never a body, a header or a trait.
"""

from __future__ import annotations

import json
import logging
import os
from functools import partial, wraps
from itertools import batched
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from stripe_to_segment.errors import StripeToSegmentError, UnexpectedError, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stripe_to_segment.stripe_side.event import EventHead

__all__ = ["about", "count", "hold_back_libraries", "logger", "measure", "metrics", "observed", "set_level"]

# The most characters of an id or a type in a log line: Stripe's have 255 at most.
LONGEST = 256
# The most values of a metric in one line of EMF; at the last of them `add_metric` writes the line.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
VALUES = 100
# A level below that of every handler, so that no handler writes the record.
SUPPRESSED = -1

logger = Logger(
    # CloudWatch charges for every line. The place in the code is left out, because the message says it as well, and so
    # is the trace: X-Ray traces few invocations, and the event ids already identify them.
    location=None,
    xray_trace_id=None,
    # Messages are plain text; by default Powertools would try to parse each as JSON.
    json_deserializer=str,
    # ASCII only: a control character or a line separator in an id must not forge a line, nor reach a terminal.
    json_serializer=partial(json.dumps, default=str, separators=(",", ":")),
    # RFC 3339. Lambda treats a line with any other timestamp as one of level INFO, whatever level it names.
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    datefmt="%Y-%m-%dT%H:%M:%S.%FZ",
    utc=True,
)
# The name of the log group already names the function.
logger.remove_keys(["service"])
# No line shows these, so Python need not collect them: https://docs.python.org/3/howto/logging.html#optimization
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
metrics = Metrics()


def set_level(name: str) -> None:
    """Set the level of the package's logger.

    Powertools gives precedence to Lambda's own level, which must stay at INFO or Lambda would drop the metrics.
    https://docs.aws.amazon.com/powertools/python/latest/core/logger/#aws-lambda-advanced-logging-controls-alc
    """
    logging.getLogger(logger.name).setLevel(logging.getLevelNamesMapping().get(name.upper(), logging.INFO))


def hold_back_libraries(code: str) -> None:
    """Suppress log records of libraries below WARNING, whatever levels Lambda or a team sets.

    Below it, libraries log their requests and responses, with secrets and customers' data. The records are suppressed
    where they are created, so that neither the level of a logger nor a handler that a team adds brings them back. This
    package's logger and a team's own code are not affected.

    Parameters
    ----------
    code
        The function's own folder, /var/task. Libraries are elsewhere: in the layers and in Lambda's Python.
    """
    make, ours, folder = logging.getLogRecordFactory(), logger.name, code.rstrip(os.sep) + os.sep

    def made(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if record.levelno < logging.WARNING and record.name != ours and not record.pathname.startswith(folder):
            record.levelno = SUPPRESSED
        return record

    logging.setLogRecordFactory(made)
    # AWS's runtime client may have set DEBUG; Python would then create all of these records only to drop them.
    logging.getLogger().setLevel(max(logger.log_level, logging.INFO))


def observed[**P, T](handler: Callable[P, T]) -> Callable[P, T]:
    """Wrap a handler: write its metrics when it ends, and reduce its errors to their kind and place.

    Lambda logs the text of an error that leaves a handler, and the texts of libraries quote their input: botocore a
    parameter, `int` a string, `requests` an address.
    """

    @wraps(handler)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return handler(*args, **kwargs)
        except StripeToSegmentError:
            # An error of this package: its text holds no personal data.
            raise
        except BaseException as error:  # noqa: BLE001 - also SystemExit, whose text Python prints: a team's own, say
            raise UnexpectedError(code_of(error)).with_traceback(error.__traceback__) from None
        finally:
            # Not with Powertools' decorator, which warns after every invocation that counted nothing.
            if metrics.metric_set:
                metrics.flush_metrics()

    return call


def about(event: EventHead) -> dict[str, object]:
    """The fields of a log line that identify an event; that it is of the live mode goes without saying."""
    return {
        "event_id": event.id[:LONGEST],
        "event_type": event.type[:LONGEST],
        "livemode": None if event.livemode else False,
        "account": event.account and event.account[:LONGEST],
    }


def count(name: str, value: int = 1) -> None:
    """Add to a counter, written as EMF when the handler returns."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure(name: str, seconds: Iterable[float]) -> None:
    """Record durations, to a tenth of a second. Call it once for each name in an invocation."""
    for some in batched((round(each, 1) for each in seconds), VALUES, strict=False):
        *others, last = some
        # Set directly: `add_metric` would log all values so far at each one, for debugging.
        metrics.metric_set[name] = {"Value": others}
        metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=last)


set_level(os.environ.get("POWERTOOLS_LOG_LEVEL", ""))
# Outside of Lambda, on a developer's machine, the log stays silent unless a program configures it.
if task_root := os.environ.get("LAMBDA_TASK_ROOT"):
    hold_back_libraries(task_root)
