"""The two secrets under enforced IAM: an update from a single secret, a secret for each mode, given secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.secrets import KEY_FIELDS
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.send.command import send
from stripe_to_segment_tools.local_stack import Secret
from stripe_to_segment_tools.local_stack.bridges import BRIDGES
from stripe_to_segment_tools.local_stack.deployment import Tools, deploy, read_deployment
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.samples.files import body_of, freshen, sample
from tests.unit.edges import a_signing_secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stack.conftest import Local
    from tests.unit.stripe_list import StripeList

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]

OWN = Secret()
LIVE, TEST = a_signing_secret("live"), a_signing_secret("test")


@pytest.fixture
def secrets(local: Local) -> Iterator[Local]:
    """The stack; its secrets and functions are restored afterwards."""
    yield local
    local.wait_until_idle()
    local.stack.put_secret(OWN)
    for function in (local.stack.receive_function, local.stack.deliver_function):
        local.stack.publish(function)


def put(local: Local, output: str, content: dict[str, Any]) -> None:
    arn = local.stack.deployment.output(output)
    local.stack.clients.secretsmanager.put_secret_value(SecretId=arn, SecretString=json.dumps(content))


def held(local: Local, output: str) -> dict[str, Any]:
    arn = local.stack.deployment.output(output)
    text = local.stack.clients.secretsmanager.get_secret_value(SecretId=arn)["SecretString"]
    content: dict[str, Any] = json.loads(text)
    return content


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--local"])


def test_an_updated_stack_uses_the_keys_of_the_old_secret_until_they_are_moved(
    secrets: Local, stripe_list: StripeList
) -> None:
    """Right after the update the old secret has all contents, and the new one is as CloudFormation created it."""
    stack = secrets.stack
    put(secrets, "SigningSecretArn", {"stripe_signing_secrets": list(OWN.stripe_signing_secrets), **OWN.keys})
    put(secrets, "KeysSecretArn", dict.fromkeys(KEY_FIELDS, ""))
    for function in (stack.receive_function, stack.deliver_function):
        stack.publish(function)
    assert secrets.post("customer.created").status == 200
    secrets.wait(secrets.calls, "the event is delivered with the key of before")

    base = ["--stripe-api-base", stripe_list.url]
    checks = json.loads(run("doctor", "--no-event", "--json", *base).stdout)["checks"]
    (found,) = [check for check in checks if check["name"] == "keys in their place"]
    assert found["fix"] == "stripe-to-segment secret move --local"
    moved = run("secret", "move")
    assert moved.exit_code == 0, moved.output
    assert held(secrets, "KeysSecretArn") == OWN.keys
    assert held(secrets, "SigningSecretArn") == {"stripe_signing_secrets": list(OWN.stripe_signing_secrets)}

    stack.publish(stack.deliver_function)
    assert secrets.post("customer.created").status == 200
    secrets.wait(lambda: secrets.calls() == ["identify"] * 2, "the event is delivered with the key that was moved")


def test_the_deployed_function_accepts_each_modes_events_with_its_secret(secrets: Local) -> None:
    put(secrets, "SigningSecretArn", {"stripe_live_signing_secrets": [LIVE], "stripe_test_signing_secrets": [TEST]})
    secrets.stack.publish(secrets.stack.receive_function)
    assert secrets.post("customer.created", TEST, livemode=False).status == 200
    assert secrets.post("customer.created", LIVE, livemode=True).status == 200
    for signer, livemode in ((TEST, True), (LIVE, False)):
        refused = secrets.post("customer.created", signer, livemode=livemode)
        assert refused.status == 400
        assert "signed with a secret that is noted as one of" in refused.answer["error"]
    secrets.wait(lambda: len(secrets.calls()) == 2, "the two that were vouched for arrive")
    secrets.wait_until_idle()
    assert {kept.source for kept in secrets.segment.record.calls} == {"live", "test"}


def test_existing_secrets_are_used_and_none_is_created(local: Local, tmp_path: Path) -> None:
    clients = local.stack.clients
    arns = {
        name: clients.secretsmanager.create_secret(Name=f"team/{name}", SecretString=json.dumps(content))["ARN"]
        for name, content in (("signing", OWN.signing), ("keys", OWN.keys))
    }
    before = len(clients.secretsmanager.list_secrets()["SecretList"])
    given = {"SigningSecretArn": arns["signing"], "KeysSecretArn": arns["keys"], "SegmentEndpoint": local.segment.url}
    deploy(Tools(), local.stack.access, "given", LOCAL_PARAMETERS | given, tmp_path / "sam.log")
    deployment = read_deployment(clients, "given")
    try:
        for bridge in BRIDGES:
            bridge(clients, deployment)
        assert (deployment.output("SigningSecretArn"), deployment.output("KeysSecretArn")) == tuple(arns.values())
        assert len(clients.secretsmanager.list_secrets()["SecretList"]) == before
        url = f"{local.stack.endpoint_url}/_aws/execute-api/{deployment.resource('WebhookApi')}/webhooks/stripe"
        (event,) = freshen([sample("customer.created").event], 1_795_000_000, seed="given")
        (sent,) = send([body_of(event)], url, OWN.stripe_signing_secrets)
        assert (sent.status, json.loads(sent.body)) == (200, {"received": True})
        local.wait(local.calls, "the event is delivered with the given key")
    finally:
        clients.cloudformation.delete_stack(StackName="given")
        for arn in arns.values():
            clients.secretsmanager.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
