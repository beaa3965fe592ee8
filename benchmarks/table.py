"""A StateTable that counts: what a batch asks of DynamoDB."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

__all__ = ["CountingTable"]

WRITE_UNIT, READ_UNIT = 1024, 4096
# The parts of an update expression: `#name = :value`, `#name = if_not_exists(#name, :value)`, and `ADD #name :value`.
SETS = re.compile(r"(#\w+) = (if_not_exists\(#\w+, )?(:\w+)")
ADDS = re.compile(r"ADD (#\w+) (:\w+)")


class CountingTable:
    """A table behind the operations that delivering uses; it has what was put into it.

    `units` are those that DynamoDB charges for: written, a kilobyte each, and read, four kilobytes of an item each.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.units: dict[str, float] = {"written": 0, "read": 0}
        self.keys_read = 0
        self._items: dict[str, dict[str, Any]] = {}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        """What is there."""
        self.requests["BatchGetItem"] += 1
        found: dict[str, list[dict[str, Any]]] = {}
        for table, wanted in RequestItems.items():
            keys = [key["pk"]["S"] for key in wanted["Keys"]]
            self.keys_read += len(keys)
            found[table] = [self._items[key] for key in keys if key in self._items]
            # What is not there costs as much as what is small; half where it may be a moment old.
            price = 1 if wanted["ConsistentRead"] else 0.5
            self.units["read"] += price * sum(-(-_size(self._items.get(key, {})) // READ_UNIT) or 1 for key in keys)
        return {"Responses": found}

    def put_item(self, *, Item: dict[str, dict[str, Any]], **condition: Any) -> dict[str, Any]:
        """Store an item and count the write units that DynamoDB charges for its size."""
        receipt = Item["pk"]["S"].startswith("receipt#")
        if "ConditionExpression" not in condition and not receipt:
            raise AssertionError("a write without a condition")
        self.requests["receipt" if receipt else "conditional PutItem"] += 1
        self.units["written"] += -(-_size(Item) // WRITE_UNIT)
        self._items[Item["pk"]["S"]] = Item
        return {}

    def update_item(
        self,
        *,
        Key: dict[str, dict[str, Any]],
        UpdateExpression: str,
        ExpressionAttributeNames: dict[str, str],
        ExpressionAttributeValues: dict[str, Any],
        **_: Any,
    ) -> dict[str, Any]:
        """Set attributes of an item and add to its sets and numbers: what delivering to simulated customers updates."""
        item = self._items.setdefault(Key["pk"]["S"], dict(Key))
        for name, kept, value in SETS.findall(UpdateExpression):
            attribute = ExpressionAttributeNames[name]
            if not kept or attribute not in item:
                item[attribute] = ExpressionAttributeValues[value]
        for name, value in ADDS.findall(UpdateExpression):
            attribute, added = ExpressionAttributeNames[name], ExpressionAttributeValues[value]
            item[attribute] = _sum(item[attribute], added) if attribute in item else added
        self.requests["update" if Key["pk"]["S"].startswith("order#") else "tie"] += 1
        self.units["written"] += -(-_size(item) // WRITE_UNIT)
        return {"Attributes": item}


def _sum(known: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """What DynamoDB's ADD makes of a set or of a number that is there."""
    if "N" in added:
        return {"N": str(int(known["N"]) + int(added["N"]))}
    return {"SS": sorted({*known["SS"], *added["SS"]})}


def _size(item: dict[str, dict[str, Any]]) -> int:
    return sum(len(name) + _length(value) for name, value in item.items())


def _length(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    return len(content) if kind == "B" else len(str(content).encode())
