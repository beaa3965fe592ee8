"""Events through EventBridge: one rule, on one bus, into the same queue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.mapping.catalog import CATALOG

if TYPE_CHECKING:
    from tests.template.conftest import Template

STACK = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}


def permission(template: Template, queue: str) -> dict[str, Any]:
    """The statement for EventBridge in the queue's policy, if a bus is named."""
    _, one = template.properties(f"{queue}Policy")["PolicyDocument"]["Statement"]
    condition, statement, otherwise = one["Fn::If"]
    assert (condition, otherwise) == ("BusIsNamed", {"Ref": "AWS::NoValue"})
    found: dict[str, Any] = statement
    return found


def test_without_a_bus_there_is_no_rule(template: Template) -> None:
    assert template.resources["StripeEventsRule"]["Condition"] == "BusIsNamed"
    assert template.default("EventBusName") == ""


def test_the_rule_matches_stripes_events_of_the_mapped_types(template: Template) -> None:
    rule = template.properties("StripeEventsRule")
    assert rule["EventBusName"] == {"Ref": "EventBusName"}
    assert rule["EventPattern"]["source"] == [{"prefix": "aws.partner/stripe.com"}]
    assert rule["EventPattern"]["detail-type"] == list(CATALOG)
    assert set(rule["EventPattern"]) == {"source", "detail-type"}


def test_the_rule_queues_stripes_event_without_the_envelope(template: Template) -> None:
    (target,) = template.properties("StripeEventsRule")["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["EventsQueue", "Arn"]}
    assert target["InputPath"] == "$.detail"
    assert not {"Input", "InputTransformer"} & set(target)


def test_an_event_that_cannot_be_queued_is_retried_for_a_day_and_then_dead_lettered(template: Template) -> None:
    (target,) = template.properties("StripeEventsRule")["Targets"]
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}


@pytest.mark.parametrize("queue", ["EventsQueue", "DeadLetterQueue"])
def test_eventbridge_may_send_only_on_behalf_of_this_rule(template: Template, queue: str) -> None:
    statement = permission(template, queue)
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}
    rule = template.properties("StripeEventsRule")["Name"]["Fn::Sub"]
    arn, names = statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert arn.endswith(f":${{AWS::AccountId}}:rule/${{EventBusName}}/{rule[0]}")
    assert rule[1] == names == {"Id": STACK}


def test_the_rule_is_created_after_its_permissions(template: Template) -> None:
    """EventBridge does not retry an event that it is not permitted to send."""
    assert set(template.resources["StripeEventsRule"]["DependsOn"]) == {"EventsQueuePolicy", "DeadLetterQueuePolicy"}


def test_the_rules_name_fits_for_any_stack_name(template: Template) -> None:
    name, _ = template.properties("StripeEventsRule")["Name"]["Fn::Sub"]
    assert len(name.replace("${Id}", "0b1d2a3c-4e5f-6a7b-8c9d-0e1f2a3b4c5d")) <= 64


@pytest.mark.parametrize("name", ["", "aws.partner/stripe.com/ed_test_61TXyz", "stripe-events"])
def test_a_parameter_may_name_a_partners_bus_or_a_forwarding_bus(template: Template, name: str) -> None:
    assert re.fullmatch(template.body["Parameters"]["EventBusName"]["AllowedPattern"], name)


@pytest.mark.parametrize("name", ["default", "arn:aws:events:eu-central-1:1:event-bus/x", "a b"])
def test_a_bus_whose_rules_have_another_form_of_arn_is_refused(template: Template, name: str) -> None:
    """The rule of a default bus has no bus in its ARN, so the queues' policies would refuse its events."""
    assert not re.fullmatch(template.body["Parameters"]["EventBusName"]["AllowedPattern"], name)
