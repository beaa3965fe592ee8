"""A bare receiver: answers every POST with 200 at once, so that what is measured is the sender."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.sharedctypes import Synchronized

__all__ = ["Receiver", "receiving"]

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"success":true}'


class Receiver:
    """Where it listens, and how many requests and bytes it has taken."""

    def __init__(self, port: int, taken: Synchronized[int], size: Synchronized[int]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._taken = taken
        self._size = size

    @property
    def requests(self) -> int:
        """Requests so far."""
        return self._taken.value

    @property
    def bytes(self) -> int:
        """Bytes so far, headers included."""
        return self._size.value


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Run it in a process of its own; with two processors or more, it gets the last one and this process the others."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: Synchronized[int] = multiprocessing.Value("q", 0)
    size: Synchronized[int] = multiprocessing.Value("q", 0)
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(listener, taken, size, processors[-1:]), daemon=True)
    process.start()
    port = listener.getsockname()[1]
    listener.close()
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[:-1])
    try:
        yield Receiver(port, taken, size)
    finally:
        process.terminate()
        process.join()
        if len(processors) > 1:
            os.sched_setaffinity(0, processors)


def _serve(listener: socket.socket, taken: Synchronized[int], size: Synchronized[int], processors: list[int]) -> None:
    # asyncio is not needed by anybody else here, and forked before it starts.
    import asyncio

    if processors:
        os.sched_setaffinity(0, processors)

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = transport
            self._waiting = bytearray()

        def data_received(self, data: bytes) -> None:
            self._waiting += data
            while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
                head = bytes(self._waiting[:end]).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                if len(self._waiting) < end + 4 + length:
                    return
                del self._waiting[: end + 4 + length]
                size.value += end + 4 + length
                taken.value += 1
                self._transport.write(ANSWER)  # type: ignore[attr-defined]

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Connection, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())
