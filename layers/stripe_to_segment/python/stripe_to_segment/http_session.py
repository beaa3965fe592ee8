"""A `requests` session for an environment that Lambda freezes: for Segment's API and for Stripe's.

A kept connection that died is replaced, and a read timeout is for the whole answer, headers and body. The timeout of
`requests` limits each read alone, so a server that sends a byte at a time could hold a request until Lambda ends the
function, before the circuit breaker counts it. https://requests.readthedocs.io/en/latest/user/quickstart/#timeouts
"""

from __future__ import annotations

import http.client
import io
import ssl
import time
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import MaxRetryError, ProtocolError, SSLError

if TYPE_CHECKING:
    import socket
    from collections.abc import Buffer

__all__ = ["http_session"]

# Load balancers drop a connection after a minute without traffic, NAT gateways after 350 seconds, often silently.
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout
IDLE_SECONDS = 55


def http_session() -> requests.Session:
    """A session to keep across invocations, with its connections."""
    session = requests.Session()
    # Where nothing is set, `requests` takes a password from ~/.netrc, and puts it in the place of Stripe's API key.
    session.auth = _as_it_is
    adapter = _Adapter()
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Bytes(io.RawIOBase):
    """Reads from a socket, with the socket's timeout as the limit for all reads together."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self.ended = False
        allowed = sock.gettimeout()
        self._until = None if allowed is None else time.monotonic() + allowed

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        """Read the bytes that arrive before the limit, none at the end. Raises TimeoutError."""
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
        number = self._raw.readinto(buffer)
        self.ended = number == 0
        return number

    def close(self) -> None:
        """Close the socket too."""
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An HTTP answer that is read against one limit, from its first byte on."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._bytes = _Bytes(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._bytes)

    def begin(self) -> None:
        """Read the head. Python takes one that breaks off for a complete one; here that raises IncompleteRead."""
        super().begin()
        if self._bytes.ended:
            raise http.client.IncompleteRead(b"")


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
        if not 0 <= time.time() - self._used <= IDLE_SECONDS:
            self.poolmanager.clear()
        try:
            return super().send(*args, **kwargs)
        except requests.ConnectionError as error:
            if not _was_cut(error):
                raise
            # The other side or a NAT on the way may have closed the kept connection since, which is no failure of the
            # server. The repeat has the same bytes, so a server that took the first request drops the second: by its
            # messageIds, or by Stripe's idempotency key.
            return super().send(*args, **kwargs)
        finally:
            self._used = time.time()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _was_cut(error: requests.ConnectionError) -> bool:
    """Whether the connection ended before any answer, as happens where the other side has closed a kept one."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        # urllib3 wraps the TLS error of a connection that closed while the request was written.
        cause = cause.reason
    said = cause.args if isinstance(cause, ProtocolError | SSLError) else ()
    return any(isinstance(each, ConnectionError | ssl.SSLEOFError) for each in said)
