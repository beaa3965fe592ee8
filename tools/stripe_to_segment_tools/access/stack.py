"""Find a stack: by name on AWS with the caller's credentials, or the local one of `make run`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    InvalidRegionError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as NoConnectionError

from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError, code_of
from stripe_to_segment.secrets import KeysReader, read_signing_secrets
from stripe_to_segment.settings import settings_from
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment_tools.commands.secret.document import StackSecret
from stripe_to_segment_tools.local_stack.deployment import client_maker
from stripe_to_segment_tools.local_stack.emulator import Access
from stripe_to_segment_tools.local_stack.stack_file import read_stack_file
from stripe_to_segment_tools.project import MAKE_RUN
from stripe_to_segment_tools.terminal.output import stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stripe_to_segment.secrets import Keys, SigningSecrets
    from stripe_to_segment.settings import Settings

__all__ = [
    "Stack",
    "StackAccessError",
    "find_stack",
    "refused",
    "reporting_errors",
    "unreachable",
]

REGION, PROFILE = "--region or AWS_DEFAULT_REGION", "--profile or AWS_PROFILE"
# What AWS answers to credentials that it does not know, or knows no more.
NOT_LOGGED_IN = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class StackAccessError(Exception):
    """The stack cannot be found or read; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack.

    Attributes
    ----------
    name
        The name in CloudFormation.
    options
        The options that select it, for repeating a command.
    outputs, parameters
        The template's outputs, and the values of its parameters.
    status
        CloudFormation's status of the last deployment.
    webhook_url
        The address for Stripe's events.
    client
        Returns a low-level boto3 client of a service.
    """

    name: str
    options: tuple[str, ...]
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    status: str
    webhook_url: str
    client: Callable[[str], Any] = field(repr=False)

    @property
    def local(self) -> bool:
        """Whether it is the local stack, which Stripe cannot reach."""
        return self.options == ("--local",)

    def output(self, name: str) -> str:
        """The output of this name. Raises StackAccessError if the stack does not have it."""
        if name not in self.outputs:
            raise StackAccessError(f"the stack {self.name!r} has no output {name}: is it of this template, up to date?")
        return self.outputs[name]

    def store(self) -> DynamoStore:
        """Its StateTable."""
        return DynamoStore(self.client("dynamodb"), self.output("StateTableName"))

    def settings(self) -> Settings:
        """The settings of its deliver function."""
        function = self.output("DeliverFunctionName")
        found = self.client("lambda").get_function_configuration(FunctionName=function)
        return settings_from(found.get("Environment", {}).get("Variables", {}))

    def secret(self, name: str) -> StackSecret:
        """Its SigningSecret or its KeysSecret."""
        return StackSecret(self.client("secretsmanager"), self.output(f"{name}Arn"), name)

    def signing_secrets(self) -> SigningSecrets:
        """The signing secrets, as `receive` reads them."""
        text, _ = self.secret("SigningSecret").text()
        return read_signing_secrets(text, strict=not self.local)

    def keys(self) -> Keys:
        """The keys in the secrets, including those that were not moved yet and those that `deliver` would not use."""
        texts = {secret.arn: secret.text()[0] for secret in map(self.secret, ("SigningSecret", "KeysSecret"))}
        former = "" if self.parameters.get("SigningSecretArn") else self.output("SigningSecretArn")
        return KeysReader(texts.__getitem__, self.output("KeysSecretArn"), former, strict=False)()


def find_stack(name: str, *, local: bool, region: str = "", profile: str = "") -> Stack:
    """Find the stack that the options name. Raises StackAccessError."""
    # --local was given, while --stack may come from the environment.
    if local:
        return _local_stack()
    if not name:
        raise StackAccessError(
            "name the stack: --stack NAME (or STRIPE_TO_SEGMENT_STACK) for one on AWS, or --local for `make run`"
        )
    return _aws_stack(name, region, profile)


def _local_stack() -> Stack:
    found = read_stack_file()
    if "secret_access_key" not in found:
        raise StackAccessError(f"no local stack is running: start one with {MAKE_RUN}")
    name = str(found["stack_name"])
    access = Access(str(found["endpoint_url"]), str(found["access_key_id"]), str(found["secret_access_key"]))
    client = cache(client_maker(access))
    try:
        return _described(name, ("--local",), client, str(found.get("webhook_url") or ""))
    except (BotoCoreError, ClientError) as error:
        raise StackAccessError(
            f"the local stack does not answer at {found['endpoint_url']}: start it again with {MAKE_RUN}"
        ) from error


def _aws_stack(name: str, region: str, profile: str) -> Stack:
    given = {"--stack": name, "--region": region, "--profile": profile}
    options = tuple(word for option, value in given.items() if value for word in (option, value))
    try:
        # By name, because boto3's types have no client for an arbitrary service.
        make: Any = boto3.Session(profile_name=profile or None, region_name=region or None).client
        return _described(name, options, cache(make))
    except ClientError as error:
        if "does not exist" in str(error):
            raise StackAccessError(f"there is no stack {name!r}: is it in another --region or --profile?") from error
        said = f"AWS does not describe the stack {name!r}: {str(error).rstrip('.')}{_advice(error)}"
        raise StackAccessError(said) from error
    except BotoCoreError as error:
        raise StackAccessError(unreachable(error)) from error


def _described(name: str, options: tuple[str, ...], client: Callable[[str], Any], url: str = "") -> Stack:
    found = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in found.get("Parameters", [])}
    url = url or outputs.get("WebhookUrl", "")
    return Stack(name, options, outputs, parameters, found.get("StackStatus", ""), url, client)


@contextmanager
def reporting_errors() -> Iterator[None]:
    """End the command with status 2 and a message if the stack, AWS or Stripe cannot be used."""
    try:
        yield
    except (StackAccessError, StripeToSegmentError, ConfigurationError) as error:
        stop(str(error))
    except ParamValidationError:
        # Its text quotes the value to send, for example a secret.
        stop("AWS's client does not send this, because AWS does not accept a value of this form")
    except (BotoCoreError, ClientError) as error:
        stop(refused(error) if isinstance(error, ClientError) else unreachable(error))


def refused(error: ClientError) -> str:
    """What AWS has refused, and what to do."""
    return f"AWS refused {error.operation_name}: {code_of(error)}{_advice(error)}"


def unreachable(error: BotoCoreError, region: str = REGION, profile: str = PROFILE) -> str:
    """Why AWS was not even asked, and what to do: botocore names the cause, and not what to set.

    `region` and `profile` are the options and variables for these.
    """
    if isinstance(error, NoRegionError | InvalidRegionError):
        advice = f"name it with {region}"
    elif isinstance(error, ProfileNotFound):
        advice = f"name another one with {profile}"
    elif isinstance(error, (NoConnectionError, HTTPClientError)):
        advice = f"is this machine online, and the region right ({region})?"
    else:
        advice = _log_in(profile)
    return f"AWS cannot be reached: {str(error).rstrip('.')}; {advice}"


def _advice(error: ClientError) -> str:
    code = code_of(error)
    if code in NOT_LOGGED_IN:
        return f"; {_log_in(PROFILE)}"
    if "Denied" in code or "Unauthorized" in code:
        return "; docs/permissions.md lists what each command needs"
    return ""


def _log_in(profile: str) -> str:
    return f"log in with `aws sso login` or `aws configure`, or name a profile with {profile}"
