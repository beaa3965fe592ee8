"""The output of `make demo` and `make run`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stripe_to_segment_tools.commands.headlines import call_name
from stripe_to_segment_tools.terminal.output import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.status import Status

    from stripe_to_segment_tools.local_stack.rehearsal import Differences, Played

__all__ = ["Steps", "print_error", "print_result", "print_table"]


class Steps:
    """Prints the current step and the duration of each. For `LocalStack`'s `report`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def __call__(self, step: str, seconds: float | None) -> None:
        """Note the start of a step (no seconds), or its end."""
        self.clear()
        if seconds is not None:
            self._console.print(Text.assemble(("✓ ", "green"), f"{step} ", (f"{seconds:.1f} s", "dim")))
        elif self._console.is_terminal:
            self._status = self._console.status(step)
            self._status.start()

    def clear(self) -> None:
        """Remove the current step from the terminal."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def print_table(console: Console, played: Sequence[Played]) -> None:
    """Print the calls of each Stripe event, and of each step of an import."""
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("Stripe event", overflow="fold", ratio=2)
    table.add_column("Segment calls received", overflow="fold", ratio=3)
    table.add_column("seconds", justify="right")
    for each in played:
        mark = Text("✗ ", "red") if each.problems else Text("✓ ", "green")
        counts = Counter(map(call_name, each.calls))
        names = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in counts.items())
        calls = Text(visible(f"{names}: {each.note}" if each.note else names))
        if each.planned.calls and not each.calls:
            calls = Text("none arrived", "red")
        elif not each.calls:
            calls = Text(visible(f"none: {each.planned.reason or each.planned.outcome}"), "dim")
        table.add_row(mark + Text(visible(each.planned.name)), calls, Text(f"{each.seconds:.2f}", "dim"))
    console.print(table)


def print_result(console: Console, played: Sequence[Played], found: Differences, seconds: float) -> None:
    """Print the differences, if any, and the result in one line."""
    for line in found:
        console.print(Text.assemble(("✗ ", "red"), visible(line)))
    sent, received = sum(each.planned.event is not None for each in played), sum(len(each.calls) for each in played)
    objects = sum(each.planned.objects for each in played)
    numbers = f"{sent} Stripe events sent, {received} Segment calls received"
    if objects:
        numbers = f"{objects} objects imported, {numbers}"
    if found:
        count = sum(1 for _ in found)
        console.print(Text(f"FAILED: {numbers}, {count} differences, {seconds:.1f} s", "bold red"))
    else:
        verdict = f"OK: {numbers}, all as expected, queues empty, {seconds:.1f} s"
        console.print(Text(verdict, "bold green"))


def print_error(error: BaseException) -> None:
    """Print an error on standard error, in its own words."""
    Console(stderr=True, highlight=False).print(
        Text.assemble(("error: ", "bold red"), visible(str(error), keep="\n")), soft_wrap=True
    )
