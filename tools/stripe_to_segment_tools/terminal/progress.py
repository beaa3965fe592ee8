"""Progress with an estimate: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from stripe_to_segment_tools.terminal.output import say, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]

# The seconds between two lines without a terminal.
LINE_SECONDS = 30.0
BAR_CHARACTERS = 20


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Callable[..., None]]:
    """Print the name, and show the progress: report(what there is so far, how much is left, of how much)."""
    say(name, err=True)
    total = max(total, 1)
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name, total)
        return
    # Only the text, which comes last, may be broken: in a narrow terminal the bar and the estimate stay.
    columns = (
        BarColumn(BAR_CHARACTERS, table_column=Column(no_wrap=True)),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column()),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)

        def report(said: str, left: int, of: int = total) -> None:
            bar.update(task, total=of, completed=max(of - left, 0), description=visible(said))

        yield report


def _lines(name: str, total: int) -> Callable[..., None]:
    """A line every LINE_SECONDS."""
    started = printed = time.monotonic()

    def report(said: str, left: int, of: int = total) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed < LINE_SECONDS:
            return
        printed = now
        done = max(of - left, 0)
        estimate = f", about {_duration((now - started) * left / done)} left" if done and left else ""
        say(f"{name}: {said}, {done / of:.0%}{estimate}", err=True)

    return report


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes:,} minutes" if minutes > 1 else f"{max(round(seconds), 1)} s"
