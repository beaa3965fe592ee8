"""`make deploy` with the real SAM, against the emulator: a first deployment, a second one, and one at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import WaiterError

from stripe_to_segment_tools.local_stack.deployment import client_maker
from stripe_to_segment_tools.local_stack.emulator import REGION, Emulator, environment_without_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180
ANSWERS = {
    "STACK": "shop",
    "REGION": REGION,
    "SEGMENT_REGION": "eu",
    "ALARM_EMAIL": "oncall@example.com",
    "DELIVERY_MODE": "log",
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    running = Emulator(PROJECT / ".tools/ministack/bin/python")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def environment(emulator: Emulator) -> dict[str, str]:
    """The environment variables of a developer, with the emulator as the only AWS."""
    return environment_without_aws() | {
        "AWS_ACCESS_KEY_ID": emulator.access.key_id,
        "AWS_SECRET_ACCESS_KEY": emulator.access.secret,
        "AWS_ENDPOINT_URL": emulator.access.url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.5",
    }


def deploy(environment: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make deploy` without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "stripe_to_segment_tools.commands.deploy"],
        cwd=PROJECT,
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def stack(emulator: Emulator, name: str) -> dict[str, str]:
    """The values of a stack's parameters."""
    client: Any = client_maker(emulator.access)("cloudformation")
    (found,) = client.describe_stacks(StackName=name)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}


def protected(emulator: Emulator, name: str) -> bool:
    """Whether the stack's table is protected from deletion."""
    clients = client_maker(emulator.access)
    (table,) = [
        each["PhysicalResourceId"]
        for each in clients("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        if each["LogicalResourceId"] == "StateTable"
    ]
    found = clients("dynamodb").describe_table(TableName=table)["Table"]
    return bool(found.get("DeletionProtectionEnabled"))


def test_the_same_command_deploys_and_updates_and_the_update_protects_the_state(
    emulator: Emulator, environment: dict[str, str]
) -> None:
    renamed = json.dumps({"Order Completed": 'A "new" order 🎉 = 100 %', "Trial Started": "$x \\"}, ensure_ascii=False)
    first = deploy(environment, **ANSWERS, PARAMETERS=f"RenameEvents='{renamed}'")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "WebhookUrl" in first.stdout
    assert "secret set segment_write_key" in first.stdout
    given = stack(emulator, "shop")
    assert (given["SegmentEndpoint"], given["DeliveryMode"]) == ("https://events.eu1.segmentapis.com", "log")
    assert (given["RenameEvents"], given["ProtectState"]) == (renamed, "false"), "as it was given"
    assert not protected(emulator, "shop")

    second = deploy(environment, **ANSWERS)
    assert second.returncode == 0, second.stdout + second.stderr
    given = stack(emulator, "shop")
    assert (given["RenameEvents"], given["ProtectState"]) == (renamed, "true"), "other parameters keep their values"
    assert protected(emulator, "shop")


def test_at_a_terminal_the_command_asks_for_parameters_shows_the_changes_and_confirms_once(
    emulator: Emulator, environment: dict[str, str]
) -> None:
    kept = PROJECT / ".deploy/shop-at-a-terminal.toml"
    kept.unlink(missing_ok=True)
    try:
        status, said = at_a_terminal(environment, ["shop-at-a-terminal", REGION, "eu", "none", "", "y"])
        assert status == 0, said
        assert 'SegmentEndpoint = "https://events.eu1.segmentapis.com"' in kept.read_text("utf-8")
    finally:
        kept.unlink(missing_ok=True)
    assert "Name of the stack [stripe-to-segment]:" in said
    assert "Deploy this changeset?" in said
    assert stack(emulator, "shop-at-a-terminal")["DeliveryMode"] == "send"


def test_a_declined_change_set_deploys_nothing_and_the_command_can_be_repeated(environment: dict[str, str]) -> None:
    variables = ANSWERS | {"STACK": "shop-declined"}
    kept = PROJECT / ".deploy/shop-declined.toml"
    try:
        status, said = at_a_terminal(environment | variables, ["n"])
    finally:
        kept.unlink(missing_ok=True)
    assert status == 0, said
    assert "nothing was deployed" in said


def at_a_terminal(environment: dict[str, str], answers: list[str]) -> tuple[int, str]:
    """Run `make deploy` at a terminal and type these answers; returns the exit status and the output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stripe_to_segment_tools.commands.deploy"],
        cwd=PROJECT,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = bytearray()

    def read() -> None:
        try:
            while some := os.read(ours, 65_536):
                said.extend(some)
        except OSError:
            # Linux raises this when the other end is closed.
            return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    try:
        status = process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
    reader.join(5)
    os.close(ours)
    return status, said.decode(errors="replace")


def test_a_failed_first_deployment_is_repeated_with_the_same_command(
    emulator: Emulator, environment: dict[str, str]
) -> None:
    """CloudFormation cannot update a rolled back stack; SAM tried it, so each further deployment failed too."""
    client: Any = client_maker(emulator.access)("cloudformation")
    client_maker(emulator.access)("s3").create_bucket(Bucket="taken-by-somebody")
    taken = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "taken-by-somebody"}}
    client.create_stack(StackName="shop-repeated", TemplateBody=json.dumps({"Resources": {"Bucket": taken}}))
    with pytest.raises(WaiterError):
        client.get_waiter("stack_create_complete").wait(StackName="shop-repeated", WaiterConfig={"Delay": 1})
    assert client.describe_stacks(StackName="shop-repeated")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"

    repeated = deploy(environment, **ANSWERS | {"STACK": "shop-repeated"})
    assert repeated.returncode == 0, repeated.stdout + repeated.stderr
    assert "the first deployment of shop-repeated had failed (ROLLBACK_COMPLETE)" in repeated.stdout
    assert "secret set segment_write_key" in repeated.stdout
    assert not protected(emulator, "shop-repeated")
