"""`make mutate`: make small mistakes in the package, run the tests, and list the mistakes that no test detects.

MUTANTS is the number of mistakes, SEED the choice, MODULE one module or folder (`mapping.invoices`, `segment_side`).
MINUTES is the time limit, without the run that records which tests call which function (once after each change). A
surviving mutant is in a line that no test checks, or makes no difference.
"""

from __future__ import annotations

import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.running import killed, module_of, recorded
from tests.mutation.touching import PACKAGE, PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mutation.running import Touching

__all__ = ["main", "sample"]

KEPT = PROJECT / ".local" / "mutation"

type Found = tuple[Path, Mutant]


def sample(module: str, number: int, seed: int) -> list[Found]:
    """A uniform random sample of `number` mutants from the modules whose names begin with `module`."""
    paths = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]
    wanted = [path for path in paths if f"{module_of(path)}.".startswith(f"{PACKAGE.name}.{module}".rstrip(".") + ".")]
    every = [(path, mutant) for path in wanted for mutant in mutants((PACKAGE / path).read_text("utf-8"))]
    return random.Random(seed).sample(every, min(number, len(every)))


def survives(found: Found, touching: Touching) -> bool:
    """Whether the mutant passes every test that calls its function."""
    path, mutant = found
    tests = touching.of(str(path), mutant.function)
    return not any(
        killed(path, mutant, portion, sum(touching.seconds[test] for test in portion))
        for portion in touching.portions(tests)
    )


def described(found: Found) -> str:
    """The place of a mutant and its change."""
    path, mutant = found
    place = (PACKAGE / path).relative_to(PROJECT)
    return f"{place}:{mutant.line}: {mutant.before} → {mutant.after}"


def tried(sampled: list[Found], touching: Touching, until: float) -> Iterator[tuple[Found, bool]]:
    """Yield each mutant and whether it survived, one mutant per core, until `until` (monotonic seconds)."""

    def one(found: Found) -> tuple[Found, bool] | None:
        return (found, survives(found, touching)) if time.monotonic() < until else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(one, sampled))


def main() -> int:
    """Print the survivors; returns 1 if there are any, 2 if MUTANTS or MODULE is invalid."""
    module, seed = os.environ.get("MODULE") or "", int(os.environ.get("SEED") or 1)
    number, minutes = int(os.environ.get("MUTANTS") or 50), float(os.environ.get("MINUTES") or 20)
    sampled = sample(module, number, seed) if number > 0 else []
    if not sampled:
        sys.stderr.write(f"MUTANTS is {number}, MODULE is {module!r}: they choose no mutant\n")
        return 2
    touching, survivors, done = recorded(KEPT), list[Found](), 0
    for found, survived in tried(sampled, touching, time.monotonic() + minutes * 60):
        done += 1
        survivors += [found] if survived else []
        sys.stderr.write(f"{done:4} of {len(sampled)} {'survives' if survived else 'killed  '} {described(found)}\n")
    late = f", {len(sampled) - done} not tried in MINUTES={minutes:g}" if done < len(sampled) else ""
    sys.stdout.write(f"{done} mutants, {done - len(survivors)} killed, {len(survivors)} survived{late} (SEED={seed})\n")
    sys.stdout.writelines(f"{described(found)}\n" for found in survivors)
    return int(bool(survivors))


if __name__ == "__main__":
    raise SystemExit(main())
