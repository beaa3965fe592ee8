"""The start of the command line, as the wheel installs it, held against importing Typer and Rich."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measured import Measured, interleaved
from benchmarks.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["start_targets", "starts"]

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".local/bench/cli/bin"
EVENT = ROOT / "events/invoice.paid.subscription_create.json"

LIBRARIES = "import typer, rich"
HELP, EXPLAIN = "stripe-to-segment --help", "stripe-to-segment explain, one event"
MOST = 2.5
SUBJECTS = {
    LIBRARIES: (BIN / "python", "-c", LIBRARIES),
    HELP: (BIN / "stripe-to-segment", "--help"),
    EXPLAIN: (BIN / "stripe-to-segment", "explain", EVENT),
}


def starts(rounds: int) -> dict[str, Measured]:
    """The processor time of each, in seconds."""
    measured = interleaved({name: _start(*command) for name, command in SUBJECTS.items()}, rounds)
    return {name: Measured(name, values) for name, values in measured.items()}


def start_targets(found: dict[str, Measured]) -> list[Target]:
    """They start in so many times what the libraries take at most."""
    return [Target(f"{name} / {LIBRARIES}", found[name].over(found[LIBRARIES]), MOST) for name in (HELP, EXPLAIN)]


def _start(*command: Path | str) -> Callable[[], float]:
    def measure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return measure
