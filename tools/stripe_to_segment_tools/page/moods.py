"""The behaviours of Segment's stand-in that the page offers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stripe_to_segment_tools.receiver import Behaviour, Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MOODS", "Mood", "mood_of"]


@dataclass(frozen=True, slots=True)
class Mood:
    """A behaviour with its name, its title and its description."""

    name: str
    title: str
    behaviour: Behaviour
    tells: str


_EVERY = (
    Mood("up", "Up", Behaviour(), "accepts every call at once"),
    Mood(
        "slow",
        "Slow",
        Behaviour(Mode.SLOW, seconds=3),
        "accepts every call, but answers only after three seconds. deliver sends in bulk, so the queue does not grow",
    ),
    Mood(
        "limited",
        "429",
        Behaviour(Mode.STATUS, 429, retry_after=3),
        "answers 429, too many requests, with Retry-After: 3. Events wait that long, and deliver tries them again",
    ),
    Mood(
        "down",
        "Down",
        Behaviour(Mode.DOWN),
        "cuts every connection. Stripe still gets its 200; events wait in the queue and are tried again, with"
        " growing pauses",
    ),
    Mood(
        "refuses",
        "400",
        Behaviour(Mode.STATUS, 400),
        "refuses every call for good. These events become dead letters with the reason; switch to Up and redrive them",
    ),
)
MOODS: Mapping[str, Mood] = {mood.name: mood for mood in _EVERY}


def mood_of(behaviour: Behaviour) -> str:
    """The name of a behaviour; `other` for one that the page does not offer."""
    plain = replace(behaviour, times=None)
    return next((mood.name for mood in _EVERY if mood.behaviour == plain), "other")
