"""Tells a program on this machine from a page in a browser, by the headers of a request. Pure.

Any page of the web can make its visitor's browser send requests to 127.0.0.1. A page cannot leave these headers out:

- `Origin` is on every POST, PUT and DELETE of a page, and on every GET whose answer it wants to read
  (https://fetch.spec.whatwg.org/#origin-header).
- `Sec-Fetch-Site` is on every request to a loopback address (https://www.w3.org/TR/fetch-metadata/).
- `Host` holds the name in the page's address, also where an attacker's name server lets that name point to 127.0.0.1
  (DNS rebinding).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["browser_header", "foreign_host"]

BROWSER_HEADERS = (b"origin", b"referer", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
# The port may differ: a proxy of the tests stands in front and leaves the host as it was signed.
_THIS_MACHINE = re.compile(rb"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.IGNORECASE)

# As ASGI has them: names in lower case.
type Headers = Iterable[tuple[bytes, bytes]]


def browser_header(headers: Headers) -> str | None:
    """The name of a header that only a browser sends; None for a request of a program."""
    names = {name for name, _ in headers}
    return next((name.decode() for name in BROWSER_HEADERS if name in names), None)


def foreign_host(headers: Headers) -> bool:
    """Whether a request names another machine than this one, or none, or two."""
    hosts = [value for name, value in headers if name == b"host"]
    return len(hosts) != 1 or _THIS_MACHINE.fullmatch(hosts[0]) is None
