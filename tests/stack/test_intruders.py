"""Attacks on a running local stack: by another user of the machine, by a web page, and by DNS rebinding.

Each attack has worked once. The emulator accepted the key `test` as its root user, so anyone with access to its port
could read the secret, or run code as the developer.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import time
import zipfile
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from stripe_to_segment_tools.local_stack.emulator import ACCOUNT, REGION
from stripe_to_segment_tools.samples.files import body_of, freshen, sample
from stripe_to_segment_tools.samples.signing import sign
from tests.stack.conftest import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from stripe_to_segment_tools.local_stack import LocalStack
    from tests.stack.conftest import Local

pytestmark = pytest.mark.stack

CODE = "def handler(event, context):\n    open('/tmp/owned', 'w')\n"
EVIL = "evil.example"
# The headers with which a browser marks the request of a page.
PAGES = {
    "no-cors": {"Origin": f"https://{EVIL}", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "another port of this machine": {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-site"},
    "a sandboxed frame": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "an old browser": {"Origin": f"https://{EVIL}"},
    "an image": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image", "Referer": f"https://{EVIL}/"},
}


@pytest.fixture(params=["test", ACCOUNT, "123456789012", "AKIAIOSFODNN7EXAMPLE"])
def stranger(stack: LocalStack, request: pytest.FixtureRequest) -> Any:
    """Makes clients for another user of the machine, who knows the port and the emulator's public keys."""
    return _clients(stack, str(request.param), "test")


def _clients(stack: LocalStack, key: str, secret: str, token: str | None = None) -> Any:
    session: Any = boto3.Session(key, secret, token, region_name=REGION)
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    return lambda service: session.client(service, endpoint_url=stack.endpoint_url, config=config)


def archive() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as code:
        code.writestr("app.py", CODE)
    return written.getvalue()


def attempts(stack: LocalStack, clients: Any) -> Iterator[tuple[str, Any]]:
    """Attacks, in each of AWS's protocols."""
    secret, function = stack.deployment.output("SigningSecretArn"), stack.receive_function
    role = f"arn:aws:iam::{ACCOUNT}:role/{stack.deployment.resource('ReceiveRole')}"
    code = {"ZipFile": archive()}
    functions, iam = clients("lambda"), clients("iam")
    new = {"FunctionName": "evil", "Runtime": "python3.13", "Handler": "app.handler", "Role": role, "Code": code}
    yield "read the secret", lambda: clients("secretsmanager").get_secret_value(SecretId=secret)
    yield "create a function", lambda: functions.create_function(**new)
    yield "change a function", lambda: functions.update_function_code(FunctionName=function, **code)
    yield "invoke a function", lambda: functions.invoke(FunctionName=function, Payload=b"{}")
    yield "queue an event", lambda: clients("sqs").send_message(QueueUrl=stack.events_queue_url, MessageBody="{}")
    yield "read the table", lambda: clients("dynamodb").scan(TableName=stack.state_table)
    yield "read the log", lambda: clients("logs").describe_log_groups()
    yield "make a user", lambda: iam.create_user(UserName="evil")
    yield "become a role", lambda: clients("sts").assume_role(RoleArn=role, RoleSessionName="evil")
    yield "list the buckets", lambda: clients("s3").list_buckets()
    yield "describe the stack", lambda: clients("cloudformation").describe_stacks()


def not_refused(attempts: Iterable[tuple[str, Callable[[], Any]]]) -> dict[str, str]:
    """The attempts that were not refused for their access key, with what came of each."""
    found: dict[str, str] = {}
    for name, attempt in attempts:
        try:
            attempt()
            found[name] = "it succeeded"
        except ClientError as error:
            status, said = error.response["ResponseMetadata"]["HTTPStatusCode"], str(error)
            if status != 403 or "(AccessDenied" not in said or "access key of this run" not in said:
                found[name] = f"{status}: {said}"
    return found


def test_another_user_can_do_nothing_with_a_public_key(stack: LocalStack, stranger: Any) -> None:
    assert not_refused(attempts(stack, stranger)) == {}
    functions = stack.clients.functions.list_functions()["Functions"]
    assert "evil" not in {function["FunctionName"] for function in functions}


def test_the_right_key_with_a_wrong_secret_is_refused(stack: LocalStack) -> None:
    assert not_refused(attempts(stack, _clients(stack, stack.access.key_id, "test"))) == {}


def test_the_credentials_of_a_functions_role_cannot_be_computed(local: Local) -> None:
    """The emulator derived them from the names of function and role alone, which its log and its answers contain."""
    local.post("customer.created")
    local.wait_until_idle()
    found = local.stack.clients.functions.get_function_configuration(
        FunctionName=local.stack.deliver_function, Qualifier="live"
    )
    digest = hashlib.sha256(f"{found['FunctionArn']}:{found['Role']}".encode()).hexdigest()
    key, secret, token = (
        f"ASIA{digest[:16].upper()}",
        hashlib.sha256(f"secret:{digest}".encode()).hexdigest(),
        hashlib.sha256(f"token:{digest}".encode()).hexdigest(),
    )
    table = _clients(local.stack, key, secret, token)("dynamodb")
    assert not_refused([("read the table", lambda: table.scan(TableName=local.stack.state_table))]) == {}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_ministack/sqs/messages"),
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/ready"),
        ("GET", "/_ministack/ses/messages"),
        ("GET", f"/_ministack/lambda-code/{ACCOUNT}/{REGION}/RECEIVE"),
        ("GET", f"/_ministack/lambda-code/{ACCOUNT}/{REGION}/RECEIVE?X-Amz-Signature=ministack-local-presigned"),
        ("GET", f"/_ministack/lambda-layers/{ACCOUNT}/{REGION}/stripe-to-segment-package/1/content"),
        ("PUT", "/_ministack/cfn-response/token"),
        ("GET", "/_localstack/health"),
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/bucket?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test/20261128/us-east-1/s3/aws4_request"),
        ("GET", "/bucket?AWSAccessKeyId=test&Signature=x&Expires=9999999999"),
    ],
)
def test_the_emulators_own_interface_refuses_unsigned_requests(stack: LocalStack, method: str, path: str) -> None:
    url = f"{stack.endpoint_url}{path.replace('RECEIVE', stack.receive_function)}"
    assert requests.request(method, url, timeout=30).status_code == 403
    assert stack.queued().nothing, "nothing was reset, and the owner still has access"


