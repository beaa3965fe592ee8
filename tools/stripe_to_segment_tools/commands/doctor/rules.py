"""Check the rules of EventBridge: those that start functions on a schedule, and the one that brings Stripe's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.commands.doctor.check import GONE, bad, good

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check

__all__ = ["check_rules"]

DISABLED, ACTIVE = "DISABLED", "ACTIVE"
PARTNER = "aws.partner/"


def check_rules(stack: Stack) -> Iterator[Check]:
    """Check that each rule exists and is enabled. Not for the local stack, which nothing starts on a schedule."""
    if stack.local:
        return
    events = stack.client("events")
    for name in ("Reconcile", "Audit"):
        if stack.parameters.get(f"{name}Schedule"):
            function = stack.output(f"{name}FunctionName")
            found = stack.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
            yield _check_rule(events, f"{name.lower()} schedule", found["FunctionArn"])
    if bus := stack.parameters.get("EventBusName"):
        url = stack.output("EventsQueueUrl")
        queue = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        yield _check_rule(events, "event bus rule", queue["QueueArn"], bus)
        if bus.startswith(PARTNER):
            yield _check_source(events, bus)


def _check_rule(events: Any, name: str, target: str, bus: str = "") -> Check:
    on = {"EventBusName": bus} if bus else {}
    rules = events.list_rule_names_by_target(TargetArn=target, **on)["RuleNames"]
    if not rules:
        return bad(name, "there is none", GONE)
    states = [events.describe_rule(Name=rule, **on)["State"] for rule in rules]
    if DISABLED not in states:
        return good(name, "enabled")
    where = f" --event-bus-name {bus}" if bus else ""
    enable = f"aws events enable-rule --name {rules[states.index(DISABLED)]}{where}"
    return bad(name, "disabled: it starts nothing", enable)


def _check_source(events: Any, bus: str) -> Check:
    """Whether Stripe still has the event destination. A partner's bus is named after its source."""
    name, state = "event source", events.describe_event_source(Name=bus)["State"]
    if state == ACTIVE:
        return good(name, "active")
    said = f"{state}: Stripe sends nothing to it"
    return bad(name, said, "make an event destination in Stripe, and deploy with its bus")
