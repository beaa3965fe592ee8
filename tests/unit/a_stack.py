"""A deployed stack as the commands see it.

Moto's queues, table and secrets, and the settings of its deliver function.
"""

from __future__ import annotations

import itertools
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from stripe_to_segment_tools.access.stack import Stack
from stripe_to_segment_tools.commands.dlq import queue as dead_letter_queue
from tests.unit.edges import TABLE, Faulty, moto_client, state_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    type Fault = Callable[[str, dict[str, Any]], dict[str, Any] | None]


WEBHOOK_URL = "https://abc123.execute-api.eu-central-1.amazonaws.com/webhooks/stripe"
NUMBERS = itertools.count()


class Functions:
    """A low-level Lambda client with the stack's functions, all set to the same."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.mapping = _mapping("m-1", "events", 5)
        self.import_mapping = _mapping("m-2", "import", 0)
        # Of a new account.
        self.concurrency, self.reserved = 10, 0
        self.told: dict[str, Any] = {}
        self.not_published: dict[str, Any] = {}
        # By function, what somebody has reserved for it by hand.
        self.set_by_hand: dict[str, int] = {}

    def get_function_concurrency(self, *, FunctionName: str) -> dict[str, Any]:
        """Nothing where nothing is reserved: https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConcurrency.html."""
        found = self.set_by_hand.get(FunctionName)
        return {} if found is None else {"ReservedConcurrentExecutions": found}

    def list_event_source_mappings(self, *, FunctionName: str) -> dict[str, Any]:
        """The event source mappings of deliver, by its alias."""
        mappings = (self.mapping, self.import_mapping) if FunctionName == "deliver:live" else ()
        return {"EventSourceMappings": [each for each in mappings if each]}

    def get_account_settings(self) -> dict[str, Any]:
        """The account's concurrency in this region."""
        left = self.concurrency - self.reserved
        limit = {"ConcurrentExecutions": self.concurrency, "UnreservedConcurrentExecutions": left}
        return {"AccountLimit": limit, "AccountUsage": {"FunctionCount": 3}}

    def get_function_configuration(self, *, FunctionName: str, Qualifier: str = "") -> dict[str, Any]:
        assert Qualifier in {"", "live"}
        assert FunctionName in {"receive", "deliver", "reconcile", "audit"}
        return {
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Version": "3",
            "LastModified": "2026-11-18T11:06:40.000+0000",
            "Environment": {"Variables": self.variables},
            "FunctionArn": f"arn:aws:lambda:eu-central-1:1:function:{FunctionName}:{Qualifier}",
            "LoggingConfig": {"LogGroup": f"/aws/lambda/stripe-to-segment-{FunctionName}"},
            **self.told,
            **({} if Qualifier else self.not_published),
        }


def _mapping(uuid: str, queue: str, most: int) -> dict[str, Any]:
    """An event source mapping: https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html."""
    return {
        "UUID": uuid,
        "State": "Enabled",
        "EventSourceArn": f"arn:aws:sqs:eu-central-1:123456789012:{queue}",
        "ScalingConfig": {"MaximumConcurrency": most},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }


