"""Each function has the permissions that it needs, and no others."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.template.conftest import Template

TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
READ = {"secretsmanager:GetSecretValue"}
CURRENT = {"ForAnyValue:StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}
ROLES = ["ReceiveRole", "DeliverRole", "ReconcileRole", "AuditRole"]

RECEIVE = {
    "EventsQueue.Arn": {"sqs:SendMessage"},
    "ConnectionsSecret.Id": READ,
    "ReceiveLogGroup.Arn": LOG,
    "*": TRACES,
}
TAKE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
DELIVER = {
    "EventsQueue.Arn": TAKE,
    "ImportQueue.Arn": TAKE,
    "DeadLetterQueue.Arn": {"sqs:SendMessage"},
    "StateTable.Arn": {"dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
    "KeysSecret.Id": READ,
    # Where an earlier release kept the keys.
    "ConnectionsSecret.Id": READ,
    "DeliverLogGroup.Arn": LOG,
    "*": TRACES,
}


RECONCILE = {
    "EventsQueue.Arn": {"sqs:SendMessage"},
    "StateTable.Arn": {"dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:PutItem"},
    "KeysSecret.Id": READ,
    # Where an earlier release kept the keys.
    "ConnectionsSecret.Id": READ,
    "ReconcileLogGroup.Arn": LOG,
    "*": TRACES,
}


AUDIT = {
    "EventsQueue.Arn": {"sqs:GetQueueAttributes"},
    "ImportQueue.Arn": {"sqs:GetQueueAttributes"},
    "StateTable.Arn": {"dynamodb:Scan", "dynamodb:BatchGetItem", "dynamodb:DescribeTable"},
    "KeysSecret.Id": READ,
    # Where an earlier release kept the keys.
    "ConnectionsSecret.Id": READ,
    "AuditLogGroup.Arn": LOG,
    "*": TRACES,
}


def allowed(template: Template, role: str) -> dict[str, set[str]]:
    """The actions of a role, by resource."""
    found: dict[str, set[str]] = {}
    for statement in template.statements(role):
        assert statement["Effect"] == "Allow"
        resource: Any = statement["Resource"]
        actions = statement["Action"]
        for each in resource if isinstance(resource, list) else [resource]:
            name = each if isinstance(each, str) else str(each.get("Ref") or each.get("Fn::Sub") or "")
            name = name or ".".join(each["Fn::GetAtt"])
            found.setdefault(name, set()).update([actions] if isinstance(actions, str) else actions)
    return found


def test_receive_may_queue_read_the_signing_secrets_log_and_trace(template: Template) -> None:
    assert allowed(template.given(), "ReceiveRole") == RECEIVE


def test_deliver_may_use_its_queue_the_dead_letter_queue_the_table_the_keys_logs_and_traces(template: Template) -> None:
    assert allowed(template.given(), "DeliverRole") == DELIVER


def test_reconcile_may_queue_read_the_table_write_its_bookmark_read_the_keys_log_and_trace(template: Template) -> None:
    assert allowed(template.given(), "ReconcileRole") == RECONCILE


def test_audit_may_count_what_waits_read_the_table_and_the_keys_log_and_trace_and_write_nothing(
    template: Template,
) -> None:
    assert allowed(template.given(), "AuditRole") == AUDIT


# --- Secrets ---


@pytest.mark.parametrize("values", [{}, {"SigningSecretArn": "a"}, {"KeysSecretArn": "b"}, {"KmsKeyArn": "c"}])
def test_the_function_on_the_internet_has_no_access_to_the_keys(template: Template, values: dict[str, str]) -> None:
    """An attacker in this function could otherwise send to Segment and read from Stripe in the company's name."""
    found = template.given(**values)
    written = json.dumps([found.properties("ReceiveRole"), found.variables("ReceiveFunction")])
    assert "KeysSecret" not in written
    assert "KEYS" not in written


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("values", [{}, {"SigningSecretArn": "a", "KeysSecretArn": "b"}])
def test_a_role_reads_the_current_version_of_a_secret_and_no_older_one(
    template: Template, role: str, values: dict[str, str]
) -> None:
    """Older versions of the SigningSecret may hold the keys of an earlier release.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
    """
    reads = [
        each for each in template.given(**values).statements(role) if each["Action"] == "secretsmanager:GetSecretValue"
    ]
    assert reads
    assert all(each["Condition"] == CURRENT for each in reads)


