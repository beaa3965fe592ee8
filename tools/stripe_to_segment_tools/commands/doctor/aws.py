"""Checks of a stack's resources in AWS: the deployment, the functions, the queues, the circuit, the alarms."""

from __future__ import annotations

import json
import shlex
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from stripe_to_segment.state.circuit import circuit_name
from stripe_to_segment_tools.commands.doctor.check import GONE, bad, good, guarded, unknown
from stripe_to_segment_tools.terminal.moments import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check

__all__ = [
    "check_alarms",
    "check_circuit",
    "check_deployment",
    "check_functions",
    "check_log_groups",
    "check_queue_settings",
    "check_queues",
    "check_unknown_mrr",
]

FUNCTIONS = ("Receive", "Deliver", "Reconcile", "Audit")
OUTPUTS = (
    *("SigningSecretArn", "KeysSecretArn", "EventsQueueUrl", "ImportQueueUrl", "DeadLetterQueueUrl", "StateTableName"),
    *(f"{name}FunctionName" for name in FUNCTIONS),
)
ALIAS = "live"
ALARM = "AWS::CloudWatch::Alarm"
# The parts of a version that a deployment can change.
VERSIONED = ("CodeSha256", "Layers", "Environment", "MemorySize", "Timeout", "Architectures")
DEPLOY = "deploy again: make deploy"
# The state after a first change set that somebody has declined.
ONLY_PLANNED = "REVIEW_IN_PROGRESS"
# As the alarms queue-not-worked and events-wait.
LONG_WAIT_SECONDS = 3600
# As the template sets it, SQS's maximum.
KEPT_SECONDS = 1_209_600
# The answer of a function that names the failed records. Without it Lambda deletes these with the others.
REPORTS = "ReportBatchItemFailures"
# Events of a subscription come once a month at least.
UNKNOWN_MRR_DAYS = 31
# What an mrr may lack: the check, its metric, the reason, and the section of the guide.
UNKNOWN_MRR = (
    ("discounts", "UnknownDiscounts", "only the discount's id is known", "Discounts with an unknown coupon"),
    ("prices", "UnknownPrices", "no webhook states what the price costs", "Prices that no webhook states"),
)
# Each attempt writes the wait of its event, and there is at least one attempt an hour.
METRIC_HOURS = 1
MINUTE, HOUR, DAY = 60, 3600, 86_400


def check_deployment(stack: Stack) -> Iterator[Check]:
    """Check that the last deployment succeeded, and that all outputs exist."""
    missing = [name for name in OUTPUTS if name not in stack.outputs]
    if "ROLLBACK" in stack.status or "FAILED" in stack.status:
        yield bad(
            "stack",
            f"{stack.name}: {stack.status}, the last deployment did not succeed",
            f"read the reason in CloudFormation, {DEPLOY}",
        )
    elif stack.status == ONLY_PLANNED:
        yield bad("stack", f"{stack.name} is only planned: its change set was not carried out", DEPLOY)
    elif stack.status.endswith("_IN_PROGRESS") and "CLEANUP" not in stack.status:
        yield bad("stack", f"{stack.name}: {stack.status}", "wait until the deployment is over, then try again")
    elif missing:
        yield bad(
            "stack", f"{stack.name} has no output {', '.join(missing)}: it is of another template, or older", DEPLOY
        )
    else:
        yield good("stack", f"{stack.name}: {stack.status}")


def check_functions(stack: Stack) -> Iterator[Check]:
    """Check that the functions can run, that they run the last deployment, and that both queues invoke deliver."""
    client = stack.client("lambda")
    for name in FUNCTIONS:
        function = stack.output(f"{name}FunctionName")
        found = client.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
        latest = client.get_function_configuration(FunctionName=function)
        state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
        label = f"{name.lower()} function"
        if differing := [part for part in VERSIONED if found.get(part) != latest.get(part)]:
            publish = f"$(aws lambda publish-version --function-name {function} --query Version --output text)"
            yield bad(
                label,
                f"version {found.get('Version')} runs, not what was deployed last: other {', '.join(differing)}",
                "unless you went back on purpose: "
                f"aws lambda update-alias --function-name {function} --name {ALIAS} --function-version {publish}",
            )
        elif client.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions") == 0:
            # As the console's button Throttle sets it.
            give = f"aws lambda delete-function-concurrency --function-name {function}"
            yield bad(label, "its reserved concurrency is 0, so it never runs", give)
        elif state in {"Active", "Inactive"} and update == "Successful":
            yield good(label, f"version {found.get('Version')} of {found.get('LastModified', '')[:19]}Z")
        elif state == "Pending" or (state == "Active" and update == "InProgress"):
            yield unknown(label, "Lambda is preparing it", "try again in a moment")
        else:
            why = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
            yield bad(label, f"{state}, last update {update}: {why}", DEPLOY)
    yield from _check_mappings(client, stack)


