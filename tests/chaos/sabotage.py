"""Makes records of the StateTable unreadable, one at a time, and restores each after it was read or after a while."""

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

# How long a record stays broken after it was read, how long if it is not read, and the pause before the next one.
AFTERWARDS_SECONDS, UNREAD_SECONDS, PAUSE_SECONDS = 1.0, 4.0, 4.0
# A broken record has this attribute; if it is missing later, the function has overwritten the record.
BROKEN = "sabotage"
GARBAGE, NEWER = TABLE


class Saboteur:
    """Inside its `with` block, the records of the customers are unreadable for a while, one after the other.

    Parameters
    ----------
    stack
        The stack; its table is accessed directly, without the proxy.
    proxy
        The proxy in front of AWS, which counts the reads of broken records.
    customers
        The ids of the customers whose records it breaks.

    Attributes
    ----------
    written_over
        The keys of records that were overwritten although they were unreadable.
    spans
        For each broken record: the customer, when it was first read (or not read in time), and when it was restored.
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
        """Restore every broken record."""
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
        except BaseException as error:  # noqa: BLE001 - __exit__ raises it again
            self._error = error

    def _item_of(self, customer: str) -> dict[str, Any] | None:
        # Simulated customers are in test mode.
        key = {"pk": {"S": f"profile#own:test:{customer}"}}
        found = self._stack.clients.dynamodb.get_item(TableName=self._stack.state_table, Key=key, ConsistentRead=True)
        item: dict[str, Any] | None = found.get("Item")
        return item

    def _break(self, customer: str, item: dict[str, Any], fault: Fault) -> None:
        key = item["pk"]["S"]
        broken = {"pk": item["pk"], BROKEN: {"BOOL": True}}
        if fault is GARBAGE:
            # It has no version, so a batch that read the record earlier cannot write it either.
            broken |= {"record": {"B": b"garbage"}, "keys": {"S": "garbage"}}
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
