"""What else an audit looks at: the settings, the queues, the dead letters, and the age of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_to_segment.settings import Settings

__all__ = ["Circumstances", "Letter"]


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the type of its event, and the ids of the objects that it states."""

    type: str
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else may explain a difference.

    `began` is the epoch second at which the stack was created, `now` that of the audit. `waiting` says that records
    wait in the queues. `unreadable` are the keys of records that this release cannot read.
    """

    settings: Settings
    livemode: bool
    now: int
    began: int
    waiting: bool = False
    letters: tuple[Letter, ...] = ()
    unreadable: frozenset[str] = frozenset()
