"""At every log level, no secret and no personal data reaches a log, an answer or a dead letter's attributes.

Marks replace all secrets and personal data: in the secrets, in Stripe's events and answers, in requests, and in
Segment's answers. Each case also asserts that the function took the path that the case is about.
"""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.lambda_runtime.built_function import read_built_function
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import error
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.signing import sign
from tests.runtime.marked_world import World
from tests.unit.edges import reset, say, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.unit.edges import Answering

pytestmark = [pytest.mark.built, pytest.mark.emulator]

LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR"]
ALL = [each.name for each in samples()]
ONE_OF_EACH_TYPE = [*{each.type: each.name for each in samples()}.values()]
LARGE = 1_100_000

# A bad example of a team's own code. The event's number of pending webhooks chooses what it does.
ENRICH = """
import json, logging, sys, time
from dataclasses import replace
from stripe_to_segment.mapping.catalog import CATALOG

logging.basicConfig(level=logging.DEBUG, force=True)
for name in ("botocore", "boto3", "urllib3", "requests", "stripe"):
    logging.getLogger(name).setLevel(logging.DEBUG)
logging.getLogger(__name__).info("a line of the team's own")

def fail(event, known):
    raise ValueError(json.dumps(event.body))

CATALOG["product.updated"] = replace(CATALOG["product.updated"], facts=fail)

def enrich(call, event):
    match event["pending_webhooks"]:
        case 2: raise ValueError(json.dumps([call, event]))
        case 3: sys.exit(json.dumps(event))
        case 4: return json.dumps(call)
        case 5: return call | {"properties": {json.dumps(call): object()}}
        case 6: time.sleep(5)
    return call
"""


@pytest.fixture(scope="module")
def teams_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deliver function with a team's own `enrich.py`."""
    code = tmp_path_factory.mktemp("task") / "deliver"
    shutil.copytree(read_built_function("DeliverFunction").code, code)
    (code / "enrich.py").write_text(ENRICH, "utf-8")
    return code


# --- receive ---


def samples_of(world: World) -> list[dict[str, Any]]:
    """All sample events at DEBUG, and one of each type at the other levels, which log less."""
    return world.happened(*(ALL if world.level == "DEBUG" else ONE_OF_EACH_TYPE))


def events_of(world: World) -> Iterator[tuple[str, dict[str, Any], int]]:
    """The type of each sample, its request as Stripe sends it, and the expected status."""
    for body in samples_of(world):
        yield body["type"], world.request(json.dumps(body, indent=2).encode()), 200


