"""A pytest plugin that records which functions of the package each test calls, and how long the test takes.

It uses sys.monitoring, which costs one callback for each function and test.
https://docs.python.org/3/library/sys.monitoring.html
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import CodeType

__all__ = ["PACKAGE", "RECORDED", "TESTS"]

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "layers/stripe_to_segment/python/stripe_to_segment"
# The tests that neither deploy nor start anything.
TESTS = ("tests/unit", "tests/door", "tests/simulator")
# The environment variable with the folder into which each process writes its record.
RECORDED = "MUTATION_RECORDED"
TOOL, START = 4, sys.monitoring.events.PY_START

_called: set[tuple[str, int]] = set()
_seen: dict[str, dict[str, Any]] = {}
_failed: set[str] = set()


def _started(code: CodeType, _offset: int) -> object:
    if code.co_filename.startswith(str(PACKAGE)):
        _called.add((code.co_filename.removeprefix(f"{PACKAGE}{os.sep}"), code.co_firstlineno))
    # One callback for each function and test is enough.
    return sys.monitoring.DISABLE


def pytest_configure() -> None:
    """Start monitoring."""
    sys.monitoring.use_tool_id(TOOL, "mutation")
    sys.monitoring.register_callback(TOOL, START, _started)
    sys.monitoring.set_events(TOOL, START)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record the calls of one test."""
    _called.clear()
    sys.monitoring.restart_events()
    result = yield
    _seen.setdefault(item.nodeid, {"seconds": 0.0})["called"] = sorted(_called)
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Sum up the seconds of a test's phases, and note a failure, because such a test would fail with every mutant."""
    seen = _seen.setdefault(report.nodeid, {"seconds": 0.0})
    seen["seconds"] += report.duration
    if report.failed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the record and stop monitoring, because calls at Python's exit belong to no test."""
    sys.monitoring.set_events(TOOL, 0)
    sys.monitoring.free_tool_id(TOOL)
    name = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    seen = {test: found for test, found in _seen.items() if found.get("called") and test not in _failed}
    (Path(os.environ[RECORDED]) / f"{name}.json").write_text(json.dumps(seen), "utf-8")
