"""What several of the unit tests need: the log and the metrics of the package, the StateTable, Stripe, and a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.memory_store import MemoryStore
from tests.unit.edges import TABLE, Spoken, speaking, state_table
from tests.unit.scheduled import deployed_with_key
from tests.unit.stripe_list import StripeList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.a_stack import Deployed


@pytest.fixture
def spoken() -> Iterator[Spoken]:
    """What the package logs and counts during the test, in place of pytest's output."""
    with speaking() as spoken:
        yield spoken


@pytest.fixture
def here() -> Iterator[Deployed]:
    """A stack whose KeysSecret has a Stripe API key. Tests of commands also make it the stack that a command finds."""
    with deployed_with_key() as stack:
        yield stack


@pytest.fixture
def api() -> Iterator[StripeList]:
    """An imitation of Stripe's API."""
    with StripeList() as stripe:
        yield stripe


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of DynamoDB with a StateTable."""
    with state_table() as client:
        yield client


@pytest.fixture
def table(dynamodb: Any) -> Any:
    """The client, on a table in which nothing is left from the last test."""
    for item in dynamodb.scan(TableName=TABLE)["Items"]:
        dynamodb.delete_item(TableName=TABLE, Key={"pk": item["pk"]})
    return dynamodb


@pytest.fixture(params=["memory", "table"])
def store(request: pytest.FixtureRequest) -> MemoryStore | DynamoStore:
    """The store in memory, then the one in DynamoDB."""
    return MemoryStore() if request.param == "memory" else DynamoStore(request.getfixturevalue("table"), TABLE)