def odd_requests_of(world: World) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Other requests to `receive`: the case, the request, and the expected status."""
    now, (event,) = int(time.time()), world.happened("customer.created")
    good, private = json.dumps(event).encode(), world.marks.one("a body")
    account = event | {"account": "acct_1TQb3xKfLhV2TnWp"}
    large = event | {"data": {"object": event["data"]["object"] | {"filling": private * (LARGE // len(private))}}}
    head = {"id": "evt_test_1", "created": "2026-11-18T11:06:40.000Z"}
    thin = head | world.marks.all_in({"object": "v2.core.event", "type": "v1.x", "data": {"a": "x"}})

    def signed(header: object) -> dict[str, Any]:
        request = world.request(good)
        return request | {"headers": {**request["headers"], "stripe-signature": header}}

    yield "base64", world.request(good, base64=True), 200
    yield "forged", signed(f"t={now},v1={world.marks.one('a signature')}"), 400
    yield "malformed", signed(world.marks.one("a header")), 400
    yield "not ASCII", signed(f"t={now},v1=é{world.marks.one('a header')}"), 400
    yield "no text", signed([world.marks.one("a header")]), 400
    yield "stale", signed(sign(good, world.signing, now - 3_600)), 400
    yield "not JSON", world.request(f"{{{private}".encode()), 400
    yield "nested", world.request(f'{"[" * 100_000}"{private}"'.encode()), 400
    yield "not UTF-8", world.request(good) | {"body": "/wAA", "isBase64Encoded": True}, 400
    yield "not base64", world.request(good) | {"body": f"%{private}", "isBase64Encoded": True}, 400
    yield "no text in the body", world.request(good) | {"body": [private]}, 400
    yield "no event", world.request(json.dumps([private]).encode()), 400
    yield "no object", world.request(json.dumps({"id": "evt_1", "data": private}).encode()), 400
    yield "thin", world.request(json.dumps(thin).encode()), 200
    yield "not mapped", world.request(json.dumps(event | {"type": "payout.paid"}).encode()), 200
    yield "connected", world.request(json.dumps(account).encode()), 200
    yield "too large", world.request(json.dumps(large).encode()), 413


@pytest.mark.parametrize("level", LEVELS)
def test_receive_says_nothing_private(level: str) -> None:
    with World("receive", level) as world:
        for case, request, status in [*events_of(world), *odd_requests_of(world)]:
            assert world.invoke(request).answer.get("statusCode") == status, case
        (event,) = world.happened("customer.created")
        request = world.request(json.dumps(event).encode())
        world.aws.faults["send_message"] = "AccessDenied"
        assert world.invoke(request).answer["statusCode"] == 503
        assert world.invoke(request | {"headers": [world.marks.one("headers")]}).answer["statusCode"] == 400
        assert world.invoke([world.marks.one("a request")]).answer["errorType"] == "UnexpectedError"
    assert world.leaked == []


def odd_secrets() -> dict[str, Callable[[World], None]]:
    """What can be wrong with a secret when a function first reads it, by case."""

    def text(secret: Callable[[World], str]) -> Callable[[World], None]:
        return lambda world: world.aws.put_secret(secret(world))

    def shapes(world: World) -> str:
        private = world.marks.one("a secret of the wrong shape")
        return json.dumps({"stripe_signing_secrets": {private: private}, "segment_write_key": [private]})

    def placeholders(world: World) -> str:
        private = f"your_{world.marks.one('a secret in a placeholder')}"
        keys = dict.fromkeys(("segment_write_key", "segment_test_write_key"), private)
        return json.dumps({"stripe_signing_secrets": [f"whsec_{private}"], **keys})

    return {
        "may not be read": lambda world: world.aws.faults.update(get_secret_value="AccessDeniedException"),
        "is not there": lambda world: world.aws.faults.update(get_secret_value="ResourceNotFoundException"),
        "is not JSON": text(lambda world: f'{{"segment_write_key": "{world.marks.one("a secret")}'),
        "is a list": text(lambda world: json.dumps([world.marks.one("a secret")])),
        "has other shapes": text(shapes),
        "holds placeholders": text(placeholders),
    }


@pytest.mark.parametrize("case", odd_secrets())
@pytest.mark.parametrize("name", ["receive", "deliver", "reconcile", "audit"])
def test_a_secret_that_cannot_be_used_is_not_quoted(name: str, case: str) -> None:
    with World(name, "DEBUG") as world:
        odd_secrets()[case](world)
        (event,) = world.happened("customer.created")
        if name == "deliver":
            result, letters = world.deliver(event)
            assert (len(result.answer["batchItemFailures"]), letters) == (1, [])
        elif name == "receive":
            # With an emulator on this machine, any text is a valid signing secret.
            taken = case == "holds placeholders"
            answer = world.invoke(world.request(json.dumps(event).encode())).answer
            assert answer["statusCode"] == (400 if taken else 503)
        else:
            answer = world.invoke({}).answer
            assert answer.get("errorType") == "ConfigurationError" or answer["outcome"] in {"not_ready", "unfinished"}
    assert world.leaked == []


# --- deliver ---


def answers_of(world: World) -> Iterator[tuple[str, Callable[[], None], int, list[str]]]:
    """Segment's answers: the case, a function that sets the answer, the number of events to retry, the reasons of the
    dead letters.
    """

    def set_to(answer: Answering) -> Callable[[], None]:
        return lambda: setattr(world.segment, "answering", answer)

    page = f"<html>{world.marks.one('a page')}</html>".encode()
    yield "HTML and 200", set_to(say(200, page)), 1, []
    yield "400", lambda: world.echo(400), 0, ["http_400"]
    yield "413", lambda: world.echo(413), 0, ["http_413"]
    private = json.dumps({"message": world.marks.one("an answer")}).encode()
    yield "422 in JSON", set_to(say(422, private)), 0, ["http_422"]
    yield "200 and not ok", lambda: world.echo(200, b'{"ok":false,"errors":["'), 0, []
    private = json.dumps({"ok": False, "errors": [world.marks.one("an answer")]}).encode()
    yield "200, not ok", set_to(say(200, private)), 0, ["not_ok"]
    yield "401", lambda: world.echo(401), 1, []
    yield "302", lambda: world.echo(302, Location=f"https://{world.marks.one('an address')}.example/"), 1, []
    yield "404", lambda: world.echo(404), 1, []
    yield "500", lambda: world.echo(500), 1, []
    yield "success", set_to(say(200, b'{"success":true}')), 0, []
    yield "reset", set_to(write(b"HTTP/1.1 2", reset)), 1, []
    yield "success after a reset", set_to(say(200, b'{"success":true}')), 0, []
    yield "no HTTP", set_to(write(f"{world.marks.one('no HTTP')}\r\n\r\n".encode())), 1, []
    yield "success after no HTTP", set_to(say(200, b'{"success":true}')), 0, []
    # Last, because it opens the circuit.
    yield "429", lambda: world.echo(429, Retry_After="30"), 1, []
    yield "circuit open", set_to(say(200)), 1, []


@pytest.mark.parametrize("level", LEVELS)
def test_deliver_says_nothing_private(level: str, teams_code: Path) -> None:
    with World("deliver", level, code=teams_code) as world:
        world.stripe.answering = objects_of(world)
        result, letters = world.deliver(*(event for event in samples_of(world) if event["type"] != "product.updated"))
        assert (result.answer, letters) == ({"batchItemFailures": []}, []), "all samples are delivered"

        for pending in (2, 3, 4, 5):
            assert world.deliver(*world.happened("customer.deleted", pending=pending))[1] == ["enrich_failed"]
        assert world.deliver(*world.happened("product.updated"))[1] == ["mapper_failed"]
        for odd, reason in (
            (f"{world.marks.one('no JSON')}", "not_json"),
            (json.dumps([world.marks.one("x")]), "not_an_event"),
        ):
            assert world.deliver(odd)[1] == [reason]

        trouble(world)
        for case, set_answer, again, reasons in answers_of(world):
            set_answer()
            result, letters = world.deliver(*world.happened("customer.deleted"))
            assert (len(result.answer["batchItemFailures"]), letters) == (again, reasons), case
    assert world.leaked == []
    if level in {"DEBUG", "INFO"}:
        assert "a line of the team's own" in world.runtime.log


def objects_of(world: World) -> Answering:
    """Stripe's API, which answers in turn with objects, with errors that quote the key, and with garbage."""
    person = world.marks.all_in({"id": "cus_1", "object": "customer", "email": "x", "metadata": {"user_id": "x"}})
    lines = world.marks.all_in({"object": "list", "data": [{"object": "item", "description": "x", "quantity": 1}]})
    refusal = json.dumps(error("invalid_request_error", f"Invalid API Key provided: {world.key}")).encode()
    turns = [
        *(say(200, json.dumps(person).encode()), say(200, json.dumps(lines).encode())),
        *(say(status, refusal) for status in (401, 403, 404, 429, 500)),
        *(say(200, world.marks.one("garbage").encode()), write(b"", reset)),
    ]

    def answer(handler: Any) -> None:
        turns[len(world.stripe.requests) % len(turns)](handler)

    return answer


