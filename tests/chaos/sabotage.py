"""Breaks records of the StateTable, one at a time, and puts each back once it was read or a while later."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from itertools import cycle
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from tests.chaos.faults import TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from stripe_to_segment_tools.local_stack import LocalStack
    from tests.chaos.faults import Fault
    from tests.chaos.proxy import FaultyProxy

__all__ = ["Saboteur"]

# So long a record stays broken after it was read, and at most where nobody reads it.
AFTERWARDS_SECONDS, UNREAD_SECONDS, PAUSE_SECONDS = 1.0, 4.0, 4.0
# By its own attribute a record is known again that nobody wrote over.
BROKEN = "sabotage"
GARBAGE, NEWER = TABLE


class Saboteur:
    """While it works, one customer's record after the other cannot be read for a while.

    Parameters
    ----------
    stack
        The stack, whose table it reaches without the proxy.
    proxy
        The proxy in front of AWS, which counts where a broken record is read.
    customers
        The ids of the customers whose records it breaks.

    Attributes
    ----------
    written_over
        The keys of records that somebody wrote over although nobody could have read them.
    spans
        Whose record could not be read, from when it was tried until when.
    """

    def __init__(self, stack: LocalStack, proxy: FaultyProxy, customers: Sequence[str], rng: Random) -> None:
        self.written_over: list[str] = []
        self.spans: list[tuple[str, datetime, datetime]] = []
        self._stack = stack
        self._proxy = proxy
        self._customers = customers
        self._rng = rng
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="saboteur", daemon=True)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever is broken is whole again."""
        self._stopped.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        kinds = cycle(TABLE)
        try:
            while not self._stopped.wait(PAUSE_SECONDS):
                customer = self._rng.choice(self._customers)
                item = self._item_of(customer)
                if item is not None:
                    self._break(customer, item, next(kinds))
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for it
            self._error = error

    def _item_of(self, customer: str) -> dict[str, Any] | None:
        # Simulated customers are of test mode.
        key = {"pk": {"S": f"profile#own:test:{customer}"}}
        found = self._stack.clients.dynamodb.get_item(TableName=self._stack.state_table, Key=key, ConsistentRead=True)
        item: dict[str, Any] | None = found.get("Item")
        return item

    def _break(self, customer: str, item: dict[str, Any], fault: Fault) -> None:
        key = item["pk"]["S"]
        broken = {"pk": item["pk"], BROKEN: {"BOOL": True}}
        if fault is GARBAGE:
            # Nobody who had read it before can write it either: it has no version any more.
            broken |= {"record": {"B": b"garbage"}, "ledger": {"S": "garbage"}}
        else:
            broken |= item | {"format": {"N": "99"}}
        same = {":read": item["version"]}
        if not self._put(broken, "version = :read", same):
            return
        self._proxy.broken[key] = fault
        before, until = self._proxy.injected[fault], time.monotonic() + UNREAD_SECONDS
        while self._proxy.injected[fault] == before and time.monotonic() < until and not self._stopped.is_set():
            time.sleep(0.02)
        read = datetime.now(UTC)
        self._stopped.wait(AFTERWARDS_SECONDS)
        self.spans.append((customer, read, datetime.now(UTC)))
        del self._proxy.broken[key]
        if not self._put(item, f"{BROKEN} = :true", {":true": {"BOOL": True}}) and fault is GARBAGE:
            self.written_over.append(key)

    def _put(self, item: dict[str, Any], condition: str, values: dict[str, Any]) -> bool:
        try:
            self._stack.clients.dynamodb.put_item(
                TableName=self._stack.state_table,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True
