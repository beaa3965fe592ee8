"""An import under way: its steps one after the other, each of which waits for `deliver`."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from stripe_to_segment.stripe_api.lists import Part
from stripe_to_segment_tools.commands.importing.drain import wait_until_empty
from stripe_to_segment_tools.commands.importing.steps import PAST
from stripe_to_segment_tools.commands.importing.walk import Walk
from stripe_to_segment_tools.terminal.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from stripe_to_segment.stripe_api.lists import Lists
    from stripe_to_segment.stripe_side.event import Level
    from stripe_to_segment_tools.commands.importing.progress import Progress
    from stripe_to_segment_tools.commands.importing.steps import Step
    from stripe_to_segment_tools.commands.importing.users import Users
    from stripe_to_segment_tools.commands.importing.walk import Queuer

__all__ = ["FIRST", "LOCAL_PAUSE_SECONDS", "Run", "progress_bar"]

# 2010: no Stripe account is older.
FIRST = 1_262_304_000
# The local stack counts exactly, and at once.
LOCAL_PAUSE_SECONDS = 0.1
# The seconds between two lines of progress without a terminal.
LINE_SECONDS = 30.0


def _silent(_name: str, _total: int) -> AbstractContextManager[Callable[..., None]]:
    return nullcontext(lambda *_: None)


@dataclass(slots=True)
class Run:
    """An import under way.

    `queue` puts records into the ImportQueue, None in a dry run; `left` counts the records in it, and is asked every
    `pause_seconds`. `later` are the levels whose records a dry run counts beside those of its steps. `bar` shows the
    progress of one step, silent if left out.
    """

    lists: Lists
    progress: Progress
    users: Users | None
    livemode: bool
    more: dict[str, object]
    queue: Queuer | None
    left: Callable[[], int]
    pause_seconds: float
    later: Sequence[Level] = ()
    bar: Callable[[str, int], AbstractContextManager[Callable[..., None]]] = _silent

    def __post_init__(self) -> None:
        if self.users is not None:
            if not (self.progress.begun or self.progress.step):
                self.progress.unseen = {*self.users.rows}
            self.users.unseen, self.users.others = self.progress.unseen, self.progress.others

    def through(self, every: list[Step]) -> None:
        """Do the remaining steps, one after the other. Raises as `Walk.run` does."""
        for number, step in enumerate(every[self.progress.step :], self.progress.step + 1):
            self.do(step, f"{number}/{len(every)} {step.name}")

    def do(self, step: Step, name: str) -> None:
        """Do one step, or the rest of it. Raises as `Walk.run` does."""
        if not self.progress.begun:
            self.progress.begin([self._part(kind) for kind in step.kinds])
        self._list(step, name)
        if self.queue is not None:
            self._wait(f"{name}: waiting for deliver")
        self.progress.end()

    def _list(self, step: Step, name: str) -> None:
        with self.bar(name, self._left()) as report:

            def reported() -> None:
                report(self._listed(step), self._left())

            Walk(
                self.lists,
                self.progress,
                step.level,
                self.livemode,
                self.queue,
                self.more,
                self.users,
                self.later,
                reported,
            ).run()

    def _wait(self, name: str) -> None:
        most = self.left()
        with self.bar(name, most) as report:
            wait_until_empty(
                self.left,
                lambda left: report(f"{left:,} records left in the queue", left, max(most, left)),
                self.pause_seconds,
            )

    def _left(self) -> int:
        with self.progress.lock:
            return sum(part.left for part in self.progress.parts)

    def _part(self, kind: str) -> Part:
        return Part(kind, self.progress.since if kind in PAST else FIRST, self.progress.until)

    def _listed(self, step: Step) -> str:
        counts = ", ".join(f"{self.progress.listed[kind]:,} {kind}" for kind in step.kinds)
        refused = self.lists.requests.pace.refused
        slow = f", Stripe asked {refused} times to go slower" if refused else ""
        return f"{counts}{slow}"


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Any]:
    """A progress bar on a terminal, a line now and then elsewhere. Lists show time, because their length is unknown."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name, max(total, 1))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=max(total, 1))

        def report(said: str, left: int, of: int = max(total, 1)) -> None:
            bar.update(task, total=of, completed=max(of - left, 0), description=f"{name}: {said}")

        yield report


def _lines(name: str, total: int) -> Callable[..., None]:
    """A line at once, and one every LINE_SECONDS."""
    say(name, err=True)
    printed = time.monotonic()

    def report(said: str, left: int, of: int = total) -> None:
        nonlocal printed
        if time.monotonic() - printed >= LINE_SECONDS:
            printed = time.monotonic()
            say(f"{name}: {said}, {max(of - left, 0) / of:.0%}", err=True)

    return report
