"""Distinguish a program on this machine from a page in a browser, by the headers of a request. Pure.

Any web page can make its visitor's browser send requests to 127.0.0.1, but the browser always adds these headers:

- `Origin` is on every POST, PUT and DELETE of a page, and on every GET whose answer it wants to read
  (https://fetch.spec.whatwg.org/#origin-header).
- `Sec-Fetch-Site` is on every request to a loopback address (https://www.w3.org/TR/fetch-metadata/). - `Host` holds the
name in the page's address, also if an attacker's name server resolves that name to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["browser_header", "foreign_host"]

BROWSER_HEADERS = (b"origin", b"referer", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
# The port may differ: the tests put a proxy in front, which keeps the signed host.
_THIS_MACHINE = re.compile(rb"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.IGNORECASE)

# As in ASGI: names in lower case.
type Headers = Iterable[tuple[bytes, bytes]]


def browser_header(headers: Headers) -> str | None:
    """The name of a header that only a browser sends, or None."""
    names = {name for name, _ in headers}
    return next((name.decode() for name in BROWSER_HEADERS if name in names), None)


def foreign_host(headers: Headers) -> bool:
    """Whether the Host header is another machine's, is missing, or occurs twice."""
    hosts = [value for name, value in headers if name == b"host"]
    return len(hosts) != 1 or _THIS_MACHINE.fullmatch(hosts[0]) is None
