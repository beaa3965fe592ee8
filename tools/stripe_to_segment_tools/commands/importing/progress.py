"""The progress of an import, in a file, from which the same command continues.

A part is a range of time of one kind's list, newest first, with the object after which it continues. It is saved after
its objects were queued, so a crash repeats only the last second.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.stripe_api.lists import Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["SETTLED_SECONDS", "Progress", "new_progress", "read_progress"]

FORMAT = 1
SAVE_SECONDS = 1.0
# A list may lag behind the events for a moment; with an earlier moment the events count.
SETTLED_SECONDS = 60


@dataclass(slots=True)
class Progress:
    """One import: its options, its moment, the step it is in, and the remaining parts of that step.

    All lists end at `until`; those of things that happened begin at `since`. `listed` counts by kind, `queued` by level
    and kind. `unseen` are the customers of the file of users that were not listed yet, `others` those whose metadata
    names another user.
    """

    path: Path
    options: dict[str, Any]
    moment: int
    until: int
    since: int
    step: int = 0
    begun: bool = False
    parts: list[Part] = field(default_factory=list)
    listed: Counter[str] = field(default_factory=Counter)
    queued: Counter[str] = field(default_factory=Counter)
    oversize: list[str] = field(default_factory=list)
    unseen: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    lock: Lock = field(default_factory=Lock, repr=False)
    _saved: float = 0

    def begin(self, parts: list[Part]) -> None:
        """Begin the step."""
        with self.lock:
            self.begun, self.parts = True, parts
        self.save()

    def end(self) -> None:
        """End the step, once the queue is empty."""
        with self.lock:
            self.step, self.begun, self.parts = self.step + 1, False, []
        self.save()

    def noted(self) -> None:
        """Save, at most once a second."""
        if self.clock() - self._saved >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Save; a half-written file replaces nothing."""
        with self.lock:
            self._saved = self.clock()
            written = {
                "format": FORMAT,
                "options": self.options,
                "moment": self.moment,
                "until": self.until,
                "since": self.since,
                "step": self.step,
                "begun": self.begun,
                "parts": [asdict(part) for part in self.parts],
                "listed": self.listed,
                "queued": self.queued,
                "oversize": self.oversize,
                "unseen": [*self.unseen],
                "others": self.others,
            }
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(written), encoding="utf-8")
            os.replace(new, self.path)  # noqa: PTH105 - in one step, also over what is there

    def remove(self) -> None:
        """Remove the file, because the import is done."""
        self.path.unlink(missing_ok=True)


def new_progress(path: Path, options: dict[str, Any], now: int, since: int) -> Progress:
    """An import that begins now, of all that happened from `since` on, in epoch seconds."""
    return Progress(path, options, now - SETTLED_SECONDS, now + 1, since)


def read_progress(path: Path) -> Progress | None:
    """The unfinished import, None if there is none. Raises ConfigurationError if the file cannot be read."""
    if not path.exists():
        return None
    try:
        written = {"format": None, **json.loads(path.read_text("utf-8"))}
        known = {FORMAT: written}[written["format"]]
        return Progress(
            path,
            known["options"],
            int(known["moment"]),
            int(known["until"]),
            int(known["since"]),
            int(known["step"]),
            bool(known["begun"]),
            [Part(**part) for part in known["parts"]],
            Counter(known["listed"]),
            Counter(known["queued"]),
            [*known["oversize"]],
            {*known["unseen"]},
            [*known["others"]],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} does not hold the progress of an import: --restart starts over") from error
