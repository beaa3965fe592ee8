"""The stored circuit of one mode (live or test); `delivery.circuit_breaker` opens and closes it."""

from __future__ import annotations

from stripe_to_segment.frozen import frozen

__all__ = ["FAILURES", "Circuit", "circuit_name"]

# The circuit opens at the third failure in a row: a single one is no reason for other batches to wait.
FAILURES = 3


@frozen
class Circuit:
    """The circuit of one mode: how often in a row Segment failed, and the epoch second until which no batch sends.

    `probing` (half-open) means that one batch is probing the endpoint, and has until then.
    """

    failures: int = 0
    until: int = 0
    probing: bool = False

    @property
    def tripped(self) -> bool:
        """Whether the circuit opened and no success has closed it since."""
        return self.failures >= FAILURES

    @property
    def tries(self) -> int:
        """The number of failures since the circuit opened, the one that opened it included."""
        return self.failures - FAILURES + 1


def circuit_name(*, livemode: bool) -> str:
    """The key of a mode's circuit."""
    return "live" if livemode else "test"
