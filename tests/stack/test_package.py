"""From dist/ alone a stack is deployed, without make, uv, sam or this checkout: by CloudFormation, out of a bucket."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from stripe_to_segment_tools.build.package import BUILD, package
from stripe_to_segment_tools.build.publish import publish
from stripe_to_segment_tools.local_stack.deployment import client_maker
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.samples.files import body_of, freshen, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stack.conftest import Local

NAME, BUCKET, KEY = "launched", "artifacts-of-a-release", "k" * 32


@pytest.fixture
def launched(local: Local, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """A stack that CloudFormation made of the published template, beside the one of this checkout."""
    client = client_maker(local.stack.access)
    client("s3").create_bucket(Bucket=BUCKET)
    package(BUILD, tmp_path)
    published = publish(tmp_path, BUCKET, "packs", client("s3"))
    parameters = LOCAL_PARAMETERS | {"SegmentEndpoint": local.segment.url}
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=NAME,
        # The emulator's S3 has no host names of its own.
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
    (stack,) = launched("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    keys = {"segment_write_key": KEY, "segment_test_write_key": KEY}
    launched("secretsmanager").put_secret_value(SecretId=outputs["KeysSecretArn"], SecretString=json.dumps(keys))
    event = freshen([sample("customer.created").event], int(time.time()), seed="launched")[0]
    resources = launched("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    launched("sqs").send_message(QueueUrl=ids["EventsQueue"], MessageBody=body_of(event).decode())
    local.wait(lambda: local.segment.record.requests, "the launched stack sent what it got")
    (request,) = local.segment.record.requests
    assert request.status == 200
