"""The requests to the StateTable in DynamoDB: batched reads and conditional writes.

The only module that calls DynamoDB. No write changes an item that a newer release wrote, or an attribute of an
unexpected type.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StoreUnavailableError, code_of
from stripe_to_segment.state.encoding import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypedDict

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesOutputTypeDef, ScanInputTypeDef

    from stripe_to_segment.state.encoding import Attributes

    class Condition(TypedDict, total=False):
        """The condition of a conditional write."""

        ConditionExpression: str
        ExpressionAttributeNames: Mapping[str, str]
        ExpressionAttributeValues: Attributes


__all__ = ["ATTEMPTS", "NO_NEWER", "OURS", "SET", "SETS", "ConditionFailedError", "Table"]

# Conditions by attribute. An attribute of an unexpected type fails its condition, and so is never changed.
SETS = {name: f"attribute_not_exists(#{name}) OR attribute_type(#{name}, :set)" for name in ("records", "marked")}
NO_NEWER = {
    name: f"attribute_not_exists(#{name}) OR (attribute_type(#{name}, :number) AND #{name} <= :{name})"
    for name in ("as_of", "format")
}
SET: Attributes = {":set": {"S": "SS"}}
OURS: Attributes = {":format": {"N": str(FORMAT)}, ":number": {"S": "N"}}
BATCH_GET_LIMIT = 100
ATTEMPTS = 5


class ConditionFailedError(Exception):
    """A conditional write was refused."""


class Table:
    """The StateTable; every method raises StoreUnavailableError if DynamoDB does not answer.

    Parameters
    ----------
    client
        A low-level boto3 DynamoDB client.
    name
        The table's name; its key is `pk`, its time-to-live attribute `expires_at`.
    pause
        Waits for some seconds.
    """

    def __init__(self, client: DynamoDBClient, name: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._pause = pause

    def get(self, keys: list[str]) -> Iterator[Attributes]:
        """The items with these keys, with one BatchGetItem for each hundred of them."""
        for start in range(0, len(keys), BATCH_GET_LIMIT):
            waiting: dict[str, KeysAndAttributesOutputTypeDef] = {
                self._name: {
                    "Keys": [{"pk": {"S": key}} for key in keys[start : start + BATCH_GET_LIMIT]],
                    # A stale read would make the batch start over; a consistent one costs a fraction of a cent.
                    "ConsistentRead": True,
                }
            }
            for attempt in range(ATTEMPTS):
                answer = _asked(self._client.batch_get_item, RequestItems=waiting)
                yield from answer.get("Responses", {}).get(self._name, [])
                waiting = answer.get("UnprocessedKeys") or {}
                if not waiting:
                    break
                self._pause(0.05 * 2**attempt)
            else:
                raise StoreUnavailableError("the StateTable left keys unprocessed: it is throttled")

    def scan(self) -> Iterator[Attributes]:
        """Every item of the table."""
        scan: ScanInputTypeDef = {"TableName": self._name, "ConsistentRead": True}
        while True:
            answer = _asked(self._client.scan, **scan)
            yield from answer["Items"]
            if not answer.get("LastEvaluatedKey"):
                return
            scan["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def created(self) -> int:
        """The epoch second at which the table was created."""
        made = _asked(self._client.describe_table, TableName=self._name)["Table"]["CreationDateTime"]
        return int(made.timestamp())

    def update(self, key: str, update: str, values: Attributes, *conditions: str) -> Attributes:
        """Update an item and return it as it is then; `update` and `conditions` write attribute names as `#name`.

        Raises ConditionFailedError, also where a newer release wrote the item.
        """
        condition = " AND ".join(f"({each})" for each in (*conditions, NO_NEWER["format"]))
        names = set(re.findall(r"#(\w+)", f"{update} {condition}"))
        answer = _asked(
            self._client.update_item,
            TableName=self._name,
            Key={"pk": {"S": key}},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues={**values, **OURS},
            ReturnValues="ALL_NEW",
        )
        return answer["Attributes"]

    def put(self, item: Attributes, condition: Condition) -> bool:
        """Write an item; returns whether the condition held."""
        try:
            _asked(self._client.put_item, TableName=self._name, Item=item, **condition)
        except ConditionFailedError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Delete an item."""
        _asked(self._client.delete_item, TableName=self._name, Key={"pk": {"S": key}})


def _asked[**P, T](operation: Callable[P, T], *args: P.args, **arguments: P.kwargs) -> T:
    """Call DynamoDB. Raises StoreUnavailableError, ConditionFailedError."""
    try:
        return operation(*args, **arguments)
    except Exception as error:
        code = code_of(error)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailedError from None
        raise StoreUnavailableError(f"DynamoDB {operation.__name__} failed: {code}") from error
