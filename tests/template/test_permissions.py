"""Each function may do what it does, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.template.conftest import Template

TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}

RECEIVE = {
    "EventsQueue.Arn": {"sqs:SendMessage"},
    "ConnectionsSecret.Id": {"secretsmanager:GetSecretValue"},
    "ReceiveLogGroup.Arn": LOG,
    "*": TRACES,
}
DELIVER = {
    "EventsQueue.Arn": {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility",
    },
    "DeadLetterQueue.Arn": {"sqs:SendMessage"},
    "StateTable.Arn": {"dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
    "ConnectionsSecret.Id": {"secretsmanager:GetSecretValue"},
    "DeliverLogGroup.Arn": LOG,
    "*": TRACES,
}


RECONCILE = {
    "EventsQueue.Arn": {"sqs:SendMessage"},
    "StateTable.Arn": {"dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:PutItem"},
    "ConnectionsSecret.Id": {"secretsmanager:GetSecretValue"},
    "ReconcileLogGroup.Arn": LOG,
    "*": TRACES,
}


def allowed(template: Template, role: str) -> dict[str, set[str]]:
    """The actions of a role by the resource they are for."""
    found: dict[str, set[str]] = {}
    for statement in template.statements(role):
        assert statement["Effect"] == "Allow"
        resource: Any = statement["Resource"]
        name = resource if isinstance(resource, str) else ".".join(resource["Fn::GetAtt"])
        actions = statement["Action"]
        found.setdefault(name, set()).update([actions] if isinstance(actions, str) else actions)
    return found


def test_receive_may_queue_read_its_secret_log_and_trace(template: Template) -> None:
    assert allowed(template, "ReceiveRole") == RECEIVE


def test_deliver_may_work_its_queue_put_aside_remember_read_its_secret_log_and_trace(template: Template) -> None:
    assert allowed(template, "DeliverRole") == DELIVER


def test_reconcile_may_queue_look_up_note_how_far_it_is_read_its_secret_log_and_trace(template: Template) -> None:
    assert allowed(template, "ReconcileRole") == RECONCILE


def test_reconcile_may_write_nothing_but_its_bookmark(template: Template) -> None:
    (written,) = [each for each in template.statements("ReconcileRole") if each["Action"] == "dynamodb:PutItem"]
    assert written["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["bookmark#*"]}}


def test_every_function_has_its_own_role_and_the_template_has_no_other(template: Template) -> None:
    functions = template.of_type("AWS::Lambda::Function")
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert sorted(roles) == sorted(template.of_type("AWS::IAM::Role"))
    assert len(set(roles)) == len(functions)


@pytest.mark.parametrize("role", ["ReceiveRole", "DeliverRole", "ReconcileRole"])
def test_only_lambda_takes_on_a_role(template: Template, role: str) -> None:
    (statement,) = template.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


def test_no_role_takes_a_managed_policy(template: Template) -> None:
    for role in template.of_type("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role


def test_only_this_api_may_invoke_receive_and_only_by_its_alias_and_route(template: Template) -> None:
    permissions = template.of_type("AWS::Lambda::Permission")
    assert set(permissions) == {"ReceiveFunctionStripeWebhookPermission", "ReconcilePermission"}
    permission = permissions["ReceiveFunctionStripeWebhookPermission"]
    assert permission["FunctionName"] == {"Ref": "ReceiveFunctionAliaslive"}
    assert permission["Principal"] == "apigateway.amazonaws.com"
    arn, names = permission["SourceArn"]["Fn::Sub"]
    assert arn.endswith("/POST/webhooks/stripe")
    assert names["__ApiId__"] == {"Ref": "WebhookApi"}


def test_only_its_own_schedule_invokes_reconcile(template: Template) -> None:
    permission = template.properties("ReconcilePermission")
    assert permission["FunctionName"] == {"Ref": "ReconcileFunctionAliaslive"}
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["ReconcileRule", "Arn"]}
