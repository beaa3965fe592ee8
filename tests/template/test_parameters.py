"""The template's parameters, their descriptions, bounds and defaults, and its outputs."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.settings import Settings, settings_from
from stripe_to_segment_tools.commands.deploy.parameters import as_sam_reads

if TYPE_CHECKING:
    from pathlib import Path

    from tests.template.conftest import Template

# Variables that Powertools reads, not the package's settings.
POWERTOOLS = {"POWERTOOLS_LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
# Settings whose value is a resource of the stack or the stack's name.
OF_THE_STACK = {
    *("SIGNING_SECRET_ARN", "KEYS_SECRET_ARN", "FORMER_SECRET_ARN"),
    *("EVENTS_QUEUE_URL", "IMPORT_QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "STATE_TABLE", "STACK_NAME"),
}


@pytest.fixture(scope="module")
def variables(template: Template) -> dict[str, Any]:
    """The environment variables of both functions."""
    return template.variables("ReceiveFunction") | template.variables("DeliverFunction")


def test_every_parameter_explains_an_empty_value(template: Template) -> None:
    for name, parameter in template.body["Parameters"].items():
        assert re.search(r"\. Empty: .+\.$", parameter["Description"]), name


def test_every_parameter_has_a_default_and_the_description_names_it(template: Template) -> None:
    for name, parameter in template.body["Parameters"].items():
        assert "Default" in parameter, name
        if "the default, " in parameter["Description"]:
            assert str(parameter["Default"]) in parameter["Description"].split("the default, ")[1], name


def test_every_bound_is_explained(template: Template) -> None:
    for name, parameter in template.body["Parameters"].items():
        if {"AllowedPattern", "MinValue", "MaxValue"} & set(parameter):
            assert parameter["ConstraintDescription"].startswith("must be"), name


def test_every_parameter_is_in_one_group_of_the_console(template: Template) -> None:
    groups = template.body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(template.body["Parameters"])


def test_every_parameter_is_used(template: Template, project_template: str) -> None:
    for name in template.body["Parameters"]:
        assert f"!Ref {name}" in project_template, name


def test_the_functions_get_every_setting_of_the_package_and_no_others(variables: dict[str, Any]) -> None:
    of_the_secret = {"CLIENT_REFERENCE_KEY"}
    assert set(variables) - POWERTOOLS == {field.name.upper() for field in fields(Settings)} - of_the_secret


def test_the_templates_defaults_are_the_packages_defaults(template: Template, variables: dict[str, Any]) -> None:
    given = {
        name: template.default(value["Ref"])
        for name, value in variables.items()
        if name not in POWERTOOLS | OF_THE_STACK
    }
    for field in fields(Settings):
        chosen, default = (getattr(each, field.name) for each in (settings_from(given), Settings()))
        assert chosen == default, (
            f"{field.name}: the template's default is read as {chosen!r}, settings.py has {default!r}"
        )


def test_the_package_accepts_every_allowed_value(template: Template, variables: dict[str, Any]) -> None:
    chosen = [
        (name, str(value))
        for name in set(variables) - POWERTOOLS - OF_THE_STACK
        for value in template.body["Parameters"][variables[name]["Ref"]].get("AllowedValues", [])
    ]
    assert len({name for name, _ in chosen}) >= 8
    for name, value in chosen:
        assert settings_from({name: value}) is not None
        try:
            taken = settings_from({name: f"{value}-other"})
        except ConfigurationError:
            continue
        pytest.fail(f"settings.py takes any value of {name}: give it a _choice in _READERS_OF_FIELDS; {taken}")


def test_a_source_without_a_name_is_named_after_the_stack(variables: dict[str, Any]) -> None:
    assert variables["SOURCE_NAME"] == {"Ref": "SourceName"}
    assert variables["STACK_NAME"] == {"Ref": "AWS::StackName"}
    assert settings_from({"SOURCE_NAME": "", "STACK_NAME": "shop"}).source == "shop"
    assert settings_from({"SOURCE_NAME": "store", "STACK_NAME": "shop"}).source == "store"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://api.segment.io",
        "https://events.eu1.segmentapis.com",
        "https://hosted.rudderlabs.com/",
        "https://example.dataplane.rudderstack.com/v1/batch",
        "http://127.0.0.1:8080",
        "http://localhost:8080/v1",
    ],
)
def test_an_endpoint_is_an_https_address_or_this_machine(template: Template, address: str) -> None:
    assert re.fullmatch(template.body["Parameters"]["SegmentEndpoint"]["AllowedPattern"], address)
    settings_from({"SEGMENT_ENDPOINT": address})


@pytest.mark.parametrize("address", ["http://api.segment.io", "api.segment.io", "https://", "https://a b", "ftp://a"])
def test_an_endpoint_that_would_reveal_the_write_key_is_refused(template: Template, address: str) -> None:
    assert not re.fullmatch(template.body["Parameters"]["SegmentEndpoint"]["AllowedPattern"], address)


SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:team/stripe-AbC123"


@pytest.mark.parametrize("parameter", ["SigningSecretArn", "KeysSecretArn"])
def test_a_given_secret_is_named_by_its_complete_arn(template: Template, parameter: str) -> None:
    """Without the six characters at the end of the ARN, the policy would match nothing, or another secret."""
    pattern = template.body["Parameters"][parameter]["AllowedPattern"]
    assert all(re.fullmatch(pattern, arn) for arn in ("", SECRET, SECRET.replace("aws:", "aws-us-gov:", 1)))
    wrong = [
        SECRET[:-7],
        SECRET[:-1],
        f"{SECRET}*",
        "team/stripe",
        SECRET.replace("secretsmanager", "ssm"),
        f"{SECRET} ",
    ]
    assert not any(re.fullmatch(pattern, arn) for arn in wrong)


def test_a_given_key_is_named_by_its_arn_and_not_by_an_alias(template: Template) -> None:
    """A policy on an alias grants nothing: https://docs.aws.amazon.com/kms/latest/developerguide/alias-access.html."""
    pattern = template.body["Parameters"]["KmsKeyArn"]["AllowedPattern"]
    key = "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    assert all(re.fullmatch(pattern, arn) for arn in ("", key))
    assert not any(re.fullmatch(pattern, arn) for arn in (key.replace("key/mrk-", "alias/"), "alias/mine", key[8:]))


