"""CloudFormation as `make deploy` asks it: a stack and that of sam's bucket, their events, what each state allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

if TYPE_CHECKING:
    from collections.abc import Iterator

STACK_ID = "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/c8d1a4a0-7f4c-11ef-9d5e-0a1b2c3d4e5f"
SAM_STACK = "aws-sam-cli-managed-default"
SAM_STACK_ID = (
    f"arn:aws:cloudformation:eu-central-1:123456789012:stack/{SAM_STACK}/0a1b2c3d-7f4c-11ef-9d5e-c8d1a4a04e5f"
)
OUTPUTS = {"WebhookUrl": "https://abc.execute-api.eu-central-1.amazonaws.com/webhooks/stripe", "SecretArn": "arn:…"}


class CloudFormation:
    """A low-level CloudFormation client. `status` is empty without a stack, `of_sam` is that of sam's bucket."""

    def __init__(self, status: str = "", **parameters: str) -> None:
        self.status = status
        self.of_sam = ""
        self.parameters = parameters
        self.events: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.keeps = ""

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:
        self.asked.append("describe_stacks")
        if StackName == SAM_STACK and self.of_sam:
            return {"Stacks": [{"StackId": SAM_STACK_ID, "StackStatus": self.of_sam}]}
        if StackName == SAM_STACK or not self.status:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        stack: dict[str, Any] = {"StackId": STACK_ID, "StackStatus": self.status}
        stack["Parameters"] = [{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()]
        if self.status.endswith("_COMPLETE") and "ROLLBACK" not in self.status:
            stack["Outputs"] = [{"OutputKey": k, "OutputValue": v} for k, v in OUTPUTS.items()]
        return {"Stacks": [stack]}

    def delete_stack(self, *, StackName: str) -> None:
        assert StackName in {STACK_ID, SAM_STACK_ID}, "by its id: the waiter asks for it when its name is free again"
        self.asked.append("delete_stack")
        if StackName == SAM_STACK_ID:
            self.of_sam = ""
            return
        self.operation("DELETE_IN_PROGRESS")
        if self.keeps:
            self.failed(self.keeps, "it is protected", "DELETE_FAILED")
        self.status = "DELETE_FAILED" if self.keeps else ""

    def get_waiter(self, name: str) -> CloudFormation:
        assert name == "stack_delete_complete"
        return self

    def wait(self, *, StackName: str) -> None:
        if self.of_sam if StackName == SAM_STACK_ID else self.status:
            raise WaiterError("StackDeleteComplete", "it failed", {})

    def get_paginator(self, name: str) -> CloudFormation:
        assert name == "describe_stack_events"
        return self

    def paginate(self, *, StackName: str) -> Iterator[dict[str, Any]]:
        # Newest first, some on a page.
        newest_first = [event for event in reversed(self.events) if event["StackId"] == StackName]
        for start in range(0, len(newest_first), 2):
            yield {"StackEvents": newest_first[start : start + 2]}

    def operation(self, status: str, *, ago: float = 0) -> None:
        """An operation on the stack begins."""
        self._event("shop", STACK_ID, status, "User Initiated", ago)

    def failed(
        self, resource: str, reason: str, status: str = "CREATE_FAILED", *, ago: float = 0, stack: str = STACK_ID
    ) -> None:
        """A resource cannot be made, changed or deleted."""
        self._event(resource, f"{resource}-1", status, reason, ago, stack)

    def _event(self, logical: str, physical: str, status: str, reason: str, ago: float, stack: str = STACK_ID) -> None:
        self.events.append(
            {
                "StackId": stack,
                "LogicalResourceId": logical,
                "PhysicalResourceId": physical,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": datetime.now(UTC) - timedelta(seconds=ago),
            }
        )
