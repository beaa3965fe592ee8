"""Each role allows what its function needs and nothing else. The other tests show that it allows enough."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.local_stack.emulator import ACCOUNT, REGION
from tests.stack.conftest import BUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stripe_to_segment_tools.local_stack import LocalStack

pytestmark = pytest.mark.stack

# A function with another function's role, which tries one operation and returns whether it was allowed.
PROBE = """
import functools
import boto3
from botocore.exceptions import ClientError

client_of = functools.cache(boto3.client)

def handler(attempt, context):
    client = client_of(attempt["service"])
    try:
        getattr(client, attempt["operation"])(**attempt["arguments"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        # SNS has its own code for it.
        return "refused" if "AccessDenied" in code or code == "AuthorizationError" else f"allowed, then {code}"
    return "allowed"
"""

type Attempt = Callable[..., str]
# A service, its operation and the arguments.
type Operations = list[tuple[str, dict[str, Any]]]
# Each operation by its description: the service, the operation and the arguments.
type Tries = dict[str, tuple[str, str, dict[str, Any]]]


@pytest.fixture(scope="module", params=["ReceiveRole", "DeliverRole", "ReconcileRole", "AuditRole"])
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


@pytest.fixture(scope="module")
def neighbours(stack: LocalStack) -> Iterator[dict[str, str]]:
    """A queue, a table and a secret of another owner in the same account."""
    clients = stack.clients
    queue = clients.sqs.create_queue(QueueName="neighbour")["QueueUrl"]
    clients.dynamodb.create_table(
        TableName="neighbour",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    secret = clients.secretsmanager.create_secret(Name="neighbour", SecretString="{}")["ARN"]
    yield {"queue": queue, "table": "neighbour", "secret": secret}
    clients.sqs.delete_queue(QueueUrl=queue)
    clients.dynamodb.delete_table(TableName="neighbour")
    clients.secretsmanager.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)


def everything(stack: LocalStack, neighbours: dict[str, str]) -> Tries:
    """All operations that a role tries."""
    return {
        **on_queues(stack, neighbours["queue"]),
        **on_tables(stack, neighbours["table"]),
        **on_secrets(stack, neighbours["secret"]),
        **on_functions(stack),
        **on_the_rest(stack),
    }


def on_queues(stack: LocalStack, neighbour: str) -> Tries:
    operations: Operations = [
        ("send_message", {"MessageBody": "not an event"}),
        # Otherwise it would wait for the queue's 20 seconds.
        ("receive_message", {"VisibilityTimeout": 0, "WaitTimeSeconds": 0}),
        ("delete_message", {"ReceiptHandle": "none"}),
        ("change_message_visibility", {"ReceiptHandle": "none", "VisibilityTimeout": 1}),
        ("get_queue_attributes", {"AttributeNames": ["All"]}),
        ("set_queue_attributes", {"Attributes": {"Policy": ""}}),
        ("add_permission", {"Label": "mine", "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"]}),
        ("purge_queue", {}),
        ("delete_queue", {}),
    ]
    queues = {
        "events queue": stack.events_queue_url,
        "dead letters": stack.dead_letter_queue_url,
        "neighbour's queue": neighbour,
    }
    return {
        f"{name}: {operation}": ("sqs", operation, {"QueueUrl": url, **more})
        for name, url in queues.items()
        for operation, more in operations
    }


def on_tables(stack: LocalStack, neighbour: str) -> Tries:
    tries: Tries = {}
    key = {"pk": {"S": "probe"}}
    for name, table in {"state table": stack.state_table, "neighbour's table": neighbour}.items():
        query = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": key["pk"]}}
        operations: Operations = [
            ("batch_get_item", {"RequestItems": {table: {"Keys": [key]}}}),
            ("get_item", {"TableName": table, "Key": key}),
            ("query", {"TableName": table, **query}),
            ("scan", {"TableName": table}),
            ("put_item", {"TableName": table, "Item": key}),
            ("update_item", {"TableName": table, "Key": key}),
            ("delete_item", {"TableName": table, "Key": key}),
            ("batch_write_item", {"RequestItems": {table: [{"PutRequest": {"Item": key}}]}}),
            ("transact_write_items", {"TransactItems": [{"Delete": {"TableName": table, "Key": key}}]}),
            ("update_table", {"TableName": table, "DeletionProtectionEnabled": False}),
            ("delete_table", {"TableName": table}),
        ]
        tries |= {f"{name}: {operation}": ("dynamodb", operation, more) for operation, more in operations}
    bookmark = {"TableName": stack.state_table, "Item": {"pk": {"S": "bookmark#probe"}}}
    return tries | {"state table: put_item of a bookmark": ("dynamodb", "put_item", bookmark)}


def on_secrets(stack: LocalStack, neighbour: str) -> Tries:
    operations: Operations = [
        ("get_secret_value", {}),
        ("put_secret_value", {"SecretString": "{}"}),
        ("update_secret", {"SecretString": "{}"}),
        ("put_resource_policy", {"ResourcePolicy": "{}"}),
        ("delete_secret", {}),
    ]
    return {
        f"{name}: {operation}": ("secretsmanager", operation, {"SecretId": secret, **more})
        for name, secret in {
            "signing secret": stack.deployment.output("SigningSecretArn"),
            "keys secret": stack.deployment.output("KeysSecretArn"),
            "neighbour's secret": neighbour,
        }.items()
        for operation, more in operations
    }


def on_functions(stack: LocalStack) -> Tries:
    """Operations on the functions, their roles and their logs."""
    tries: Tries = {}
    operations: Operations = [
        ("invoke", {}),
        ("get_function", {}),
        ("update_function_configuration", {"Timeout": 1}),
        ("update_function_code", {"S3Bucket": "mine", "S3Key": "mine"}),
        ("update_alias", {"Name": "live", "FunctionVersion": "1"}),
        ("add_permission", {"StatementId": "mine", "Action": "lambda:InvokeFunction", "Principal": "*"}),
        ("delete_function", {}),
    ]
    for name in ("Receive", "Deliver", "Reconcile", "Audit"):
        function, role = stack.deployment.output(f"{name}FunctionName"), stack.deployment.resource(f"{name}Role")
        for operation, more in operations:
            tries[f"{name}: {operation}"] = "lambda", operation, {"FunctionName": function, **more}
        arn = stack.clients.iam.get_role(RoleName=role)["Role"]["Arn"]
        tries[f"{name}: assume_role"] = "sts", "assume_role", {"RoleArn": arn, "RoleSessionName": "mine"}
        policy = {"RoleName": role, "PolicyName": "mine", "PolicyDocument": "{}"}
        tries[f"{name}: put_role_policy"] = "iam", "put_role_policy", policy
        on_log: Operations = [
            ("create_log_stream", {"logStreamName": f"probe-{len(tries)}"}),
            ("filter_log_events", {}),
            ("put_retention_policy", {"retentionInDays": 1}),
            ("delete_log_group", {}),
        ]
        group = f"/aws/lambda/{stack.deployment.name}-{name.lower()}"
        for operation, more in on_log:
            tries[f"{name}'s log: {operation}"] = "logs", operation, {"logGroupName": group, **more}
    return tries


def on_the_rest(stack: LocalStack) -> Tries:
    output, resource = stack.deployment.output, stack.deployment.resource
    rule = resource("StripeEventsRule")
    alarms = {"AlarmNames": [f"{stack.deployment.name}-dead-letters"]}
    return {
        "list queues": ("sqs", "list_queues", {}),
        "list tables": ("dynamodb", "list_tables", {}),
        "list secrets": ("secretsmanager", "list_secrets", {}),
        "list functions": ("lambda", "list_functions", {}),
        "list roles": ("iam", "list_roles", {}),
        "list buckets": ("s3", "list_buckets", {}),
        "list stacks": ("cloudformation", "list_stacks", {}),
        "list parameters": ("ssm", "describe_parameters", {}),
        "list keys": ("kms", "list_keys", {}),
        "list APIs": ("apigatewayv2", "get_apis", {}),
        "make a queue": ("sqs", "create_queue", {"QueueName": "mine"}),
        "make a user": ("iam", "create_user", {"UserName": "mine"}),
        "delete the stack": ("cloudformation", "delete_stack", {"StackName": stack.deployment.name}),
        "delete the API": ("apigatewayv2", "delete_api", {"ApiId": "none"}),
        "say that all is well": ("sns", "publish", {"TopicArn": output("AlarmTopicArn"), "Message": "all is well"}),
        "delete an alarm": ("cloudwatch", "delete_alarms", alarms),
        "silence an alarm": ("cloudwatch", "disable_alarm_actions", alarms),
        "make up a metric": (
            "cloudwatch",
            "put_metric_data",
            {"Namespace": "StripeToSegment", "MetricData": [{"MetricName": "x", "Value": 1}]},
        ),
        "remove the EventBridge target": (
            "events",
            "remove_targets",
            {"Rule": rule, "EventBusName": BUS, "Ids": ["EventsQueue"]},
        ),
        "open another way in": ("events", "put_rule", {"Name": "mine", "EventPattern": "{}"}),
        "put an event on a bus": (
            "events",
            "put_events",
            {"Entries": [{"Source": "mine", "DetailType": "x", "Detail": "{}"}]},
        ),
    }


# Everything that each role may do; docs/permissions.md states the reasons.
MAY = {
    "ReceiveRole": {"signing secret: get_secret_value", "events queue: send_message"},
    "DeliverRole": {
        "keys secret: get_secret_value",
        # Where an earlier release kept the keys.
        "signing secret: get_secret_value",
        "events queue: receive_message",
        "events queue: delete_message",
        "events queue: change_message_visibility",
        "events queue: get_queue_attributes",
        "dead letters: send_message",
        "state table: batch_get_item",
        "state table: put_item",
        "state table: put_item of a bookmark",
        "state table: update_item",
    },
    "ReconcileRole": {
        "keys secret: get_secret_value",
        "signing secret: get_secret_value",
        "events queue: send_message",
        "state table: batch_get_item",
        "state table: put_item of a bookmark",
    },
    "AuditRole": {
        "keys secret: get_secret_value",
        "signing secret: get_secret_value",
        "events queue: get_queue_attributes",
        "state table: batch_get_item",
        "state table: scan",
    },
}
# tests/template covers the rest: the emulator supports neither the condition keys dynamodb:LeadingKeys and
# secretsmanager:VersionStage nor the ":*" that AWS requires at the end of a log group's ARN.
UNTRIED = {
    "ReceiveRole": {"Receive's log: create_log_stream"},
    "DeliverRole": {"Deliver's log: create_log_stream"},
    "ReconcileRole": {"Reconcile's log: create_log_stream", "state table: put_item"},
    "AuditRole": {"Audit's log: create_log_stream"},
}


def test_a_role_allows_what_its_function_needs_and_refuses_everything_else(
    stack: LocalStack, attempt: Attempt, role: str, neighbours: dict[str, str]
) -> None:
    tries = everything(stack, neighbours)
    assert MAY[role] | UNTRIED[role] <= set(tries)
    said = {
        name: attempt(service, operation, **arguments)
        for name, (service, operation, arguments) in tries.items()
        if name not in UNTRIED[role]
    }
    allowed = {name: answer for name, answer in said.items() if answer != "refused"}
    assert set(allowed) == MAY[role], allowed
    assert all(answer.startswith("allowed") for answer in allowed.values()), allowed


@pytest.mark.parametrize("queue", ["EventsQueue", "DeadLetterQueue"])
def test_a_queues_policy_allows_only_eventbridge_for_the_deployed_rule(stack: LocalStack, queue: str) -> None:
    """The test reads the policy, because the emulator delivers without checking it."""
    url = stack.deployment.resource(queue)
    attributes = stack.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy", "QueueArn"])
    policy = json.loads(attributes["Attributes"]["Policy"])
    (statement,) = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", attributes["Attributes"]["QueueArn"])
    rule = stack.deployment.resource("StripeEventsRule")
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{BUS}/{rule}"
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": arn}}
