"""The behaviours of Segment's stand-in that the page offers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stripe_to_segment_tools.receiver import Behaviour, Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BEHAVIOURS", "NamedBehaviour", "name_of_behaviour"]


@dataclass(frozen=True, slots=True)
class NamedBehaviour:
    """A behaviour with its name, its title and its description."""

    name: str
    title: str
    behaviour: Behaviour
    description: str


_EVERY = (
    NamedBehaviour("up", "Up", Behaviour(), "accepts every call at once"),
    NamedBehaviour(
        "slow",
        "Slow",
        Behaviour(Mode.SLOW, seconds=3),
        "accepts every call, but answers only after three seconds. deliver sends in bulk, so the queue does not grow",
    ),
    NamedBehaviour(
        "limited",
        "429",
        Behaviour(Mode.STATUS, 429, retry_after=3),
        "answers 429, too many requests, with Retry-After: 3. Events wait that long, and deliver tries them again",
    ),
    NamedBehaviour(
        "down",
        "Down",
        Behaviour(Mode.DOWN),
        "cuts every connection. Stripe still gets its 200; events wait in the queue and are tried again, with"
        " growing pauses",
    ),
    NamedBehaviour(
        "refuses",
        "400",
        Behaviour(Mode.STATUS, 400),
        "refuses every call for good. These events become dead letters with the reason; switch to Up and redrive them",
    ),
)
BEHAVIOURS: Mapping[str, NamedBehaviour] = {named.name: named for named in _EVERY}


def name_of_behaviour(behaviour: Behaviour) -> str:
    """The name of a behaviour; `other` for one that the page does not offer."""
    plain = replace(behaviour, times=None)
    return next((named.name for named in _EVERY if named.behaviour == plain), "other")
