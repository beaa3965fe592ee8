"""What `make truth IMPORTED=1` prints: how much was cut and imported, and each fault with the seed that shows it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulator import imported_truth
from tests.simulator.cut_laws import of_customer
from tests.simulator.imported_truth import Cuts, examine, report_of_cuts

if TYPE_CHECKING:
    import pytest

    from tests.simulator.history import History
    from tests.simulator.imported import Cut


def test_a_seed_is_cut_and_imported_at_every_level_and_not_at_all() -> None:
    found = examine(3)
    assert found.faults == []
    assert found.counts["customer no import"] == found.counts["customer history"] == 1
    assert found.counts["user of several customers traits"] == 1
    assert found.counts["no import"] == 1
    assert found.counts["records"] > 100


def test_imports_run_twice_and_are_killed_over_some_seeds() -> None:
    total = sum((examine(seed).counts for seed in range(1, 6)), Counter[str]())
    assert min(total[name] for name in ("no import", "once", "twice", "killed")) >= 3


def test_a_fault_is_named_with_the_command_that_shows_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = of_customer

    def faulty(history: History, order: int, level: str | None) -> tuple[Cut, list[str]]:
        run, _ = real(history, order, level)
        return run, ["mrr is 1, not 2"] if level == "opening" else []

    monkeypatch.setattr(imported_truth, "of_customer", faulty)
    lines = [*report_of_cuts([examine(7), Cuts(8)])]
    assert lines[-1] == "1 of 2 seeds differ from the truth."
    assert "  again: make truth IMPORTED=1 SEED=7 CUSTOMERS=1" in lines
    (fault,) = [line for line in lines if "mrr is 1" in line]
    assert fault.startswith("customer 7, level opening, order ")
