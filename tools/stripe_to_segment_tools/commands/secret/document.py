"""One of a stack's two secrets in Secrets Manager, as a JSON object: read, and written as a whole.

Its values appear in no repr, no error and no log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from stripe_to_segment.aws import text_of
from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError, code_of
from stripe_to_segment.secrets import secret_object

__all__ = ["Document", "SecretChangedError", "StackSecret"]


class SecretChangedError(StripeToSegmentError):
    """Another user wrote the secret since it was read, so it was not overwritten."""


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """The content of a secret, and the id of its version."""

    content: dict[str, Any]
    version: str


class StackSecret:
    """A secret by its ARN.

    Parameters
    ----------
    client
        A low-level boto3 client of Secrets Manager.
    arn
        The ARN.
    name
        Its name in messages: SigningSecret or KeysSecret.
    """

    def __init__(self, client: Any, arn: str, name: str) -> None:
        self._client = client
        self.arn = arn
        self.name = name

    def text(self) -> tuple[str, str]:
        """The current text, unchecked, and the id of its version.

        A secret that was created and never filled has no version, and reads as an empty object.
        """
        return self._stage("AWSCURRENT") or ("{}", "")

    def read(self) -> Document:
        """The current content. Raises ConfigurationError if that is not a JSON object."""
        text, version = self.text()
        return Document(secret_object(text, self.name), version)

    def previous(self) -> dict[str, Any]:
        """The content of the previous version; empty if there is none, or if it is not a JSON object."""
        found = self._stage("AWSPREVIOUS")
        try:
            return secret_object(found[0], self.name) if found else {}
        except ConfigurationError:
            return {}

    def write(self, content: dict[str, Any], over: str = "") -> None:
        """Write this as the current version, only if `over` still names the current one.

        Secrets Manager has no conditional write, so a write at the same moment is not detected.
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
        """
        if over and self.text()[1] != over:
            raise SecretChangedError(f"the {self.name} was changed meanwhile: nothing was written. Do it again")
        self._client.put_secret_value(SecretId=self.arn, SecretString=json.dumps(content, indent=2))

    def _stage(self, stage: str) -> tuple[str, str] | None:
        """The text and the id of the version with this stage label; None if no version has it."""
        try:
            answer = self._client.get_secret_value(SecretId=self.arn, VersionStage=stage)
        except ClientError as error:
            if code_of(error) == "InvalidRequestException":
                # https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html
                restore = f"aws secretsmanager restore-secret --secret-id {self.arn}"
                raise ConfigurationError(f"the {self.name} is marked for deletion; `{restore}` restores it") from error
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None
        return text_of(answer), answer["VersionId"]
