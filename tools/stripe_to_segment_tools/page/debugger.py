"""The source debugger of one local stack: starts and stops all its parts together."""

from __future__ import annotations

import secrets
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.local_stack import WEBHOOK_PATH
from stripe_to_segment_tools.local_stack.errors import PortInUseError
from stripe_to_segment_tools.page.app import create_page
from stripe_to_segment_tools.page.journal import Journal
from stripe_to_segment_tools.page.outcomes import DeliverLog
from stripe_to_segment_tools.page.redriving import redrive
from stripe_to_segment_tools.page.sending import Sender
from stripe_to_segment_tools.page.watching import Sources, Watcher
from stripe_to_segment_tools.page.webhook_proxy import WebhookProxy
from stripe_to_segment_tools.receiver.runner import ServerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from stripe_to_segment_tools.local_stack import LocalStack
    from stripe_to_segment_tools.receiver import Receiver, Record

__all__ = ["PAGE_PORT", "Debugger", "PageParts"]

PAGE_PORT = 4242


@dataclass(slots=True)
class PageParts:
    """The parts that the page's application uses.

    Attributes
    ----------
    webhook_proxy, journal, sender, record
        The proxy in front of the webhook, the collected data, the sender of samples, and the calls that Segment's
        stand-in kept.
    redrive
        Moves dead letters back into the events queue and returns their number: those with the message ids, or all.
    own_secret
        Whether the stack accepts a signing secret of the user, for example the one of `stripe listen`.
    origin
        The address of the page's server, once it runs.
    token
        The token in the page's address, so that no other user of this machine can open it.
    stopping
        Set when the page stops, to end the streams.
    """

    webhook_proxy: WebhookProxy
    journal: Journal
    sender: Sender
    record: Record
    redrive: Callable[[Collection[str] | None], int]
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
        """The address to which Stripe's events are posted."""
        return f"{self.origin}{WEBHOOK_PATH}"


class Debugger:
    """Serves the page of a running local stack, as a context manager.

    Parameters
    ----------
    stack, receiver
        The stack, and the stand-in for Segment to which it delivers.
    secret
        A signing secret that the stack accepts; it signs the samples.
    port
        The page's port. None means `PAGE_PORT`, or any free port if that one is in use; 0 means any free port.
    own_secret
        Whether the stack also accepts a signing secret of the user.
    """

    def __init__(
        self, stack: LocalStack, receiver: Receiver, secret: str, port: int | None = None, *, own_secret: bool = False
    ) -> None:
        proxy = WebhookProxy(lambda: stack.webhook_url)
        journal = Journal(settings_from(stack.environment(stack.deliver_function)))
        sender = Sender(lambda: self.webhook_url, secret)
        self._parts = PageParts(proxy, journal, sender, receiver.record, partial(redrive, stack), own_secret)
        self._watcher = Watcher(Sources(proxy, receiver.record, DeliverLog(stack).new, stack.queued), journal)
        self._port = port
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """The page's address. Whoever knows it sees all events and can send events."""
        return self._parts.url

    @property
    def webhook_url(self) -> str:
        """The address to which to post Stripe's events."""
        return self._parts.webhook_url

    @property
    def has_its_port(self) -> bool:
        """Whether the page has the requested port, or `PAGE_PORT` if none was requested."""
        return self._port is not None or self._parts.origin.endswith(f":{PAGE_PORT}")

    def stripe_objects(self) -> list[dict[str, Any]]:
        """What Stripe's lists would show now of what came to the webhook."""
        return self._parts.journal.stripe_objects()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            server = started.enter_context(self._server())
            self._parts.origin = server.url
            started.callback(self._parts.stopping.set)
            started.enter_context(self._watcher)
            started.enter_context(self._parts.sender)
            self._running = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _server(self) -> ServerThread:
        page = create_page(self._parts)
        try:
            return ServerThread(page, PAGE_PORT if self._port is None else self._port)
        except OSError as error:
            if self._port:
                raise PortInUseError(self._port, "the page") from error
            return ServerThread(page)
