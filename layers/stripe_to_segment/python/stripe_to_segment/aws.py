"""Clients of AWS services, which the functions create when they first need them, and SnapStart.

With SnapStart one snapshot of a function becomes many environments, days later. They must not share random numbers,
connections or a secret. https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

from __future__ import annotations

import random
from functools import cache, partial
from typing import TYPE_CHECKING, overload

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from stripe_to_segment import __version__
from stripe_to_segment.errors import code_of

try:
    from snapshot_restore_py import register_after_restore, register_before_snapshot
except ImportError:
    # Only Lambda's Python has this module, and it calls the hooks only where SnapStart is on.
    register_after_restore = register_before_snapshot = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Literal

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import (
        GetSecretValueRequestTypeDef,
        GetSecretValueResponseTypeDef,
    )
    from mypy_boto3_sqs import SQSClient

    type Service = Literal["dynamodb", "secretsmanager", "sqs"]

__all__ = ["client", "secret_text", "snapshot_hooks", "text_of"]

# By default the SDK waits a minute for each attempt: longer than Stripe waits for an answer, or than a batch may take.
# With these limits, a call that hangs is tried three times and then fails.
# botocore composes its own User-Agent anew for every request: a quarter of the processor time of a PutItem.
CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard"},
    user_agent=f"stripe-to-segment/{__version__}",
)


@overload
def client(service: Literal["dynamodb"]) -> DynamoDBClient: ...
@overload
def client(service: Literal["secretsmanager"]) -> SecretsManagerClient: ...
@overload
def client(service: Literal["sqs"]) -> SQSClient: ...


def client(service: str) -> object:
    """A low-level client whose calls fail early enough for the function to answer or log; it is created once."""
    return _created(service)


@cache
def _created(service: str) -> object:
    return boto3.client(service, config=CONFIG)  # type: ignore[call-overload]  # The stubs know names, no text.


def secret_text(arn: str) -> str:
    """The current text of a secret.

    In Lambda this sometimes fails with "Signature expired", for instance where Lambda froze the environment between
    signing and sending (https://github.com/aws/aws-sdk-js-v3/issues/6222). The SDK does not retry that; this does.
    """
    # AWSCURRENT is the default, and named here because the functions' roles allow no other stage.
    asked: GetSecretValueRequestTypeDef = {"SecretId": arn, "VersionStage": "AWSCURRENT"}
    secrets_manager = client("secretsmanager")
    try:
        answer = secrets_manager.get_secret_value(**asked)
    except ClientError as error:
        if code_of(error) not in EXPIRED:
            raise
        answer = secrets_manager.get_secret_value(**asked)
    return text_of(answer)


def text_of(answer: GetSecretValueResponseTypeDef) -> str:
    """The text in an answer of Secrets Manager, which keeps what was stored as a file (`--secret-binary`) as bytes.

    Without the mark that some editors put before a text.
    """
    text = answer.get("SecretString") or answer.get("SecretBinary", b"").decode(errors="replace")
    return text.removeprefix("\ufeff")


# https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
EXPIRED = frozenset({"InvalidSignatureException", "RequestExpired"})


def snapshot_hooks(prepare: Iterable[Service], renew: Iterable[Callable[[], object]] = ()) -> None:
    """Create the clients to `prepare` before the snapshot, and `renew` in each copy, within Lambda's limit of 10 s.

    Random numbers are always renewed: copies with the same jitter, here or in botocore's retries, would retry together.
    """
    if register_before_snapshot is None or register_after_restore is None:
        return
    for service in prepare:
        register_before_snapshot(partial(client, service))
    for each in (random.seed, *renew):
        register_after_restore(each)
