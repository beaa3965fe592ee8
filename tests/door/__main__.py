"""`make fuzz`: send thousands of requests of every kind to `receive`, check the laws, and print a table of the answers.

CASES is the number of cases, SEED the number of the first. Each broken law is printed with the number of its case.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING

from tests.door.cases import KINDS, a_case
from tests.door.door import open_door
from tests.door.laws import checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Tally", "main", "report", "tried"]

CHUNK = 500
LARGEST_SEED = 10**12

# How often each kind got each answer; and for the number of each case that broke a law, its kind and the broken laws.
type Tally = tuple[Counter[tuple[str, str]], dict[int, tuple[str, list[str]]]]


def tried(seeds: Iterable[int]) -> Tally:
    """Send the requests of these case numbers."""
    answers: Counter[tuple[str, str]] = Counter()
    broken: dict[int, tuple[str, list[str]]] = {}
    with open_door() as door:
        for seed in seeds:
            case = a_case(seed)
            answer, faults = checked(door, case)
            answers[case.kind, answer] += 1
            if faults:
                broken[seed] = case.kind, faults
    return answers, broken


def report(tally: Tally) -> Iterator[str]:
    """A table with a row for each kind and a column for each answer, then the broken laws."""
    answers, broken = tally
    columns = sorted({answer for _, answer in answers})
    yield f"{'':26}" + "".join(f"{column:>14}" for column in columns)
    for kind in [make.__name__.replace("_", " ") for make in KINDS]:
        yield f"{kind:26}" + "".join(f"{answers[kind, column] or '':>14}" for column in columns)
    yield f"{'all':26}" + "".join(f"{sum(n for key, n in answers.items() if key[1] == c):>14}" for c in columns)
    yield ""
    for seed, (kind, faults) in list(broken.items())[:20]:
        yield f"case {seed}, {kind}: {'; '.join(faults)[:500]}"
        yield f"  again: make fuzz SEED={seed} CASES=1"
    if broken:
        yield f"{len(broken):,} of {answers.total():,} cases broke a law."
    else:
        yield (
            f"{answers.total():,} cases: receive queued no event without Stripe's signature, queued every wanted event "
            "that has it byte for byte, and put nothing private into its answers and logs."
        )


def main() -> int:
    """Print the report; returns 1 if a law was broken, 2 if CASES or SEED is invalid."""
    first, cases = int(os.environ.get("SEED") or 1), int(os.environ.get("CASES") or 20_000)
    if cases < 1 or not 0 <= first <= LARGEST_SEED:
        sys.stderr.write(
            f"CASES is {cases} and SEED is {first}: CASES must be at least 1, SEED from 0 to {LARGEST_SEED}\n"
        )
        return 2
    answers: Counter[tuple[str, str]] = Counter()
    broken: dict[int, tuple[str, list[str]]] = {}
    with ProcessPoolExecutor() as pool:
        for found, faults in pool.map(tried, batched(range(first, first + cases), CHUNK, strict=False)):
            answers += found
            broken |= faults
            if sys.stderr.isatty() or answers.total() % (CHUNK * 10) == 0:
                sys.stderr.write(f"{answers.total():,} of {cases:,} cases, {len(broken):,} broke a law\n")
    sys.stdout.writelines(f"{line}\n" for line in report((answers, broken)))
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main())
