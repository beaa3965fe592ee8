"""An import under way: its steps one after the other, each of which waits for `deliver`."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_api.lists import Part
from stripe_to_segment_tools.commands.importing.drain import wait_until_empty
from stripe_to_segment_tools.commands.importing.steps import begin_of, counted
from stripe_to_segment_tools.commands.importing.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from stripe_to_segment.stripe_api.lists import Lists
    from stripe_to_segment.stripe_side.event import Level
    from stripe_to_segment_tools.commands.importing.progress import Progress
    from stripe_to_segment_tools.commands.importing.steps import Step
    from stripe_to_segment_tools.commands.importing.users import Users
    from stripe_to_segment_tools.commands.importing.walk import Queuer

__all__ = ["LOCAL_PAUSE_SECONDS", "Run"]

# The local stack counts exactly, and at once.
LOCAL_PAUSE_SECONDS = 0.1


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
        before = Counter(self.progress.listed)
        with self.bar(name, self._left()) as report:

            def reported() -> None:
                report(self._listed(before), self._left())

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
        return Part(kind, begin_of(kind, self.progress.since), self.progress.until)

    def _listed(self, before: Counter[str]) -> str:
        """What was listed since; a level that sends lists the objects of a kind again."""
        with self.progress.lock:
            since = self.progress.listed - before
        counts = ", ".join(counted(kind, count) for kind, count in since.items()) or "nothing yet"
        refused = self.lists.requests.pace.refused
        slow = f"; slowed down {refused} time{'s' if refused > 1 else ''} by Stripe" if refused else ""
        return f"{counts}{slow}"