class Rules:
    """A low-level EventBridge client: the states of the rules by target and bus, and that of Stripe's event source."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], dict[str, str]] = {}
        self.source = "ACTIVE"

    def list_rule_names_by_target(self, *, TargetArn: str, EventBusName: str = "") -> dict[str, Any]:
        return {"RuleNames": [*self.states.get((TargetArn.split(":", 5)[5], EventBusName), {})]}

    def describe_rule(self, *, Name: str, EventBusName: str = "") -> dict[str, Any]:
        (found,) = [rules[Name] for (_, bus), rules in self.states.items() if bus == EventBusName and Name in rules]
        return {"Name": Name, "State": found}

    def describe_event_source(self, *, Name: str) -> dict[str, Any]:
        return {"Name": Name, "State": self.source}


class Topics:
    """A low-level SNS client: who is subscribed to the one topic, two on a page."""

    def __init__(self) -> None:
        self.subscriptions = ["arn:aws:sns:eu-central-1:1:alarms:0f1e"]

    def get_paginator(self, operation: str) -> Topics:
        assert operation == "list_subscriptions_by_topic"
        return self

    def paginate(self, *, TopicArn: str) -> Iterator[dict[str, Any]]:
        assert TopicArn.endswith(":alarms")
        for start in range(0, max(len(self.subscriptions), 1), 2):
            found = self.subscriptions[start : start + 2]
            yield {"Subscriptions": [{"SubscriptionArn": arn, "Protocol": "email"} for arn in found]}


class Resources:
    """A low-level CloudFormation client: the alarms that the stack has, beside other resources, one on a page."""

    def __init__(self) -> None:
        self.alarms: list[str] = []

    def get_paginator(self, operation: str) -> Resources:
        assert operation == "list_stack_resources"
        return self

    def paginate(self, *, StackName: str) -> Iterator[dict[str, Any]]:
        assert StackName == "stripe-to-segment"
        made = [("AWS::SNS::Topic", "arn:aws:sns:eu-central-1:1:alarms")]
        for kind, name in made + [("AWS::CloudWatch::Alarm", each) for each in self.alarms]:
            yield {"StackResourceSummaries": [{"ResourceType": kind, "PhysicalResourceId": name}]}


@dataclass
class Deployed:
    """The stack, its clients, and the failures of SQS."""

    sqs: Any
    dynamodb: Any
    secrets: Any
    events_url: str
    import_url: str
    letters_url: str
    signing_arn: str
    keys_arn: str
    functions: Functions = field(default_factory=Functions)
    topics: Topics = field(default_factory=Topics)
    rules: Rules = field(default_factory=Rules)
    resources: Resources = field(default_factory=Resources)
    parameters: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ("--stack", "stripe-to-segment")
    status: str = "UPDATE_COMPLETE"
    webhook_url: str = WEBHOOK_URL
    logs: Any = None
    cloudwatch: Any = None
    door: Any = None
    more_outputs: dict[str, str] = field(default_factory=dict)
    fault: Fault = lambda _operation, _arguments: None

    @property
    def stack(self) -> Stack:
        clients = {
            "sqs": Faulty(self.sqs, self._fault),
            "dynamodb": self.dynamodb,
            "secretsmanager": self.secrets,
            "lambda": self.functions,
            "sns": self.topics,
            "events": self.rules,
            "cloudformation": self.resources,
            "logs": self.logs,
            "cloudwatch": self.cloudwatch,
        }
        outputs = {
            "EventsQueueUrl": self.events_url,
            "ImportQueueUrl": self.import_url,
            "DeadLetterQueueUrl": self.letters_url,
            "StateTableName": TABLE,
            "SigningSecretArn": self.signing_arn,
            "KeysSecretArn": self.keys_arn,
            "ReceiveFunctionName": "receive",
            "DeliverFunctionName": "deliver",
            "ReconcileFunctionName": "reconcile",
            "AuditFunctionName": "audit",
            **self.more_outputs,
        }
        return Stack(
            name="stripe-to-segment",
            options=self.options,
            outputs=outputs,
            parameters=self.parameters,
            status=self.status,
            webhook_url=self.webhook_url,
            client=clients.__getitem__,
        )

    def _fault(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        return self.fault(operation, arguments)

    def renew_queues(self) -> None:
        """Start again with two empty queues; a queue can be purged only once a minute."""
        name = f"queue-{next(NUMBERS)}"
        self.events_url = self.sqs.create_queue(QueueName=f"{name}-events")["QueueUrl"]
        self.letters_url = self.sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]

    def dead_letter(self, body: str, **attributes: str) -> str:
        """Put a dead letter as deliver does; returns its message id."""
        written = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        answer = self.sqs.send_message(QueueUrl=self.letters_url, MessageBody=body, MessageAttributes=written)
        return str(answer["MessageId"])

    def bodies(self, url: str) -> list[str]:
        """The messages that can be received from a queue now; they are visible again afterwards."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            found += messages
        for message in found:
            self.sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return [message["Body"] for message in found]

    @property
    def letters(self) -> list[str]:
        """The bodies of the dead letters that can be received."""
        return self.bodies(self.letters_url)

    @property
    def events(self) -> list[str]:
        """The bodies of the events that can be received."""
        return self.bodies(self.events_url)

    @property
    def signing(self) -> Any:
        """The content of the SigningSecret."""
        return self._held(self.signing_arn)

    @property
    def keys(self) -> Any:
        """The content of the KeysSecret."""
        return self._held(self.keys_arn)

    def put_signing(self, **values: Any) -> None:
        """Fill the SigningSecret."""
        self.secrets.put_secret_value(SecretId=self.signing_arn, SecretString=json.dumps(values))

    def put_keys(self, **values: Any) -> None:
        """Fill the KeysSecret."""
        self.secrets.put_secret_value(SecretId=self.keys_arn, SecretString=json.dumps(values))

    def _held(self, arn: str) -> Any:
        return json.loads(self.secrets.get_secret_value(SecretId=arn)["SecretString"])


def _queues(sqs: Any) -> tuple[str, str, str]:
    """The queues of events, of an import and of dead letters, as the template makes them."""
    kept = {"MessageRetentionPeriod": "1209600"}
    letters = sqs.create_queue(QueueName="dead-letters", Attributes=kept)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=letters, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    buries = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1000})}
    events, imports = (
        sqs.create_queue(QueueName=name, Attributes=kept | buries)["QueueUrl"] for name in ("events", "import")
    )
    return events, imports, letters


@contextmanager
def deployed() -> Iterator[Deployed]:
    """A stack with empty queues, an empty table and empty secrets."""
    # moto's queues are empty at once; to wait a second each time whether something comes is for real ones.
    with state_table() as dynamodb, patch.object(dead_letter_queue, "WAIT_SECONDS", 0):
        sqs, secrets = moto_client("sqs"), moto_client("secretsmanager")
        events, imports, letters = _queues(sqs)
        yield Deployed(
            sqs,
            dynamodb,
            secrets,
            events,
            imports,
            letters,
            secrets.create_secret(Name="connections", SecretString="{}")["ARN"],
            secrets.create_secret(Name="keys", SecretString="{}")["ARN"],
        )
