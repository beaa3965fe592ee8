"""The services around the package in tests: AWS services with their real conditions, and an endpoint without any.

The services' conditions are those of the SQS and Secrets Manager API references, as far as the package can meet them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import boto3
from aws_lambda_powertools.metrics.provider.cloudwatch_emf import cloudwatch
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import responses
from moto.core.serialize import XFormedAttributePicker
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.sqs import models as sqs

from stripe_to_segment.observability import logger, metrics
from stripe_to_segment.segment_side.calls import Call, encode, identifier
from stripe_to_segment_tools.receiver.contract import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    type Answering = Callable[[BaseHTTPRequestHandler], None]

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
REGION = "eu-central-1"
TABLE = "state"


# --- The functions ---


def load_function(name: str) -> Any:
    """A function's `app.py`, loaded anew with the environment as it is now."""
    spec = importlib.util.spec_from_file_location(f"{name}_app", FUNCTIONS / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True)
class Spoken:
    """All that was written to standard output, which is what Lambda logs."""

    out: io.StringIO

    @property
    def text(self) -> str:
        """The whole log."""
        return self.out.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log lines, without the metrics."""
        return [line for line in self._all if "_aws" not in line]

    @property
    def metrics(self) -> dict[str, float]:
        """The sums of all metrics written out in CloudWatch's embedded metric format."""
        sums: dict[str, float] = {}
        for line in self._all:
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                assert directive["Namespace"] == "StripeToSegment"
                for metric in directive["Metrics"]:
                    values = line[metric["Name"]]
                    sums[metric["Name"]] = sums.get(metric["Name"], 0) + sum(
                        values if isinstance(values, list) else [values]
                    )
        return sums

    def values(self, name: str) -> list[list[float]]:
        """The values of one metric, line by line."""
        return [line[name] for line in self._all if "_aws" in line and name in line]

    @property
    def _all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@contextmanager
def speaking() -> Iterator[Spoken]:
    """Catch what the package logs and counts."""
    out = io.StringIO()
    handler: Any = logger.registered_handler
    metrics.clear_metrics()
    namespace, metrics.namespace = metrics.namespace, "StripeToSegment"
    before = handler.setStream(out)
    try:
        # Metrics are printed. Taking over sys.stdout would not do: pytest puts its own back after a fixture.
        with patch.object(cloudwatch, "print", lambda line: out.write(f"{line}\n"), create=True):
            yield Spoken(out)
    finally:
        handler.setStream(before or handler.stream)
        metrics.namespace = namespace
        metrics.clear_metrics()


# --- AWS ---


def refusal(code: str, operation: str) -> ClientError:
    """The error that boto3 raises if a service refuses."""
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, operation)


class Sqs:
    """A low-level SQS client that keeps what it is sent; `broken` names operations that fail."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.visibility: dict[str, int] = {}
        self.hidden_in: set[str] = set()
        self.calls = 0
        self.broken: set[str] = set()

    def bodies(self, url: str) -> list[str]:
        """The bodies sent to one queue."""
        return [message["MessageBody"] for message in self.sent if message["QueueUrl"] == url]

    def send_message(self, **message: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html."""
        self._check("send_message")
        attributes = message.get("MessageAttributes", {})
        assert len(attributes) <= 10, "SQS takes ten attributes"
        size = len(message["MessageBody"].encode())
        texts = [message["MessageBody"]]
        for name, attribute in attributes.items():
            assert attribute["DataType"] == "String"
            texts.append(attribute["StringValue"])
            size += sum(len(part.encode()) for part in (name, attribute["DataType"], attribute["StringValue"]))
        if not all(texts) or size > 1_048_576:
            raise refusal("InvalidParameterValue", "SendMessage")
        if any(map(ILLEGAL.search, texts)):
            raise refusal("InvalidMessageContents", "SendMessage")
        self.sent.append(message)
        return {"MessageId": str(len(self.sent))}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html."""
        self._check("change_message_visibility_batch")
        assert QueueUrl
        self.hidden_in.add(QueueUrl)
        assert 1 <= len(Entries) <= 10, "SQS takes one to ten entries"
        assert len({entry["Id"] for entry in Entries}) == len(Entries), "the ids of a batch are distinct"
        failed = []
        for entry in Entries:
            assert 0 <= entry["VisibilityTimeout"] <= 43_200
            if entry["ReceiptHandle"].startswith("expired"):
                failed.append({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid", "SenderFault": True})
            else:
                self.visibility[entry["ReceiptHandle"]] = entry["VisibilityTimeout"]
        return {"Successful": [], "Failed": failed}

    def _check(self, operation: str) -> None:
        self.calls += 1
        if operation in self.broken:
            raise refusal("ServiceUnavailable", operation)


# What no message may hold: everything beside tab, line feed, carriage return and the ranges that SQS names.
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def a_signing_secret(name: str, private: str = "") -> str:
    """A signing secret as Stripe makes them, and shorter than what scanners of repositories look for."""
    return f"whsec_{private}{hashlib.sha256(name.encode()).hexdigest()[:24]}"


class SecretsManager:
    """A low-level client with one secret of every name but those in `texts`; `text` None refuses to read it.

    Bytes were stored as such. `failures` are raised first, one for each call, by the code that AWS gives them.
    """

    def __init__(self, text: str | bytes | None) -> None:
        self.text = text
        self.texts: dict[str, str] = {}
        self.calls = 0
        self.failures: list[str] = []

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html."""
        assert SecretId
        assert VersionStage == "AWSCURRENT", "the roles may read no other"
        self.calls += 1
        text = self.texts.get(SecretId, self.text)
        if self.failures or text is None:
            code = self.failures.pop(0) if self.failures else "AccessDeniedException"
            raise refusal(code, "GetSecretValue")
        return {"SecretBinary": text} if isinstance(text, bytes) else {"SecretString": text}


