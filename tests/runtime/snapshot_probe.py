"""The handler of a function under test, which returns the state left of its snapshot at the first event.

Its hooks are registered after the function's own. Before a snapshot, hooks run in reverse order: `serve` runs first and
puts the function into the state after an event. After a restore they run in order: `look` runs last and records what
the function's own hooks left.
"""

from __future__ import annotations

import random
from typing import Any

from snapshot_restore_py import register_after_restore, register_before_snapshot

import app  # type: ignore[import-not-found]
from stripe_to_segment import aws

SEED = 1
seen: dict[str, object] = {}
session = getattr(app, "session", None)


def state() -> dict[str, object]:
    pools = [adapter.poolmanager.pools for adapter in set(session.adapters.values())] if session else []
    return {"secret": app.secret._held is not None, "connections": sum(len(pool) for pool in pools)}


def serve() -> None:
    app.secret._held = object()
    if session:
        session.get_adapter("http://127.0.0.1").poolmanager.connection_from_url("http://127.0.0.1")
    random.seed(SEED)
    seen["in the snapshot"] = state()


def look() -> None:
    seen["at the first event"] = state()


register_before_snapshot(serve)
register_after_restore(look)


def handler(_event: dict[str, Any], _context: object) -> dict[str, object]:
    shared = random.Random(SEED).random()
    return seen | {
        "clients ready": aws._created.cache_info().currsize,
        "random numbers differ": random.random() != shared,
    }
