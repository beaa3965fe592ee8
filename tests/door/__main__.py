"""`make fuzz`: every kind of request at the door, in thousands of variants; a table of what they were answered.

CASES and SEED choose how many and from which; a law that is broken is named with the number of its case.
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
from tests.door.laws import knocked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Tally", "main", "report", "tried"]

CHUNK = 500
LARGEST_SEED = 10**12

# How often each kind was given which answer, and by number each case that broke a law, with its kind and the laws.
type Tally = tuple[Counter[tuple[str, str]], dict[int, tuple[str, list[str]]]]


def tried(seeds: Iterable[int]) -> Tally:
    """Let the cases of these numbers knock."""
    answers: Counter[tuple[str, str]] = Counter()
    broken: dict[int, tuple[str, list[str]]] = {}
    with open_door() as door:
        for seed in seeds:
            case = a_case(seed)
            answer, faults = knocked(door, case)
            answers[case.kind, answer] += 1
            if faults:
                broken[seed] = case.kind, faults
    return answers, broken


def report(tally: Tally) -> Iterator[str]:
    """A line for each kind and a column for each answer; below it each broken law."""
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
        yield f"{len(broken):,} of {answers.total():,} cases broke a law of the door."
    else:
        yield (
            f"{answers.total():,} cases: nothing got in without Stripe's signature, what had it and was wanted got in "
            "to the byte, and nothing private was said."
        )


def main() -> int:
    """Print the report; 1 where a law was broken, 2 where the question makes no sense."""
    first, cases = int(os.environ.get("SEED") or 1), int(os.environ.get("CASES") or 20_000)
    if cases < 1 or not 0 <= first <= LARGEST_SEED:
        sys.stderr.write(f"CASES is {cases}, SEED is {first}; they take numbers from 1\n")
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
