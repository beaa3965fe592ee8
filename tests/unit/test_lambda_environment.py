"""The harness gives a function exactly the variables that Lambda gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripe_to_segment_tools.lambda_runtime.built_function import BuiltFunction
from stripe_to_segment_tools.lambda_runtime.environment import SNAP_START, lambda_environment

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
RESERVED = {
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
}
UNRESERVED = {
    "LANG",
    "PATH",
    "LD_LIBRARY_PATH",
    "NODE_PATH",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "GEM_PATH",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "AWS_LAMBDA_DOTNET_PREJIT",
    "TZ",
}
NOT_FOR_US = {
    # Lambda Managed Instances alone.
    "AWS_LAMBDA_MAX_CONCURRENCY",
    # Other languages.
    "NODE_PATH",
    "NODE_OPTIONS",
    "GEM_PATH",
    "AWS_LAMBDA_DOTNET_PREJIT",
}
# Not on that page: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html
OF_LOGGING = {"AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL"}


def a_function(**more: object) -> BuiltFunction:
    given: dict[str, object] = {
        "name": "ReceiveFunction",
        "handler": "app.handler",
        "runtime": "python3.13",
        "code": Path("/code"),
        "layers": (),
        "environment": {"STRIPE_MODE": "both", "AWS_REGION": "nowhere"},
        "timeout": 10,
        "memory": 512,
        "log_format": "JSON",
        "log_level": "INFO",
        "log_group": "/aws/lambda/shop-receive",
        "traced": True,
    }
    return BuiltFunction(**given | more)  # type: ignore[arg-type]


def test_every_variable_that_aws_documents_is_given_and_no_other() -> None:
    documented = (RESERVED | UNRESERVED | OF_LOGGING) - NOT_FOR_US
    assert set(lambda_environment(a_function())) == documented | {"STRIPE_MODE"}


def test_a_variable_that_lambda_reserves_is_lambdas() -> None:
    assert lambda_environment(a_function())["AWS_REGION"] == "us-east-1"


def test_the_variables_have_the_values_of_the_template() -> None:
    told = lambda_environment(a_function(memory=256, log_level="DEBUG", traced=False))
    assert told["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert told["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/shop-receive"
    assert (told["AWS_LAMBDA_LOG_FORMAT"], told["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "DEBUG")
    assert told["_HANDLER"] == "app.handler"
    assert told["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert told["_X_AMZN_TRACE_ID"].endswith("Sampled=0")


def test_a_function_that_logs_text_has_no_level() -> None:
    assert "AWS_LAMBDA_LOG_LEVEL" not in lambda_environment(a_function(log_format="Text", log_level=None))


@pytest.mark.parametrize("name", ["AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_SESSION_TOKEN"])
def test_a_snapshot_holds_no_value_that_differs_between_its_copies(name: str) -> None:
    assert name not in lambda_environment(a_function(), initialization=SNAP_START)
