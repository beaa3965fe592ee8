"""The stream of changes, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.page.behaviours import name_of_behaviour

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stripe_to_segment_tools.page.debugger import PageParts

__all__ = ["stream"]

LOOK_SECONDS = 0.1
# Send a comment now and then, because a closed connection is noticed only when something is sent.
PULSE_SECONDS = 10.0


async def stream(parts: PageParts) -> AsyncIterator[str]:
    """Everything in `hello`, then each change in `entries` (with the changed values) and `state`."""
    version = parts.journal.version
    state = _state(parts)
    yield _event("hello", {"entries": parts.journal.changed_since(-1), "state": state})
    quiet = 0.0
    while not parts.stopping.is_set():
        await asyncio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS
        newest = parts.journal.version
        if newest != version and (entries := parts.journal.changed_since(version)):
            yield _event("entries", entries)
            quiet = 0.0
        version = newest
        if (current := _state(parts)) != state:
            state = current
            yield _event("state", state)
            quiet = 0.0
        if quiet >= PULSE_SECONDS:
            yield ": still here\n\n"
            quiet = 0.0


def _state(parts: PageParts) -> dict[str, Any]:
    sending = parts.sender.sending
    return {
        **parts.journal.summary(),
        "behaviour": name_of_behaviour(parts.record.behaviour),
        "sending": None if sending is None else asdict(sending),
    }


def _event(name: str, data: Any) -> str:
    # json.dumps writes no line breaks, which would end the field, and it escapes lone surrogates.
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