class Faulty:
    """A client whose operations `fault` may answer instead, by raising or by giving an answer."""

    def __init__(self, client: Any, fault: Callable[[str, dict[str, Any]], dict[str, Any] | None]) -> None:
        self._client = client
        self._fault = fault
        self.operations: list[str] = []

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**arguments: Any) -> dict[str, Any]:
            self.operations.append(operation)
            answer: dict[str, Any] = self._fault(operation, arguments) or getattr(self._client, operation)(**arguments)
            return answer

        call.__name__ = operation
        return call


# Hundreds of tests ask moto for thousands of answers. It spends a quarter of a request on what is always the same:
# the methods of a service, its names in Python, and those under which a field may stand in a plain dict.
responses.method_names_from_class = cache(method_names_from_class)  # type: ignore[attr-defined]
responses.camelcase_to_underscores = sqs.camelcase_to_underscores = cache(camelcase_to_underscores)  # type: ignore[attr-defined]
_possible_keys = XFormedAttributePicker.get_possible_keys


def _remembered_keys(self: Any, context: Any) -> Iterator[str]:
    if type(context.obj) is not dict or context.shape is None:
        return _possible_keys(self, context)
    known = vars(context.shape).setdefault("names_in_dicts", {})
    found = known.get(context.key)
    if found is None:
        found = known[context.key] = tuple(dict.fromkeys(_possible_keys(self, context)))
    return iter(found)


XFormedAttributePicker.get_possible_keys = _remembered_keys  # type: ignore[method-assign,assignment]


@cache
def moto_client(service: str) -> Any:
    """A low-level client for moto, made once: making one takes longer than most tests that need it."""
    make: Any = boto3.client
    # Nobody looks at the signature or the name of the program, which take a tenth of a request's time.
    plain = Config(signature_version=UNSIGNED, user_agent="tests")
    # An explicit address, because a caller's AWS_ENDPOINT_URL would bypass moto.
    return make(service, REGION, endpoint_url=f"https://{service}.{REGION}.amazonaws.com", config=plain)


@contextmanager
def state_table() -> Iterator[Any]:
    """A low-level DynamoDB client on a new table, keyed as in the template."""
    with mock_aws():
        client = moto_client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        yield OneAtATime(client)


class OneAtATime:
    """A client whose operations wait for each other: moto's updates are not atomic, as DynamoDB's are."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._turn = threading.Lock()

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**arguments: Any) -> dict[str, Any]:
            with self._turn:
                answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
                return answer

        call.__name__ = operation
        return call


# --- Segment ---


def a_call(number: int = 1, size: int | None = None, **more: Any) -> Call:
    """A track call; `size` is how many bytes it has on the wire."""
    body: Any = {
        "type": "track",
        "messageId": identifier("test", str(number)),
        "event": "Order Completed",
        "timestamp": "2026-11-18T11:06:40.000Z",
        "userId": "user_1",
        "properties": {"number": number},
    } | more
    if size is not None:
        body["properties"]["filling"] = ""
        body["properties"]["filling"] = "x" * (size - len(encode(body)))
    return Call(body, encode(body))


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came; `raw` holds its bytes."""

    path: str
    headers: dict[str, str]
    raw: bytes
    connection: int
    method: str = "POST"

    @property
    def content(self) -> bytes:
        """Its content, unpacked."""
        return unpacked(self.headers, self.raw)

    @property
    def body(self) -> Any:
        """Its JSON, parsed."""
        return json.loads(self.content)


class Endpoint:
    """A real server on a local port that gives any chosen answer, also an invalid one, and keeps every request."""

    def __init__(self, answering: Answering | None = None) -> None:
        self.answering = answering or say(200, b'{"success":true}')
        self.requests: list[HttpRequest] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else head and body of an answer lie 40 ms apart.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = HttpRequest(self.path, headers, raw, self.client_address[1], self.command)
                outer.requests.append(request)
                outer.respond(self, request)

            do_GET = do_DELETE = do_POST  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def respond(self, handler: BaseHTTPRequestHandler, _request: HttpRequest) -> None:
        """Answer one request."""
        self.answering(handler)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Some tests have a client that ends the connection early."""


def say(status: int, body: bytes = b"", **headers: str) -> Answering:
    """A complete answer; `Retry_After="3"` is the header Retry-After."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hanging(given_up: threading.Event) -> Answering:
    """No answer until nobody waits for it any more."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        given_up.wait(60.0)
        say(500)(handler)

    return answer


def write(raw: bytes, then: Callable[[socket.socket], None] | None = None) -> Answering:
    """These bytes for an answer, after which the connection ends; `then` may do more before it does."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(raw)
        handler.wfile.flush()
        if then is not None:
            then(handler.connection)

    return answer


def reset(connection: socket.socket) -> None:
    """End a connection with a reset, as a crashing server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
