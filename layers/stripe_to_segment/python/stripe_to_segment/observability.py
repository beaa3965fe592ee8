"""The one logger and the one set of metrics; nobody else makes any.

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

    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["about", "count", "hold_back_libraries", "logger", "measure", "metrics", "observed", "set_level"]

# So many characters of an id or a type are enough: Stripe's have 255 at most.
LONGEST = 256
# So many values of a metric fit one line of EMF; at the last of them `add_metric` prints it.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
VALUES = 100
# Lower than any handler's level, so that no handler takes the record.
UNHEARD = -1

logger = Logger(
    # Every line is paid for. Left out are the place in the code, which the message tells as well, and the trace: X-Ray
    # traces one invocation in many, while event ids name what an invocation was about.
    location=None,
    xray_trace_id=None,
    # Messages are words: each would be tried as JSON otherwise.
    json_deserializer=str,
    # ASCII only: a control character or a line separator in an id must not forge a line, nor reach a terminal.
    json_serializer=partial(json.dumps, default=str, separators=(",", ":")),
    # As RFC 3339 asks for. Lambda takes a line with another timestamp for one of level INFO, whatever level it names.
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    datefmt="%Y-%m-%dT%H:%M:%S.%FZ",
    utc=True,
)
# The log group has the function's name already.
logger.remove_keys(["service"])
# Nor does a line name these; https://docs.python.org/3/howto/logging.html#optimization
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
metrics = Metrics()


def set_level(name: str) -> None:
    """Log from the level of this name on.

    Powertools takes Lambda's own level first, which must stay at INFO for the sake of metrics.
    https://docs.aws.amazon.com/powertools/python/latest/core/logger/#aws-lambda-advanced-logging-controls-alc
    """
    logging.getLogger(logger.name).setLevel(logging.getLevelNamesMapping().get(name.upper(), logging.INFO))


def hold_back_libraries(code: str) -> None:
    """Let no library log anything below WARNING, whoever sets whichever level.

    Below it, libraries log what they send and receive: secrets and customers' data. They are held back where records
    are made, so that neither a logger's level nor a handler that a team adds brings them back. This package's logger
    and a team's own code are left alone.

    Parameters
    ----------
    code
        The function's own folder, /var/task. Libraries come from elsewhere: the layers and Lambda's Python.
    """
    make, ours, folder = logging.getLogRecordFactory(), logger.name, code.rstrip(os.sep) + os.sep

    def made(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if record.levelno < logging.WARNING and record.name != ours and not record.pathname.startswith(folder):
            record.levelno = UNHEARD
        return record

    logging.setLogRecordFactory(made)
    # Where AWS's runtime client set it to DEBUG, all of these records would be made, to be thrown away.
    logging.getLogger().setLevel(max(logger.log_level, logging.INFO))


def observed[**P, T](handler: Callable[P, T]) -> Callable[P, T]:
    """Wrap a handler: write its metrics when it ends, and let its errors show only their kind and place.

    Lambda logs the text of an error that leaves a handler, and that of others quotes what they were given: botocore a
    parameter, `int` a string, `requests` an address.
    """

    @wraps(handler)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return handler(*args, **kwargs)
        except StripeToSegmentError:
            # Its text is this package's own.
            raise
        except BaseException as error:  # noqa: BLE001 - also SystemExit, whose text Python prints: a team's own, say
            raise UnexpectedError(code_of(error)).with_traceback(error.__traceback__) from None
        finally:
            # Powertools' own decorator warns where nothing was counted, which is no news here.
            if metrics.metric_set:
                metrics.flush_metrics()

    return call


def about(event: StripeEvent) -> dict[str, object]:
    """The fields by which a line names an event."""
    return {
        "event_id": event.id[:LONGEST],
        "event_type": event.type[:LONGEST],
        "livemode": event.livemode,
        "account": event.account and event.account[:LONGEST],
    }


def count(name: str, value: int = 1) -> None:
    """Add to a counter, written as EMF when the handler returns."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure(name: str, seconds: Iterable[float]) -> None:
    """Record durations, to a tenth of a second; once for each name in an invocation."""
    for some in batched((round(each, 1) for each in seconds), VALUES, strict=False):
        *others, last = some
        # Not one by one: at each value, `add_metric` writes all of them so far into a line for debugging.
        metrics.metric_set[name] = {"Value": others}
        metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=last)


set_level(os.environ.get("POWERTOOLS_LOG_LEVEL", ""))
# Elsewhere, on a developer's machine, logs go nowhere unless somebody asks for them.
if task_root := os.environ.get("LAMBDA_TASK_ROOT"):
    hold_back_libraries(task_root)
