"""Under the harness a function has Lambda's environment, and can write only where it can on Lambda."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.lambda_runtime.built_function import read_built_function
from stripe_to_segment_tools.lambda_runtime.environment import lambda_environment
from stripe_to_segment_tools.lambda_runtime.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.lambda_runtime.built_function import BuiltFunction

pytestmark = [pytest.mark.built, pytest.mark.emulator]

PROBE = Path(__file__).with_name("environment_probe.py")
# Variables that Lambda does not set: Python's, if the machine lacks Lambda's locale, and the emulator's timeout.
OF_THE_HARNESS = {"LC_CTYPE", "AWS_LAMBDA_FUNCTION_TIMEOUT"}
# Variables with folders of this machine, and variables that the emulator invents.
PLACES = {"LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "LD_LIBRARY_PATH", "PYTHONPATH"}
MADE_UP = {"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_METADATA_API", "AWS_LAMBDA_METADATA_TOKEN"}


@pytest.fixture(scope="module", params=["ReceiveFunction", "DeliverFunction", "ReconcileFunction", "AuditFunction"])
def function(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BuiltFunction:
    """A function with its configuration for Lambda, and the probe as its code."""
    code = tmp_path_factory.mktemp("code")
    (code / PROBE.name).write_text(PROBE.read_text("utf-8"), "utf-8")
    return replace(read_built_function(request.param), code=code, handler=f"{PROBE.stem}.handler")


@pytest.fixture(scope="module")
def runtime(function: BuiltFunction) -> Iterator[Runtime]:
    with Runtime(function, {}) as runtime:
        yield runtime


def seen(runtime: Runtime, **event: object) -> dict[str, Any]:
    result = runtime.invoke(event)
    assert not result.failed, result.log
    found: dict[str, Any] = result.answer
    return found


def test_a_function_has_lambdas_environment_variables_and_no_others(runtime: Runtime, function: BuiltFunction) -> None:
    environment, lambdas = seen(runtime)["environment"], lambda_environment(function)
    assert set(environment) - OF_THE_HARNESS == set(lambdas)
    differing = {name for name, value in lambdas.items() if environment[name] != value}
    assert differing <= PLACES | MADE_UP
    assert environment["PYTHONPATH"] == environment["LAMBDA_RUNTIME_DIR"]
    assert environment["LAMBDA_TASK_ROOT"] == str(function.code)


def test_every_invocation_has_a_trace_header(runtime: Runtime) -> None:
    """The emulator passes none on, and on Lambda it makes each log line longer."""
    for _ in range(2):
        assert seen(runtime)["environment"]["_X_AMZN_TRACE_ID"].startswith("Root=1-")


def test_the_runtime_client_sets_the_root_logger_to_lambdas_level(runtime: Runtime) -> None:
    assert seen(runtime)["root"] == "INFO"


def test_the_context_has_the_values_of_the_template(runtime: Runtime, function: BuiltFunction) -> None:
    name, memory, group = seen(runtime)["context"]
    assert function.name in name
    assert (memory, group) == (str(function.memory), function.log_group)
    assert function.timeout - 5 < seen(runtime)["seconds"] <= function.timeout


def test_a_layer_is_found_and_the_development_environment_is_not(runtime: Runtime, function: BuiltFunction) -> None:
    path = seen(runtime)["path"]
    assert path[0] == str(function.code)
    assert path[1 : 1 + len(function.layers)] == [f"{layer}/python" for layer in reversed(function.layers)]
    assert not [each for each in path if "site-packages" in each]


def test_only_tmp_can_be_written_to(runtime: Runtime, function: BuiltFunction) -> None:
    places = [f"{function.code}/x", f"{function.layers[0]}/python/x.pyc", "/var/x", "relative"]
    refused = seen(runtime, write=[*places, "/tmp/of-a-function"])["refused"]  # noqa: S108 - Lambda's own
    assert refused == dict.fromkeys(places, "Read-only file system") | {"/tmp/of-a-function": ""}  # noqa: S108 - the only one to write to
    assert [path.name for path in function.code.iterdir()] == [PROBE.name], "Python cannot write bytecode either"


def test_one_runtime_handles_several_events_and_starts_again_after_a_crash(function: BuiltFunction) -> None:
    with Runtime(function, {}) as runtime:
        assert runtime.invoke({}).init_milliseconds
        assert runtime.invoke({}).init_milliseconds is None
        assert runtime.invoke({"exit": 3}).failed
        assert not runtime.invoke({}).failed
        assert runtime.log.count("START RequestId") == 4
