"""Compare the values of a call with those that earlier events of the same subscription sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["PreviousValues", "bucket_of"]


@dataclass(slots=True)
class PreviousValues:
    """The last value of each property and trait; properties, user traits and group traits apart."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def learn(self, calls: Iterable[Mapping[str, Any]]) -> None:
        """Remember the values in the calls of one event."""
        for call in calls:
            self.values.setdefault(str(call.get("type")), {}).update(bucket_of(call))

    def compare(self, call: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One row for each property of a call: `name`, `value`, `mark` (changed, new or empty), and `was` if changed.

        If no earlier event sent a value, nothing is marked, because all of it would be new.
        """
        before = self.values.get(str(call.get("type")))
        rows: list[dict[str, Any]] = []
        for name, value in bucket_of(call).items():
            row = {"name": name, "value": value, "mark": ""}
            if before is not None and name not in before:
                row["mark"] = "new"
            elif before is not None and before[name] != value:
                row |= {"mark": "changed", "was": before[name]}
            rows.append(row)
        return rows


def bucket_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a track, or the traits of another call."""
    bucket = call.get("properties" if call.get("type") == "track" else "traits")
    return dict(bucket) if isinstance(bucket, dict) else {}
