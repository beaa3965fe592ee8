"""The outbox: what an event tells, written down before it is sent, and what became of a delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Claim", "Receipt"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one event tells, written down before it is told: who has to tell it again tells it in the same words.

    `tracks` holds its track calls, encoded, by their deduplication keys. What it shows beside them (`shows` an identify
    with the traits, `joins` one that joins the history under the fallback id, `groups` a group) is made anew, for it
    shows what is true by then. `day` is that of the first attempt. `given_up` says that Segment refused it: told again,
    it is told in new words, but for the mrr_change, which went by the record of that time. `tries` counts the attempts
    before this one.
    """

    tracks: Mapping[str, str] = field(default_factory=dict)
    shows: bool = False
    joins: bool = False
    groups: bool = False
    given_up: bool = False
    day: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one delivery, by deduplication key: tracks and events that arrived, events given up, unwanted.

    `unreadable` says why a receipt that is there cannot be read, empty where it can.
    """

    arrived: frozenset[str] = frozenset()
    given_up: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()
    unreadable: str = ""
