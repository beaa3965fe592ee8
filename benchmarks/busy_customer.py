"""How late the last of a busy customer's events is: `python -m benchmarks.busy_customer` prints it as JSON.

3,000 events of one customer within two minutes, in the simulated time of the tests, with ten pollers and a table whose
reads and writes take their time. It runs in the development environment, which has what the simulation needs.
"""

from __future__ import annotations

import json
import logging

import pytest

from stripe_to_segment.observability import logger
from tests.simulator.function_in_time import FINE, a_pack
from tests.unit.edges import speaking
from tests.unit.shapes import NOW

EVENTS, SECONDS, AT_A_TIME = 3_000, 120, 10


def main() -> None:
    """With a user whom each event names, and with one whom none does."""
    logger.setLevel(logging.CRITICAL)
    with speaking():
        print(json.dumps({"known user": _served("user_busy"), "unknown user": _served(None)}))


def _served(user: str | None) -> dict[str, float]:
    with pytest.MonkeyPatch.context() as patch:
        pack = a_pack(patch, lambda _: FINE, timed=True)
        pack.queue.pollers = AT_A_TIME
        pack.pay_often(EVENTS, SECONDS, user=user)
        pack.drain()
    return {"seconds": pack.queue.last_delivered - NOW, "receives": pack.queue.received / EVENTS}


if __name__ == "__main__":
    main()
