"""The configuration of the functions, their logs, and the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.simulator.queue_in_time import POLLERS

if TYPE_CHECKING:
    from tests.template.conftest import Template

FUNCTIONS = ["ReceiveFunction", "DeliverFunction", "ReconcileFunction", "AuditFunction"]
# For all functions of a region. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
CONCURRENCY_OF_A_NEW_ACCOUNT = 10


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_runs_on_python_3_13_on_the_chosen_processor(template: Template, function: str) -> None:
    properties = template.properties(function)
    assert properties["Runtime"] == "python3.13"
    assert properties["Handler"] == "app.handler"
    assert properties["Architectures"] == [{"Ref": "Architecture"}]
    assert template.default("Architecture") == "arm64"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_logs_json_into_its_own_group(template: Template, function: str) -> None:
    logging = template.properties(function)["LoggingConfig"]
    assert logging["LogFormat"] == {"Fn::If": ["LogsAreFormatted", "JSON", "Text"]}
    assert logging["LogGroup"] == {"Ref": function.replace("Function", "LogGroup")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lambdas_own_filter_keeps_every_line_of_the_chosen_log_level(template: Template, function: str) -> None:
    """Metrics are log lines without a level, which count as INFO: a filter at WARN would drop them all.

    Lambda's level was once always DEBUG. AWS's runtime client then sets Python's root logger to DEBUG too, and
    libraries logged the secret and the events.
    """
    level = template.properties(function)["LoggingConfig"]["ApplicationLogLevel"]["Fn::If"][1]
    assert level == {"Fn::If": ["DebugIsLogged", "DEBUG", "INFO"]}
    assert template.body["Conditions"]["DebugIsLogged"] == {"Fn::Equals": [{"Ref": "LogLevel"}, "DEBUG"]}
    assert template.variables(function)["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}


def test_in_govcloud_no_unsupported_log_format_is_set(template: Template) -> None:
    """Lambda refuses a log level together with plain text, so the levels depend on the same condition as the format.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    """
    assert template.body["Conditions"]["LogsAreFormatted"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws-us-gov"]}]
    }
    for function in FUNCTIONS:
        logging = template.properties(function)["LoggingConfig"]
        conditions = {name: logging[name]["Fn::If"][0] for name in logging if name != "LogGroup"}
        assert conditions == dict.fromkeys(["LogFormat", "ApplicationLogLevel", "SystemLogLevel"], "LogsAreFormatted")


def test_every_log_group_has_a_retention(template: Template) -> None:
    groups = template.of_type("AWS::Logs::LogGroup")
    assert set(groups) == {"ApiLogGroup", *(name.replace("Function", "LogGroup") for name in FUNCTIONS)}
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("function", ["ReceiveFunction", "DeliverFunction"])
def test_a_function_starts_from_a_snapshot_only_if_the_user_chooses_it(template: Template, function: str) -> None:
    """A snapshot of a Python function costs money each month, for every published version."""
    applied = {"Fn::If": ["SnapshotsAreWanted", "PublishedVersions", "None"]}
    assert template.properties(function)["SnapStart"] == {"ApplyOn": applied}
    assert template.default("SnapStart") == "off"
    assert template.body["Conditions"]["SnapshotsAreWanted"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "on"]}
    # Lambda allows no snapshot together with these.
    assert not {"EphemeralStorage", "FileSystemConfigs"} & set(template.properties(function))
    assert "ProvisionedConcurrencyConfig" not in template.properties(f"{function}Aliaslive")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_invoked_through_the_alias_of_a_published_version(template: Template, function: str) -> None:
    alias = template.properties(f"{function}Aliaslive")
    assert alias["Name"] == "live"
    version = alias["FunctionVersion"]["Fn::GetAtt"][0]
    assert template.resources[version]["Type"] == "AWS::Lambda::Version"
    assert template.properties(version)["FunctionName"] == {"Ref": function}


@pytest.mark.parametrize("function", ["ReceiveFunction", "DeliverFunction"])
def test_a_function_reserves_no_concurrency_unless_the_user_chooses_it(template: Template, function: str) -> None:
    """Reserved concurrency is taken from the account's other functions, and a new account has only ten."""
    name = function.replace("Function", "")
    parameter, condition = f"{name}ReservedConcurrency", f"{name}IsReserved"
    assert template.properties(function)["ReservedConcurrentExecutions"] == {
        "Fn::If": [condition, {"Ref": parameter}, {"Ref": "AWS::NoValue"}]
    }
    assert template.default(parameter) == "0"
    assert template.body["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}


def test_deliver_leaves_half_of_a_new_accounts_concurrency_to_receive(template: Template) -> None:
    """`deliver` used all ten executions of a new account, and Stripe's webhooks were answered with 503."""
    bounds = [one["ScalingConfig"] for one in template.of_type("AWS::Lambda::EventSourceMapping").values()]
    assert {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}} in bounds
    assert int(template.default("MaximumConcurrency")) == POLLERS == CONCURRENCY_OF_A_NEW_ACCOUNT / 2


def test_the_api_has_one_route_and_a_rate_limit(template: Template) -> None:
    assert {path: list(methods) for path, methods in template.properties("WebhookApi")["Body"]["paths"].items()} == {
        "/webhooks/stripe": ["post"]
    }
    (stage,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ThrottleRate"},
        "ThrottlingBurstLimit": {"Ref": "ThrottleBurst"},
    }


def test_receive_answers_before_the_apis_timeout(template: Template) -> None:
    assert template.body["Parameters"]["ReceiveTimeout"]["MaxValue"] < 30


def test_the_access_log_is_json_without_bodies_or_headers(template: Template) -> None:
    (stage,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
    settings = stage["AccessLogSettings"]
    assert settings["DestinationArn"] == {"Fn::GetAtt": ["ApiLogGroup", "Arn"]}
    fields = json.loads(settings["Format"])
    assert fields["status"] == "$context.status"
    assert all(field.startswith("$context.") for field in fields.values())
    assert not [field for field in fields.values() if "header" in field or "body" in field or "input" in field]
