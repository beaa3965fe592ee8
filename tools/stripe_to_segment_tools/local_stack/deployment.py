"""Run `sam deploy` into the emulator, and read the deployed stack."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from stripe_to_segment_tools.local_stack.emulator import REGION, environment_without_aws
from stripe_to_segment_tools.local_stack.errors import BuildMissingError, DeployFailedError, ToolMissingError
from stripe_to_segment_tools.local_stack.process import ChildProcess, last_lines
from stripe_to_segment_tools.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

    from stripe_to_segment_tools.local_stack.emulator import Access

__all__ = ["Clients", "Deployment", "Tools", "client_maker", "deploy", "make_clients", "read_deployment"]

DEPLOY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Tools:
    """The paths of the programs and the build, by default those of the Makefile."""

    ministack_python: Path = PROJECT / ".tools" / "ministack" / "bin" / "python"
    sam: Path = PROJECT / ".tools" / "sam" / "bin" / "sam"
    template: Path = PROJECT / ".aws-sam" / "build" / "template.yaml"


@dataclass(frozen=True, slots=True)
class Clients:
    """Clients of the emulator's services, acting as its root user."""

    apigatewayv2: ApiGatewayV2Client
    cloudformation: CloudFormationClient
    dynamodb: DynamoDBClient
    functions: LambdaClient
    iam: Any
    logs: CloudWatchLogsClient
    secretsmanager: SecretsManagerClient
    sqs: SQSClient


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack: its outputs, and the physical id of each resource by logical id."""

    name: str
    outputs: Mapping[str, str]
    resources: Mapping[str, str] = field(repr=False)

    def output(self, name: str) -> str:
        """The value of an output that the local stack needs. Raises DeployFailedError without it."""
        if name not in self.outputs:
            raise DeployFailedError(f"the template has no output {name!r}: it has {', '.join(sorted(self.outputs))}")
        return self.outputs[name]

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource that the local stack needs. Raises DeployFailedError without it."""
        if logical_id not in self.resources:
            raise DeployFailedError(f"the template has no resource {logical_id!r}: see `Resources` in template.yaml")
        return self.resources[logical_id]


def make_clients(access: Access) -> Clients:
    """Clients of this emulator."""
    client = client_maker(access)
    return Clients(
        apigatewayv2=client("apigatewayv2"),
        cloudformation=client("cloudformation"),
        dynamodb=client("dynamodb"),
        functions=client("lambda"),
        iam=client("iam"),
        logs=client("logs"),
        secretsmanager=client("secretsmanager"),
        sqs=client("sqs"),
    )


def client_maker(access: Access) -> Callable[[str], Any]:
    """Makes a client of any service of this emulator, by the service's name."""
    session = boto3.Session(access.key_id, access.secret, region_name=REGION)
    session.events.register("before-sign", _come_by_https)
    options: dict[str, Any] = {
        "endpoint_url": access.url,
        "config": Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2}, proxies={}),
    }
    make: Any = session.client
    return lambda service: make(service, **options)


def _come_by_https(request: Any, **_: Any) -> None:
    """Mark the request as HTTPS that ended at a proxy, because policies that refuse plain HTTP refuse root too."""
    request.headers["X-Forwarded-Proto"] = "https"


def deploy(tools: Tools, access: Access, stack_name: str, parameters: Mapping[str, str], log: Path) -> None:
    """Run `sam deploy` against the emulator.

    Parameters
    ----------
    tools
        The paths of sam and of the built template.
    access
        The emulator.
    stack_name
        The name of the CloudFormation stack.
    parameters
        The template's parameters; the others have their defaults.
    log
        The file for sam's output; its folder is sam's working folder.
    """
    if not tools.sam.exists():
        raise ToolMissingError(tools.sam)
    if not tools.template.is_file():
        raise BuildMissingError(tools.template)
    # A file, because sam's argument syntax cannot express every value.
    overrides = log.with_name("parameters.yaml")
    overrides.write_text(json.dumps(dict(parameters)), "utf-8")
    command = [
        *(str(tools.sam), "deploy", "--template-file", str(tools.template), "--region", REGION),
        *("--stack-name", stack_name, "--parameter-overrides", f"file://{overrides}"),
        *("--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
        *("--no-confirm-changeset", "--no-progressbar", "--no-fail-on-empty-changeset"),
    ]
    environment = environment_without_aws() | {
        "AWS_ACCESS_KEY_ID": access.key_id,
        "AWS_SECRET_ACCESS_KEY": access.secret,
        "AWS_ENDPOINT_URL": access.url,
        # The deployment must never use the developer's configuration of a real account.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "SAM_CLI_TELEMETRY": "0",
        # Seconds between two reads of the stack's events. The default of 5 is for stacks that take minutes.
        "SAM_CLI_POLL_DELAY": "0.5",
    }
    process = ChildProcess(command, environment, log)
    try:
        status = process.wait(DEPLOY_SECONDS)
    finally:
        process.stop()
    if status is None:
        raise DeployFailedError(
            f"`sam deploy` took more than {DEPLOY_SECONDS:.0f} s. Its last lines:\n{last_lines(log)}"
        )
    if status != 0:
        raise DeployFailedError(f"`sam deploy` ended with status {status}. Its last lines:\n{last_lines(log, 40)}")


def read_deployment(clients: Clients, stack_name: str) -> Deployment:
    """Look up the outputs and resources of a deployed stack."""
    try:
        stack = clients.cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
        resources = clients.cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    except ClientError as error:
        raise DeployFailedError(f"the stack {stack_name!r} was not deployed: {error}") from error
    return Deployment(
        name=stack_name,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])},
        resources={found["LogicalResourceId"]: found.get("PhysicalResourceId", "") for found in resources},
    )