def in_turns(*answers: Answering) -> Answering:
    """Answer with each of these in turn, and then always with the last one."""
    waiting = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    return answer


def trouble(world: World) -> None:
    """Deliver events while AWS's services fail, and one with a broken record."""
    for operation, code, again in (
        ("batch_get_item", "AccessDeniedException", 1),
        ("put_item", "ValidationException", 1),
        ("put_item", "ConditionalCheckFailedException", 1),
        # Only once, because the SDK retries it for seconds.
        *([("put_item", "ThrottlingException", 1)] if world.level == "DEBUG" else []),
        ("change_message_visibility_batch", "AccessDenied", 0),
    ):
        world.aws.faults[operation] = code
        result, _ = world.deliver(*world.happened("customer.deleted"))
        assert len(result.answer["batchItemFailures"]) == again, (operation, code)
        world.aws.faults.clear()
    world.aws.faults["send_message"] = "AccessDenied"
    result, letters = world.deliver(*world.happened("customer.deleted", pending=2))
    assert (len(result.answer["batchItemFailures"]), letters) == (1, []), "the event stays in the queue"
    world.aws.faults.clear()
    (event,) = world.happened("customer.deleted")
    record = {"S": f'{{"live": "{world.marks.one("a record")}"'}
    key = {"S": f"profile#own:test:{event['data']['object']['id']}"}
    world.aws.put_item({"pk": key, "version": {"N": "1"}, "record": record, "ledger": {"B": b""}})
    result, letters = world.deliver(event)
    assert (len(result.answer["batchItemFailures"]), letters) == (1, []), "the event waits until the record is repaired"
    odd = {"Records": [{"body": world.marks.one("a record without anything else")}]}
    assert world.invoke(odd).answer["errorType"] == "UnexpectedError"