def check_log_groups(stack: Stack) -> Iterator[Check]:
    """Check that no function's log group is gone, which the functions may not make anew. Not for the local stack."""
    if stack.local:
        return
    complete = True
    for name in FUNCTIONS:
        function = stack.output(f"{name}FunctionName")
        found = stack.client("lambda").get_function_configuration(FunctionName=function)
        group = found["LoggingConfig"]["LogGroup"]
        there = stack.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if group not in [each["logGroupName"] for each in there]:
            complete = False
            said = f"{group} is gone: the function writes no log and no metric, so alarms on these cannot ring"
            yield bad(f"log of {name.lower()}", said, f"aws logs create-log-group --log-group-name {group}")
    if complete:
        yield good("log groups", f"{len(FUNCTIONS)}, none is gone")


def _check_mappings(client: Any, stack: Stack) -> Iterator[Check]:
    # By the alias: the function without its alias has other mappings.
    function = f"{stack.output('DeliverFunctionName')}:{ALIAS}"
    found = client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    for name, output in (("queue → deliver", "EventsQueueUrl"), ("import queue → deliver", "ImportQueueUrl")):
        queue = stack.output(output).rpartition("/")[2]
        mapping = next((one for one in found if str(one.get("EventSourceArn", "")).endswith(f":{queue}")), None)
        yield _check_mapping(name, mapping)


def _check_mapping(name: str, mapping: dict[str, Any] | None) -> Check:
    if mapping is None:
        return bad(name, "no event source mapping connects the queue to the function", GONE)
    if REPORTS not in mapping.get("FunctionResponseTypes", ()):
        report = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --function-response-types {REPORTS}"
        return bad(name, "records that have to wait are deleted: the mapping does not let deliver report them", report)
    if mapping["State"] in {"Enabled", "Creating", "Updating", "Enabling"}:
        return good(name, mapping["State"].lower())
    reason = mapping.get("StateTransitionReason", "")
    enable = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled"
    return bad(name, f"{mapping['State']} ({reason}): events are not fetched" if reason else mapping["State"], enable)


def check_queues(stack: Stack) -> Iterator[Check]:
    """Check the number and age of the events that wait, and that there are no dead letters."""
    again = " ".join(stack.options)
    waiting, under_way = _depth(stack, "EventsQueueUrl")
    oldest, tried = _ages(stack)
    said = f"{waiting} to be fetched, {under_way} under way or waiting for another try"
    longest = max(oldest or 0, tried or 0)
    if longest:
        said += f"; the longest wait: {_duration(longest)}"
    if longest > LONG_WAIT_SECONDS and waiting + under_way:
        section = "events-wait" if (tried or 0) >= (oldest or 0) else "queue-not-worked"
        look = f"stripe-to-segment tail {again} --since 1h --outcome retry; docs/operations.md, {section}"
        yield bad("events queue", said, look)
    else:
        yield good("events queue", said)
    waiting, under_way = _depth(stack, "ImportQueueUrl")
    yield good("import queue", f"{waiting} to be fetched, {under_way} under way or waiting for another try")
    dead, held = _depth(stack, "DeadLetterQueueUrl")
    if dead + held:
        yield bad("dead letters", f"{dead + held}", f"stripe-to-segment dlq list {again}")
    else:
        yield good("dead letters", "none")


def check_queue_settings(stack: Stack) -> Iterator[Check]:
    """Check that no queue deletes a record sooner, or without a dead letter. Not for the local stack.

    The attributes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    """
    if stack.local:
        return
    client, names = stack.client("sqs"), ["MessageRetentionPeriod", "RedrivePolicy", "QueueArn"]
    found = {
        output: client.get_queue_attributes(QueueUrl=stack.output(output), AttributeNames=names)["Attributes"]
        for output in ("DeadLetterQueueUrl", "EventsQueueUrl", "ImportQueueUrl")
    }
    letters = found["DeadLetterQueueUrl"]["QueueArn"]
    complete = True
    for output, label in (
        ("DeadLetterQueueUrl", "dead letters"),
        ("EventsQueueUrl", "events queue"),
        ("ImportQueueUrl", "import queue"),
    ):
        change = f"aws sqs set-queue-attributes --queue-url {stack.output(output)} --attributes"
        if (kept := int(found[output]["MessageRetentionPeriod"])) < KEPT_SECONDS:
            complete = False
            said = f"SQS deletes after {_duration(kept)} what lies there, and not after 14 days"
            yield bad(f"{label}, retention", said, f"{change} MessageRetentionPeriod={KEPT_SECONDS}")
        buries = json.loads(found[output].get("RedrivePolicy") or "{}").get("deadLetterTargetArn")
        if output != "DeadLetterQueueUrl" and buries != letters:
            complete = False
            policy = json.dumps({"deadLetterTargetArn": letters, "maxReceiveCount": 1000})
            said = "a record that always ends deliver becomes no dead letter of this stack"
            yield bad(
                f"{label}, redrive policy", said, f"{change} {shlex.quote(json.dumps({'RedrivePolicy': policy}))}"
            )
    if complete:
        yield good("queues' settings", "14 days, then dead letters")


def _depth(stack: Stack, output: str) -> tuple[int, int]:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = stack.output(output)
    found = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    visible, hidden = (int(found[name]) for name in names)
    return visible, hidden


