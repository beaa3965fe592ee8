"""The three AWS services the functions call, in this process: moto behind an HTTP address. No account, no emulator.

It serves one function. The whole pack together runs on the local stack, under real permissions.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from moto import mock_aws
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from stripe_to_segment_tools.lambda_runtime.built_function import REGION
from stripe_to_segment_tools.receiver.runner import ServerThread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from starlette.requests import Request

    from stripe_to_segment_tools.local_stack import Secret

__all__ = ["AwsStandIn"]

EVENTS_QUEUE = "stripe-to-segment-events"
IMPORT_QUEUE = "stripe-to-segment-imports"
DEAD_LETTER_QUEUE = "stripe-to-segment-dead-letters"
STATE_TABLE = "stripe-to-segment-state"


class AwsStandIn:
    """Queues, StateTable and secrets at `url`, as a context manager; its data is gone afterwards.

    Parameters
    ----------
    secret
        The content of the two secrets.

    Attributes
    ----------
    faults
        The operations that fail, by their boto3 name, with the error code of the answer.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self.faults: dict[str, str] = {}
        self._moto = mock_aws()
        self._server = ServerThread(Starlette(routes=[Route("/{path:path}", self._serve, methods=["POST"])]))
        # By the first part of the X-Amz-Target header. Their methods depend on the operation asked for, hence Any.
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Create the resources and start the server."""
        self._moto.start()
        # Explicit addresses, because a caller's AWS_ENDPOINT_URL would bypass moto.
        self._sqs = boto3.client("sqs", REGION, endpoint_url=f"https://sqs.{REGION}.amazonaws.com")
        dynamodb = boto3.client("dynamodb", REGION, endpoint_url=f"https://dynamodb.{REGION}.amazonaws.com")
        secrets = boto3.client("secretsmanager", REGION, endpoint_url=f"https://secretsmanager.{REGION}.amazonaws.com")
        self._clients = {"AmazonSQS": self._sqs, "DynamoDB_20120810": dynamodb, "secretsmanager": secrets}
        self.events_queue_url = self._sqs.create_queue(QueueName=EVENTS_QUEUE)["QueueUrl"]
        self.import_queue_url = self._sqs.create_queue(QueueName=IMPORT_QUEUE)["QueueUrl"]
        self.dead_letter_queue_url = self._sqs.create_queue(QueueName=DEAD_LETTER_QUEUE)["QueueUrl"]
        dynamodb.create_table(
            TableName=STATE_TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        self.secret_arns = {
            f"{name.upper()}_SECRET_ARN": secrets.create_secret(Name=name, SecretString=json.dumps(content))["ARN"]
            for name, content in (("signing", self._secret.signing), ("keys", self._secret.keys))
        }
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and drop all data."""
        self._server.stop()
        self._moto.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make a function use this stand-in."""
        return {
            "AWS_ENDPOINT_URL": self._server.url,
            **self.secret_arns,
            "EVENTS_QUEUE_URL": self.events_queue_url,
            "IMPORT_QUEUE_URL": self.import_queue_url,
            "DEAD_LETTER_QUEUE_URL": self.dead_letter_queue_url,
            "STATE_TABLE": STATE_TABLE,
        }

    def put_secret(self, text: str) -> None:
        """Replace the text of both secrets, valid or not."""
        for arn in self.secret_arns.values():
            self._clients["secretsmanager"].put_secret_value(SecretId=arn, SecretString=text)

    def put_item(self, item: Mapping[str, Any]) -> None:
        """Write an item into the StateTable, valid or not."""
        self._clients["DynamoDB_20120810"].put_item(TableName=STATE_TABLE, Item=item)

    def hand_out(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Queue and receive an SQS batch's records, so that their receipt handles are valid."""
        records = []
        for record in batch["Records"]:
            self._sqs.send_message(QueueUrl=self.events_queue_url, MessageBody=record["body"])
            received = self._sqs.receive_message(QueueUrl=self.events_queue_url)["Messages"][0]
            records.append(record | {"receiptHandle": received["ReceiptHandle"]})
        return batch | {"Records": records}

    def settle(self, batch: dict[str, Any], answer: object) -> None:
        """Delete the records that the function did not report as failed, as Lambda does after an invocation."""
        if not isinstance(answer, dict) or not isinstance(failures := answer.get("batchItemFailures"), list):
            return
        failed = {failure.get("itemIdentifier") for failure in failures}
        for record in batch["Records"]:
            if record["messageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self.events_queue_url, ReceiptHandle=record["receiptHandle"])
            else:
                self._sqs.change_message_visibility(
                    QueueUrl=self.events_queue_url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
                )

    def queued(self) -> list[str]:
        """Receive the bodies of all visible messages in the events queue."""
        return [message["Body"] for message in self._take(self.events_queue_url)]

    def dead_letters(self) -> list[tuple[str, dict[str, str]]]:
        """Receive the bodies of all dead letters, each with its attributes."""
        return [
            (
                message["Body"],
                {name: each["StringValue"] for name, each in message.get("MessageAttributes", {}).items()},
            )
            for message in self._take(self.dead_letter_queue_url)
        ]

    def _take(self, queue_url: str) -> list[Any]:
        taken: list[Any] = []
        while messages := self._sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            taken += messages
        return taken

    async def _serve(self, request: Request) -> Response:
        """Answer a request in AWS's JSON protocol with moto's answer to the operation."""
        target, _, operation = request.headers.get("x-amz-target", "").partition(".")
        name = xform_name(operation)
        if name in self.faults:
            return _json({"__type": self.faults[name], "message": "configured to fail"}, 400)
        try:
            answer = getattr(self._clients[target], name)(**json.loads(await request.body(), object_hook=_with_bytes))
        except ClientError as error:
            problem = error.response["Error"]
            return _json({"__type": problem["Code"], **error.response, "message": problem["Message"]}, 400)
        del answer["ResponseMetadata"]
        return _json(answer, 200)


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """Decode a DynamoDB binary value, which is base64 in this protocol and bytes in boto3."""
    return {"B": b64decode(value["B"])} if value.keys() == {"B"} and isinstance(value["B"], str) else value


def _json(content: dict[str, Any], status: int) -> Response:
    text = json.dumps(content, default=_in_json)
    return Response(text, status, media_type="application/x-amz-json-1.1")


def _in_json(value: Any) -> object:
    """Encode bytes as base64, and times as seconds since the epoch."""
    return b64encode(value).decode() if isinstance(value, bytes) else value.timestamp()
