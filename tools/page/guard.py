"""Keeps other web sites out of a page that shows customers' data and sends events on a click."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

WEBHOOK = "/webhooks/"
HOSTS = frozenset({"127.0.0.1", "localhost"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # It is developed and restarted all the time: what was cached would be of yesterday.
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests that another site's page has made, and adds the headers that the page needs no exception from.

    The webhook is for everybody: its signature is its guard.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on to the page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(WEBHOOK):
            # Stripe is no browser: a page that posts here from elsewhere only wants to fill the list.
            if _is_from_elsewhere(Headers(scope=scope)):
                await JSONResponse({"error": "no browser posts webhooks"}, status_code=403)(scope, receive, send)
            else:
                await self._app(scope, receive, send)
            return
        if not _is_this_machine(Headers(scope=scope)):
            refusal = JSONResponse({"error": "open this page as localhost or 127.0.0.1"}, status_code=421)
            await refusal(scope, receive, send)
            return
        if scope["method"] == "POST" and not _is_our_own(Headers(scope=scope)):
            refusal = JSONResponse({"error": "only the page itself may ask for this, in JSON"}, status_code=403)
            await refusal(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


def _is_this_machine(headers: Headers) -> bool:
    # A site may let its own name point here, and would then read what its visitor's stack has received.
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname in HOSTS
    except ValueError:
        return False


def _is_our_own(headers: Headers) -> bool:
    # JSON alone makes a browser ask first, and nobody here says yes; programs such as curl send no Sec-Fetch-Site.
    in_json = headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    return in_json and not _is_from_elsewhere(headers)


def _is_from_elsewhere(headers: Headers) -> bool:
    return headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}
