"""Figures of one run: values per subject, their median and spread."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyperf

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Measured", "interleaved"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One subject's values in one unit, in the order in which they were taken."""

    name: str
    values: tuple[float, ...]
    unit: str = "second"

    @property
    def median(self) -> float:
        """The value that half of them stay under; one lucky or disturbed run does not move it."""
        median: float = self.benchmark.median()
        return median

    @property
    def spread(self) -> float:
        """Half of the values lie within this part of the median (median absolute deviation)."""
        return self.benchmark.median_abs_dev() / self.median if len(self.values) > 1 else 0.0

    @property
    def benchmark(self) -> pyperf.Benchmark:
        """As pyperf keeps it, for `python -m pyperf compare_to`."""
        metadata = {"name": self.name, "unit": self.unit}
        return pyperf.Benchmark([pyperf.Run(self.values, metadata=metadata, collect_metadata=False)])

    def over(self, other: Measured) -> float:
        """The median of the ratios to another subject, value by value: what disturbs a round disturbs both."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.values, other.values, strict=True))


def interleaved(
    subjects: Mapping[str, Callable[[], float]], rounds: int, warmup: int = 1
) -> dict[str, tuple[float, ...]]:
    """Each subject's value once a round, in turn, so that a machine that changes its speed changes it for all."""
    values: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(warmup + rounds):
        for name, measure in subjects.items():
            value = measure()
            if number >= warmup:
                values[name].append(value)
    return {name: tuple(found) for name, found in values.items()}
