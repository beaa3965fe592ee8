"""The requests that the receiver got, and the calls that it kept."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.receiver.behaviour import Behaviour, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

__all__ = ["AcceptedCall", "ReceivedRequest", "Record", "RefusedCall"]

KEPT_REFUSED = 1000


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request.

    Attributes
    ----------
    number
        Counted from 1 since the start.
    received_at
        When the whole body had arrived, with time zone.
    size
        The body in bytes.
    calls
        The number of calls in it.
    auth
        The places of the write key: `both`, `basic`, `body` or `none`.
    source
        The name of the source to which the key belongs, or None.
    status
        The status of the answer. None if the connection was closed.
    kept
        The number of calls that were kept, without repeats.
    repeated
        The messageIds that had been kept before: Segment drops such calls and does not say so.
    violations
        The violations of the contract, as texts.
    """

    number: int
    received_at: datetime
    size: int
    calls: int
    auth: str
    source: str | None
    status: int | None
    kept: int = 0
    repeated: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "received_at": self.received_at.isoformat()}


@dataclass(frozen=True, slots=True)
class AcceptedCall:
    """One call that was kept, with the number and the source of its request."""

    call: dict[str, Any]
    request: int
    received_at: datetime
    source: str | None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "received_at": self.received_at.isoformat()}


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """One call that was refused for good, with the number of its request and the answer in words."""

    call: dict[str, Any]
    request: int
    answer: str


class Record:
    """All requests and calls, and the current behaviour. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[ReceivedRequest] = []
        self._calls: list[AcceptedCall] = []
        self._refused: deque[RefusedCall] = deque(maxlen=KEPT_REFUSED)
        self._by_message_id: dict[str, dict[str, Any]] = {}
        self._rivals: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._count = 0
        self._behaviour = Behaviour()

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Every request, oldest first."""
        with self._changed:
            return list(self._requests)

    @property
    def calls(self) -> list[AcceptedCall]:
        """Every call that was kept, oldest first, each messageId once."""
        with self._changed:
            return list(self._calls)

    def refused_since(self, request: int) -> list[RefusedCall]:
        """The latest calls that were refused for good in requests after this one, oldest first."""
        with self._changed:
            return [refused for refused in self._refused if refused.request > request]

    @property
    def rivals(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Pairs of calls with the same messageId and different content: the kept one, and the later one."""
        with self._changed:
            return list(self._rivals)

    @property
    def violations(self) -> list[str]:
        """Every violation of the contract, with the number of its request."""
        return [f"request {request.number}: {text}" for request in self.requests for text in request.violations]

    @property
    def behaviour(self) -> Behaviour:
        """The current behaviour. `times` counts down."""
        with self._changed:
            return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._changed:
            self._behaviour = behaviour

    def next_behaviour(self, calls: Sequence[Any]) -> Behaviour:
        """The behaviour for a request with these calls; counts the request."""
        with self._changed:
            current = self._behaviour
            if current.mode is Mode.OK or not current.concerns(calls):
                return Behaviour()
            if current.times is not None:
                self._behaviour = Behaviour() if current.times == 1 else replace(current, times=current.times - 1)
            return current

    def add(
        self,
        request: ReceivedRequest,
        kept: Iterable[dict[str, Any]],
        refused: Iterable[dict[str, Any]] = (),
        answer: str = "",
    ) -> ReceivedRequest:
        """Store a request with its kept calls, and the calls that were refused with this answer.

        Returns the request with its number.
        """
        with self._changed:
            self._count += 1
            self._refused.extend(RefusedCall(call, self._count, answer) for call in refused)
            repeated: list[str] = []
            violations = list(request.violations)
            fresh = 0
            for call in kept:
                message_id = call.get("messageId")
                if isinstance(message_id, str) and message_id in self._by_message_id:
                    repeated.append(message_id)
                    if self._by_message_id[message_id] != call:
                        self._rivals.append((self._by_message_id[message_id], call))
                        violations.append(f"messageId {message_id} came before with other content")
                    continue
                if isinstance(message_id, str):
                    self._by_message_id[message_id] = call
                self._calls.append(AcceptedCall(call, self._count, request.received_at, request.source))
                fresh += 1
            numbered = replace(
                request, number=self._count, kept=fresh, repeated=tuple(repeated), violations=tuple(violations)
            )
            self._requests.append(numbered)
            self._changed.notify_all()
            return numbered

    def clear(self) -> None:
        """Delete all requests, calls and messageIds. The behaviour stays."""
        with self._changed:
            self._requests.clear()
            self._calls.clear()
            self._refused.clear()
            self._by_message_id.clear()
            self._rivals.clear()

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until the condition holds, checked after each request. Returns False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)
