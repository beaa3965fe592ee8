"""What the receiver received: every request, and every call it kept."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.receiver.behaviour import Behaviour, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

__all__ = ["AcceptedCall", "ReceivedRequest", "Record"]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request.

    Attributes
    ----------
    number
        Counted from 1 since the start.
    received_at
        When its body had come, with time zone.
    size
        The body in bytes.
    calls
        How many calls stood in it.
    auth
        Where the write key was: `both`, `basic`, `body` or `none`.
    source
        The name of the source the key belongs to. None when no source has it.
    status
        The status it was answered with. None when the connection was cut.
    kept
        How many of the calls were kept, repeats not counted.
    repeated
        The messageIds that had been kept before: Segment drops such calls without a word.
    violations
        What broke the contract, in words.
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
    """One call that was kept, the number of the request that brought it and the source it was for."""

    call: dict[str, Any]
    request: int
    received_at: datetime
    source: str | None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "received_at": self.received_at.isoformat()}


class Record:
    """All that came, and the behaviour in force. Safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[ReceivedRequest] = []
        self._calls: list[AcceptedCall] = []
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

    @property
    def rivals(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Pairs of calls with one messageId and different content: the one that was kept, and the later one."""
        with self._changed:
            return list(self._rivals)

    @property
    def violations(self) -> list[str]:
        """Every breach of the contract, with the number of its request."""
        return [f"request {request.number}: {text}" for request in self.requests for text in request.violations]

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force. `times` counts down."""
        with self._changed:
            return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._changed:
            self._behaviour = behaviour

    def next_behaviour(self, calls: Sequence[Any]) -> Behaviour:
        """Say how to answer a request with these calls, and count it."""
        with self._changed:
            current = self._behaviour
            if current.mode is Mode.OK or not current.concerns(calls):
                return Behaviour()
            if current.times is not None:
                self._behaviour = Behaviour() if current.times == 1 else replace(current, times=current.times - 1)
            return current

    def add(self, request: ReceivedRequest, kept: Iterable[dict[str, Any]]) -> ReceivedRequest:
        """Write down a request and the calls of it that are to be kept; return it with its number."""
        with self._changed:
            self._count += 1
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
        """Forget all that came, messageIds included. The behaviour stays."""
        with self._changed:
            self._requests.clear()
            self._calls.clear()
            self._by_message_id.clear()
            self._rivals.clear()

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until the condition, looked at after each request, holds. False when `timeout` seconds did not do."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)
