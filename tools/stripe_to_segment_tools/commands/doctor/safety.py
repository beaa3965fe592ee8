"""Checks of what is missed only in an emergency: concurrency for webhooks, receivers of alarms, a protected table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.commands.doctor.check import LOCKED, bad, good, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check

__all__ = ["check_concurrency", "check_listeners", "check_state"]

# reconcile runs one at a time, and audit, which runs only on a schedule.
FOR_RECONCILE = FOR_AUDIT = 1
# With a single execution, the second of two simultaneous webhooks would be refused.
LEAST_FOR_RECEIVE = 2
QUOTA = "ask AWS for more (Service Quotas, Lambda, Concurrent executions)"
# In place of an ARN: until the link in AWS's mail is followed, and for some days after the link in an alarm's mail that
# ends the subscription was followed. https://github.com/ansible/ansible/pull/20086
PENDING, ENDED = "PendingConfirmation", "Deleted"

# What DynamoDB makes of a table whose KMS key it may not use, and after seven days of that.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
RESTORE = "docs/operations.md, Restoring the StateTable"
LOST = {"INACCESSIBLE_ENCRYPTION_CREDENTIALS": LOCKED, "ARCHIVING": RESTORE, "ARCHIVED": RESTORE}
EXPIRING = frozenset({"ENABLED", "ENABLING"})
EXPIRE = "--time-to-live-specification Enabled=true,AttributeName=expires_at"
BACK_UP = "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"


def check_concurrency(stack: Stack) -> Iterator[Check]:
    """Check that deliver at full concurrency leaves executions of the account to receive. Not for the local stack.

    https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html
    """
    if stack.local:
        return
    name, client = "concurrency", stack.client("lambda")
    limit = client.get_account_settings()["AccountLimit"]
    free = int(limit["UnreservedConcurrentExecutions"])
    account = f"the account has {limit['ConcurrentExecutions']} in this region, {free} of them not reserved"
    events, imports = _most_batches(client, stack)
    most = events + imports
    if 0 < (own := _reserved(stack, "Deliver")) < most:
        said = f"{account}; deliver has {own} of its own and gets up to {most} batches at a time: Lambda refuses some"
        yield bad(name, said, f"deploy with DeliverReservedConcurrency={most}, or 0")
        return
    if receive := _reserved(stack, "Receive"):
        yield good(name, f"{account}; receive has {receive} of its own")
        return
    free = free - FOR_RECONCILE - (FOR_AUDIT if stack.parameters.get("AuditSchedule") else 0)
    if own:
        left, taken = free, "deliver has its own"
    else:
        left, taken = free - most, f"deliver takes up to {most}"
    if left >= LEAST_FOR_RECEIVE:
        yield good(name, f"{account}; {taken}, so {left} are left for webhooks and the account's other functions")
    else:
        said = f"{account}; {taken}, so webhooks can be answered with 503"
        lower = max(free - LEAST_FOR_RECEIVE - imports, 2)
        yield bad(name, said, f"{QUOTA}, or deploy with MaximumConcurrency={lower}")


def _reserved(stack: Stack, function: str) -> int:
    return int(stack.parameters.get(f"{function}ReservedConcurrency") or 0)


def _most_batches(client: Any, stack: Stack) -> tuple[int, int]:
    """The numbers of batches of events, and of an import, that Lambda runs at a time, by the event source mappings."""
    function = f"{stack.output('DeliverFunctionName')}:live"
    mappings = client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    queue = stack.output("ImportQueueUrl").rpartition("/")[2]
    found = [0, 0]
    for mapping in mappings:
        of_import = str(mapping.get("EventSourceArn", "")).endswith(f":{queue}")
        found[of_import] = int(mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0))
    return found[0], found[1]


def check_listeners(stack: Stack) -> Iterator[Check]:
    """Check that somebody gets the alarms. Not without alarms, and not for the local stack, whose alarms never ring."""
    topic = stack.outputs.get("AlarmTopicArn")
    if not topic or stack.local:
        return
    name = "alarm subscribers"
    pages = stack.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    found = [each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]]
    pending, ended = found.count(PENDING), found.count(ENDED)
    # CloudFormation does not notice a subscription that ended, or that nobody confirmed in time.
    address = stack.parameters.get("AlarmEmail")
    subscribe = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint {address}"
    if confirmed := len(found) - pending - ended:
        yield good(name, f"{confirmed} get the alarms")
    elif pending:
        again = f"; this sends another one: {subscribe}" if address else ""
        said = "the subscription is not confirmed: nobody gets the alarms yet"
        yield bad(name, said, f"follow the link in AWS's mail{again}")
    elif address:
        yield bad(name, f"{address} is subscribed no more: nobody gets the alarms", subscribe)
    else:
        yield bad(name, "no address is subscribed: nobody gets the alarms", "ALARM_EMAIL=you@example.com make deploy")


def check_state(stack: Stack) -> Iterator[Check]:
    """Check that the StateTable can be used, is protected from deletion if it holds data, and has all its settings.

    Not for the local stack, which is temporary.
    """
    if stack.local:
        return
    client, name = stack.client("dynamodb"), stack.output("StateTableName")
    table = client.describe_table(TableName=name)["Table"]
    # DynamoDB updates this count about every six hours.
    items, status = table.get("ItemCount", 0), table.get("TableStatus", "ACTIVE")
    if status in LOST:
        yield bad("state", f"the table is {status}: events wait", LOST[status])
    elif table.get("DeletionProtectionEnabled"):
        yield good("state", "protected from deletion")
    elif items:
        said = f"{items} items, and anybody who may can delete the table"
        yield bad("state", said, "make deploy, which sets ProtectState=true on an existing stack")
    else:
        yield good("state", "empty, and not protected from deletion yet: the next `make deploy` does")
    if status not in LOST:
        yield from guarded("state's settings", partial(_check_restored, client, name))


def _check_restored(client: Any, name: str) -> Iterator[Check]:
    """Report the settings of the table that one restored from a backup lacks."""
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"]
    if expiry not in EXPIRING:
        said = "nothing expires: the table keeps all that it was ever told"
        yield bad("state's expiry", said, f"aws dynamodb update-time-to-live --table-name {name} {EXPIRE}")
    found = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    if found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] != "ENABLED":
        said = "no moment is backed up: what is deleted or spoiled is lost"
        yield bad("state's backups", said, f"aws dynamodb update-continuous-backups --table-name {name} {BACK_UP}")
