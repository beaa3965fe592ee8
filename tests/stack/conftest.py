"""The real template in the AWS emulator under enforced IAM, with an imitation of Segment."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.access import stack as stack_access
from stripe_to_segment_tools.commands.send.command import send
from stripe_to_segment_tools.local_stack import LocalStack, Secret, stop_on_signals
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS
from stripe_to_segment_tools.receiver import Behaviour, Receiver
from stripe_to_segment_tools.samples.files import body_of, freshen, sample
from tests.unit.stripe_list import StripeList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PATIENCE_SECONDS = 180.0
SECRET = Secret()
# The bus does not exist unless a test creates it.
BUS = "aws.partner/stripe.com/ed_test"
RUNS = itertools.count()


@dataclass(frozen=True, slots=True)
class Posted:
    """A posted event and the answer."""

    event: Mapping[str, Any]
    body: str
    status: int | None
    answer: Any


@dataclass(frozen=True, slots=True)
class Local:
    """The local stack for a test, which posts events like Stripe and reads the calls that Segment received."""

    stack: LocalStack
    segment: Receiver

    def post(self, name: str, secret: str = SECRET.stripe_signing_secrets[0], **changes: Any) -> Posted:
        """Post a sample event with new ids."""
        event = freshen([sample(name).event], int(time.time()), seed=f"test {next(RUNS)}")[0] | changes
        body = body_of(event)
        sent = next(send([body], self.stack.webhook_url, secret))
        return Posted(event, body.decode(), sent.status, json.loads(sent.body))

    def calls(self) -> list[str]:
        """The calls that Segment has kept: the event name of each track, and the type of each other call."""
        return [str(kept.call.get("event", kept.call["type"])) for kept in self.segment.record.calls]

    def statuses(self) -> list[int | None]:
        """The statuses with which Segment has answered the requests."""
        return [request.status for request in self.segment.record.requests]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds; on a timeout fail with `what` and the functions' logs."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                said = "\n".join(self.stack.output(self.stack.deliver_function)[-15:])
                pytest.fail(f"{what}: not within {PATIENCE_SECONDS:.0f} s\n{self.stack.queued()}\n{said}")
            time.sleep(0.15)

    def wait_until_idle(self) -> None:
        """Wait until all queued events have been processed."""
        self.wait(lambda: not self.stack.queued().events, "the events queue is empty")


@pytest.fixture(scope="session")
def segment() -> Iterator[Receiver]:
    sources = {"live": SECRET.segment_write_key, "test": SECRET.segment_test_write_key}
    with Receiver(sources=sources) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stripe_list() -> Iterator[StripeList]:
    """An imitation of Stripe's list of events, which answers only requests with its key."""
    with StripeList() as listing:
        yield listing


@pytest.fixture(scope="session")
def stack(segment: Receiver, stripe_list: StripeList) -> Iterator[LocalStack]:
    # The template requires a confirmation before the API key is sent to another address than Stripe's.
    stripe = {"StripeApiBase": stripe_list.url, "TrustStripeApiBase": "true"}
    parameters = LOCAL_PARAMETERS | {"EventBusName": BUS} | stripe
    with stop_on_signals(), LocalStack(segment.url, parameters=parameters, secret=SECRET) as running:
        yield running


@pytest.fixture
def announced(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands with `--local` find this stack."""
    content = {
        "endpoint_url": stack.access.url,
        "access_key_id": stack.access.key_id,
        "secret_access_key": stack.access.secret,
        "stack_name": stack.deployment.name,
        "webhook_url": stack.webhook_url,
    }
    monkeypatch.setattr(stack_access, "read_stack_file", lambda: content)


@pytest.fixture
def local(stack: LocalStack, segment: Receiver) -> Iterator[Local]:
    segment.record.behaviour = Behaviour()
    stack.empty()
    segment.record.clear()
    yield Local(stack, segment)
    segment.record.behaviour = Behaviour()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder. One without the mark ran in `make test-fast`, for a minute and a half."""
    for item in items:
        if "tests/stack/" in item.path.as_posix():
            item.add_marker(pytest.mark.stack)
