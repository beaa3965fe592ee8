"""Sends sample events and scenarios to the webhook, one event after the other, in a separate thread."""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from stripe_to_segment_tools.commands.send.command import UnreachableError, send
from stripe_to_segment_tools.samples.files import body_of, freshen, sample
from stripe_to_segment_tools.samples.scenarios import scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

__all__ = ["Sender", "Sending"]

# Slow enough to watch, and fast enough for twenty events.
PAUSE_SECONDS = 0.3
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sending:
    """What is being sent: `done` of `count` events; `after` is the number of scenarios and samples that follow."""

    title: str
    done: int
    count: int
    after: int


class Sender:
    """Sends scenarios and samples in the order of the requests, as a context manager.

    Parameters
    ----------
    url
        Returns the webhook's address.
    secret
        The signing secret.
    pause
        Seconds between two events.
    """

    def __init__(self, url: Callable[[], str], secret: str, pause: float = PAUSE_SECONDS) -> None:
        self._url = url
        self._secret = secret
        self._pause = pause
        self._asked: queue.Queue[tuple[str, Sequence[dict[str, Any]]] | None] = queue.Queue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="page-sender", daemon=True)
        self.sending: Sending | None = None

    def send_sample(self, name: str) -> int:
        """Send a sample event with new ids and times; return the number of events. Raises LookupError."""
        return self._ask(name, freshen([sample(name).event], int(time.time()), seed=_seed()))

    def send_scenario(self, name: str) -> int:
        """Send the events of a scenario with new ids and times. Raises LookupError for an unknown name."""
        chosen = scenario(name)
        return self._ask(chosen.title, chosen.events(int(time.time()), _seed()))

    def _ask(self, title: str, events: Sequence[dict[str, Any]]) -> int:
        self._asked.put((title, events))
        return len(events)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            title, events = asked
            for done, event in enumerate(events):
                if self._stopping.is_set():
                    return
                self.sending = Sending(title, done, len(events), self._asked.qsize())
                try:
                    next(send([body_of(event)], self._url(), self._secret, patience=0))
                except UnreachableError:
                    break
                if done + 1 < len(events):
                    self._stopping.wait(self._pause)
            self.sending = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._asked.put(None)
        self._thread.join(STOP_SECONDS)


def _seed() -> str:
    return os.urandom(8).hex()
