"""The source debugger of one local stack: everything the page shows and does, started and stopped as one."""

from __future__ import annotations

import secrets
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.local_stack import WEBHOOK_PATH
from stripe_to_segment_tools.local_stack.errors import PortInUseError
from stripe_to_segment_tools.page.app import create_page
from stripe_to_segment_tools.page.gate import Gate
from stripe_to_segment_tools.page.journal import Journal
from stripe_to_segment_tools.page.outcomes import DeliverLog
from stripe_to_segment_tools.page.redriving import redrive
from stripe_to_segment_tools.page.sending import Sender
from stripe_to_segment_tools.page.watching import Sources, Watcher
from stripe_to_segment_tools.receiver.runner import ServerThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from stripe_to_segment_tools.local_stack import LocalStack
    from stripe_to_segment_tools.receiver import Receiver, Record

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
    origin
        Where the page's server is, once it serves.
    token
        What the page's address holds, so that nobody else on this machine can open it.
    stopping
        Set when the page is going: streams end.
    """

    gate: Gate
    journal: Journal
    sender: Sender
    record: Record
    redrive: Callable[[], int]
    own_secret: bool = False
    origin: str = ""
    token: str = field(default_factory=partial(secrets.token_urlsafe, 16), repr=False)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"{self.origin}/{self.token}"

    @property
    def webhook_url(self) -> str:
        """Where the local stack takes Stripe's events."""
        return f"{self.origin}{WEBHOOK_PATH}"


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
        sender = Sender(lambda: self.webhook_url, secret)
        self._desk = Desk(gate, journal, sender, receiver.record, partial(redrive, stack), own_secret)
        self._watcher = Watcher(Sources(gate, receiver.record, DeliverLog(stack).new, stack.queued), journal)
        self._port = port
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """The page's address. Who has it sees everything and may send."""
        return self._desk.url

    @property
    def webhook_url(self) -> str:
        """Where to post Stripe's events."""
        return self._desk.webhook_url

    @property
    def has_its_port(self) -> bool:
        """Whether the page is where it was asked to be, or at `PAGE_PORT`."""
        return self._port is not None or self._desk.origin.endswith(f":{PAGE_PORT}")

    def __enter__(self) -> Self:
        with ExitStack() as started:
            server = started.enter_context(self._server())
            self._desk.origin = server.url
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
