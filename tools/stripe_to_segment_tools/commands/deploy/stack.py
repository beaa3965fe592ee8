"""The state of the stack before and after a deployment, and the action that each state needs.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html lists the states.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from stripe_to_segment_tools.commands.deploy.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["LONGEST_NAME", "SAM_STACK", "Found", "find", "first_failure", "make_way", "make_way_for_sam", "name_flaw"]

# The queue's name ends in 16 characters more, and has at most 80: template.yaml, and tests/template/test_names.py.
LONGEST_NAME = 64
NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
# A stack in one of these states has never worked and holds no data: CloudFormation can only delete it.
NEVER_WORKED = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
# The state after a change set that was not executed; sam treats it as no stack.
ONLY_PLANNED = "REVIEW_IN_PROGRESS"
# The stack of the bucket into which sam uploads, one for all stacks of a region.
SAM_STACK = "aws-sam-cli-managed-default"
# CloudFormation's reason for resources that it stopped because another one failed.
FOLLOWS = re.compile(r"cancelled|canceled", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A stack that CloudFormation knows."""

    id: str
    status: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether it has been deployed successfully at least once."""
        return self.status not in NEVER_WORKED | {ONLY_PLANNED}


def name_flaw(name: str) -> str:
    """The reason why a text cannot be a stack's name; empty if it can."""
    if not NAME.fullmatch(name):
        return "must be letters, digits and hyphens, and begin with a letter"
    if len(name) > LONGEST_NAME:
        return f"must have at most {LONGEST_NAME} characters, as names made of it have limits of their own"
    return ""


def find(client: Any, name: str) -> Found | None:
    """Look for a stack by its name; None where there is none."""
    try:
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return Found(
        id=stack["StackId"],
        status=stack["StackStatus"],
        parameters={each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", [])},
        outputs={each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
    )


def make_way(client: Any, name: str, region: str, found: Found | None) -> str:
    """Bring the stack into a state from which it can be deployed.

    Returns a sentence about what was done; empty if nothing was necessary.

    Raises
    ------
    DeployError
        If only the user can do it; the text says how.
    """
    if found is None or found.status == ONLY_PLANNED:
        return ""
    if found.status in NEVER_WORKED:
        return _without_remains(client, name, found)
    if found.status == "UPDATE_ROLLBACK_FAILED":
        command = f"aws cloudformation continue-update-rollback --stack-name {name} --region {region}"
        raise DeployError(f"{name} is {found.status}: run `{command}`, wait until it is over, and deploy again")
    if found.status == "DELETE_FAILED":
        why = first_failure(client, found.id)
        raise DeployError(f"{name} was being deleted, and could not be ({why}); delete it, and deploy again")
    if found.status.endswith("IN_PROGRESS"):
        raise DeployError(f"{name} is {found.status}: wait until that is over, and deploy again")
    return ""


def make_way_for_sam(client: Any) -> str:
    """Delete the stack of sam's bucket if it was never completed: sam refuses it ever after, and blames its tags.

    Returns a sentence about that; empty if it was not necessary. Raises DeployError if it cannot be deleted.
    """
    found = find(client, SAM_STACK)
    return _without_remains(client, SAM_STACK, found) if found is not None and not found.stands else ""


def _without_remains(client: Any, name: str, found: Found) -> str:
    client.delete_stack(StackName=found.id)
    try:
        client.get_waiter("stack_delete_complete").wait(StackName=found.id)
    except WaiterError as error:
        left = f"what is left of {name} after a failed deployment cannot be deleted"
        raise DeployError(f"{left} ({first_failure(client, found.id)}); delete it, and deploy again") from error
    return f"the first deployment of {name} had failed ({found.status}): its remains are deleted"


def first_failure(client: Any, stack_id: str, since: datetime | None = None) -> str:
    """The first resource that failed in the last operation on a stack, with AWS's reason; empty if none failed.

    `since` leaves out earlier operations: sam may have failed before it started one.
    """
    failed = ""
    # Newest first, back to where the operation began.
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
            is_stack = event.get("PhysicalResourceId") == event.get("StackId")
            if (since and event["Timestamp"] < since) or (is_stack and reason == "User Initiated"):
                return failed
            if status.endswith("FAILED") and reason and not is_stack and not FOLLOWS.search(reason):
                failed = f"{event['LogicalResourceId']}: {reason}"
    return failed
