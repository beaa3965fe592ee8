"""The page as a web application.

| request | meaning |
|---|---|
| `GET /` | the page |
| `GET /feed` | what it shows, newest first |
| `POST /webhooks/stripe` | the webhook address of the local stack |
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from tools.page.gate import Gate
    from tools.receiver import Record

__all__ = ["create_page"]

STATIC = Path(__file__).with_name("static")
SHOWN_CALLS = 500


def create_page(gate: Gate, record: Record, waiting: Callable[[], dict[str, int]]) -> Starlette:
    """Make the application.

    Parameters
    ----------
    gate
        The webhook address, with the events it has seen.
    record
        What the Segment imitation has received.
    waiting
        Counts the messages in each queue, by the queue's name.
    """

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    def feed(_: Request) -> Response:
        # Not async: counting asks the emulator, which must not hold up the webhook.
        calls = [_shown(kept.as_json()) for kept in reversed(record.calls[-SHOWN_CALLS:])]
        return JSONResponse(
            {
                "events": [asdict(event) for event in gate.events],
                "calls": calls,
                "violations": record.violations,
                "waiting": waiting(),
            }
        )

    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/feed", feed, methods=["GET"]),
            Route("/webhooks/stripe", gate.webhook, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ]
    )


def _shown(kept: dict[str, Any]) -> dict[str, Any]:
    return {"received_at": kept["received_at"], "source": kept["source"], "call": kept["call"]}
