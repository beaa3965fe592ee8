"""What several of the unit tests need: the log and the metrics of the package, and a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.edges import Spoken, speaking
from tests.unit.scheduled import deployed_with_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.a_stack import Deployed


@pytest.fixture
def spoken() -> Iterator[Spoken]:
    """What the package logs and counts during the test, in place of pytest's output."""
    with speaking() as spoken:
        yield spoken


@pytest.fixture
def here() -> Iterator[Deployed]:
    """A stack whose KeysSecret has a Stripe API key. Tests of commands also make it the stack that a command finds."""
    with deployed_with_key() as stack:
        yield stack
