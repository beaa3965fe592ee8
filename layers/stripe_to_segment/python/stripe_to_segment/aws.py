"""Clients of AWS services, which the functions create when they first need them."""

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

# By default the SDK waits a minute for each attempt: longer than Stripe waits for an answer, or than a batch may take.
# With these limits, a call that hangs is tried three times and then fails.
PATIENCE = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard"})


@overload
def client(service: Literal["dynamodb"]) -> DynamoDBClient: ...
@overload
def client(service: Literal["secretsmanager"]) -> SecretsManagerClient: ...
@overload
def client(service: Literal["sqs"]) -> SQSClient: ...


def client(service: str) -> object:
    """A low-level client whose calls fail early enough for the function to answer or log."""
    return boto3.client(service, config=PATIENCE)  # type: ignore[call-overload]


def secret_text(secrets_manager: SecretsManagerClient, arn: str) -> str:
    """The current text of a secret, read with a `client("secretsmanager")`.

    In Lambda this sometimes fails with "Signature expired", for instance where Lambda froze the environment between
    signing and sending (https://github.com/aws/aws-sdk-js-v3/issues/6222). The SDK does not retry that; this does.
    """
    # AWSCURRENT is the default, and named here because the functions' roles allow no other stage.
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