def test_given_secrets_replace_those_of_the_stack(template: Template) -> None:
    found = template.given(SigningSecretArn="a", KeysSecretArn="b")
    assert not found.of_type("AWS::SecretsManager::Secret")
    receive, deliver = allowed(found, "ReceiveRole"), allowed(found, "DeliverRole")
    assert receive["SigningSecretArn"] == READ
    assert deliver["KeysSecretArn"] == allowed(found, "ReconcileRole")["KeysSecretArn"] == READ
    assert allowed(found, "AuditRole")["KeysSecretArn"] == READ
    assert "SigningSecretArn" not in deliver, "it has no secret of an earlier release"
    half = template.given(KeysSecretArn="b")
    assert allowed(half, "DeliverRole").items() >= {"KeysSecretArn": READ, "ConnectionsSecret.Id": READ}.items()


# --- The customer's own KMS keys ---


def kms(template: Template, role: str) -> list[tuple[str, set[str], dict[str, Any]]]:
    """A role's permissions for KMS keys: the action, the services that use the key, and the other conditions."""
    found = []
    for statement in template.statements(role):
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if actions[0].startswith("kms:"):
            asked = statement["Condition"].get("StringEquals", {})
            services = statement["Condition"]["StringLike"]["kms:ViaService"]
            given = services if isinstance(services, list) else [services]
            via = {each["Fn::Sub"].removesuffix(".${AWS::Region}.amazonaws.*") for each in given}
            found += [(action, via, asked | {"on": statement["Resource"]}) for action in actions]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_without_a_customers_kms_key_no_role_may_use_one(template: Template, role: str) -> None:
    assert kms(template.given(), role) == []


@pytest.mark.parametrize(
    ("role", "decrypts"),
    [
        ("ReceiveRole", {"secretsmanager", "sqs"}),
        ("DeliverRole", {"secretsmanager", "sqs", "dynamodb"}),
        ("ReconcileRole", {"secretsmanager", "sqs", "dynamodb"}),
    ],
)
def test_a_customers_kms_key_is_used_only_through_the_services_that_need_it(
    template: Template, role: str, decrypts: set[str]
) -> None:
    """SQS requires both permissions of a sender: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html."""
    key = {"on": {"Ref": "KmsKeyArn"}}
    found = kms(template.given(KmsKeyArn="arn:aws:kms:…:key/1"), role)
    assert found == [("kms:Decrypt", decrypts, key), ("kms:GenerateDataKey", {"sqs"}, key)]


def test_a_kms_key_is_used_through_the_services_of_every_partition(template: Template) -> None:
    """If they are called amazonaws.com.cn in China, no function could read a secret, a record or an item there.

    AWS's own CDK names them amazonaws.com in every partition; kops, by the partition's suffix:
    https://github.com/kubernetes/kops/pull/18363
    """
    found = template.given(KmsKeyArn="a", SigningSecretArn="b", KeysSecretArn="c")
    statements = [each for role in ROLES for each in found.statements(role) if "kms:" in str(each["Action"])]
    assert len(statements) == 11
    for each in statements:
        services = each["Condition"]["StringLike"]["kms:ViaService"]
        for service in services if isinstance(services, list) else [services]:
            assert service["Fn::Sub"].endswith(".${AWS::Region}.amazonaws.*")


def test_audit_decrypts_secrets_and_items_with_a_customers_kms_key_and_encrypts_nothing(template: Template) -> None:
    found = kms(template.given(KmsKeyArn="arn:aws:kms:…:key/1"), "AuditRole")
    assert found == [("kms:Decrypt", {"secretsmanager", "dynamodb"}, {"on": {"Ref": "KmsKeyArn"}})]


