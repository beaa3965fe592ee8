"""Run the receiver as a server in a separate thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, ClassVar, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from stripe_to_segment_tools.receiver.app import WrongKey, create_app
from stripe_to_segment_tools.receiver.record import Record

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping
    from types import TracebackType

    from starlette.types import ASGIApp

__all__ = ["Receiver", "ServerThread"]

START_SECONDS = 10.0
STOP_SECONDS = 5.0


class _CuttableProtocol(H11Protocol):
    """HTTP/1.1 whose connections the application can close without an answer, like a crashing server."""

    _open: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._open[transport.get_extra_info("peername")] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)

    @classmethod
    def cut(cls, client: tuple[str, int]) -> None:
        if transport := cls._open.get(client):
            transport.abort()


class ServerThread:
    """An ASGI application served on 127.0.0.1 by a thread, until `stop`.

    Parameters
    ----------
    app
        The application.
    port
        The port, 0 for any free one. A port in use raises OSError here, before anything runs.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        # Bound here and passed on, so that no other program can take the port in between. Without the
        # protocol's number asyncio does not switch off Nagle's algorithm, and each answer takes 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            app,
            http=_CuttableProtocol,
            ws="none",
            lifespan="off",
            # Broken answers are intended here, so the server's log lines about them are not wanted.
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=f"server-{self.port}", daemon=True
        )

    def start(self) -> Self:
        """Start the server, and return when it accepts requests."""
        self._thread.start()
        for _ in range(int(START_SECONDS / 0.01)):
            if self._server.started:
                return self
            self._thread.join(0.01)
            if not self._thread.is_alive():
                break
        self.stop()
        raise RuntimeError(f"the server on port {self.port} did not start")

    def stop(self) -> None:
        """Stop the server and free the port. Safe to call twice."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Receiver(ServerThread):
    """The running imitation of Segment. Its `record` may be read, and `record.behaviour` set, from any thread.

    Parameters
    ----------
    port
        The port, 0 for any free one.
    sources
        The write key of each source, by the source's name. Without sources every key is valid.
    wrong_key
        The answer to a write key that belongs to no source.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        sources: Mapping[str, str] | None = None,
        wrong_key: WrongKey = WrongKey.DROP,
    ) -> None:
        self.record = Record()
        super().__init__(create_app(self.record, sources=sources, wrong_key=wrong_key, cut=_CuttableProtocol.cut), port)
