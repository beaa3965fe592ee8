"""`make truth IMPORTED=1`: simulated customers, shops and users that are cut at random moments and imported.

Each is cut at two moments: the stack gets the events after the first, and the import runs at the second, at each level
and not at all. Some imports are killed and resumed, some run a second time; events come late, twice and meanwhile.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.simulator.cut_laws import of_circle, of_customer, of_till
from tests.simulator.history import a_history
from tests.simulator.imported import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.imported import Cut

__all__ = ["examine_cuts", "report_of_cuts"]

SHOWN = 20
# What is cut, and at which levels it is imported; None is no import at all.
SUBJECTS: dict[str, tuple[str | None, ...]] = {
    "customer": (None, *LEVELS),
    "shop": LEVELS,
    "user of several customers": LEVELS,
}


@dataclass(slots=True)
class Cuts:
    """What one seed showed: how many cuts there were of each kind, and the faults by subject, level and order."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str, int, str]] = field(default_factory=list)


def examine(seed: int) -> Cuts:
    """Cut everything of one seed at every level."""
    found = Cuts(seed)
    for subject, levels in SUBJECTS.items():
        for level in levels:
            order = Random(f"{subject} {level} {seed}").randrange(10**9)
            run = _lived(subject, seed, order, level)
            if run is None:
                continue
            cut, faults = run
            named = level or "no import"
            found.counts[f"{subject} {named}"] += 1
            found.counts["no import" if not cut.imports else "once" if cut.imports == 1 else "twice"] += 1
            found.counts["killed"] += cut.killed
            found.counts["records"] += sum(map(len, cut.batches))
            found.faults += [(subject, named, order, fault) for fault in faults]
    return found


def _lived(subject: str, seed: int, order: int, level: str | None) -> tuple[Cut, list[str]] | None:
    if subject == "customer":
        return of_customer(a_history(seed), order, level)
    assert level is not None, "only a customer's numbers are right without an import"
    return of_till(seed, order, level) if subject == "shop" else of_circle(seed, order, level)


def examine_cuts(first: int, number: int) -> list[Cuts]:
    """So many seeds from the first one on."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(examine, range(first, first + number), chunksize=5))


def report_of_cuts(results: list[Cuts]) -> Iterator[str]:
    """A line for each subject with its cuts by level, and below them every fault with the seed that shows it."""
    total = Counter[str]()
    for result in results:
        total += result.counts
    seeds = f"seeds {results[0].seed} to {results[-1].seed}"
    yield f"Cut at random moments and imported ({seeds}): {total['records']:,} events and records of imports"
    yield f"{'':28}" + "".join(f"{level or 'no import':>12}" for level in (None, *LEVELS))
    for subject in SUBJECTS:
        counts = [total[f"{subject} {level or 'no import'}"] for level in (None, *LEVELS)]
        yield f"{subject:28}" + "".join(f"{number:>12,}" if number else f"{'-':>12}" for number in counts)
    yield (
        f"imported once {total['once']:,}, twice {total['twice']:,}, not at all {total['no import']:,} times; "
        f"{total['killed']:,} imports were killed and resumed"
    )
    wrong = [result for result in results if result.faults]
    if not wrong:
        yield "From then on every sum of changes is the mrr, every trait is the truth, and no payment is told twice."
    for result in wrong[:SHOWN]:
        for subject, level, order, fault in result.faults[:5]:
            yield f"{subject} {result.seed}, level {level}, order {order}: {fault}"
        yield f"  again: make truth IMPORTED=1 SEED={result.seed} CUSTOMERS=1"
    if wrong:
        yield f"{len(wrong):,} of {len(results):,} seeds differ from the truth."
