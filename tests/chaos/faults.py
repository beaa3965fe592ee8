"""What can go wrong on the way of an event, and when: by the seed and by the request's number, never by the clock."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["AWS", "FAULTS", "SEGMENT", "Act", "Dice", "Fault"]


class Act(Enum):
    """What happens to a request."""

    REFUSE = auto()
    """It is answered with an error and goes no further."""
    CUT = auto()
    """Its connection is cut before it was read."""
    LOSE = auto()
    """It is carried out, and the connection is cut instead of an answer."""
    HALVE = auto()
    """It is carried out, and its answer breaks off in the middle."""
    HOLD = auto()
    """It is carried out, and the answer comes when nobody waits for it any more."""
    SPLIT = auto()
    """Of several keys that it asks for, only every other is looked up; the others come back unprocessed."""
    KILL = auto()
    """Whoever sent it is killed (-9) before it is read."""
    KILL_AFTER = auto()
    """It is carried out, and whoever sent it is killed (-9) before the answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail, of one operation.

    Attributes
    ----------
    place
        The AWS operation, or `batch`, Segment's.
    name
        What it is, in a few words.
    status, code, retry_after
        The error of a refused request: its status, AWS's code, and Segment's header in seconds.
    weight
        How often it comes beside the others of its place.
    """

    place: str
    name: str
    act: Act
    status: int = 0
    code: str = ""
    retry_after: int | None = None
    weight: int = 12


def _refusals(place: str, *errors: tuple[int, str]) -> Iterator[Fault]:
    for status, code in errors:
        yield Fault(place, f"{status} {code}", Act.REFUSE, status, code)


def _accidents(place: str) -> Iterator[Fault]:
    yield Fault(place, "connection cut", Act.CUT)
    yield Fault(place, "answer lost after it was done", Act.LOSE)
    yield Fault(place, "function killed before it was done", Act.KILL, weight=1)
    yield Fault(place, "function killed after it was done", Act.KILL_AFTER, weight=1)


# The emulator's event source mapping asks no API: a ReceiveMessage or DeleteMessage that fails is a message that comes
# once more, as copies and the batches of killed functions do.
# Codes that the SDK tries again by itself, and one (a role that lacks a right for a while) that it does not.
AWS = (
    *_refusals("SendMessage", (503, "ServiceUnavailable"), (400, "KMS.ThrottlingException"), (403, "AccessDenied")),
    *_accidents("SendMessage"),
    *_refusals("ChangeMessageVisibilityBatch", (500, "InternalFailure"), (403, "AccessDenied")),
    Fault("ChangeMessageVisibilityBatch", "answer lost after it was done", Act.LOSE),
    *_refusals("GetSecretValue", (500, "InternalServiceError"), (400, "ThrottlingException")),
    *_refusals("GetSecretValue", (400, "AccessDeniedException")),
    *_refusals("BatchGetItem", (400, "ProvisionedThroughputExceededException"), (500, "InternalServerError")),
    *_refusals("BatchGetItem", (400, "AccessDeniedException")),
    Fault("BatchGetItem", "keys left unprocessed", Act.SPLIT),
    Fault("BatchGetItem", "connection cut", Act.CUT),
    Fault("BatchGetItem", "function killed before it was done", Act.KILL, weight=1),
    *_refusals("PutItem", (400, "ProvisionedThroughputExceededException"), (500, "InternalServerError")),
    *_refusals("PutItem", (400, "AccessDeniedException")),
    *_accidents("PutItem"),
)
SEGMENT = (
    Fault("batch", "429 Retry-After 2", Act.REFUSE, 429, retry_after=2),
    *_refusals("batch", (429, ""), (500, ""), (503, ""), (401, "")),
    Fault("batch", "answer breaks off", Act.HALVE),
    Fault("batch", "answer too late", Act.HOLD, weight=1),
    *_accidents("batch"),
)
FAULTS = (*AWS, *SEGMENT)

# Requests in a row that share the weather, and how many of such stretches are stormy. Segment's are shorter and fewer:
# the circuit breaker lets one request through at a time while it storms, with growing pauses in between.
STRETCH, STORMY = {"batch": 5}, {"batch": 1 / 40}
LONG_STRETCH, OFTEN_STORMY = 20, 1 / 10
IN_STORM, IN_FAIR_WEATHER = 0.6, 0.03
# Asked for seldom: each time may be the last.
RARE = {"GetSecretValue": 0.3, "ChangeMessageVisibilityBatch": 0.1}
# Until each kind has come once, so that a short run has them all.
AT_FIRST = 0.5


class Dice:
    """Says for each request what befalls it. A place's first faults are one of each kind, so that none is missing."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._of: dict[str, list[Fault]] = defaultdict(list)
        for fault in faults:
            self._of[fault.place].append(fault)
        self._rng = {place: Random(f"{place} {seed}") for place in self._of}  # noqa: S311 - to be reproducible
        self._number = dict.fromkeys(self._of, 0)
        self._due = {place: self._rng[place].sample(those, len(those)) for place, those in self._of.items()}
        self._storm = dict.fromkeys(self._of, False)

    def draw(self, place: str, *, one_key: bool = False) -> Fault | None:
        """What befalls the next request there; None where nothing does. Of `one_key` none is left unprocessed."""
        if place not in self._of:
            return None
        rng, due = self._rng[place], self._due[place]
        if self._number[place] % STRETCH.get(place, LONG_STRETCH) == 0:
            self._storm[place] = rng.random() < STORMY.get(place, OFTEN_STORMY)
        self._number[place] += 1
        chance = IN_STORM if self._storm[place] else RARE.get(place, IN_FAIR_WEATHER)
        if rng.random() >= (max(chance, AT_FIRST) if due else chance):
            return None
        if due:
            # What does not fit this request stays due: another one will do.
            fitting = next((fault for fault in due if not (one_key and fault.act is Act.SPLIT)), None)
            if fitting is not None:
                due.remove(fitting)
            return fitting
        those = [fault for fault in self._of[place] if not (one_key and fault.act is Act.SPLIT)]
        return rng.choices(those, [fault.weight for fault in those])[0]
