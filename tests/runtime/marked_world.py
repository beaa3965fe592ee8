"""A built function under AWS's runtime interface emulator, with stand-ins whose private data are all marks."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from stripe_to_segment_tools.lambda_runtime.aws_stand_in import AwsStandIn
from stripe_to_segment_tools.lambda_runtime.built_function import read_built_function
from stripe_to_segment_tools.lambda_runtime.runtime import Runtime
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import EventList, query_of
from stripe_to_segment_tools.local_stack import Secret
from stripe_to_segment_tools.samples.files import api_gateway_request, freshen, sample, sqs_batch
from tests.runtime.marks import Marks
from tests.unit.edges import Endpoint, say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path
    from types import TracebackType

    from stripe_to_segment_tools.lambda_runtime.runtime import Result

__all__ = ["World"]

QUEUE = "arn:aws:sqs:us-east-1:123456789012:events"


@dataclass
class World:
    """One function with the stand-ins that it calls, as a context manager.

    Parameters
    ----------
    name
        `receive`, `deliver`, `reconcile` or `audit`.
    level
        The template's parameter LogLevel.
    variables
        Environment variables over those of the template.
    code
        The folder of the function's code, if it is not the built one.
    secret
        The text in both secrets, if they are not valid ones.
    """

    name: str
    level: str
    variables: Mapping[str, str] = field(default_factory=dict)
    code: Path | None = None
    secret: str | None = None

    def __enter__(self) -> Self:
        self.marks = Marks()
        self.signing = f"whsec_{self.marks.one('signing secret')}Zr2Qw9Lt4Vy8Np3Jd6Kf1"
        self.key = f"rk_test_{self.marks.one('Stripe API key')}"
        self.answers: list[Any] = []
        self._attributes: list[dict[str, str]] = []
        self._seeds = 0
        good = Secret(
            (self.signing,),
            segment_write_key=self.marks.one("live write key"),
            segment_test_write_key=self.marks.one("test write key"),
            stripe_api_key=self.key,
            client_reference_key=self.marks.one("key of references"),
        )
        function = read_built_function(f"{self.name.capitalize()}Function", parameters={"LogLevel": self.level})
        if self.code is not None:
            function = replace(function, code=self.code)
        with ExitStack() as open_:
            self.aws = open_.enter_context(AwsStandIn(good))
            if self.secret is not None:
                self.aws.put_secret(self.secret)
            self.segment = open_.enter_context(Endpoint())
            self.stripe = open_.enter_context(Endpoint())
            environment = {
                **self.aws.environment,
                # No compression, because a mark inside of gzip could not be found in a log.
                "SEGMENT_ENDPOINT": self.segment.url,
                "STRIPE_API_BASE": self.stripe.url,
                "RETRY_BASE_SECONDS": "1",
                "AWS_SECRET_ACCESS_KEY": self.marks.one("the role's secret key"),
                "AWS_SESSION_TOKEN": self.marks.one("the role's session token"),
            }
            self.runtime = open_.enter_context(Runtime(function, {**environment, **self.variables}))
            self._open = open_.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def leaked(self) -> list[str]:
        """The names of the marks in the log, in an answer to the caller, or on a dead letter."""
        answered = json.dumps([self.answers, self._attributes])
        return self.marks.found_in(self.runtime.log + answered)

    def invoke(self, payload: object) -> Result:
        """Invoke the function with an event."""
        result = self.runtime.invoke(payload)
        self.answers.append(result.answer)
        return result

    def happened(self, *names: str, pending: int = 1) -> list[dict[str, Any]]:
        """Marked sample events with current times; `pending` is their number of pending webhooks."""
        self._seeds += 1
        fresh = freshen([sample(name).event for name in names], int(time.time()), seed=f"{self.level}{self._seeds}")
        return [self.marks.event(event) | {"pending_webhooks": pending} for event in fresh]

    # --- receive ---

    def request(self, body: bytes, *, base64: bool = False, **changed: object) -> dict[str, Any]:
        """A signed request with marks in the other headers."""
        request = api_gateway_request(body, self.signing, int(time.time()), base64=base64)
        signature = request["headers"]["stripe-signature"]
        headers = self.marks.all_in(request["headers"], "headers") | {"stripe-signature": signature}
        more = {"cookies": [self.marks.one("a cookie")], "rawQueryString": self.marks.one("a query")}
        return {**request, **more, "headers": headers, **changed}

    # --- deliver ---

    def deliver(self, *bodies: dict[str, Any] | str) -> tuple[Result, list[str]]:
        """Deliver a batch of events; returns the result and the reasons of the new dead letters.

        They were queued an hour ago, so none waits for its payment any more.
        """
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        batch = self.aws.hand_out(sqs_batch([text.encode() for text in texts], QUEUE, int(time.time()) - 3600))
        result = self.invoke(batch)
        self.aws.settle(batch, result.answer)
        self.aws.queued()
        letters = [attributes for _, attributes in self.aws.dead_letters()]
        self._attributes += letters
        return result, [attributes["reason"] for attributes in letters]

    def echo(self, status: int, before: bytes = b"", **headers: str) -> None:
        """Let Segment answer with this status, and with the received body and key as its body."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            key = self.segment.requests[-1].headers["authorization"].encode()
            say(status, before + self.segment.requests[-1].content + key, **headers)(handler)

        self.segment.answering = answer

    # --- reconcile ---

    def missed(self, *names: str) -> None:
        """Let Stripe list these events as undelivered, and set the function's bookmark to three hours ago."""
        events = [event | {"created": int(time.time()) - 2 * 3_600} for event in self.happened(*names)]
        listed = EventList(events, {event["id"] for event in events}, livemode=False)

        def answer(handler: BaseHTTPRequestHandler) -> None:
            status, body = listed.answer(query_of(handler.path.partition("?")[2]), time.time())
            say(status, json.dumps(body).encode())(handler)

        self.stripe.answering = answer
        as_of = str(int(time.time()) - 3 * 3_600)
        self.aws.put_item({"pk": {"S": "bookmark#own:test"}, "value": {"S": as_of}, "as_of": {"N": as_of}})