def test_the_parameters_name_the_functions_secrets(template: Template) -> None:
    made, given = template.given(), template.given(SigningSecretArn=SECRET, KeysSecretArn=SECRET)
    own = {"Fn::GetAtt": ["ConnectionsSecret", "Id"]}
    keys = {"Fn::GetAtt": ["KeysSecret", "Id"]}
    assert made.variables("ReceiveFunction")["SIGNING_SECRET_ARN"] == own
    assert given.variables("ReceiveFunction")["SIGNING_SECRET_ARN"] == {"Ref": "SigningSecretArn"}
    for function in ("DeliverFunction", "ReconcileFunction"):
        assert made.variables(function)["KEYS_SECRET_ARN"] == keys
        assert made.variables(function)["FORMER_SECRET_ARN"] == own
        assert given.variables(function)["KEYS_SECRET_ARN"] == {"Ref": "KeysSecretArn"}
        assert given.variables(function)["FORMER_SECRET_ARN"] == ""
    assert made.body["Outputs"]["SigningSecretArn"]["Value"] == own
    assert given.body["Outputs"]["KeysSecretArn"]["Value"] == {"Ref": "KeysSecretArn"}


def test_sending_keys_to_another_address_must_be_confirmed_before_a_deployment(template: Template) -> None:
    (assertion,) = template.body["Rules"]["ApiKeyGoesToStripe"]["Assertions"]
    trusted, stripes = assertion["Assert"]["Fn::Or"]
    assert trusted == {"Fn::Equals": [{"Ref": "TrustStripeApiBase"}, "true"]}
    addresses, asked = stripes["Fn::Contains"]
    assert asked == {"Ref": "StripeApiBase"}
    assert {settings_from({"STRIPE_API_BASE": each}).sends_api_key for each in addresses} == {True}
    assert "set TrustStripeApiBase to true" in assertion["AssertDescription"]


@pytest.mark.parametrize(
    "schedule",
    [
        *("", "rate(1 hour)", "rate(6 hours)", "rate(30 minutes)"),
        *("cron(0 4 * * ? *)", "cron(0/15 8-17 ? * MON-FRI *)", "cron(0 0 1,15 JAN-JUN ? 2026-2030)"),
        *("cron(0 3 L * ? *)", "cron(0 3 ? * 6#3 *)", "cron(0 3 3W * ? *)"),
    ],
)
def test_a_schedule_is_a_rate_or_a_cron_expression(template: Template, schedule: str) -> None:
    assert re.fullmatch(template.body["Parameters"]["ReconcileSchedule"]["AllowedPattern"], schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        *("rate(1 hours)", "rate(6 hour)", "rate(0 hours)", "6 hours", "at(2030-01-01)"),
        # As cron itself takes it, with five fields; and with both days, of which one has to be a question mark.
        *("cron(0 4 * * *)", "cron(0 4 * * * *)", "cron(0 4 ? * ? *)", "cron(0  4 * * ? *)", "cron()"),
    ],
)
def test_a_schedule_that_eventbridge_refuses_is_refused_before_anything_is_deployed(
    template: Template, schedule: str
) -> None:
    """EventBridge accepts `1 hour` and `2 hours`; a rule that it refuses rolls the whole deployment back.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
    """
    assert not re.fullmatch(template.body["Parameters"]["ReconcileSchedule"]["AllowedPattern"], schedule)


def test_the_outputs_have_what_the_next_steps_need(template: Template) -> None:
    assert set(template.body["Outputs"]) == {
        "WebhookUrl",
        "EventsQueueUrl",
        "ImportQueueUrl",
        "DeadLetterQueueUrl",
        "SigningSecretArn",
        "KeysSecretArn",
        "StateTableName",
        "ReceiveFunctionName",
        "DeliverFunctionName",
        "ReconcileFunctionName",
        "AuditFunctionName",
        "AlarmTopicArn",
        "DashboardUrl",
    }
    assert template.body["Outputs"]["WebhookUrl"]["Value"]["Fn::Sub"].endswith("/webhooks/stripe")
    assert all(output["Description"] for output in template.body["Outputs"].values())


VALUES = [
    *(
        '{"Order Completed": "A \\"new\\" order"}',
        "It's",
        '"quoted"',
        "'",
        '"',
        "a\\ b",
        "\\",
        '\\\\"',
        "",
        " x ",
        "🎉",
    ),
    *("true", "null", "1e3", "a: b # c", "line\nbreak", "\x7f\x85"),
]
READ = """
import json, sys
from samcli.cli.types import CfnParameterOverridesType
print(json.dumps(CfnParameterOverridesType().convert(["file://" + sys.argv[1]], None, None)))
"""


@pytest.mark.tool
def test_sam_reads_every_value_as_it_was_given(project: Path, tmp_path: Path) -> None:
    given = {f"Parameter{number}": value for number, value in enumerate(VALUES)}
    (tmp_path / "parameters.toml").write_text(as_sam_reads(given), "utf-8")
    command = [f"{project}/.tools/sam/bin/python", "-c", READ, f"{tmp_path}/parameters.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == given
