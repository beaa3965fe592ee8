"""The faults on the path of an event. The seed and the request's number choose the fault; the clock does not."""

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
    """What the proxy does with a request."""

    REFUSE = auto()
    """Answer with an error, without passing the request on."""
    CUT = auto()
    """Close the connection, without passing the request on."""
    LOSE = auto()
    """Pass the request on, and close the connection instead of answering."""
    HALVE = auto()
    """Pass the request on, and send only half of the answer."""
    HOLD = auto()
    """Pass the request on, and answer after the client's timeout."""
    SPLIT = auto()
    """Look up every second key of the request, and return the other keys as unprocessed."""
    PART = auto()
    """Pass on every second call, and answer that the others failed because of an outage."""
    KILL = auto()
    """Kill the sending process (-9), without passing the request on."""
    KILL_AFTER = auto()
    """Pass the request on, and kill the sending process (-9) before the answer."""
    BREAK = auto()
    """Make the StateTable record that it reads unreadable for a while. `Saboteur` does this, not the proxy."""


class When(Enum):
    """A condition that a request must meet before the fault can be injected."""

    SEVERAL_KEYS = auto()
    """The request asks for more than one key."""
    KEPT = auto()
    """The request uses a kept connection, which has served an earlier request."""
    KNOWN = auto()
    """The sending process had the answer before and may have cached it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which one operation fails.

    Attributes
    ----------
    place
        The AWS operation, or `batch` for Segment's.
    name
        A description in a few words.
    status, code, retry_after, body
        The answer to a refused request: its status, AWS's error code, and Segment's Retry-After in seconds and body.
    when
        The condition that a request must meet.
    weight
        Its frequency relative to the other faults of the same place.
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


# A server or a NAT gateway drops an idle connection; the client notices when it uses the connection again.
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout
def _let_go(place: str) -> Fault:
    return Fault(place, "kept connection was closed", Act.CUT, when=When.KEPT)


PORTAL = "<!DOCTYPE html><html><title>Welcome</title><body>Log in to use this network.</body></html>"
# ReceiveMessage and DeleteMessage have no faults here, because the emulator's event source mapping calls no API. If one
# fails, SQS delivers a message again, which the copies and the batches of killed functions test.
# For each operation: errors that the SDK retries itself, and one that it does not (a missing permission).
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
    *_refusals("UpdateItem", (400, "ProvisionedThroughputExceededException"), (500, "InternalServerError")),
    *_refusals("UpdateItem", (400, "AccessDeniedException")),
    *_accidents("UpdateItem"),
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

# The requests of a place come in stretches. In a storm, a stretch with many faults, most requests fail. Segment's
# stretches are shorter and fewer are storms: while they last, the circuit breaker lets one request through at a time,
# with growing pauses between them.
STRETCH, STORMY = {"batch": 5}, {"batch": 1 / 40}
LONG_STRETCH, OFTEN_STORMY = 20, 1 / 10
IN_STORM, IN_FAIR_WEATHER = 0.6, 0.03
# These operations are rare, so each request has a higher chance of a fault.
RARE = {"GetSecretValue": 0.3, "ChangeMessageVisibilityBatch": 0.1}
# The chance until each fault has been injected once, so that a short run has all of them.
AT_FIRST = 0.5


class Dice:
    """Draws the fault of each request. A place's first faults are one of each kind, so that none is missing."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._of: dict[str, list[Fault]] = defaultdict(list)
        for fault in faults:
            self._of[fault.place].append(fault)
        self._rng = {place: Random(f"{place} {seed}") for place in self._of}
        self._number = dict.fromkeys(self._of, 0)
        self._due = {place: self._rng[place].sample(those, len(those)) for place, those in self._of.items()}
        self._storm = dict.fromkeys(self._of, False)

    def draw(self, place: str, circumstances: Container[When] = frozenset(When)) -> Fault | None:
        """The fault of the next request at that place, or None. The request meets the conditions `circumstances`."""
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
            # Faults with a condition first, because a request that meets it is rare. The others stay due.
            first = next((fault for fault in due if fault.when), due[0])
            self._due[place].remove(first)
            return first
        return rng.choices(those, [fault.weight for fault in those])[0]
