"""What every test shares: where the project is, how hard Hypothesis tries, and which tests run beside which."""

from __future__ import annotations

import atexit
import gc
import os
import ssl
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

PROJECT = Path(__file__).resolve().parents[1]

# A test machine may be slow and shared: examples count, their time does not.
settings.register_profile("default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
# CI draws the same examples each time.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
# `make test-fast`: a glance at each law. Samples that are no examples of Hypothesis's are cut by the same measure.
settings.register_profile("fast", settings.get_profile("default"), max_examples=10)
# `make laws`, every week: as many as nobody wants to wait for.
settings.register_profile("many", settings.get_profile("default"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="session")
def project() -> Path:
    """The folder of the checkout."""
    return PROJECT


# Tests call the command line hundreds of times, and each time it would be made anew, from the types of all its options,
# and read the certificates of all authorities.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]
ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]


def pytest_configure(config: pytest.Config) -> None:
    """To free the memory of a process that has reported everything, object by object, takes seconds."""
    if hasattr(config, "workerinput"):
        atexit.register(os._exit, 0)


def pytest_collection_finish() -> None:
    """What is there now stays: the garbage collector need not look at it a hundred times."""
    gc.collect()
    gc.freeze()


# --- In parallel (`make test`): a process for each part that starts a server, a browser or dbt, files for the rest ---

# The longest first, each in a process of its own. They mostly wait, so that other files keep the cores busy.
PARTS = ("tests/chaos", "tests/stack", "tests/browser", "tests/warehouse")


def part_of(nodeid: str) -> str:
    """What runs in one process, one after the other: a whole part, which shares what it started, or a file."""
    file = nodeid.partition("::")[0]
    return next((part for part in PARTS if file.startswith(f"{part}/")), file)


class InParts(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types.
    """Gives processes whole parts to do, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InParts:
    """https://pytest-xdist.readthedocs.io/en/stable/distribution.html."""
    # Its own order is by number of tests, which says nothing of their time.
    config.option.loadscopereorder = False
    return InParts(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: who deploys, or waits for a server or a retry, needs none meanwhile."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In parallel the parts come first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        order = dict(zip(PARTS, range(len(PARTS)), strict=True))
        items.sort(key=lambda item: order.get(part_of(item.nodeid), len(PARTS)))
