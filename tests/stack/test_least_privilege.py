"""Each function can do what it needs and nothing else. IAM is enforced, so that the other tests show the first half."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.local_stack import LocalStack

pytestmark = pytest.mark.stack

# A function that wears another function's role, tries one thing and says whether it was let.
PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(attempt, context):
    client = boto3.client(attempt["service"])
    try:
        getattr(client, attempt["operation"])(**attempt["arguments"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "refused" if "AccessDenied" in code else f"let, then {code}"
    return "let"
"""

type Attempt = Callable[..., str]


@pytest.fixture(scope="module", params=["ReceiveRole", "DeliverRole"])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def attempt(stack: LocalStack, role: str) -> Iterator[Attempt]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("probe.py", PROBE)
    name = f"probe-{role}"
    functions = stack.clients.functions
    arn = stack.clients.iam.get_role(RoleName=stack.deployment.resource(role))["Role"]["Arn"]
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=arn,
        Handler="probe.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=30,
    )

    def try_it(service: str, operation: str, **arguments: Any) -> str:
        payload = json.dumps({"service": service, "operation": operation, "arguments": arguments})
        answer = functions.invoke(FunctionName=name, Payload=payload.encode())
        return str(json.load(answer["Payload"]))

    yield try_it
    functions.delete_function(FunctionName=name)


def test_a_role_may_read_its_one_secret(stack: LocalStack, attempt: Attempt) -> None:
    secret = stack.deployment.output("SecretArn")
    assert attempt("secretsmanager", "get_secret_value", SecretId=secret) == "let"
    assert attempt("secretsmanager", "put_secret_value", SecretId=secret, SecretString="{}") == "refused"
    assert attempt("secretsmanager", "list_secrets") == "refused"


def test_no_role_reaches_anything_else(stack: LocalStack, attempt: Attempt) -> None:
    assert attempt("s3", "list_buckets") == "refused"
    assert attempt("iam", "list_roles") == "refused"
    assert attempt("lambda", "list_functions") == "refused"
    assert attempt("lambda", "invoke", FunctionName=stack.deliver_function) == "refused"
    assert attempt("sqs", "list_queues") == "refused"
    assert attempt("sqs", "purge_queue", QueueUrl=stack.events_queue_url) == "refused"
    assert attempt("dynamodb", "scan", TableName=stack.state_table) == "refused"
    assert attempt("dynamodb", "delete_table", TableName=stack.state_table) == "refused"


def test_only_receive_may_queue_events(stack: LocalStack, attempt: Attempt, role: str) -> None:
    queued = attempt("sqs", "send_message", QueueUrl=stack.events_queue_url, MessageBody="not an event")
    assert queued == ("let" if role == "ReceiveRole" else "refused")


def test_only_deliver_may_write_dead_letters(stack: LocalStack, attempt: Attempt, role: str) -> None:
    written = attempt("sqs", "send_message", QueueUrl=stack.dead_letter_queue_url, MessageBody="a probe")
    assert written == ("let" if role == "DeliverRole" else "refused")


def test_nobody_reads_dead_letters(stack: LocalStack, attempt: Attempt) -> None:
    assert attempt("sqs", "receive_message", QueueUrl=stack.dead_letter_queue_url) == "refused"


def test_only_deliver_may_use_the_table(stack: LocalStack, attempt: Attempt, role: str) -> None:
    key = {"pk": {"S": "probe"}}
    expected = "let" if role == "DeliverRole" else "refused"
    assert attempt("dynamodb", "get_item", TableName=stack.state_table, Key=key) == expected
    assert attempt("dynamodb", "put_item", TableName=stack.state_table, Item=key) == expected
    assert attempt("dynamodb", "delete_item", TableName=stack.state_table, Key=key) == "refused"


def test_only_deliver_may_change_when_an_event_is_seen_again(stack: LocalStack, attempt: Attempt, role: str) -> None:
    change = {"QueueUrl": stack.events_queue_url, "ReceiptHandle": "none", "VisibilityTimeout": 1}
    result = attempt("sqs", "change_message_visibility", **change)
    assert result.startswith("let") if role == "DeliverRole" else result == "refused"
