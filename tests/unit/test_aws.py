"""The functions' AWS clients give up in time for their function to say so."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from stripe_to_segment import __version__
from stripe_to_segment.aws import CONFIG, client
from stripe_to_segment.errors import StoreUnavailableError
from stripe_to_segment.state.dynamodb import DynamoStore
from tests.unit.edges import REGION, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a service that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)


def test_a_call_to_aws_that_hangs_ends_before_receive_must_answer() -> None:
    """By default the SDK waits a minute each time, so a queue that hung would have ended every invocation midway."""
    tries, pauses = 3, 1 + 2
    config: Any = client("sqs").meta.config
    assert config.connect_timeout == 1
    assert tries * config.read_timeout + pauses < 10, "ReceiveTimeout"


def test_a_table_that_hangs_counts_as_unavailable(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", silent)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("stripe_to_segment.aws.CONFIG", CONFIG.merge(Config(read_timeout=0.1)))
    with pytest.raises(StoreUnavailableError, match="ReadTimeoutError"):
        DynamoStore(client("dynamodb"), TABLE).load([("profile", "own:live:cus_1")])


def test_a_request_to_aws_names_this_program_instead_of_composing_what_botocore_says_of_the_machine() -> None:
    """botocore's own User-Agent is composed anew for every request, in a quarter of the time that a write takes."""

    class Sent(Exception):  # noqa: N818 - it ends the request before the wire
        pass

    def look(request: Any, **_: object) -> None:
        raise Sent(request.headers["User-Agent"].decode())

    table = client("dynamodb")
    table.meta.events.register_first("before-send.dynamodb.GetItem", look)
    with pytest.raises(Sent, match=rf"^stripe-to-segment/{re.escape(__version__)} Botocore/[\d.]+(?!.* os/)"):
        table.get_item(TableName=TABLE, Key={"pk": {"S": "circuit#live"}})