def _ages(stack: Stack) -> tuple[float | None, float | None]:
    """In seconds, the age of the oldest event with hardly an attempt, and the longest wait of one that was tried."""
    queue = stack.output("EventsQueueUrl").rpartition("/")[2]
    oldest = _latest(stack, "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue)
    tried = _latest(stack, "StripeToSegment", "LongestWait", "service", f"{stack.name}-deliver")
    return oldest, tried


def _latest(stack: Stack, namespace: str, metric: str, dimension: str, value: str) -> float | None:
    """The newest value of the last hour; None without one."""
    now = datetime.fromtimestamp(time.time(), UTC)
    points = stack.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": dimension, "Value": value}],
        StartTime=now - timedelta(hours=METRIC_HOURS),
        EndTime=now,
        Period=300,
        Statistics=["Maximum"],
    )["Datapoints"]
    return float(max(points, key=lambda point: point["Timestamp"])["Maximum"]) if points else None


def check_circuit(stack: Stack, settings: Settings) -> Iterator[Check]:
    """Check that the circuit of each mode is closed."""
    modes = [circuit_name(livemode=live) for live in (True, False) if settings.accepts(livemode=live)]
    for mode, circuit in stack.store().circuits(modes).items():
        name = f"Segment, {mode} mode"
        if circuit.tripped:
            said = f"failed, {circuit.failures} times counted: left alone until {iso(circuit.until)}, then tried again"
            yield bad(name, said, "docs/operations.md, When Segment is down")
        else:
            yield good(name, "no outage")


def check_unknown_mrr(stack: Stack) -> Iterator[Check]:
    """Check that no subscription lacks its mrr because no webhook states its discount or its price."""
    dimensions = [{"Name": "service", "Value": f"{stack.name}-deliver"}]
    now = datetime.fromtimestamp(time.time(), UTC)
    for name, metric, why, guide in UNKNOWN_MRR:
        points = stack.client("cloudwatch").get_metric_statistics(
            Namespace="StripeToSegment",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - timedelta(days=UNKNOWN_MRR_DAYS),
            EndTime=now,
            Period=DAY,
            Statistics=["Sum"],
        )["Datapoints"]
        if number := int(sum(point["Sum"] for point in points)):
            said = f"in {UNKNOWN_MRR_DAYS} days {number} events without mrr, because {why}"
            yield bad(name, said, f"docs/operations.md, {guide}")
        else:
            yield good(name, f"no mrr of the last {UNKNOWN_MRR_DAYS} days lacked one")


def check_alarms(stack: Stack) -> Iterator[Check]:
    """Check that the stack's alarms exist and tell their topic, and that none rings."""
    topic = stack.outputs.get("AlarmTopicArn")
    if not topic:
        yield unknown("alarms", "there are none: DashboardAndAlarms is false", "deploy with DashboardAndAlarms=true")
        return
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack.name}-")
    # Selected by their topic, because another stack's name may begin with this one's.
    mine = [alarm for page in pages for alarm in page["MetricAlarms"] if topic in alarm.get("AlarmActions", [])]
    if not mine:
        yield bad("alarms", "none of the stack's alarms tells its topic", GONE)
        return
    yield from guarded("alarms that are gone", partial(_check_all_alarms, stack, {each["AlarmName"] for each in mine}))
    # As `aws cloudwatch disable-alarm-actions` leaves them, for the time of some work on the stack.
    mute = [alarm["AlarmName"] for alarm in mine if not alarm.get("ActionsEnabled", True)]
    if mute:
        enable = f"aws cloudwatch enable-alarm-actions --alarm-names {' '.join(mute)}"
        yield bad("alarms that tell nobody", f"{len(mute)} of {len(mine)}: their actions are disabled", enable)
    ringing = [alarm for alarm in mine if alarm["StateValue"] == "ALARM"]
    for alarm in ringing:
        name = alarm["AlarmName"].removeprefix(f"{stack.name}-")
        since = alarm.get("StateUpdatedTimestamp")
        said = f"rings since {since.astimezone(UTC):%Y-%m-%dT%H:%MZ}" if since else "rings"
        yield bad(f"alarm {name}", said, f"docs/operations.md, {name}")
    if not ringing:
        yield good("alarms", f"{len(mine)}, none is in alarm")


def _check_all_alarms(stack: Stack, mine: Collection[str]) -> Iterator[Check]:
    """Report the alarms that the deployment has made, and that are not among these. Not for the local stack."""
    if stack.local:
        return
    pages = stack.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack.name)
    made = [each for page in pages for each in page["StackResourceSummaries"] if each["ResourceType"] == ALARM]
    names = {each["PhysicalResourceId"].removeprefix(f"{stack.name}-") for each in made} - {
        name.removeprefix(f"{stack.name}-") for name in mine
    }
    if names:
        said = f"{', '.join(sorted(names))}: gone, or they tell the topic no more"
        yield bad("alarms that are gone", said, GONE)


def _duration(seconds: float) -> str:
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
