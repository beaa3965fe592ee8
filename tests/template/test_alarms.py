"""The alarms, their notifications, their treatment of missing data, and the dashboard."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.report import METRIC_OF
from stripe_to_segment.mapping.identity import IdentitySource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.conftest import Template

PROJECT = Path(__file__).parents[2]
NAMES = [
    "dead-letters",
    "dead-letters-expire",
    "queue-not-worked",
    "import-not-worked",
    "events-wait",
    "deliver-errors",
    "deliver-throttles",
    "receive-errors",
    "not-ready",
    "signatures-refused",
    "door-refuses",
    "write-key",
    "dead-letter-failed",
    "unknown-shapes",
    "stripe-key",
    "reconcile-errors",
    "reconcile-not-ready",
    "reconcile-stopped",
    "unexplained-difference",
    "audit-unfinished",
    "audit-errors",
    "audit-stopped",
    "quiet",
]
# A dead-letter queue may be empty because SQS deleted the letters unread.
SILENT_WHEN_OVER = {"dead-letters", "dead-letters-expire"}
# AWS's own metrics: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html,
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html and
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
OF_AWS = {
    ("AWS/SQS", "QueueName"): {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfMessagesSent",
    },
    ("AWS/Lambda", "FunctionName"): {"Duration", "Errors", "Invocations", "Throttles"},
    ("AWS/ApiGateway", "ApiId"): {"4xx", "5xx"},
}
OF_WHAT = {
    "AWS/SQS": "AWS::SQS::Queue",
    "AWS/Lambda": "AWS::Lambda::Function",
    "AWS/ApiGateway": "AWS::ApiGatewayV2::Api",
}


def emitted() -> dict[str, set[str]]:
    """The names of all metrics that the code can write, by the function that writes them."""
    found = {name: _counted(PROJECT / f"functions/{name}") for name in ("receive", "deliver", "reconcile", "audit")}
    package = PROJECT / "layers/stripe_to_segment/python/stripe_to_segment"
    found["receive"] |= _counted(package / "receiving")
    found["reconcile"] |= _counted(package, "reconciling.py")
    # The rest of the package's metrics are deliver's.
    found["deliver"] |= _counted(package) - found["receive"] - _counted(package, "reconciling.py")
    found["deliver"] |= {*METRIC_OF.values(), *(f"Identity.{identity_source}" for identity_source in IdentitySource)}
    # Each function has a secret.
    secrets = _counted(package, "secrets.py")
    return {name: names | secrets for name, names in found.items()}


@cache
def _counted(folder: Path, files: str = "*.py") -> set[str]:
    """The names in `count("…")` and `measure("…")`, and those in a METRIC_OF table."""
    names = set()
    for path in folder.rglob(files):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"count", "measure"}:
                names |= {each.value for each in node.args[:1] if isinstance(each, ast.Constant)}
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "METRIC_OF":
                assert isinstance(node.value, ast.Dict)
                names |= {each.value for each in node.value.values if isinstance(each, ast.Constant)}
    return {str(name) for name in names}


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    """The alarms by name, without the stack's name."""
    found = template.of_type("AWS::CloudWatch::Alarm").values()
    return {alarm["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): alarm for alarm in found}


def dashboard(template: Template) -> list[dict[str, Any]]:
    """The dashboard's widgets, as CloudWatch reads them; references stay as they are."""
    body: dict[str, Any] = json.loads(template.properties("Dashboard")["DashboardBody"]["Fn::Sub"])
    widgets: list[dict[str, Any]] = body["widgets"]
    return widgets


def shown(widgets: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """Namespace, name, dimension and dimension value of each metric; "." and "..." repeat the previous line."""
    for widget in widgets:
        before: list[str] = []
        for line in widget["properties"].get("metrics", []):
            given = [part for part in line if isinstance(part, str)]
            parts = before if given == ["..."] else [old if new == "." else new for new, old in _beside(given, before)]
            before = list(parts)
            namespace, name, dimension, value = parts
            yield namespace, name, dimension, value


def _beside(given: list[str], before: list[str]) -> list[tuple[str, str]]:
    return [(part, before[place] if before else part) for place, part in enumerate(given)]


def test_every_alarm_is_listed(template: Template) -> None:
    assert sorted(alarms(template)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_alarm_notifies_the_topic_when_it_begins_and_ends(template: Template, name: str) -> None:
    alarm = alarms(template)[name]
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm.get("OKActions") == (None if name in SILENT_WHEN_OVER else [{"Ref": "AlarmTopic"}])


def test_an_emptied_dead_letter_queue_is_not_reported_as_ok(template: Template) -> None:
    """SQS deletes dead letters after 14 days, and the alarm then reported OK although no one had handled them."""
    watching = {
        name
        for name, alarm in alarms(template).items()
        if alarm["Dimensions"][0]["Value"] == {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}
    }
    assert watching == SILENT_WHEN_OVER
    assert "No mail is sent when the queue is empty again" in alarms(template)["dead-letters"]["AlarmDescription"]


def test_an_alarm_comes_two_days_before_the_first_dead_letter_is_deleted(template: Template) -> None:
    """SQS counts 14 days from an event's sending, even if it moves the event only after 1,000 visibility timeouts."""
    alarm = alarms(template)["dead-letters-expire"]
    assert alarm["EvaluationPeriods"] == {
        "Fn::FindInMap": ["ByDeliverTimeout", {"Ref": "DeliverTimeout"}, "LettersMayLieHours"]
    }
    assert (alarm["Period"], alarm["Statistic"]) == (3600, "Maximum")
    queue = template.properties("EventsQueue")
    for timeout, found in template.body["Mappings"]["ByDeliverTimeout"].items():
        moved = queue["RedrivePolicy"]["maxReceiveCount"] * found["VisibilitySeconds"]
        left = queue["MessageRetentionPeriod"] - moved - found["LettersMayLieHours"] * 3600
        assert left >= 2 * 86_400, timeout
        assert found["LettersMayLieHours"] <= 168, "CloudWatch's longest evaluation period"


@pytest.mark.parametrize("name", ["unknown-shapes", "stripe-key", "unexplained-difference", "audit-unfinished"])
def test_an_alarm_on_a_rare_event_lasts_for_a_day(template: Template, name: str) -> None:
    alarm = alarms(template)[name]
    assert (alarm["Period"] * alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (86_400, 1)


@pytest.mark.parametrize("name", ["Reconcile", "Audit"])
def test_missing_runs_of_a_schedule_trigger_an_alarm(template: Template, name: str) -> None:
    """A failed run triggered an alarm, but a disabled rule, or one without permission to invoke, triggered none."""
    alarm = alarms(template)[f"{name.lower()}-stopped"]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("Invocations", "Sum", 1)
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": f"{name}Function"}}]
    assert alarm["EvaluationPeriods"] == {"Ref": f"{name}QuietHours"}
    assert template.resources[f"{name}StoppedAlarm"]["Condition"] == f"{name}IsWatched"


@pytest.mark.parametrize("name", ["UnexplainedDifference", "AuditUnfinished", "AuditErrors", "AuditStopped"])
def test_the_alarms_of_audit_exist_only_where_it_is_scheduled(template: Template, name: str) -> None:
    assert template.resources[f"{name}Alarm"]["Condition"] == "AuditIsWatched"
    scheduled = {"Fn::Not": [{"Fn::Equals": [{"Ref": "AuditSchedule"}, ""]}]}
    assert template.body["Conditions"]["AuditIsScheduled"] == scheduled


@pytest.mark.parametrize("name", NAMES)
def test_an_alarms_description_states_its_meaning_and_links_the_guide(template: Template, name: str) -> None:
    said = alarms(template)[name]["AlarmDescription"]
    assert said.endswith(f'Read "{name}" in docs/operations.md.')
    assert len(said) < 1024, "CloudWatch's limit"


@pytest.mark.parametrize("name", NAMES)
def test_every_alarm_states_how_it_treats_missing_data(template: Template, name: str) -> None:
    """A queue with letters may report no data for hours: if missing data counted as good, the alarm would end."""
    expected = {
        "dead-letters": "ignore",
        "queue-not-worked": "ignore",
        "import-not-worked": "ignore",
        "quiet": "breaching",
        "reconcile-stopped": "breaching",
        "audit-stopped": "breaching",
    }
    assert alarms(template)[name]["TreatMissingData"] == expected.get(name, "notBreaching")


@pytest.mark.parametrize("name", NAMES)
def test_an_alarm_watches_a_metric_that_exists(template: Template, name: str) -> None:
    alarm = alarms(template)[name]
    (dimension,) = alarm["Dimensions"]
    namespace, metric = alarm["Namespace"], alarm["MetricName"]
    if namespace == "StripeToSegment":
        assert dimension["Name"] == "service"
        assert metric in emitted()[dimension["Value"]["Fn::Sub"].removeprefix("${AWS::StackName}-")]
    else:
        assert metric in OF_AWS[namespace, dimension["Name"]]
        value = dimension["Value"]
        resource = value.get("Ref") or value["Fn::GetAtt"][0]
        assert template.resources[resource]["Type"] == OF_WHAT[namespace]


@pytest.mark.parametrize("function", ["Receive", "Deliver", "Reconcile", "Audit"])
def test_a_functions_metrics_carry_the_stacks_name(template: Template, function: str) -> None:
    """Otherwise two stacks of one account would trigger each other's alarms."""
    variables = template.variables(f"{function}Function")
    assert variables["POWERTOOLS_SERVICE_NAME"] == {"Fn::Sub": f"${{AWS::StackName}}-{function.lower()}"}
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "StripeToSegment"


def longest(template: Template, number: Any) -> int:
    """The largest number of periods that a parameter allows."""
    match number:
        case {"Ref": parameter}:
            return int(template.body["Parameters"][parameter]["MaxValue"])
        case {"Fn::FindInMap": [mapping, _, key]}:
            return max(int(row[key]) for row in template.body["Mappings"][mapping].values())
        case _:
            return int(number)


def test_an_alarm_looks_back_no_further_than_cloudwatch_allows(template: Template) -> None:
    for name, alarm in alarms(template).items():
        period, times = alarm["Period"], longest(template, alarm["EvaluationPeriods"])
        assert period * times <= (604_800 if period >= 3600 else 86_400), name


@pytest.mark.parametrize("name", ["events-wait", "write-key"])
def test_an_alarm_on_waiting_events_lasts_from_one_attempt_to_the_next(template: Template, name: str) -> None:
    """A waiting event is retried at least once an hour; an alarm that ended in between would notify every hour."""
    alarm = alarms(template)[name]
    assert alarm["Period"] * alarm["EvaluationPeriods"] > 3600
    assert alarm["DatapointsToAlarm"] == 1


def test_missing_webhooks_trigger_an_alarm_only_if_hours_are_set(template: Template) -> None:
    assert template.resources["QuietAlarm"]["Condition"] == "SilenceIsWatched"
    assert template.body["Conditions"]["SilenceIsWatched"] == {
        "Fn::And": [{"Condition": "IsWatched"}, {"Fn::Not": [{"Fn::Equals": [{"Ref": "QuietHours"}, 0]}]}]
    }
    assert template.default("QuietHours") == "0"


def test_dashboard_and_alarms_can_be_left_out(template: Template) -> None:
    watched = {"IsWatched", "SomebodyIsTold", "SilenceIsWatched", "ReconcileIsWatched", "AuditIsWatched"}
    for name, resource in template.resources.items():
        if resource["Type"].startswith(("AWS::CloudWatch::", "AWS::SNS::", "AWS::KMS::")):
            assert resource["Condition"] in watched, name
    for name in watched - {"IsWatched"}:
        assert template.body["Conditions"][name]["Fn::And"][0] == {"Condition": "IsWatched"}, name
    assert template.body["Conditions"]["IsWatched"] == {"Fn::Equals": [{"Ref": "DashboardAndAlarms"}, "true"]}
    for output in ("AlarmTopicArn", "DashboardUrl"):
        assert template.body["Outputs"][output]["Condition"] == "IsWatched"


def test_the_topic_is_encrypted_with_a_key_that_cloudwatch_may_use(template: Template) -> None:
    """With the account's aws/sns key, alarms are not delivered, and no error is reported."""
    assert template.properties("AlarmTopic")["KmsMasterKeyId"] == {"Fn::GetAtt": ["AlarmTopicKey", "Arn"]}
    key = template.properties("AlarmTopicKey")
    assert key["EnableKeyRotation"] is True
    allowed = {
        statement["Principal"]["Service"]: statement["Action"]
        for statement in key["KeyPolicy"]["Statement"]
        if "Service" in statement["Principal"]
    }
    assert allowed == {"cloudwatch.amazonaws.com": ["kms:Decrypt", "kms:GenerateDataKey*"]}


def test_only_this_stacks_alarms_may_publish(template: Template) -> None:
    allow, deny = template.properties("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
    assert (allow["Principal"], allow["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    source = allow["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith(":${AWS::AccountId}:alarm:${AWS::StackName}-*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_an_address_is_subscribed_only_if_one_is_given(template: Template) -> None:
    assert template.resources["AlarmSubscription"]["Condition"] == "SomebodyIsTold"
    assert template.properties("AlarmSubscription")["Endpoint"] == {"Ref": "AlarmEmail"}
    pattern = template.body["Parameters"]["AlarmEmail"]["AllowedPattern"]
    assert all(re.fullmatch(pattern, given) for given in ("", "oncall@example.com"))
    assert not any(re.fullmatch(pattern, given) for given in ("oncall", "a b@example.com", "a@example"))


def test_the_dashboard_shows_metrics_that_exist(template: Template) -> None:
    lines = list(shown(dashboard(template)))
    assert len(lines) > 30
    for namespace, name, dimension, value in lines:
        if namespace == "StripeToSegment":
            assert dimension == "service"
            assert name in emitted()[value.removeprefix("${AWS::StackName}-")], name
        else:
            assert name in OF_AWS[namespace, dimension], name
            resource = value[2:-1].split(".")[0]
            assert template.resources[resource]["Type"] == OF_WHAT[namespace], value


def test_the_dashboard_shows_every_metric_of_the_stack_except_three(template: Template) -> None:
    names = {name for namespace, name, *_ in shown(dashboard(template)) if namespace == "StripeToSegment"}
    every = set().union(*emitted().values())
    # These are part of WriteKeyRejected, reconcile's progress, and the metric of one alarm only.
    assert every - names == {"WriteKeyMissing", "EventsCompared", "ReconcileNotReady"}


def test_the_dashboard_shows_latency_as_percentiles(template: Template) -> None:
    (widget,) = [widget for widget in dashboard(template) if "created" in widget["properties"]["title"]]
    stats = [line[-1]["stat"] for line in widget["properties"]["metrics"]]
    assert stats == ["p50", "p95", "p99"]


def test_the_dashboards_widgets_do_not_overlap_and_fit_its_24_columns(template: Template) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard(template):
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken, widget["properties"]["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_two_regions_do_not_write_one_dashboard(template: Template) -> None:
    """A dashboard's name is unique in an account, across all regions."""
    assert template.properties("Dashboard")["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}
