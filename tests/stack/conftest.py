"""The real template in the AWS emulator under enforced IAM, with an imitation of Segment at its other end."""

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

PATIENCE_SECONDS = 30.0
SECRET = Secret()
# Nobody listens to it unless a test makes it.
BUS = "aws.partner/stripe.com/ed_test"
RUNS = itertools.count()


@dataclass(frozen=True, slots=True)
class Posted:
    """An event that was posted, and the answer."""

    event: Mapping[str, Any]
    body: str
    status: int | None
    answer: Any


@dataclass(frozen=True, slots=True)
class Local:
    """The local stack as a test sees it: Stripe at one end, Segment at the other."""

    stack: LocalStack
    segment: Receiver

    def post(self, name: str, secret: str = SECRET.stripe_signing_secrets[0], **changes: Any) -> Posted:
        """Post a sample event with ids nobody has seen."""
        event = freshen([sample(name).event], int(time.time()), seed=f"test {next(RUNS)}")[0] | changes
        body = body_of(event)
        sent = next(send([body], self.stack.webhook_url, secret))
        return Posted(event, body.decode(), sent.status, json.loads(sent.body))

    def calls(self) -> list[str]:
        """The calls that Segment has kept: event names, and the types of those that have none."""
        return [str(kept.call.get("event", kept.call["type"])) for kept in self.segment.record.calls]

    def statuses(self) -> list[int | None]:
        """What Segment has answered to each request."""
        return [request.status for request in self.segment.record.requests]

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds; fail with what was waited for, and what the functions said."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                said = "\n".join(self.stack.output(self.stack.deliver_function)[-15:])
                pytest.fail(f"{what}: not within {PATIENCE_SECONDS:.0f} s\n{self.stack.queued()}\n{said}")
            time.sleep(0.05)

    def wait_until_idle(self) -> None:
        """Wait until everything that was queued is done with."""
        self.wait(lambda: not self.stack.queued().events, "the events queue is empty")


@pytest.fixture(scope="session")
def segment() -> Iterator[Receiver]:
    sources = {"live": SECRET.segment_write_key, "test": SECRET.segment_test_write_key}
    with Receiver(sources=sources) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stripe_list() -> Iterator[StripeList]:
    """Stripe's list of events, asked only by what has its key."""
    with StripeList() as listing:
        yield listing


@pytest.fixture(scope="session")
def stack(segment: Receiver, stripe_list: StripeList) -> Iterator[LocalStack]:
    # The imitation of Stripe is not Stripe: the template asks whether the API key may go there.
    stripe = {"StripeApiBase": stripe_list.url, "TrustStripeApiBase": "true"}
    parameters = LOCAL_PARAMETERS | {"EventBusName": BUS} | stripe
    with stop_on_signals(), LocalStack(segment.url, parameters=parameters, secret=SECRET) as running:
        yield running


@pytest.fixture
def announced(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands with `--local` find this stack."""
    told = {
        "endpoint_url": stack.access.url,
        "access_key_id": stack.access.key_id,
        "secret_access_key": stack.access.secret,
        "stack_name": stack.deployment.name,
        "webhook_url": stack.webhook_url,
    }
    monkeypatch.setattr(stack_access, "read_stack_file", lambda: told)


@pytest.fixture
def local(stack: LocalStack, segment: Receiver) -> Iterator[Local]:
    segment.record.behaviour = Behaviour()
    stack.empty()
    segment.record.clear()
    yield Local(stack, segment)
    segment.record.behaviour = Behaviour()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need the emulator: one without the mark ran in `make test-fast`, for a minute and a half."""
    for item in items:
        if "tests/stack/" in item.path.as_posix():
            item.add_marker(pytest.mark.stack)