@pytest.mark.parametrize(
    ("role", "parameter"),
    [
        ("ReceiveRole", "SigningSecretArn"),
        ("DeliverRole", "KeysSecretArn"),
        ("ReconcileRole", "KeysSecretArn"),
        ("AuditRole", "KeysSecretArn"),
    ],
)
def test_a_given_secrets_kms_key_decrypts_only_that_secret(template: Template, role: str, parameter: str) -> None:
    ((action, via, asked),) = kms(template.given(**{parameter: "arn"}), role)
    assert (action, via) == ("kms:Decrypt", {"secretsmanager"})
    assert asked["kms:EncryptionContext:SecretARN"] == {"Ref": parameter}
    assert asked["on"] == {"Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:*:key/*"}


# --- The rest ---


def test_reconcile_may_write_only_its_bookmark(template: Template) -> None:
    (written,) = [each for each in template.given().statements("ReconcileRole") if each["Action"] == "dynamodb:PutItem"]
    assert written["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["bookmark#*"]}}


def test_every_function_has_its_own_role_and_the_template_has_no_others(template: Template) -> None:
    functions = template.of_type("AWS::Lambda::Function")
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert sorted(roles) == sorted(template.of_type("AWS::IAM::Role"))
    assert len(set(roles)) == len(functions)


@pytest.mark.parametrize("role", ROLES)
def test_only_lambda_can_assume_a_role(template: Template, role: str) -> None:
    (statement,) = template.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


def test_every_role_has_the_permissions_boundary_that_the_user_names(template: Template) -> None:
    """Some companies forbid roles without a boundary: there a deployment failed at the first role."""
    boundary = {"Fn::If": ["RolesAreBounded", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
    for role in template.of_type("AWS::IAM::Role").values():
        assert role["PermissionsBoundary"] == boundary
    assert template.default("PermissionsBoundaryArn") == ""


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:iam::123456789012:policy/boundaries/Developer",
        "arn:aws-us-gov:iam::123456789012:policy/Developer",
        "arn:aws-cn:iam::aws:policy/PowerUserAccess",
    ],
)
def test_a_boundary_can_be_a_policy_of_any_partition(template: Template, arn: str) -> None:
    assert re.fullmatch(template.body["Parameters"]["PermissionsBoundaryArn"]["AllowedPattern"], arn)


def test_no_role_has_a_managed_policy(template: Template) -> None:
    for role in template.of_type("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role


def test_only_this_api_may_invoke_receive_and_only_by_its_alias_and_route(template: Template) -> None:
    permissions = template.of_type("AWS::Lambda::Permission")
    assert set(permissions) == {"ReceiveFunctionStripeWebhookPermission", "ReconcilePermission", "AuditPermission"}
    permission = permissions["ReceiveFunctionStripeWebhookPermission"]
    assert permission["FunctionName"] == {"Ref": "ReceiveFunctionAliaslive"}
    assert permission["Principal"] == "apigateway.amazonaws.com"
    arn, names = permission["SourceArn"]["Fn::Sub"]
    assert arn.endswith("/POST/webhooks/stripe")
    assert names["__ApiId__"] == {"Ref": "WebhookApi"}


@pytest.mark.parametrize("name", ["Reconcile", "Audit"])
def test_only_its_own_schedule_invokes_reconcile_and_audit(template: Template, name: str) -> None:
    permission = template.properties(f"{name}Permission")
    assert permission["FunctionName"] == {"Fn::Sub": f"${{{name}FunctionAliaslive}}"}
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": [f"{name}Rule", "Arn"]}
    for resource in (f"{name}Permission", f"{name}Rule"):
        assert template.resources[resource]["Condition"] == f"{name}IsScheduled"
    assert template.default(f"{name}Schedule") == ""