def test_the_webhooks_address_gives_no_access_without_the_key(stack: LocalStack) -> None:
    """A request without the route's path once had root access to the service that its headers named."""
    headers = {"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.1"}
    body = json.dumps({"SecretId": stack.deployment.output("SigningSecretArn")})
    api = stack.deployment.resource("WebhookApi")
    for path in ("", "/", f"/{api}", f"/{api}/", "//x", f"/{api}/webhooks/stripe", f"/{api}/x", "/none/x"):
        answer = requests.post(f"{stack.endpoint_url}/_aws/execute-api{path}", data=body, headers=headers, timeout=30)
        assert answer.status_code in {400, 403, 404}, path
        assert "SecretString" not in answer.text
        assert SECRET.segment_write_key not in answer.text


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_web_page_is_refused_whatever_its_signature(stack: LocalStack, page: dict[str, str]) -> None:
    for key in ("test", stack.access.key_id):
        for method in ("GET", "POST", "OPTIONS"):
            answer = requests.request(method, f"{stack.endpoint_url}/", headers=page | signed(stack, key), timeout=30)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers


def signed(stack: LocalStack, key: str) -> dict[str, str]:
    """The headers of a signed ListQueues; the signature is valid if the key is the run's own."""
    secret = stack.access.secret if key == stack.access.key_id else "test"
    request = AWSRequest("POST", f"{stack.endpoint_url}/", {"X-Amz-Target": "AmazonSQS.ListQueues"}, "{}")
    SigV4Auth(Credentials(key, secret), "sqs", REGION).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_web_page_cannot_post_a_webhook_not_even_a_signed_one(local: Local, page: dict[str, str]) -> None:
    assert post(local, **page).status_code == 403
    assert local.stack.queued().nothing


def post(local: Local, **headers: str) -> requests.Response:
    """Post a webhook like the Stripe CLI."""
    body = body_of(freshen([sample("customer.created").event], int(time.time()), seed=f"intruder {time.time()}")[0])
    signature = sign(body, SECRET.stripe_signing_secrets, int(time.time()))
    stripes = {"Stripe-Signature": signature, "Content-Type": "application/json; charset=utf-8"}
    return requests.post(local.stack.webhook_url, data=body, headers=stripes | headers, timeout=30)


@pytest.mark.parametrize("host", [EVIL, f"{EVIL}:4242", f"127.0.0.1.{EVIL}", "3941a735.execute-api.localhost"])
def test_a_foreign_host_name_of_this_machine_is_refused(local: Local, host: str) -> None:
    """If a page's name server answers 127.0.0.1 to the second request, the page has the emulator's origin."""
    url, own = local.stack.endpoint_url, signed(local.stack, local.stack.access.key_id)
    assert requests.post(f"{url}/", data="{}", headers=own | {"Host": host}, timeout=30).status_code == 403
    assert requests.get(f"{url}/_ministack/health", headers={"Host": host}, timeout=30).status_code == 403
    assert post(local, Host=host).status_code == 403
    assert local.stack.queued().nothing


def test_the_signing_secret_of_another_run_is_refused(local: Local) -> None:
    """Once every local stack had the same signing secret, which was in the README."""
    assert local.post("customer.created", secret="whsec_local0stack0signing0secret0").status == 400


def test_stripes_command_line_and_curl_are_accepted(local: Local) -> None:
    assert post(local, **{"User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)"}).status_code == 200
    assert post(local, **{"User-Agent": "curl/8.5.0", "Host": "localhost:1"}).status_code == 200
    local.wait_until_idle()
    assert local.calls() == ["identify", "identify"]


def test_other_users_cannot_see_the_secrets_of_the_run(stack: LocalStack) -> None:
    """Every user can read the arguments of a process, and the files of each folder that the user may enter."""
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    for secret in (stack.access.secret, *SECRET.stripe_signing_secrets, SECRET.segment_write_key):
        assert not any(secret in command for command in commands)
    assert stat.S_IMODE(stack.log.parent.stat().st_mode) == 0o700
    assert stack.access.secret not in repr(stack.access)
    assert stack.access.secret not in stack.log.read_text("utf-8")


def test_only_one_port_is_open(stack: LocalStack) -> None:
    assert stack._emulator._process is not None
    emulator = psutil.Process(stack._emulator._process.pid)
    ports = {
        connection.laddr.port
        for process in (emulator, *emulator.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert ports == {int(stack.endpoint_url.rpartition(":")[2])}
