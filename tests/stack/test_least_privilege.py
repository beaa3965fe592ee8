"""Each function can do what it needs and nothing else. IAM is enforced, so that the other tests show the first half."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.stack.conftest import BUS
from tools.local_stack.emulator import ACCOUNT, REGION

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
        # SNS has a word of its own for it.
        return "refused" if "AccessDenied" in code or code == "AuthorizationError" else f"let, then {code}"
    return "let"
"""

type Attempt = Callable[..., str]


@pytest.fixture(scope="module", params=["ReceiveRole", "DeliverRole", "ReconcileRole"])
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


def test_deliver_may_not_queue_events(stack: LocalStack, attempt: Attempt, role: str) -> None:
    queued = attempt("sqs", "send_message", QueueUrl=stack.events_queue_url, MessageBody="not an event")
    assert queued == ("refused" if role == "DeliverRole" else "let")


def test_only_deliver_may_write_dead_letters(stack: LocalStack, attempt: Attempt, role: str) -> None:
    written = attempt("sqs", "send_message", QueueUrl=stack.dead_letter_queue_url, MessageBody="a probe")
    assert written == ("let" if role == "DeliverRole" else "refused")


def test_nobody_reads_dead_letters(stack: LocalStack, attempt: Attempt) -> None:
    assert attempt("sqs", "receive_message", QueueUrl=stack.dead_letter_queue_url) == "refused"


def test_only_deliver_may_use_the_table(stack: LocalStack, attempt: Attempt, role: str) -> None:
    key = {"pk": {"S": "probe"}}
    expected = "let" if role == "DeliverRole" else "refused"
    assert attempt("dynamodb", "get_item", TableName=stack.state_table, Key=key) == expected
    if role != "ReconcileRole":  # The emulator does not know dynamodb:LeadingKeys, which the role's condition is about.
        assert attempt("dynamodb", "put_item", TableName=stack.state_table, Item=key) == expected
    assert attempt("dynamodb", "delete_item", TableName=stack.state_table, Key=key) == "refused"


def test_reconcile_may_look_up_what_was_delivered_and_write_only_how_far_it_is(
    stack: LocalStack, attempt: Attempt, role: str
) -> None:
    looked = attempt("dynamodb", "batch_get_item", RequestItems={stack.state_table: {"Keys": [{"pk": {"S": "probe"}}]}})
    assert looked == ("refused" if role == "ReceiveRole" else "let")
    noted = attempt("dynamodb", "put_item", TableName=stack.state_table, Item={"pk": {"S": "bookmark#probe"}})
    assert noted == ("refused" if role == "ReceiveRole" else "let")


def test_only_deliver_may_change_when_an_event_is_seen_again(stack: LocalStack, attempt: Attempt, role: str) -> None:
    change = {"QueueUrl": stack.events_queue_url, "ReceiptHandle": "none", "VisibilityTimeout": 1}
    result = attempt("sqs", "change_message_visibility", **change)
    assert result.startswith("let") if role == "DeliverRole" else result == "refused"


def test_no_role_touches_what_watches_over_it(stack: LocalStack, attempt: Attempt) -> None:
    topic = stack.deployment.output("AlarmTopicArn")
    assert attempt("sns", "publish", TopicArn=topic, Message="all is well") == "refused"
    assert attempt("cloudwatch", "delete_alarms", AlarmNames=["stripe-to-segment-dead-letters"]) == "refused"
    assert attempt("cloudwatch", "disable_alarm_actions", AlarmNames=["stripe-to-segment-dead-letters"]) == "refused"
    assert attempt("logs", "delete_log_group", logGroupName="/aws/lambda/stripe-to-segment-deliver") == "refused"


def test_no_role_opens_another_way_in(stack: LocalStack, attempt: Attempt) -> None:
    rule = stack.deployment.resource("StripeEventsRule")
    assert attempt("events", "remove_targets", Rule=rule, EventBusName=BUS, Ids=["EventsQueue"]) == "refused"
    assert attempt("events", "put_rule", Name="mine", EventPattern="{}") == "refused"
    opened = {"QueueUrl": stack.events_queue_url, "Attributes": {"Policy": ""}}
    assert attempt("sqs", "set_queue_attributes", **opened) == "refused"


@pytest.mark.parametrize("queue", ["EventsQueue", "DeadLetterQueue"])
def test_a_queue_lets_in_eventbridge_for_the_rule_that_was_deployed_and_nobody_else(
    stack: LocalStack, queue: str
) -> None:
    """Read, not tried: the emulator delivers without asking the queue's policy."""
    url = stack.deployment.resource(queue)
    attributes = stack.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy", "QueueArn"])
    policy = json.loads(attributes["Attributes"]["Policy"])
    (statement,) = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", attributes["Attributes"]["QueueArn"])
    rule = stack.deployment.resource("StripeEventsRule")
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{BUS}/{rule}"
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": arn}}
