"""The deliver function in simulated time, for every test of this folder."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.observability import logger
from tests.simulator.function_in_time import Pack, a_pack
from tests.unit.edges import speaking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pack]]:
    """Makes a pack; nothing is logged."""
    level = logger.log_level
    logger.setLevel(logging.CRITICAL)
    with speaking():
        yield partial(a_pack, monkeypatch)
    logger.setLevel(level)
