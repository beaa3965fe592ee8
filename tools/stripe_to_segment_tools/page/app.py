"""The page as a web application.

| request | meaning |
|---|---|
| `POST /webhooks/stripe` | the webhook address of the local stack |

All others begin with `/TOKEN`, which only the user who started `make run` knows:

| request | meaning |
|---|---|
| `GET /` | the page |
| `GET /stream` | the changes, as server-sent events: `hello` first, then `entries` and `state` |
| `GET /events/KEY` | everything that is known about one event |
| `GET /users`, `GET /user?id=ID` | the users as Segment would hold them |
| `GET /numbers`, `GET /counted?number=FIGURE` | the numbers of each currency, and the events of one of them |
| `GET /menu` | the samples, the scenarios, and the behaviours of Segment's stand-in |
| `POST /send` | `{"sample": NAME}` or `{"scenario": NAME}` |
| `POST /segment` | `{"behaviour": NAME}`: sets the behaviour of Segment's stand-in |
| `POST /redrive` | move the dead letters back into the queue; with `{"event": KEY}` those of one event |
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stripe_to_segment_tools.page.behaviours import BEHAVIOURS
from stripe_to_segment_tools.page.charts import counted_events, show_numbers
from stripe_to_segment_tools.page.guard import Guard
from stripe_to_segment_tools.page.streaming import stream
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.scenarios import SCENARIOS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stripe_to_segment_tools.page.debugger import PageParts

__all__ = ["create_page"]

STATIC = Path(__file__).with_name("static")


def create_page(parts: PageParts) -> Starlette:
    """Make the web application of the page."""
    page = _Page(parts)
    return Starlette(
        routes=[
            Route("/webhooks/stripe", parts.webhook_proxy.webhook, methods=["POST"]),
            Mount(
                f"/{parts.token}",
                routes=[
                    Route("/", page.index, methods=["GET"]),
                    Route("/stream", page.stream, methods=["GET"]),
                    Route("/events/{key}", page.event, methods=["GET"]),
                    Route("/users", page.users, methods=["GET"]),
                    Route("/user", page.user, methods=["GET"]),
                    Route("/numbers", page.numbers, methods=["GET"]),
                    Route("/counted", page.counted, methods=["GET"]),
                    Route("/menu", page.menu, methods=["GET"]),
                    Route("/send", page.send, methods=["POST"]),
                    Route("/segment", page.segment, methods=["POST"]),
                    Route("/redrive", page.redrive, methods=["POST"]),
                    Mount("/static", StaticFiles(directory=STATIC), name="static"),
                ],
            ),
        ],
        middleware=[Middleware(Guard, token=parts.token)],
    )


class _Page:
    def __init__(self, parts: PageParts) -> None:
        self._parts = parts

    async def index(self, _: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def stream(self, _: Request) -> Response:
        return StreamingResponse(stream(self._parts), media_type="text/event-stream")

    def event(self, request: Request) -> Response:
        return _found(self._parts.journal.detail(request.path_params["key"]))

    def users(self, _: Request) -> Response:
        return JSONResponse(self._parts.journal.people())

    def user(self, request: Request) -> Response:
        # A query parameter, not a part of the path: an id may be `..` or contain a slash.
        return _found(self._parts.journal.person(request.query_params.get("id", "")))

    def numbers(self, _: Request) -> Response:
        return JSONResponse(show_numbers(self._parts.journal.numbers()))

    def counted(self, request: Request) -> Response:
        return _found(counted_events(self._parts.journal.numbers(), request.query_params.get("number", "")))

    def menu(self, _: Request) -> Response:
        return JSONResponse(
            {
                "webhook": self._parts.webhook_url,
                "own_secret": self._parts.own_secret,
                "samples": [{"name": each.name, "type": each.type} for each in samples()],
                "scenarios": [
                    {"name": each.name, "title": each.title, "description": each.description, "look": each.look}
                    for each in SCENARIOS.values()
                ],
                "behaviours": [
                    {"name": each.name, "title": each.title, "description": each.description}
                    for each in BEHAVIOURS.values()
                ],
            }
        )

    async def send(self, request: Request) -> Response:
        asked = await _asked(request)
        try:
            if "scenario" in asked:
                count = self._parts.sender.send_scenario(str(asked["scenario"]))
            else:
                count = self._parts.sender.send_sample(str(asked.get("sample")))
        except LookupError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        return JSONResponse({"events": count}, status_code=202)

    async def segment(self, request: Request) -> Response:
        named = BEHAVIOURS.get(str((await _asked(request)).get("behaviour")))
        if named is None:
            return JSONResponse({"error": f"the behaviours are {', '.join(BEHAVIOURS)}"}, status_code=404)
        self._parts.record.behaviour = named.behaviour
        return JSONResponse({"behaviour": named.name})

    async def redrive(self, request: Request) -> Response:
        key = (await _asked(request)).get("event")
        chosen = None if key is None else self._parts.journal.dead_letters(str(key))
        try:
            return JSONResponse({"moved": await run_in_threadpool(self._parts.redrive, chosen)})
        except (BotoCoreError, ClientError) as error:
            return JSONResponse({"error": f"the local stack could not redrive: {error}"}, status_code=502)


async def _asked(request: Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _found(value: dict[str, Any] | None) -> Response:
    return JSONResponse({"error": "not here"}, status_code=404) if value is None else JSONResponse(value)
