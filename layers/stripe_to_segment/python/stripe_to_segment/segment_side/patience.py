"""A `requests` session with a read timeout for the whole answer, headers and body.

The timeout of `requests` limits each read alone, so a server that sends a byte at a time could hold a request until
Lambda ends the function, before the circuit breaker counts it.
https://requests.readthedocs.io/en/latest/user/quickstart/#timeouts
"""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Buffer

__all__ = ["patient_session"]

# Load balancers drop a connection after a minute without traffic, NAT gateways after 350 seconds, often silently.
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout
IDLE_SECONDS = 55


def patient_session() -> requests.Session:
    """A session to keep across invocations, with its connections."""
    session = requests.Session()
    adapter = _Adapter()
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session


class _Bytes(io.RawIOBase):
    """Reads from a socket, with the socket's timeout as the limit for all reads together."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        allowed = sock.gettimeout()
        self._until = None if allowed is None else time.monotonic() + allowed

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        """Read the bytes that arrive before the limit. Raises TimeoutError."""
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket too."""
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An HTTP answer that is read against one limit, from its first byte on."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Bytes(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    _used = 0.0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        # The wall clock, because Lambda may freeze a function for hours between two requests.
        if time.time() - self._used > IDLE_SECONDS:
            self.poolmanager.clear()
        try:
            return super().send(*args, **kwargs)
        finally:
            self._used = time.time()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
