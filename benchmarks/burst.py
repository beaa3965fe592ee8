"""`make burst`: many events at full speed into the local stack: all are acknowledged and arrive, and how long it takes.

Most of what is measured is the emulator. So an empty function answers beside the pack's own, behind the same API and in
the same run; every fifth request goes to it, and what `receive` takes longer is its own.
"""

from __future__ import annotations

import http.client
import io
import multiprocessing
import os
import statistics
import sys
import threading
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from benchmarks.pages import README, between_marks, machine, table
from benchmarks.workload import event_texts
from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.local_stack import LocalStack, Secret, stop_on_signals
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.local_stack.stack import WEBHOOK_PATH
from stripe_to_segment_tools.receiver import Receiver
from stripe_to_segment_tools.samples.inputs import Input
from stripe_to_segment_tools.samples.signing import sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.pages import Row

EVENTS = 10_000
# More at a time only wait inside the emulator.
AT_A_TIME = 8
EMPTY_EACH = 5
PATIENCE_SECONDS = 900.0
# A busy machine starts a dozen processes of the emulator at once.
POST_SECONDS = 120.0
EMPTY_PATH = "/empty"
EMPTY_FUNCTION = "def handler(event, context):\n    return {'statusCode': 200, 'body': '{}'}\n"
OK = 200


class Answer(NamedTuple):
    """One request's path, status and seconds."""

    path: str
    status: int
    seconds: float


class Delivered(NamedTuple):
    """The calls and events that arrived, the number expected, the missing calls, and the seconds until all was done."""

    calls: int
    events: int
    expected_calls: int
    expected_events: int
    missing: int
    left: int
    violations: int
    seconds: float


def main() -> int:
    """Run it, write the table, and give 1 where an event was not acknowledged or not delivered."""
    texts = event_texts(0, int(os.environ.get("EVENTS") or EVENTS))
    secret = Secret()
    with (
        stop_on_signals(),
        Receiver(sources={"live": secret.segment_write_key, "test": secret.segment_test_write_key}) as receiver,
        LocalStack(receiver.url, parameters=LOCAL_PARAMETERS, secret=secret) as stack,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart,
    ):
        _add_empty_function(stack)
        base = stack.webhook_url.removesuffix(WEBHOOK_PATH)
        # The first of each makes the functions start.
        apart.submit(_post_all, base, secret.stripe_signing_secrets[0], event_texts(-EMPTY_EACH, EMPTY_EACH)).result()
        _wait_until_idle(stack, time.monotonic())
        receiver.record.clear()
        start = time.monotonic()
        answers = apart.submit(_post_all, base, secret.stripe_signing_secrets[0], texts).result()
        posted = time.monotonic() - start
        _wait_until_idle(stack, start)
        delivered = _delivered(stack, receiver, texts, time.monotonic() - start)
    text = _report(answers, posted, delivered)
    print(text)
    README.write_text(between_marks(README.read_text("utf-8"), text, "burst"), "utf-8")
    found = [*problems(answers, delivered)]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


def _add_empty_function(stack: LocalStack) -> None:
    """A function that does nothing, with the role, memory and layers of receive, behind a route of the same API.

    The emulator unpacks the layers anew for each environment that it starts, which takes it seconds in a burst.
    """
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", EMPTY_FUNCTION)
    like = stack.clients.functions.get_function_configuration(FunctionName=stack.receive_function)
    made = stack.clients.functions.create_function(
        FunctionName="empty",
        Runtime="python3.13",
        Handler="app.handler",
        Role=like["Role"],
        MemorySize=like["MemorySize"],
        Layers=[layer["Arn"] for layer in like["Layers"]],
        Code={"ZipFile": code.getvalue()},
    )
    api = stack.deployment.resource("WebhookApi")
    integration = stack.clients.apigatewayv2.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=made["FunctionArn"], PayloadFormatVersion="2.0"
    )
    stack.clients.apigatewayv2.create_route(
        ApiId=api, RouteKey=f"POST {EMPTY_PATH}", Target=f"integrations/{integration['IntegrationId']}"
    )


def _post_all(base: str, secret: str, texts: Sequence[str]) -> list[Answer]:
    """Post every event, and to the empty function beside every fifth, over connections that stay open."""
    held = threading.local()
    requests = []
    for number, text in enumerate(texts):
        requests.append((WEBHOOK_PATH, text))
        if number % EMPTY_EACH == 0:
            requests.append((EMPTY_PATH, text))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(partial(_post, base, secret, held), requests))


