"""`make invoke`: run a built function with an event, without Docker and without an AWS account.

`sam local invoke` needs Docker. This runs the folders of `sam build` under the same runtime, with stand-ins for AWS,
Segment and Stripe that exist only during the invocation.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from stripe_to_segment_tools.lambda_runtime.aws_stand_in import AwsStandIn
from stripe_to_segment_tools.lambda_runtime.built_function import NotBuiltError, read_built_function
from stripe_to_segment_tools.lambda_runtime.runtime import RuntimeMissingError, run
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import EventList, ObjectLists, StripeStandIn
from stripe_to_segment_tools.local_stack import Secret
from stripe_to_segment_tools.receiver import Receiver
from stripe_to_segment_tools.samples.files import api_gateway_request, freshen, sqs_batch
from stripe_to_segment_tools.samples.inputs import STDIN, read_text
from stripe_to_segment_tools.samples.signing import SAMPLE_SECRET, sign
from stripe_to_segment_tools.samples.stripe_lists import objects_after
from stripe_to_segment_tools.terminal.output import say, say_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stripe_to_segment_tools.lambda_runtime.runtime import Result

__all__ = ["BadEventError", "Invocation", "invoke"]

QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:stripe-to-segment-events"
# Segment's keys have 32 characters. This one belongs to no source.
WRITE_KEY = "invoke0only0write0key00000000001"
# reconcile leaves out the last hour, because Stripe may still deliver events from it.
MISSED_SECONDS = 2 * 3_600
# Longer than an event waits for others of its payment: what is invoked with one event shows that event's calls.
WAITED_SECONDS = 3_600


class BadEventError(Exception):
    """The file cannot be read as an event, a request or a batch."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """The result of an invocation, with the queues and calls afterwards.

    Attributes
    ----------
    result
        Its answer and its log.
    queued
        Bodies in the events queue afterwards: those that `receive` queued, or that `deliver` did not finish.
    dead_letters
        Bodies in the dead-letter queue, each with the reason.
    calls
        The calls that Segment received.
    violations
        Violations of Segment's contract by these calls.
    """

    result: Result
    queued: list[str]
    dead_letters: list[tuple[str, str]]
    calls: list[dict[str, Any]]
    violations: list[str]


def invoke(
    name: str,
    content: bytes,
    *,
    settings: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    log: IO[str] | None = None,
) -> Invocation:
    """Run a function with an event.

    Parameters
    ----------
    name
        `receive`, `deliver`, `reconcile` or `audit`.
    content
        A file's content. For `receive` an event goes into a freshly signed request, and a request signed with the
        samples' secret is signed again. For `deliver` one or more events go into a batch; a batch stays as it is. For
        `reconcile` they are the events that Stripe could not deliver, the newest two hours ago. For `audit` their
        objects are those of Stripe's lists, and the StateTable is empty.
    settings
        Environment variables over those of the template.
    parameters
        Parameters of the template over their defaults.
    log
        Gets each log line as it is written.

    Raises
    ------
    BadEventError, NotBuiltError, RuntimeMissingError
        When the function could not be run.
    """
    function = read_built_function(f"{name.capitalize()}Function", parameters=parameters)
    payload = PAYLOADS[name](content)
    reads = name in READERS
    happened = _happened(content) if reads else []
    livemode = any(event["livemode"] for event in happened)
    secret = Secret(
        (SAMPLE_SECRET,),
        segment_write_key=WRITE_KEY,
        segment_test_write_key=WRITE_KEY,
        stripe_api_key=f"rk_{'live' if livemode else 'test'}_invoke" if reads else "",
    )
    listed = EventList(happened, {event["id"] for event in happened}, livemode=livemode)
    objects = ObjectLists(objects_after(happened))
    with AwsStandIn(secret) as aws, Receiver() as segment, StripeStandIn(listed, objects) as stripe:
        if name == "deliver":
            payload = aws.hand_out(payload)
        segments = {"SEGMENT_ENDPOINT": segment.url, "COMPRESS_REQUESTS": "on"}
        stand_ins = {**aws.environment, **segments, "STRIPE_API_BASE": stripe.url}
        result = run(function, payload, {**stand_ins, **(settings or {})}, log=log)
        if name == "deliver":
            aws.settle(payload, result.answer)
        calls = [kept.call for kept in segment.record.calls]
        letters = [(body, attributes.get("reason", "")) for body, attributes in aws.dead_letters()]
        return Invocation(result, aws.queued(), letters, calls, segment.record.violations)


def command(
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="receive, deliver, reconcile or audit.")],
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="File with events, a request or an SQS batch; - is standard input.")
    ],
    *,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Override a variable of the function.")
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the template.")
    ] = None,
) -> None:
    """Run a built function under AWS's runtime interface emulator.

    The answer goes to standard output, the log to standard error. Exit status: 0 if the function answered, 1 if it
    failed, 2 if it could not be run.
    """
    if function not in PAYLOADS:
        raise typer.BadParameter(f"{function!r} is not one of {', '.join(PAYLOADS)}")
    given = {
        option: dict(_assignment(each, option) for each in texts or ())
        for option, texts in (("--set", settings), ("--parameter", parameters))
    }
    try:
        content = sys.stdin.buffer.read() if event == STDIN else Path(event).read_bytes()
        invocation = invoke(function, content, settings=given["--set"], parameters=given["--parameter"], log=sys.stderr)
    except (OSError, BadEventError, NotBuiltError, RuntimeMissingError) as error:
        say(*f"error: {error}".splitlines(), err=True)
        raise typer.Exit(2) from error
    say_json(invocation.result.answer, indent=2)
    say(*_summary(invocation), err=True)
    raise typer.Exit(1 if invocation.result.failed else 0)


def _summary(invocation: Invocation) -> Iterator[str]:
    yield f"init: {invocation.result.init_milliseconds} ms"
    for call in invocation.calls:
        yield f"Segment received: {call['type']} {call.get('event', '')}".rstrip()
    for violation in invocation.violations:
        yield f"violates Segment's contract: {violation}"
    for body in invocation.queued:
        yield f"in the events queue: {_label(body)}"
    for body, reason in invocation.dead_letters:
        yield f"in the dead-letter queue: {_label(body)}, {reason}"


def _label(body: str) -> str:
    try:
        event = json.loads(body)
        return f"{event['id']} {event['type']}"
    except (ValueError, TypeError, KeyError):
        return "no Stripe event"


def _assignment(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return name, value


def _request(content: bytes) -> dict[str, Any]:
    given, bodies, now = _document(content), _bodies(content), int(time.time())
    if not isinstance(given, dict) or "requestContext" not in given:
        return api_gateway_request(bodies[0], SAMPLE_SECRET, now)
    # A signature is valid for five minutes, so that of a sample is renewed. Any other stays as it is, even if forged.
    headers = given["headers"]
    stamp = re.match(r"t=(\d+),", headers.get("stripe-signature", ""))
    if stamp and headers["stripe-signature"] == sign(bodies[0], SAMPLE_SECRET, int(stamp[1])):
        headers = headers | {"stripe-signature": sign(bodies[0], SAMPLE_SECRET, now)}
    return given | {"headers": headers}


def _batch(content: bytes) -> dict[str, Any]:
    given = _document(content)
    if isinstance(given, dict) and "Records" in given:
        return given
    return sqs_batch(_bodies(content), QUEUE_ARN, int(time.time()) - WAITED_SECONDS)


def _schedule(_content: bytes) -> dict[str, Any]:
    """The event that EventBridge sends at a scheduled time. https://docs.aws.amazon.com/eventbridge/latest/ref/overview.html."""
    return {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}


PAYLOADS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "receive": _request,
    "deliver": _batch,
    "reconcile": _schedule,
    "audit": _schedule,
}
# Those that read Stripe's lists.
READERS = frozenset({"reconcile", "audit"})


def _happened(content: bytes) -> list[dict[str, Any]]:
    """The events with times that Stripe still lists and that `reconcile` does not leave out."""
    try:
        return freshen([json.loads(body) for body in _bodies(content)], int(time.time()) - MISSED_SECONDS)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadEventError("the event: it lacks fields of Stripe's events") from error


def _document(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        # JSON lines, or broken content, which read_text reports.
        return None


def _bodies(content: bytes) -> list[bytes]:
    bodies = []
    for each in read_text(content, "the event"):
        if each.error is not None:
            raise BadEventError(f"{each.source}: {each.error}")
        bodies.append(each.raw)
    if not bodies:
        raise BadEventError("the event: the input is empty")
    return bodies


if __name__ == "__main__":
    typer.run(command)
