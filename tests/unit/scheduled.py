"""A scheduled function as Lambda runs it, on a stack with a Stripe API key and with an imitation of Stripe's lists."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stripe_to_segment.state.dynamodb import DynamoStore
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import TABLE, load_function
from tests.unit.stripe_list import KEY, StripeList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest


class Context:
    """Lambda's context of the invocation."""

    def __init__(self, seconds: float = 300.0) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@contextmanager
def deployed_with_key() -> Iterator[Deployed]:
    """A stack whose KeysSecret has a Stripe API key."""
    with deployed() as stack:
        stack.put_keys(stripe_api_key=KEY)
        yield stack


def load_scheduled(
    name: str, here: Deployed, stripe: StripeList, began: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The module of a function of this stack, which began at an epoch second and reads these lists."""
    for variable, value in {
        "STRIPE_API_BASE": stripe.url,
        "TRUST_STRIPE_API_BASE": "true",
        "STATE_TABLE": TABLE,
        "EVENTS_QUEUE_URL": here.events_url,
        "IMPORT_QUEUE_URL": here.import_url,
        "KEYS_SECRET_ARN": here.keys_arn,
    }.items():
        monkeypatch.setenv(variable, value)
    module = load_function(name)
    monkeypatch.setattr(module.aws, "client", here.stack.client)
    monkeypatch.setattr(DynamoStore, "began", lambda _: began())
    return module
