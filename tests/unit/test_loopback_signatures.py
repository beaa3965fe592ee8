"""A request is taken for its owner's only with a signature that fits all of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse, HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment_tools.loopback.signatures import Key, RefusedError, SignedRequest, verify

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINT = "http://127.0.0.1:4566"
OWN = "AKIAOWNOWNOWNOWNOWN2"
SECRET = "secret/of+this=run"
KEYS = {OWN: Key(SECRET), "ASIAROLE": Key("of a role", "its token")}
# One for all: what a session reads from its files takes longer than all that is tested here.
SESSION: Any = boto3.Session(region_name="us-east-1")
CONFIG = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
type Operation = tuple[str, str, dict[str, Any]]
# Each protocol that AWS has, and what is hard to sign: paths and queries to be encoded, bodies, empty bodies.
OPERATIONS: dict[str, Operation] = {
    "json": ("sqs", "send_message", {"QueueUrl": f"{ENDPOINT}/000000000000/q", "MessageBody": "Zoë 💶"}),
    "query": ("iam", "get_role", {"RoleName": "a+role=with,odd@letters"}),
    "rest-json": ("lambda", "invoke", {"FunctionName": "arn:aws:lambda:us-east-1:0:function:f:live", "Payload": b"{}"}),
    "rest-json with a query": ("lambda", "list_functions", {"Marker": "a=b&c d+é/~", "MaxItems": 7}),
    "rest-xml": ("s3", "put_object", {"Bucket": "bucket", "Key": "a b/é+*~%2F//c", "Body": b"\x00\xff"}),
    "rest-xml with a query": ("s3", "list_objects_v2", {"Bucket": "bucket", "Prefix": "a b/é+&=", "MaxKeys": 1}),
    "an empty body": ("sts", "get_caller_identity", {}),
}


def sent(operation: Operation, key: str = OWN, secret: str = SECRET, token: str | None = None) -> SignedRequest:
    """What boto3 would send."""
    seen: list[SignedRequest] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        body = request.body.read() if hasattr(request.body, "read") else request.body
        raw = body.encode() if isinstance(body, str) else body or b""
        headers.setdefault("host", parts.netloc)
        seen.append(SignedRequest(request.method, parts.path, parts.query, headers, raw))
        return AWSResponse(request.url, 500, HTTPHeaders(), None)

    service, method, arguments = operation
    credentials = {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
    client = SESSION.client(service, endpoint_url=ENDPOINT, config=CONFIG, **credentials)
    client.meta.events.register("before-send", keep)
    with pytest.raises(Exception):  # noqa: B017, PT011 - nothing was sent, so nothing can be read
        getattr(client, method)(**arguments)
    return seen[0]


@pytest.fixture(scope="module", params=OPERATIONS.values(), ids=[*OPERATIONS])
def request_of_boto3(request: pytest.FixtureRequest) -> SignedRequest:
    return sent(request.param)


def checked(request: SignedRequest, now: float | None = None) -> str:
    return verify(request, KEYS.get, time.time() if now is None else now)


def refusal(request: SignedRequest, now: float | None = None) -> str:
    with pytest.raises(RefusedError) as refused:
        checked(request, now)
    return str(refused.value)


def with_header(request: SignedRequest, name: str, value: str | None) -> SignedRequest:
    headers = {**request.headers, name: value or ""}
    if value is None:
        del headers[name]
    return replace(request, headers=headers)


def test_requests_of_boto3_are_accepted(request_of_boto3: SignedRequest) -> None:
    assert checked(request_of_boto3) == OWN


def test_an_emulator_refuses_what_is_not_signed(request_of_boto3: SignedRequest) -> None:
    assert "no AWS Signature" in refusal(with_header(request_of_boto3, "authorization", None))
    for other in ("", "Bearer x", "AWS test:signature", "AWS4-HMAC-SHA256 Credential=test"):
        assert "no AWS Signature" in refusal(with_header(request_of_boto3, "authorization", other))


@pytest.mark.parametrize("key", ["test", "000000000000", "AKIAOTHER"])
def test_the_emulators_default_keys_are_refused(key: str) -> None:
    for secret in ("test", SECRET):
        assert "unknown access key" in refusal(sent(OPERATIONS["json"], key, secret))


def test_a_wrong_secret_is_refused() -> None:
    for operation in OPERATIONS.values():
        assert "does not fit" in refusal(sent(operation, secret="test"))


CHANGES: dict[str, Callable[[SignedRequest], SignedRequest]] = {
    "method": lambda request: replace(request, method="DELETE"),
    "path": lambda request: replace(request, path=f"{request.path}x"),
    "path encoded another way": lambda request: replace(request, path=f"/%61{request.path}"),
    "query": lambda request: replace(request, query=f"{request.query}&Action=DeleteRole"),
    "body": lambda request: replace(request, body=request.body + b" "),
    "host": lambda request: with_header(request, "host", "evil.example"),
    "moment": lambda request: with_header(request, "x-amz-date", "20200101T000000Z"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_request_that_was_changed_is_refused(
    request_of_boto3: SignedRequest, change: Callable[[SignedRequest], SignedRequest]
) -> None:
    with pytest.raises(RefusedError):
        checked(change(request_of_boto3))


def test_the_operation_is_signed() -> None:
    request = sent(OPERATIONS["json"])
    assert "does not fit" in refusal(with_header(request, "x-amz-target", "AmazonSQS.PurgeQueue"))


def test_a_header_that_decides_must_be_signed() -> None:
    """Without the host in it, a signature that was meant for AWS would be one for here."""
    request = sent(OPERATIONS["json"])
    for name in ("host", "x-amz-date"):
        header = request.headers["authorization"].replace(f"{name};", "").replace(f";{name}", "")
        assert "does not cover" in refusal(with_header(request, "authorization", header))


def test_a_body_that_is_not_signed_is_refused() -> None:
    request = sent(OPERATIONS["rest-xml"])
    assert "does not cover the body" in refusal(with_header(request, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"))


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_is_good_for_five_minutes(request_of_boto3: SignedRequest, seconds: int) -> None:
    assert checked(request_of_boto3, time.time() + seconds * 0.9) == OWN
    assert "within 300 seconds" in refusal(request_of_boto3, time.time() + seconds * 1.1)


@pytest.mark.parametrize("stamp", ["", "now", "20261128", "99999999T999999Z"])
def test_a_text_that_is_not_a_time_is_refused(stamp: str) -> None:
    assert "within 300 seconds" in refusal(with_header(sent(OPERATIONS["json"]), "x-amz-date", stamp))


def test_a_role_needs_its_session_token() -> None:
    role = "ASIAROLE", "of a role"
    assert checked(sent(OPERATIONS["json"], *role, "its token")) == "ASIAROLE"
    assert "session token" in refusal(sent(OPERATIONS["json"], *role, "another"))
    assert "session token" in refusal(sent(OPERATIONS["json"], *role))
    assert "session token" in refusal(sent(OPERATIONS["json"], token="one too many"))


PATHS = st.text("abc/%.~ é+", max_size=20)
QUERIES = st.text("abc=&%+ é", max_size=20)


@given(PATHS, QUERIES, st.binary(max_size=50), st.sampled_from(["s3", "sqs"]), st.sampled_from(["GET", "POST"]))
def test_any_signed_request_is_accepted_and_refused_with_another_secret(
    path: str, query: str, body: bytes, service: str, method: str
) -> None:
    request = AWSRequest(method, f"{ENDPOINT}/{path}?{query}", data=body)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    kind(Credentials(OWN, SECRET), service, "eu-central-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()} | {"host": "127.0.0.1:4566"}
    parts = urlsplit(str(request.url))
    came = SignedRequest(method, parts.path, parts.query, headers, body)
    assert checked(came) == OWN
    with pytest.raises(RefusedError, match="does not fit"):
        verify(came, {OWN: Key("another")}.get, time.time())
