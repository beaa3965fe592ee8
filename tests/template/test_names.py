"""Names and addresses in every account: long stack names, two stacks, a repeated deployment, GovCloud and China."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.commands.deploy.stack import LONGEST_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.conftest import Template

# The longest name by resource type and property, from the services' API references.
LONGEST = {
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::SNS::Topic", "DisplayName"): 100,
    ("AWS::Lambda::LayerVersion", "LayerName"): 140,
    ("AWS::Events::Rule", "Name"): 64,
    ("AWS::Events::Rule", "Description"): 512,
    ("AWS::SecretsManager::Secret", "Description"): 2048,
    ("AWS::KMS::Key", "Description"): 8192,
    # The API's name, which SAM puts into the OpenAPI document.
    ("AWS::ApiGatewayV2::Api", "title"): 128,
}
# Resources whose names omit the stack's name, because it may be too long.
FIXED = {"AWS::Events::Rule"}
NAMES = {"Name", "QueueName", "LogGroupName", "AlarmName", "DashboardName", "DisplayName", "LayerName", "title"}
VALUES = {
    "AWS::StackName": "s" * LONGEST_NAME,
    "AWS::Region": "ap-southeast-99",
    "AWS::StackId": f"arn:aws:cloudformation:eu-central-1:123456789012:stack/{'s' * LONGEST_NAME}/"
    "c8d1a4a0-7f4c-11ef-9d5e-0a1b2c3d4e5f",
}


def resolved(part: Any) -> Any:
    """A name after CloudFormation has evaluated it; references to resources stay."""
    match part:
        case {"Ref": name}:
            return VALUES.get(name, part)
        case {"Fn::Sub": str(text)}:
            return resolved({"Fn::Sub": [text, {}]})
        case {"Fn::Sub": [text, given]}:
            values = VALUES | {name: resolved(value) for name, value in given.items()}
            return re.sub(r"\$\{([\w:]+)\}", lambda found: values[found[1]], text)
        case {"Fn::Select": [index, of]}:
            return resolved(of)[index]
        case {"Fn::Split": [separator, of]}:
            return resolved(of).split(separator)
    return part


def named(template: Template) -> Iterator[tuple[str, str, str, str]]:
    """Logical id, type, property and value of each name and description that contains the stack's name."""
    for logical_id, resource in template.resources.items():
        for place, value in parts(resource.get("Properties", {})):
            if place in NAMES | {"Description"} and "AWS::Stack" in str(value):
                yield logical_id, resource["Type"], place, resolved(value)


def parts(properties: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a resource's properties with its value, at any depth."""
    for key, value in properties.items():
        yield key, value
        if isinstance(value, dict):
            yield from parts(value)


def test_every_name_fits_for_the_longest_stack_name(template: Template) -> None:
    """SQS refused the queue names of a stack name with 74 characters, in the middle of a deployment."""
    found = list(named(template))
    assert {kind for _, kind, *_ in found} >= {kind for kind, place in LONGEST if place != "Description"} - FIXED
    for logical_id, kind, place, value in found:
        assert len(value) <= LONGEST[kind, place], logical_id


def test_a_stack_name_with_one_more_character_would_not_fit(template: Template) -> None:
    lengths = {(kind, place): len(value) for _, kind, place, value in named(template)}
    assert any(lengths[where] == LONGEST[where] for where in lengths), "the limit is as high as possible"


def test_names_of_a_failed_deployment_do_not_block_the_next_one(template: Template) -> None:
    """SQS reserves the name of a deleted queue for a minute, so a deployment right after a failed one failed too."""
    sources = template.properties("DeadLetterQueue")["RedriveAllowPolicy"]["sourceQueueArns"]
    for kind, source in zip(("Events", "Import"), sources, strict=True):
        queue = template.properties(f"{kind}Queue")["QueueName"]
        assert resolved(queue) == f"{'s' * LONGEST_NAME}-{kind.lower()}-c8d1a4a0"
        text, given = source["Fn::Sub"]
        assert text.endswith(":" + queue["Fn::Sub"][0])
        assert given == queue["Fn::Sub"][1]


def test_no_two_resources_of_a_type_have_the_same_name(template: Template) -> None:
    names = [(kind, value) for _, kind, place, value in named(template) if place != "Description"]
    assert len(names) == len(set(names))


def test_no_arn_and_no_address_contains_a_partition(project_template: str) -> None:
    """`arn:aws:` and `amazonaws.com` exist in the commercial regions only; service principals are the same everywhere.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    for line in project_template.splitlines():
        if not line.strip().startswith("#"):
            assert "arn:aws:" not in line
            assert not re.search(r"!Sub.*amazonaws\.com|https://.*amazonaws\.com", line), line


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", "console.aws.amazon.com"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-eusc", "console.amazonaws-eusc.eu"),
    ],
)
def test_the_dashboard_is_linked_in_its_partitions_console(template: Template, partition: str, host: str) -> None:
    """A partition without a row here takes no stack: CloudFormation does not find the value, and rolls back."""
    assert template.body["Mappings"]["ByPartition"][partition] == {"Console": host}
    text, given = template.body["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"]
    assert text.startswith("https://${Console}/cloudwatch/home?region=${AWS::Region}#")
    assert given == {"Console": {"Fn::FindInMap": ["ByPartition", {"Ref": "AWS::Partition"}, "Console"]}}
