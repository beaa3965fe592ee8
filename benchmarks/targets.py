"""What is held against a limit, and that a miss is a failure."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Target", "exit_status"]


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio (or a count) and the most it may be."""

    name: str
    found: float
    most: float
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether it is within its limit."""
        return self.found <= self.most


def exit_status(targets: Iterable[Target]) -> int:
    """1 where a target is missed, each of which is named on standard error; else 0."""
    missed = [target for target in targets if not target.met]
    for target in missed:
        print(f"missed: {target.name} is {target.found:.2f}, the limit is {target.most:g}", file=sys.stderr)
    return 1 if missed else 0
