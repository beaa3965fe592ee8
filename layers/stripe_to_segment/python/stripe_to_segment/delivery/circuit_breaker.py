"""The circuit breaker before Segment: a failure that one invocation sees pauses all of them.

A 429, a `Retry-After` or several failures in a row open the circuit of a mode. While it is open, events of that mode go
back to the queue unmapped. Once its time is over, one invocation probes; the others wait for its result. Nothing is
written while all goes well. https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/circuit-breaker.html
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StoreUnavailableError
from stripe_to_segment.frozen import frozen
from stripe_to_segment.observability import count, logger
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import RETRY_AFTER_CAP, Meaning
from stripe_to_segment.state.circuit import FAILURES, Circuit, circuit_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from stripe_to_segment.segment_side.answers import Answer
    from stripe_to_segment.state.store import Store

__all__ = ["Breaker", "Pause"]

# A pause grows up to ten times the first one, so that the end of an outage is noticed within minutes.
GROWTH = 10
# The longest time for which the others wait for the one that probes, which may have been killed.
PROBE_SECONDS = 60


@frozen
class Pause:
    """The seconds for which events are held back, and the failed tries of all invocations before that."""

    seconds: int
    tries: int


def _half_opened(circuit: Circuit, now: float, base: int) -> Circuit:
    """The circuit half-open: one invocation probes."""
    return Circuit(circuit.failures, math.ceil(now) + min(PROBE_SECONDS, 2 * GROWTH * base), probing=True)


def _after(circuit: Circuit, answers: Collection[Answer], now: float, base: int) -> Circuit:
    """The circuit after these answers to one batch's calls; `base` is the first pause, in seconds."""
    waits = [answer for answer in answers if answer.meaning is Meaning.RETRY]
    limited = [answer for answer in waits if answer.reason == Reason.HTTP_429 or answer.retry_after is not None]
    if limited:
        failures = max(circuit.failures + 1, FAILURES)
        named = max((answer.retry_after for answer in limited if answer.retry_after is not None), default=None)
        # The first Retry-After is obeyed exactly. While failures go on, the pause grows, even if each names one second.
        grown = _pause(failures, base) if named is None or circuit.tripped else 0
        return Circuit(failures, math.ceil(now) + max(named or 0, grown))
    if any(answer.meaning in {Meaning.ACCEPTED, Meaning.REFUSED} for answer in answers):
        return Circuit()
    if any(answer.reason != Reason.OUT_OF_TIME for answer in waits):
        failures = circuit.failures + 1
        return Circuit(failures, math.ceil(now) + (_pause(failures, base) if failures >= FAILURES else 0))
    # No request was sent, or the write key is wrong: neither shows the state of Segment, so another invocation has to
    # probe.
    return Circuit(circuit.failures, int(now)) if circuit.probing else circuit


def _seconds(circuit: Circuit, now: float) -> int:
    """The seconds for which the circuit stays open, at most the cap, which rounding must not exceed."""
    return min(RETRY_AFTER_CAP, max(0, math.ceil(circuit.until - now)))


def _pause(failures: int, base: int) -> int:
    return min(RETRY_AFTER_CAP, GROWTH * base, base << min(failures - FAILURES, 12))


class Breaker:
    """The circuits of this stack in the store, and the state that this environment saw last.

    They are read along with the customers' records. A failed write does no harm: other invocations then send as they
    would without a circuit breaker.

    Parameters
    ----------
    store
        The StateTable or a MemoryStore.
    clock
        Returns epoch seconds.
    base
        The first pause where the endpoint names none, in seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float], base: int) -> None:
        self._store = store
        self._clock = clock
        self._base = base
        self._seen: dict[str, Circuit] = {}

    def asks(self, modes: Iterable[bool]) -> set[str]:
        """The names of the circuits of these modes that must be looked up: other invocations may have changed them."""
        now, names = self._clock(), {circuit_name(livemode=livemode) for livemode in modes}
        return {name for name in names if self._may_have_changed(name, now)}

    def waits(self, modes: Iterable[bool], looked_up: Mapping[str, Circuit]) -> dict[bool, Pause | None]:
        """The pause of each of these modes; None if its calls may be sent now.

        A circuit that should have been looked up and was not is taken as closed.
        """
        now = self._clock()
        self._seen.update(looked_up)
        names = {livemode: circuit_name(livemode=livemode) for livemode in modes}
        unknown = self.asks(names) - looked_up.keys()
        return {mode: None if name in unknown else self._wait(name, now) for mode, name in names.items()}

    def _may_have_changed(self, name: str, now: float) -> bool:
        seen = self._seen.get(name, Circuit())
        return not seen.tripped or seen.probing or seen.until <= now

    def _wait(self, name: str, now: float) -> Pause | None:
        seen = self._seen.get(name, Circuit())
        if not seen.tripped:
            return None
        if seen.until > now:
            # The result of the probe comes in a moment: wait no longer than the usual delay.
            return Pause(0 if seen.probing else _seconds(seen, now), seen.tries)
        return None if self._put(name, _half_opened(seen, now, self._base), seen) else Pause(0, seen.tries)

    def note(self, answers: Collection[Answer], *, livemode: bool) -> Pause | None:
        """Update the circuit of one mode after these answers; returns the pause that follows, if any."""
        name, now = circuit_name(livemode=livemode), self._clock()
        seen = self._seen.get(name, Circuit())
        circuit = _after(seen, answers, now, self._base)
        if circuit != seen and self._put(name, circuit, seen):
            self._note(name, circuit, seen, now)
        return Pause(_seconds(circuit, now), circuit.tries) if circuit.tripped else None

    def _note(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> None:
        if circuit.tripped and circuit.until > now:
            count("CircuitOpened")
            waits = {"failures": circuit.failures, "seconds": _seconds(circuit, now), "mode": name}
            logger.warning("the endpoint is left alone for a while", extra=waits)
        elif seen.tripped and not circuit.tripped:
            logger.info("the endpoint answers again", extra={"failures": seen.failures, "mode": name})

    def _put(self, name: str, circuit: Circuit, seen: Circuit) -> bool:
        """Write the circuit, unless another invocation did since it was seen."""
        try:
            written = self._store.put_circuit(name, circuit, seen, self._clock())
        except StoreUnavailableError as error:
            logger.warning("circuit not written down", extra={"reason": str(error)})
            written = False
        if written:
            self._seen[name] = circuit
        return written
