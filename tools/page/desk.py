"""The source debugger of one local stack: everything the page shows and does, started and stopped as one."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

from stripe_to_segment.settings import settings_from
from tools.local_stack.errors import PortInUseError
from tools.page.app import create_page
from tools.page.gate import Gate
from tools.page.journal import Journal
from tools.page.outcomes import DeliverLog
from tools.page.redriving import redrive
from tools.page.sending import Sender
from tools.page.watching import Sources, Watcher
from tools.receiver.runner import ServerThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tools.local_stack import LocalStack
    from tools.receiver import Receiver, Record

__all__ = ["PAGE_PORT", "Debugger", "Desk"]

PAGE_PORT = 4242


@dataclass(slots=True)
class Desk:
    """What the page's application works with.

    Attributes
    ----------
    gate, journal, sender, record
        The door, what is known, who sends samples, and what Segment's stand-in has kept.
    redrive
        Moves the dead letters back; gives their number.
    own_secret
        Whether the stack accepts a signing secret of the user's, such as that of `stripe listen`.
    url
        The page's own address, once it is served.
    stopping
        Set when the page is going: streams end.
    """

    gate: Gate
    journal: Journal
    sender: Sender
    record: Record
    redrive: Callable[[], int]
    own_secret: bool = False
    url: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)


class Debugger:
    """The page of a running local stack, as a context manager.

    Parameters
    ----------
    stack, receiver
        The stack, and the stand-in for Segment that it delivers to.
    secret
        A signing secret that the stack accepts: samples are signed with it.
    port
        The page's port; None for `PAGE_PORT` or, where that is taken, any free one; 0 for any free one.
    own_secret
        Whether the stack accepts a signing secret of the user's too.
    """

    def __init__(
        self, stack: LocalStack, receiver: Receiver, secret: str, port: int | None = None, *, own_secret: bool = False
    ) -> None:
        gate = Gate(lambda: stack.webhook_url)
        journal = Journal(settings_from(stack.environment(stack.deliver_function)))
        sender = Sender(lambda: f"{self.url}/webhooks/stripe", secret)
        self._desk = Desk(gate, journal, sender, receiver.record, partial(redrive, stack), own_secret)
        self._watcher = Watcher(Sources(gate, receiver.record, DeliverLog(stack).new, stack.queued), journal)
        self._port = port
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """The page's address."""
        return self._desk.url

    @property
    def has_its_port(self) -> bool:
        """Whether the page is where it was asked to be, or at `PAGE_PORT`."""
        return self._port is not None or self.url.endswith(f":{PAGE_PORT}")

    def __enter__(self) -> Self:
        with ExitStack() as started:
            server = started.enter_context(self._server())
            self._desk.url = server.url
            started.callback(self._desk.stopping.set)
            started.enter_context(self._watcher)
            started.enter_context(self._desk.sender)
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _server(self) -> ServerThread:
        page = create_page(self._desk)
        try:
            return ServerThread(page, PAGE_PORT if self._port is None else self._port)
        except OSError as error:
            if self._port:
                raise PortInUseError(self._port, "the page") from error
            return ServerThread(page)
