"""A StateTable that counts: what one batch asks of DynamoDB."""

from __future__ import annotations

from collections import Counter
from typing import Any

__all__ = ["CountingTable"]


class CountingTable:
    """An empty table behind the two operations that delivering uses."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.keys_read = 0
        self.bytes_written: list[int] = []

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Nothing is there."""
        self.requests["BatchGetItem"] += 1
        self.keys_read += sum(len(wanted["Keys"]) for wanted in RequestItems.values())
        return {"Responses": {}}

    def put_item(self, *, Item: dict[str, dict[str, Any]], **condition: Any) -> dict[str, Any]:  # noqa: N803 - the same
        """Take an item, whose size DynamoDB charges for."""
        if "ConditionExpression" not in condition:
            raise AssertionError("a write without a condition")
        self.requests["PutItem"] += 1
        self.bytes_written.append(sum(len(name) + _size(value) for name, value in Item.items()))
        return {}


def _size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    return len(content) if kind == "B" else len(str(content).encode())