def test_deliver_says_nothing_private_when_it_times_out(teams_code: Path) -> None:
    with World("deliver", "DEBUG", {"AWS_LAMBDA_FUNCTION_TIMEOUT": "2"}, teams_code) as world:
        assert (
            world.deliver(*world.happened("customer.deleted", pending=6))[0]
            .answer["errorMessage"]
            .startswith("Task timed out")
        )
    assert world.leaked == []


def test_deliver_says_nothing_private_when_segment_answers_too_late(teams_code: Path) -> None:
    with World("deliver", "DEBUG", {"AWS_LAMBDA_FUNCTION_TIMEOUT": "18"}, teams_code) as world:
        world.segment.answering = lambda _: time.sleep(4)
        result, letters = world.deliver(*world.happened("customer.deleted"))
        assert (len(result.answer["batchItemFailures"]), letters) == (1, [])
    assert world.leaked == []


def test_deliver_in_log_mode_says_nothing_private(teams_code: Path) -> None:
    with World("deliver", "DEBUG", {"DELIVERY_MODE": "log"}, teams_code) as world:
        events = [event for event in world.happened(*ALL) if event["type"] != "product.updated"]
        assert world.deliver(*events)[0].answer == {"batchItemFailures": []}
        assert world.segment.requests == []
    assert world.leaked == []


# --- reconcile ---


@pytest.mark.parametrize("level", LEVELS)
def test_reconcile_says_nothing_private(level: str) -> None:
    with World("reconcile", level) as world:
        world.missed(*ALL)
        answer = world.invoke({"detail": world.marks.one("a schedule")}).answer
        assert answer["outcome"] == "done", world.runtime.log
        assert answer["queued"] > 40, "most samples become calls"

        refusal = json.dumps(
            error("x", f"Invalid API Key provided: {world.key} for {world.marks.one('a name')}")
        ).encode()
        for status, kind in ((401, "ConfigurationError"), (403, "ConfigurationError"), (404, "StripeUnavailableError")):
            world.missed("customer.created")
            world.stripe.answering = say(status, refusal)
            assert world.invoke({}).answer["errorType"] == kind

        for status in (429, 500):
            world.missed("customer.created")
            world.stripe.answering = in_turns(say(status, refusal), world.stripe.answering)
            assert world.invoke({}).answer["outcome"] == "done"

        for operation, code, kind in (
            ("send_message_batch", "AccessDenied", "QueueUnavailableError"),
            ("batch_get_item", "AccessDeniedException", "StoreUnavailableError"),
            ("put_item", "ValidationException", "StoreUnavailableError"),
        ):
            world.missed("customer.created")
            world.aws.faults[operation] = code
            assert world.invoke({}).answer["errorType"] == kind
            world.aws.faults.clear()

        for garbage in (world.marks.one("x"), json.dumps({world.marks.one("x"): 1})):
            world.missed("customer.created")
            world.stripe.answering = say(200, garbage.encode())
            assert world.invoke({}).failed
    assert world.leaked == []


# --- The harness itself detects leaks ---

LEAKY = """
import boto3, os

def handler(event, context):
    client = boto3.client("secretsmanager")
    client.get_secret_value(SecretId=os.environ["SIGNING_SECRET_ARN"])
    return {}
"""


@pytest.mark.parametrize(("level", "leaks"), [("DEBUG", True), ("INFO", False)])
def test_the_marks_detect_a_function_whose_libraries_log(level: str, leaks: bool, tmp_path: Path) -> None:
    """The secret once reached the log in this way: AWS's client sets the root logger to the template's level."""
    (tmp_path / "app.py").write_text(LEAKY, "utf-8")
    with World("receive", level, code=tmp_path) as world:
        assert world.invoke({}).answer == {}
    assert ("signing secret" in world.leaked) is leaks
