"""Clients of AWS services; the functions make each one when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from stripe_to_segment.errors import code_of

if TYPE_CHECKING:
    from typing import Literal

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import GetSecretValueRequestTypeDef
    from mypy_boto3_sqs import SQSClient

__all__ = ["client", "secret_text"]

# The SDK would wait a minute for each try: longer than Stripe waits for an answer, and than a batch may take.
# A call that hangs is tried twice more, and then reported like one that failed.
PATIENCE = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard"})


@overload
def client(service: Literal["dynamodb"]) -> DynamoDBClient: ...
@overload
def client(service: Literal["secretsmanager"]) -> SecretsManagerClient: ...
@overload
def client(service: Literal["sqs"]) -> SQSClient: ...


def client(service: str) -> object:
    """A low-level client that gives up in time for its function to say so."""
    return boto3.client(service, config=PATIENCE)  # type: ignore[call-overload]


def secret_text(secrets_manager: SecretsManagerClient, arn: str) -> str:
    """The current text of a secret, of whatever `client("secretsmanager")` made.

    In Lambda this now and then fails with "Signature expired", for instance where the environment was frozen between
    signing and sending (https://github.com/aws/aws-sdk-js-v3/issues/6222). The SDK does not try that again; we do.
    """
    # The stage is what is read by default; said, because the roles may read no other.
    asked: GetSecretValueRequestTypeDef = {"SecretId": arn, "VersionStage": "AWSCURRENT"}
    try:
        answer = secrets_manager.get_secret_value(**asked)
    except ClientError as error:
        if code_of(error) not in EXPIRED:
            raise
        answer = secrets_manager.get_secret_value(**asked)
    return answer["SecretString"]


# https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html
EXPIRED = frozenset({"InvalidSignatureException", "RequestExpired"})