def _post(base: str, secret: str, held: threading.local, request: tuple[str, str]) -> Answer:
    (path, text), parts = request, urlsplit(base)
    if not hasattr(held, "connection"):
        held.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=POST_SECONDS)
    body = text.encode()
    headers = {"Content-Type": "application/json", "Stripe-Signature": sign(body, secret, int(time.time()))}
    start = time.perf_counter()
    try:
        held.connection.request("POST", parts.path + path, body, headers)
        response = held.connection.getresponse()
        response.read()
        status = response.status
    except (OSError, http.client.HTTPException):
        held.connection.close()
        status = 0
    return Answer(path, status, time.perf_counter() - start)


def _wait_until_idle(stack: LocalStack, start: float) -> None:
    while stack.queued().events and time.monotonic() - start < PATIENCE_SECONDS:
        time.sleep(0.25)


def _delivered(stack: LocalStack, receiver: Receiver, texts: Sequence[str], seconds: float) -> Delivered:
    """Each event that should become a call, and how many calls there should be, held against what came."""
    settings = settings_from(stack.environment(stack.deliver_function))
    inputs = [Input("burst", text.encode(), None) for text in texts]
    foretold = [call for each in explain(inputs, settings) for call in each.calls]
    calls = [kept.call for kept in receiver.record.calls]
    queued = stack.queued()
    return Delivered(
        calls=len(calls),
        events=len({_event_of(call) for call in calls}),
        expected_calls=len(foretold),
        expected_events=len({_event_of(call) for call in foretold}),
        missing=len({call["messageId"] for call in foretold} - {call["messageId"] for call in calls}),
        left=len(queued.events) + len(queued.dead_letters),
        violations=len(receiver.record.violations),
        seconds=seconds,
    )


def _event_of(call: Mapping[str, object]) -> str:
    context = call["context"]
    return str(context["stripe"]["event_id"]) if isinstance(context, dict) else ""


def problems(answers: Sequence[Answer], delivered: Delivered) -> Iterator[str]:
    """What went wrong, in words."""
    refused = [answer for answer in answers if answer.status != OK]
    if refused:
        yield f"{len(refused)} requests were not answered with 200: {sorted({each.status for each in refused})}"
    if (delivered.calls, delivered.events) != (delivered.expected_calls, delivered.expected_events):
        yield (
            f"{delivered.calls} calls of {delivered.events} events arrived, "
            f"of {delivered.expected_calls} of {delivered.expected_events}"
        )
    if delivered.missing:
        yield f"{delivered.missing} calls never arrived"
    if delivered.left or delivered.violations:
        yield f"{delivered.left} messages left in the queues, {delivered.violations} breaches of Segment's contract"


def _report(answers: Sequence[Answer], posted: float, delivered: Delivered) -> str:
    events = sum(answer.path == WEBHOOK_PATH for answer in answers)
    accepted = sum(answer.path == WEBHOOK_PATH and answer.status == OK for answer in answers)
    posting = (
        f"{events:,} events posted, {AT_A_TIME} at a time: {accepted:,} acknowledged in {posted:.0f} s, "
        f"{events / posted:,.0f} a second."
    )
    arriving = (
        f"All was done after {delivered.seconds:.0f} s: {delivered.calls:,} of {delivered.expected_calls:,} calls had "
        f"arrived, of {delivered.events:,} of {delivered.expected_events:,} events that make any; {delivered.left} "
        "messages were left."
    )
    times = table(("until the 200, ms", "median", "90 %", "99 %", "slowest"), _rows(answers))
    return "\n\n".join([f"{datetime.now(UTC):%Y-%m-%d}, {machine()}.", f"{posting} {arriving}", times])


def _rows(answers: Sequence[Answer]) -> Iterator[Row]:
    cuts = {}
    for name, path in (("receive", WEBHOOK_PATH), ("an empty function, same emulator", EMPTY_PATH)):
        seconds = sorted(answer.seconds for answer in answers if answer.path == path)
        percentiles = statistics.quantiles(seconds, n=100)
        cuts[name] = (percentiles[49], percentiles[89], percentiles[98], seconds[-1])
        yield name, *(f"{value * 1e3:.0f}" for value in cuts[name])
    ours, empty = cuts.values()
    yield "difference", *(f"{(mine - theirs) * 1e3:+.0f}" for mine, theirs in zip(ours, empty, strict=True))


if __name__ == "__main__":
    raise SystemExit(main())
