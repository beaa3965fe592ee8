"""The local stack: emulator, deployed template, routes and secret, started and stopped as one."""

from __future__ import annotations

import json
import platform
import secrets
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment.secrets import KEY_FIELDS, SIGNING_FIELDS
from stripe_to_segment_tools.local_stack.bridges import BRIDGES
from stripe_to_segment_tools.local_stack.deployment import Tools, deploy, make_clients, read_deployment
from stripe_to_segment_tools.local_stack.emulator import Emulator
from stripe_to_segment_tools.local_stack.errors import DeployFailedError, LocalStackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from stripe_to_segment_tools.local_stack.deployment import Clients, Deployment
    from stripe_to_segment_tools.local_stack.emulator import Access, Message

__all__ = ["WEBHOOK_PATH", "LocalStack", "Queued", "Secret"]

STACK_NAME = "stripe-to-segment"
ALIAS = "live"
WEBHOOK_PATH = "/webhooks/stripe"

# Random in each process, so that no other user of the machine can sign an event or send a call. Segment's keys have 32
# characters.
LIVE_WRITE_KEY, TEST_WRITE_KEY = secrets.token_hex(16), secrets.token_hex(16)
SIGNING_SECRET = f"whsec_{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Secret:
    """The content of the stack's two secrets. The signing secrets are valid for both modes."""

    stripe_signing_secrets: Sequence[str] = (SIGNING_SECRET,)
    segment_write_key: str = LIVE_WRITE_KEY
    segment_test_write_key: str = TEST_WRITE_KEY
    stripe_api_key: str = ""
    client_reference_key: str = ""

    @property
    def signing(self) -> dict[str, list[str]]:
        """The content of the SigningSecret."""
        return {SIGNING_FIELDS[mode]: list(self.stripe_signing_secrets) for mode in ("live", "test")}

    @property
    def keys(self) -> dict[str, str]:
        """The content of the KeysSecret."""
        return {name: getattr(self, name) for name in KEY_FIELDS}


@dataclass(frozen=True, slots=True)
class Queued:
    """The messages in the two queues at one moment, invisible ones included."""

    events: tuple[Message, ...]
    dead_letters: tuple[Message, ...]

    @property
    def nothing(self) -> bool:
        """Whether both are empty."""
        return not self.events and not self.dead_letters


