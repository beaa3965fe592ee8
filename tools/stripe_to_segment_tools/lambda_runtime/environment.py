"""The environment variables that Lambda gives a function. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment_tools.lambda_runtime.built_function import REGION, STACK_NAME

if TYPE_CHECKING:
    from stripe_to_segment_tools.lambda_runtime.built_function import BuiltFunction

__all__ = ["ON_DEMAND", "SNAP_START", "lambda_environment"]

# Lambda always sets the trace header, sampled or not.
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={sampled}"
# The stream names of a log group that the template names include the function's name.
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html
STREAM = "2026/11/18/{name}[{version}][0f1e2d3c4b5a69788796a5b4c3d2e1f0]"
VERSION = "1"
NOT_IN_A_SNAPSHOT = (
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
ON_DEMAND, SNAP_START = "on-demand", "snap-start"


def lambda_environment(
    function: BuiltFunction,
    *,
    task_root: str = "/var/task",
    runtime_dir: str = "/var/runtime",
    runtime_api: str = "169.254.100.1:9001",
    initialization: str = ON_DEMAND,
) -> dict[str, str]:
    """All environment variables of a published version of a function.

    Parameters
    ----------
    function
        The function; the result includes its own variables.
    task_root, runtime_dir
        The folders of the code and of the runtime, if they are not Lambda's.
    runtime_api
        Host and port of the Runtime API.
    initialization
        `on-demand`, or `snap-start` for a version from which Lambda takes a snapshot.
    """
    name = f"{STACK_NAME}-{function.name}-0A1B2C3D4E5F"
    reserved = {
        "_HANDLER": function.handler,
        # Each invocation replaces this value.
        "_X_AMZN_TRACE_ID": TRACE.format(sampled=int(function.traced)),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": VERSION,
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization,
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": STREAM.format(name=name, version=VERSION),
        # Invalid keys.
        "AWS_ACCESS_KEY": "ASIALOCALONLY0000000",
        "AWS_ACCESS_KEY_ID": "ASIALOCALONLY0000000",
        "AWS_SECRET_ACCESS_KEY": "local-only-secret-access-key",
        "AWS_SESSION_TOKEN": "local-only-session-token",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_METADATA_API": runtime_api,
        "AWS_LAMBDA_METADATA_TOKEN": "9b066b0b-03fe-47c2-9b61-59d2057d788a",
        "LAMBDA_TASK_ROOT": task_root,
        "LAMBDA_RUNTIME_DIR": runtime_dir,
        "TZ": ":UTC",
    }
    unreserved = {
        "LANG": "en_US.UTF-8",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "LD_LIBRARY_PATH": (
            f"/var/lang/lib:/lib64:/usr/lib64:{runtime_dir}:{runtime_dir}/lib:{task_root}:{task_root}/lib:/opt/lib"
        ),
        "PYTHONPATH": runtime_dir,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
    }
    # Not on AWS's page: the variables of the logging configuration, which the runtime client and Powertools read.
    # https://github.com/aws/aws-lambda-python-runtime-interface-client/blob/main/awslambdaric/bootstrap.py
    logging = {"AWS_LAMBDA_LOG_FORMAT": function.log_format}
    if function.log_level is not None:
        logging["AWS_LAMBDA_LOG_LEVEL"] = function.log_level
    if initialization == SNAP_START:
        # A snapshot becomes many environments, each with its own log stream and credentials that it requests.
        # https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html
        for each in NOT_IN_A_SNAPSHOT:
            del reserved[each]
    return {**unreserved, **logging, **function.environment, **reserved}
