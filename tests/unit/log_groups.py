"""CloudWatch Logs and metrics as the commands ask them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import EndpointConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Logs:
    """A low-level CloudWatch Logs client: lines by group, two on a page, and the filters that were asked for."""

    def __init__(self) -> None:
        self.lines: dict[str, list[dict[str, Any]]] = {"receive": [], "deliver": []}
        self.asked: list[dict[str, Any]] = []
        self.failures = 0
        # What somebody has deleted.
        self.gone: set[str] = set()
        # Of this test: a suite may run for longer than anybody looks back.
        self.now = int(time.time())

    def write(self, group: str, *, ago: float = 60, **said: Any) -> None:
        """Store a line that was written two seconds before."""
        written = datetime.fromtimestamp(self.now - ago - 2, UTC)
        line = {"timestamp": written.strftime("%Y-%m-%d %H:%M:%S,%f")[:-3] + "+0000", "level": "INFO", **said}
        self.raw(group, json.dumps(line), ago)

    def raw(self, group: str, message: str, ago: float = 60) -> None:
        at = int((self.now - ago) * 1000)
        self.lines[group].append({"timestamp": at, "message": message, "logStreamName": "s", "eventId": str(at)})

    def describe_log_groups(self, *, logGroupNamePrefix: str) -> dict[str, Any]:
        """The group of this name and one that begins with it."""
        names = [f"{logGroupNamePrefix}-old", *({logGroupNamePrefix} - self.gone)]
        return {"logGroups": [{"logGroupName": name} for name in names]}

    def get_paginator(self, operation: str) -> Logs:
        assert operation == "filter_log_events"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(asked)
        if self.failures:
            self.failures -= 1
            raise EndpointConnectionError(endpoint_url="https://logs")
        pattern = asked.get("filterPattern", "").strip('"')
        group = asked["logGroupName"].rpartition("-")[2]
        found = [
            event
            for event in self.lines[group]
            if event["timestamp"] >= asked["startTime"] and pattern in event["message"]
        ]
        for start in range(0, len(found), 2):
            yield {"events": found[start : start + 2]}
        yield {"events": []}


class CloudWatch:
    """A low-level CloudWatch client: alarms, the newest value of each metric, and sums over two days."""

    def __init__(self) -> None:
        self.alarms: list[dict[str, Any]] = []
        self.values: dict[str, float] = {}
        self.sums: dict[str, float] = {}

    def get_metric_statistics(self, *, MetricName: str, **_: Any) -> dict[str, Any]:
        if MetricName in self.sums:
            return {"Datapoints": [{"Sum": self.sums[MetricName] - 1}, {"Sum": 1}]}
        if MetricName not in self.values:
            return {"Datapoints": []}
        return {
            "Datapoints": [
                {"Timestamp": datetime.fromtimestamp(time.time() - ago, UTC), "Maximum": value}
                for ago, value in ((300, 9e9), (10, self.values[MetricName]))
            ]
        }

    def get_paginator(self, operation: str) -> CloudWatch:
        assert operation == "describe_alarms"
        return self

    def paginate(self, *, AlarmNamePrefix: str) -> Iterator[dict[str, Any]]:
        yield {"MetricAlarms": []}
        yield {"MetricAlarms": [each for each in self.alarms if each["AlarmName"].startswith(AlarmNamePrefix)]}

    def alarm(self, name: str, state: str, topic: str) -> None:
        self.alarms.append(
            {
                "AlarmName": name,
                "StateValue": state,
                "AlarmActions": [topic],
                "StateUpdatedTimestamp": datetime(2026, 11, 18, 11, 6, tzinfo=UTC),
            }
        )
