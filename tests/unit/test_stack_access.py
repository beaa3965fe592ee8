"""A command finds its stack, or says in a sentence why not and what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import typer
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)
from typer.testing import CliRunner

from stripe_to_segment.errors import ConfigurationError, StoreUnavailableError
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.access import stack as stack_access
from stripe_to_segment_tools.access.options import AsJson, StackChoice, on_a_stack
from stripe_to_segment_tools.access.stack import StackAccessError, find_stack, reporting_errors
from stripe_to_segment_tools.commands import cli
from stripe_to_segment_tools.terminal.help import loaded
from tests.unit.a_stack import deployed
from tests.unit.edges import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "STRIPE_TO_SEGMENT_STACK"
OUTPUTS = [{"OutputKey": "EventsQueueUrl", "OutputValue": "https://sqs/events"}]


def on_aws(monkeypatch: pytest.MonkeyPatch, describe: Callable[..., Any]) -> list[dict[str, Any]]:
    """AWS with one answer; gives how the sessions were made."""
    sessions: list[dict[str, Any]] = []

    def session(**given: Any) -> Any:
        sessions.append(given)
        return SimpleNamespace(client=lambda _service: SimpleNamespace(describe_stacks=describe))

    monkeypatch.setattr(boto3, "Session", session)
    return sessions


def test_a_stack_on_aws_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = on_aws(monkeypatch, lambda **_: {"Stacks": [{"Outputs": OUTPUTS}]})
    stack = find_stack("mine", local=False, region="eu-central-1", profile="work")
    assert stack.output("EventsQueueUrl") == "https://sqs/events"
    assert sessions == [{"profile_name": "work", "region_name": "eu-central-1"}]
    assert stack.options == ("--stack", "mine", "--region", "eu-central-1", "--profile", "work")


def test_an_output_that_is_not_there_is_a_stack_of_another_template(monkeypatch: pytest.MonkeyPatch) -> None:
    on_aws(monkeypatch, lambda **_: {"Stacks": [{}]})
    with pytest.raises(StackAccessError, match="no output KeysSecretArn"):
        find_stack("mine", local=False).output("KeysSecretArn")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ClientError({"Error": {"Code": "ValidationError", "Message": "Stack mine does not exist"}}, "Describe"),
            "there is no stack 'mine': is it in another --region or --profile",
        ),
        (refusal("AccessDenied", "DescribeStacks"), "AccessDenied"),
        (refusal("ExpiredToken", "DescribeStacks"), "ExpiredToken.*; log in with `aws sso login`"),
        (NoCredentialsError(), "AWS cannot be reached: Unable to locate credentials; log in with `aws sso login`"),
        (InvalidRegionError(region_name="us east 1"), "supported format; name it with --region or AWS_DEFAULT_REGION$"),
        (NoRegionError(), "You must specify a region; name it with --region or AWS_DEFAULT_REGION$"),
        (
            ProfileNotFound(profile="nix"),
            r"\(nix\) could not be found; name another one with --profile or AWS_PROFILE$",
        ),
        (
            EndpointConnectionError(endpoint_url="https://cloudformation.eu-central-9.amazonaws.com/"),
            r'"; is this machine online, and the region right \(--region or AWS_DEFAULT_REGION\)\?$',
        ),
    ],
)
def test_the_reason_is_reported_if_a_stack_cannot_be_described(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    """Whoever had no credentials was told to set a region."""

    def fail(**_: Any) -> None:
        raise error

    on_aws(monkeypatch, fail)
    with pytest.raises(StackAccessError, match=said):
        find_stack("mine", local=False)


def test_a_stack_has_to_be_named() -> None:
    with pytest.raises(
        StackAccessError, match=r"--stack NAME \(or STRIPE_TO_SEGMENT_STACK\) for one on AWS, or --local"
    ):
        find_stack("", local=False)


def test_without_a_local_stack_the_error_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_access, "read_stack_file", dict)
    with pytest.raises(StackAccessError, match="make run"):
        find_stack("", local=True)


def test_a_stopped_local_stack_is_distinguished_from_a_running_one(monkeypatch: pytest.MonkeyPatch) -> None:
    left = {
        "endpoint_url": "http://127.0.0.1:1",
        "access_key_id": "AKIA",
        "secret_access_key": "of a run that is over",
        "stack_name": "stripe-to-segment",
    }
    monkeypatch.setattr(stack_access, "read_stack_file", lambda: left)
    with pytest.raises(StackAccessError, match=r"does not answer at http://127\.0\.0\.1:1"):
        find_stack("named by the environment", local=True)


def test_settings_and_secrets_are_the_deployed_ones() -> None:
    with deployed() as here:
        here.functions.variables = {"USER_ID_KEYS": "uid"}
        here.put_keys(stripe_api_key="rk_test_1")
        assert here.stack.settings().user_id_keys == ("uid",)
        assert here.stack.keys().stripe_api_key == "rk_test_1"


def test_the_options_for_a_stack_are_defined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app, found = typer.Typer(), []
    monkeypatch.setattr(stack_options, "find_stack", lambda *given, **more: found.append((given, more)))

    @app.command()
    @on_a_stack
    def look(stack: StackChoice, names: list[str], *, as_json: AsJson = False) -> None:
        """Look at it."""
        stack.find()
        typer.echo(f"{names} {as_json}")

    result = CliRunner().invoke(app, ["a", "b", "--json", "--region", "eu-central-1"], env={VARIABLE: "mine"})
    assert result.stdout == "['a', 'b'] True\n"
    assert found == [(("mine",), {"local": False, "region": "eu-central-1", "profile": ""})]
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert "Look at it." in shown
    assert all(option in shown for option in ("--stack", "--local", "--region", "--profile"))


def test_every_command_of_a_stack_takes_the_same_options() -> None:
    group: Any = typer.main.get_command(cli.app)
    commands = {name: loaded(each) for name, each in group.commands.items()}
    for of in ("dlq", "secret"):
        commands |= {f"{of} {name}": each for name, each in commands[of].commands.items()}
    for name in (
        "register",
        "doctor",
        "tail",
        "backfill",
        "import",
        "identify-customers",
        "unidentified",
        "forget",
        "dlq list",
        "dlq show",
        "dlq redrive",
        "dlq purge",
        "secret show-shape",
        "secret set",
        "secret edit",
        "secret move",
    ):
        options = {option for each in commands[name].params for option in each.opts}
        assert {"--stack", "--local", "--region", "--profile"} <= options, name
        # What writes secrets says little, and to a person.
        assert ("--json" in options) is (name not in {"secret set", "secret edit", "secret move"}), name
        assert "Exit status: 0" in commands[name].help, name
        assert "Examples" in commands[name].help, name


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StackAccessError("no stack"), "error: no stack"),
        (ConfigurationError("no key"), "error: no key"),
        (StoreUnavailableError("no table"), "error: no table"),
        (
            refusal("AccessDenied", "ReceiveMessage"),
            "error: AWS refused ReceiveMessage: AccessDenied; docs/permissions.md lists what each command needs",
        ),
        (refusal("Throttling", "ReceiveMessage"), "error: AWS refused ReceiveMessage: Throttling"),
        (
            NoCredentialsError(),
            (
                "error: AWS cannot be reached: Unable to locate credentials; log in with `aws sso login` or "
                "`aws configure`, or name a profile with --profile or AWS_PROFILE"
            ),
        ),
    ],
)
def test_an_error_is_a_sentence_and_a_status(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, reporting_errors():
        raise error
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == f"{said}\n"
