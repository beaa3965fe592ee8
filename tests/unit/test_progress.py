"""The progress of a long command can be read on every terminal, and without one."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

from stripe_to_segment_tools.terminal.progress import progress_bar

if TYPE_CHECKING:
    import pytest


def test_without_a_terminal_progress_is_a_line_now_and_then_with_an_estimate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines had no estimate: in a log of an import that takes hours nobody saw when it ends."""
    seconds = iter((0.0, 10.0, 31.0, 40.0, 300.0, 600.0))
    # Only the module's own clock: other threads ask theirs.
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("stripe_to_segment_tools.terminal.progress.time", clock)
    with progress_bar("2/4 remember customers", 1000) as report:
        report("100 customers", 900)
        report("600 customers", 400)
        report("700 customers", 300)
        report("750 customers", 750, 1500)
        report("750 customers", 0)
    assert capsys.readouterr().err.splitlines() == [
        "2/4 remember customers",
        "2/4 remember customers: 600 customers, 60%, about 21 s left",
        "2/4 remember customers: 750 customers, 50%, about 5 minutes left",
        "2/4 remember customers: 750 customers, 100%",
    ]


def test_a_narrow_terminal_shows_the_bar_and_the_estimate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counts of an import's larger steps filled the line: there was no bar, no percentage and no estimate."""
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    step = "3/4 remember subscriptions, invoices, checkout sessions"
    with progress_bar(step, 1000) as report:
        report("600 subscriptions, 1,300 invoices, 1,200 checkout sessions; slowed down 16 times by Stripe", 250)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert shown.startswith(f"{step}\n")
    assert re.search(r"━ 75 % (-:--:--|0:00:\d\d) 600 subscriptions", shown)
    assert all(len(line) <= 80 for line in re.split(r"[\r\n]+", shown))
