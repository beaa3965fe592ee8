"""CloudFormation deploys a stack from dist/ in a bucket, without make, uv, SAM or this checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from stripe_to_segment_tools.build.package import BUILD, package
from stripe_to_segment_tools.build.publish import publish
from stripe_to_segment_tools.local_stack.bridges import BRIDGES
from stripe_to_segment_tools.local_stack.deployment import Tools, client_maker, deploy, read_deployment
from stripe_to_segment_tools.local_stack.emulator import REGION
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.samples.files import body_of, freshen, sample
from tests.stack.conftest import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stack.conftest import Local

NAME, BUCKET = "launched", "artifacts-of-a-release"
TERRAFORM, PLUGINS = shutil.which("terraform"), os.environ.get("TERRAFORM_PLUGINS")
# What Terraform has to know of the emulator: its S3 has no own host names, and there is no account to ask for.
EMULATOR = """
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

resource "aws_cloudformation_stack" "stripe_to_segment" {
  name         = "terraformed"
  template_url = "%s/${var.bucket}/${aws_s3_object.template.key}"
}
"""


@pytest.fixture
def launched(local: Local, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """A stack that CloudFormation created from the published template, besides the one of this checkout."""
    client = client_maker(local.stack.access)
    client("s3").create_bucket(Bucket=BUCKET)
    package(BUILD, tmp_path)
    published = publish(tmp_path, BUCKET, "packs", client("s3"))
    parameters = LOCAL_PARAMETERS | {"SegmentEndpoint": local.segment.url}
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=NAME,
        # The emulator's S3 has no own host names.
        TemplateURL=f"{local.stack.access.url}/{BUCKET}{urlsplit(published.template_url).path}",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 90}
    )
    yield client
    cloudformation.delete_stack(StackName=NAME)


def test_a_stack_launched_from_the_bucket_takes_an_event_to_segment(
    launched: Callable[[str], Any], local: Local
) -> None:
    deployment = read_deployment(local.stack.clients, NAME)
    # Settings that replace what the emulator lacks, as for every stack in it.
    for bridge in BRIDGES:
        bridge(local.stack.clients, deployment)
    arn = deployment.output("KeysSecretArn")
    launched("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps(SECRET.keys))
    event = freshen([sample("customer.created").event], int(time.time()), seed="launched")[0]
    queue = deployment.resource("EventsQueue")
    launched("sqs").send_message(QueueUrl=queue, MessageBody=body_of(event).decode())
    local.wait(lambda: local.segment.record.requests, "the launched stack sent what it got")
    assert local.calls() == ["identify"]


def test_sam_deploys_the_package_and_what_runs_is_its_archives(local: Local, tmp_path: Path) -> None:
    """The command of docs/recipes.md: sam uploads an archive as it is."""
    archives = json.loads(package(BUILD, tmp_path / "dist").read_text("utf-8"))["archives"]
    tools = Tools(template=tmp_path / "dist/template.yaml")
    deploy(tools, local.stack.access, "unpacked", LOCAL_PARAMETERS, tmp_path / "sam.log")
    client = client_maker(local.stack.access)
    deployment = read_deployment(local.stack.clients, "unpacked")
    for function in ("ReceiveFunction", "DeliverFunction", "ReconcileFunction", "AuditFunction"):
        name = deployment.resource(function)
        digest = client("lambda").get_function(FunctionName=name)["Configuration"]["CodeSha256"]
        assert b64decode(digest).hex() == archives[function].removeprefix("artifacts/").removesuffix(".zip")
    client("cloudformation").delete_stack(StackName="unpacked")


@pytest.mark.skipif(
    not (TERRAFORM and PLUGINS),
    reason="needs terraform, and in TERRAFORM_PLUGINS its provider for AWS (`terraform providers mirror` writes it)",
)
def test_terraform_deploys_the_recipe_and_then_finds_nothing_to_change(
    project: Path, local: Local, tmp_path: Path
) -> None:
    (recipe,) = re.findall(
        r"^```hcl\n(.*?)^```$", (project / "docs/recipes.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    package(BUILD, tmp_path / "dist")
    (tmp_path / "main.tf").write_text(recipe, "utf-8")
    (tmp_path / "emulator_override.tf").write_text(EMULATOR % local.stack.access.url, "utf-8")
    mirror = f'provider_installation {{ filesystem_mirror {{ path = "{PLUGINS}" }} }}\ndisable_checkpoint = true\n'
    (tmp_path / "terraform.rc").write_text(mirror, "utf-8")
    access = local.stack.access
    own = {"AWS_ENDPOINT_URL": access.url, "AWS_ACCESS_KEY_ID": access.key_id, "AWS_SECRET_ACCESS_KEY": access.secret}
    own |= {"AWS_REGION": REGION, "TF_CLI_CONFIG_FILE": str(tmp_path / "terraform.rc"), "TF_VAR_bucket": "terraformed"}

    def terraform(*arguments: str) -> str:
        command = [str(TERRAFORM), *arguments, "-no-color"]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    client = client_maker(access)
    client("s3").create_bucket(Bucket="terraformed")
    terraform("fmt", "-check", "main.tf")
    terraform("init", "-input=false")
    assert "8 added" in terraform("apply", "-auto-approve", "-input=false")
    assert "/webhooks/stripe" in terraform("output", "webhook_url")
    assert "No changes" in terraform("plan", "-detailed-exitcode", "-input=false")
    client("cloudformation").delete_stack(StackName="terraformed")
