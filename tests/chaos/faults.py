"""The faults on the path of an event. The seed and the request's number select them, never the clock."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

__all__ = ["AWS", "FAULTS", "SEGMENT", "TABLE", "Act", "Dice", "Fault", "When"]


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
    PART = auto()
    """Every other of its calls is taken; the answer names the others, and says that there was an outage."""
    KILL = auto()
    """Whoever sent it is killed (-9) before it is read."""
    KILL_AFTER = auto()
    """It is carried out, and whoever sent it is killed (-9) before the answer."""
    BREAK = auto()
    """What it reads, a record of the StateTable, cannot be read for a while. `Saboteur` sees to it, not the dice."""


class When(Enum):
    """What a fault needs of the request that it is to befall."""

    SEVERAL_KEYS = auto()
    """It asks for more than one key."""
    KEPT = auto()
    """Its connection has served an earlier one and was kept."""
    KNOWN = auto()
    """It comes from a process that was given the answer before, and may still know it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail, of one operation.

    Attributes
    ----------
    place
        The AWS operation, or `batch`, Segment's.
    name
        What it is, in a few words.
    status, code, retry_after, body
        The error of a refused request: its status, AWS's code, and Segment's header in seconds and its words.
    when
        What it needs of a request.
    weight
        How often it comes beside the others of its place.
    """

    place: str
    name: str
    act: Act
    status: int = 0
    code: str = ""
    retry_after: int | None = None
    body: str = ""
    when: When | None = None
    weight: int = 12


def _refusals(place: str, *errors: tuple[int, str]) -> Iterator[Fault]:
    for status, code in errors:
        yield Fault(place, f"{status} {code}", Act.REFUSE, status, code)


def _accidents(place: str) -> Iterator[Fault]:
    yield Fault(place, "connection cut", Act.CUT)
    yield Fault(place, "answer lost after it was done", Act.LOSE)
    yield Fault(place, "function killed before it was done", Act.KILL, weight=1)
    yield Fault(place, "function killed after it was done", Act.KILL_AFTER, weight=1)


# What a server or a NAT on the way does with a connection that was idle, which is seen when it is used again.
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout
def _let_go(place: str) -> Fault:
    return Fault(place, "kept connection was let go of", Act.CUT, when=When.KEPT)


PORTAL = "<!DOCTYPE html><html><title>Welcome</title><body>Log in to use this network.</body></html>"
# The emulator's event source mapping asks no API: a ReceiveMessage or DeleteMessage that fails is a message that comes
# once more, as copies and the batches of killed functions do.
# Codes that the SDK tries again by itself, and one (a role that lacks a right for a while) that it does not.
AWS = (
    *_refusals("SendMessage", (503, "ServiceUnavailable"), (400, "KMS.ThrottlingException"), (403, "AccessDenied")),
    *_accidents("SendMessage"),
    _let_go("SendMessage"),
    *_refusals("ChangeMessageVisibilityBatch", (500, "InternalFailure"), (403, "AccessDenied")),
    Fault("ChangeMessageVisibilityBatch", "answer lost after it was done", Act.LOSE),
    *_refusals("GetSecretValue", (500, "InternalServiceError"), (400, "ThrottlingException")),
    *_refusals("GetSecretValue", (400, "AccessDeniedException")),
    Fault("GetSecretValue", "500 while the secret is known", Act.REFUSE, 500, "InternalServiceError", when=When.KNOWN),
    *_refusals("BatchGetItem", (400, "ProvisionedThroughputExceededException"), (500, "InternalServerError")),
    *_refusals("BatchGetItem", (400, "AccessDeniedException")),
    Fault("BatchGetItem", "keys left unprocessed", Act.SPLIT, when=When.SEVERAL_KEYS),
    _let_go("BatchGetItem"),
    Fault("BatchGetItem", "connection cut", Act.CUT),
    Fault("BatchGetItem", "function killed before it was done", Act.KILL, weight=1),
    *_refusals("PutItem", (400, "ProvisionedThroughputExceededException"), (500, "InternalServerError")),
    *_refusals("PutItem", (400, "AccessDeniedException")),
    *_accidents("PutItem"),
)
SEGMENT = (
    Fault("batch", "429 Retry-After 2", Act.REFUSE, 429, retry_after=2),
    *_refusals("batch", (429, ""), (500, ""), (503, ""), (401, "")),
    Fault("batch", "200 with a page in HTML", Act.REFUSE, 200, body=PORTAL),
    Fault("batch", "200 with an error in it", Act.REFUSE, 200, body='{"error": "internal error"}'),
    Fault("batch", "200 that took half", Act.PART),
    Fault("batch", "answer breaks off", Act.HALVE),
    Fault("batch", "answer too late", Act.HOLD, weight=1),
    *_accidents("batch"),
    _let_go("batch"),
)
TABLE = (
    Fault("StateTable", "record is garbage for a while", Act.BREAK),
    Fault("StateTable", "record is a newer release's for a while", Act.BREAK),
)
FAULTS = (*AWS, *TABLE, *SEGMENT)

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

    def draw(self, place: str, circumstances: Container[When] = frozenset(When)) -> Fault | None:
        """What befalls the next request there; None where nothing does. It has what faults may need of it."""
        if place not in self._of:
            return None
        rng = self._rng[place]
        those, due = (
            [fault for fault in faults if fault.when is None or fault.when in circumstances]
            for faults in (self._of[place], self._due[place])
        )
        if self._number[place] % STRETCH.get(place, LONG_STRETCH) == 0:
            self._storm[place] = rng.random() < STORMY.get(place, OFTEN_STORMY)
        self._number[place] += 1
        chance = IN_STORM if self._storm[place] else RARE.get(place, IN_FAIR_WEATHER)
        if due:
            chance = max(chance, 1.0 if any(fault.when is When.KNOWN for fault in due) else AT_FIRST)
        if rng.random() >= chance:
            return None
        if due:
            # What needs more first: such a request may not come again soon. What does not fit this one stays due.
            first = next((fault for fault in due if fault.when), due[0])
            self._due[place].remove(first)
            return first
        return rng.choices(those, [fault.weight for fault in those])[0]
