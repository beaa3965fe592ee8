"""One mode's circuit before Segment, as the StateTable keeps it; `delivery.circuit_breaker` opens and closes it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAILURES", "Circuit", "circuit_name"]

# One failure is an accident, and nobody else has to wait for it.
FAILURES = 3


@dataclass(frozen=True, slots=True)
class Circuit:
    """One mode's circuit: how often in a row Segment failed, and until which epoch second nobody is to send.

    `probing` (half-open) says that this is the time which the one that probes may take.
    """

    failures: int = 0
    until: int = 0
    probing: bool = False

    @property
    def tripped(self) -> bool:
        """Whether it opened and no success has closed it since."""
        return self.failures >= FAILURES

    @property
    def tries(self) -> int:
        """How often Segment failed since the circuit opened, that time included."""
        return self.failures - FAILURES + 1


def circuit_name(*, livemode: bool) -> str:
    """Under which a mode's circuit is kept."""
    return "live" if livemode else "test"
