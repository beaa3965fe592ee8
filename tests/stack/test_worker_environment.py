"""On the local stack a function has Lambda's environment variables, as far as they apply there."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.lambda_runtime.built_function import read_built_function
from stripe_to_segment_tools.lambda_runtime.environment import lambda_environment
from stripe_to_segment_tools.local_stack.bridges import OF_THE_EMULATOR

if TYPE_CHECKING:
    from stripe_to_segment_tools.local_stack import LocalStack

pytestmark = pytest.mark.stack

FUNCTIONS = ["ReceiveFunction", "DeliverFunction", "ReconcileFunction", "AuditFunction"]
PROBE = "import os\n\ndef handler(event, context):\n    return dict(os.environ)\n"
# Variables that differ: the Runtime API's address, a folder of this machine, and the trace header, which the emulator
# sets only if tracing is on.
MISSING = {
    *("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_METADATA_API", "AWS_LAMBDA_METADATA_TOKEN"),
    *("AWS_ACCESS_KEY", "LD_LIBRARY_PATH", "PYTHONPATH", "_X_AMZN_TRACE_ID"),
}


def live(stack: LocalStack, function: str) -> dict[str, Any]:
    """The configuration of the version that is invoked."""
    name = stack.deployment.resource(function)
    found: Any = stack.clients.functions.get_function_configuration(FunctionName=name, Qualifier="live")
    return dict(found)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_invoked_version_has_lambdas_variables(stack: LocalStack, function: str) -> None:
    """The log's format and level were missing, so no test showed their effect on AWS's client and Powertools."""
    variables = live(stack, function)["Environment"]["Variables"]
    expected = lambda_environment(read_built_function(function))
    assert set(expected) - OF_THE_EMULATOR <= set(variables)
    for name in ("AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_EXECUTION_ENV", "_HANDLER", "TZ"):
        assert variables[name] == expected[name], name


def test_the_functions_process_has_these_and_the_emulators_own_variables(stack: LocalStack) -> None:
    configuration = live(stack, "ReceiveFunction")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("app.py", PROBE)
    functions = stack.clients.functions
    functions.create_function(
        FunctionName="environment-probe",
        Code={"ZipFile": archive.getvalue()},
        **{name: configuration[name] for name in ("Runtime", "Role", "Handler", "Environment", "TracingConfig")},
    )
    try:
        seen = json.load(functions.invoke(FunctionName="environment-probe", Payload=b"{}")["Payload"])
    finally:
        functions.delete_function(FunctionName="environment-probe")
    assert set(lambda_environment(read_built_function("ReceiveFunction"))) - set(seen) == MISSING
