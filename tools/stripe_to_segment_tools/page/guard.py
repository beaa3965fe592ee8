"""Refuses other users of the machine and other web sites: the page shows customers' data and sends events."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from stripe_to_segment_tools.loopback.pages import browser_header, foreign_host

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

WEBHOOK = "/webhooks/"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # The page is often changed and restarted, so the browser must not use an old copy.
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests without the page's token or from another site's page, and adds the headers that the page needs.

    The token is the first part of each path. A browser would send a cookie to the other ports of this machine too,
    where another user may listen. The webhook needs no token, because the receive function checks the signature.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on to the page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if why := self._refusal(scope):
            await JSONResponse({"error": why}, status_code=403)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and not scope["path"].startswith(WEBHOOK):
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> str | None:
        if scope["path"].startswith(WEBHOOK):
            # Stripe is no browser, so a request of a browser is an abuse. The Host header may be that of a tunnel.
            name = browser_header(scope["headers"])
            return f"this is a request of a browser, because it has the header {name}" if name else None
        if foreign_host(scope["headers"]):
            return "open this page as localhost or 127.0.0.1"
        given = scope["path"].split("/")[1]
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token.encode()):
            return "open the whole address that `make run` printed: it contains the token of this run"
        if scope["method"] == "POST" and not _is_our_own(Headers(scope=scope)):
            return "only the page itself may send this request, with a body in JSON"
        return None


def _is_our_own(headers: Headers) -> bool:
    # For JSON a browser sends a preflight request first, which this server refuses. Programs such as curl send no
    # Sec-Fetch-Site.
    in_json = headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    return in_json and headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