class LocalStack:
    """The whole pack on this machine, as a context manager.

    Parameters
    ----------
    segment_endpoint
        The endpoint that gets the calls, such as the address of a `Receiver`.
    parameters
        Further parameters of the template, over its defaults.
    secret
        The content for the two secrets; None leaves them as the template created them.
    port
        The emulator's port, 0 for any free one.
    report
        Called with the name of each step when it starts, and with its seconds when it is done (None at the start).
    tools
        The programs and the build, where they are not the project's own.
    """

    def __init__(  # noqa: PLR0913 - settings by name
        self,
        segment_endpoint: str,
        *,
        parameters: Mapping[str, str] | None = None,
        secret: Secret | None = Secret(),
        port: int = 0,
        report: Callable[[str, float | None], None] | None = None,
        tools: Tools | None = None,
    ) -> None:
        self._parameters = {
            "SegmentEndpoint": segment_endpoint,
            "Architecture": "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64",
            **(parameters or {}),
        }
        self._secret = secret
        self._report = report or (lambda _step, _seconds: None)
        self._tools = tools or Tools()
        self._emulator = Emulator(self._tools.ministack_python, port)
        self._running = ExitStack()
        self._clients: Clients | None = None
        self._deployment: Deployment | None = None

    def start(self) -> Self:
        """Start everything. When this raises, Ctrl-C included, nothing is left running."""
        with ExitStack() as started:
            started.callback(self._emulator.stop)
            with self._step("start the AWS emulator"):
                self._emulator.start()
            with self._step("deploy the template with sam"):
                log = self._emulator.log.with_name("sam-deploy.log")
                deploy(self._tools, self._emulator.access, STACK_NAME, self._parameters, log)
            with self._step("add the route, fill the secrets"):
                self._complete()
            self._running = started.pop_all()
        return self

    def stop(self) -> None:
        """Stop everything and remove its state. Safe to call twice."""
        self._running.close()

    def __enter__(self) -> Self:
        """Start everything."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    @property
    def clients(self) -> Clients:
        """Clients of the emulator's services, acting as its root user."""
        if self._clients is None:
            raise LocalStackError("the local stack is not running: use it in a `with` statement")
        return self._clients

    @property
    def deployment(self) -> Deployment:
        """The deployed stack's outputs and resources."""
        if self._deployment is None:
            raise LocalStackError("the local stack is not running: use it in a `with` statement")
        return self._deployment

    @property
    def access(self) -> Access:
        """The emulator's address, and the key of its root user."""
        return self._emulator.access

    @property
    def endpoint_url(self) -> str:
        """The address of every AWS service, for AWS_ENDPOINT_URL."""
        return self._emulator.url

    @property
    def log(self) -> Path:
        """The emulator's log."""
        return self._emulator.log

    @property
    def webhook_url(self) -> str:
        """The webhook URL. It stands for https://<api-id>.execute-api.<region>.amazonaws.com/webhooks/stripe."""
        return f"{self.endpoint_url}/_aws/execute-api/{self.deployment.resource('WebhookApi')}{WEBHOOK_PATH}"

    @property
    def events_queue_url(self) -> str:
        """The queue between the two functions."""
        return self.deployment.output("EventsQueueUrl")

    @property
    def dead_letter_queue_url(self) -> str:
        """The dead-letter queue."""
        return self.deployment.output("DeadLetterQueueUrl")

    @property
    def state_table(self) -> str:
        """The name of the DynamoDB table."""
        return self.deployment.output("StateTableName")

    @property
    def receive_function(self) -> str:
        """The name of the function that takes events from Stripe."""
        return self.deployment.resource("ReceiveFunction")

    @property
    def deliver_function(self) -> str:
        """The name of the function that delivers calls to Segment."""
        return self.deployment.resource("DeliverFunction")

    def environment(self, function: str) -> dict[str, str]:
        """The environment variables of a function, as it was deployed."""
        configuration = self.clients.functions.get_function_configuration(FunctionName=function)
        return dict(configuration.get("Environment", {}).get("Variables", {}))

    def put_secret(self, secret: Secret) -> None:
        """Fill both secrets. Functions that have read them before use the old ones until their cache expires."""
        for output, content in (("SigningSecretArn", secret.signing), ("KeysSecretArn", secret.keys)):
            arn = self.deployment.output(output)
            self.clients.secretsmanager.put_secret_value(SecretId=arn, SecretString=json.dumps(content))

    def publish(self, function: str) -> None:
        """Publish a new version of a function and point the alias to it, which forces a cold start."""
        functions = self.clients.functions
        functions.update_function_configuration(FunctionName=function, Description=f"published {time.time()}")
        version = functions.publish_version(FunctionName=function)["Version"]
        functions.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=version)

    def check_alive(self) -> None:
        """Raise EmulatorFailedError when the emulator has stopped by itself."""
        self._emulator.check_alive()

    def queued(self) -> Queued:
        """The messages in the two queues, without receiving them."""
        self.check_alive()
        events, dead = (self._emulator.messages(url) for url in (self.events_queue_url, self.dead_letter_queue_url))
        return Queued(tuple(events), tuple(dead))

    def output(self, function: str) -> list[str]:
        """The lines in a function's log group, oldest first."""
        configuration = self.clients.functions.get_function_configuration(FunctionName=function)
        group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}"
        pages = self.clients.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        events = [event for page in pages for event in page["events"]]
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]

    def empty(self) -> None:
        """Empty both queues and the table between two tests."""
        for url in (self.events_queue_url, self.dead_letter_queue_url):
            self.clients.sqs.purge_queue(QueueUrl=url)
        table = self.state_table
        pages = self.clients.dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression="pk")
        for item in [item for page in pages for item in page["Items"]]:
            self.clients.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"]})

    def _complete(self) -> None:
        self._clients = make_clients(self._emulator.access)
        self._deployment = read_deployment(self._clients, STACK_NAME)
        try:
            for bridge in BRIDGES:
                bridge(self._clients, self._deployment)
            if self._secret is not None:
                self.put_secret(self._secret)
        except (BotoCoreError, ClientError) as error:
            raise DeployFailedError(f"the deployed stack could not be completed: {error}") from error

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._report(name, None)
        started = time.monotonic()
        yield
        self._report(name, time.monotonic() - started)
