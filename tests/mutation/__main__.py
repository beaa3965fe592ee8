"""`make mutate`: whether the tests notice small mistakes in the package; those that they do not notice are listed.

MUTANTS and SEED choose how many and which, MODULE one module or folder (`mapping.invoices`, `segment_side`). MINUTES
says when to stop; finding out which tests call what, once after each change, is not counted. A survivor is a line that
no test holds, or a mistake that makes no difference.
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
    """So many mutants of the modules whose name begins with `module`, each as likely as the others."""
    paths = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]
    wanted = [path for path in paths if f"{module_of(path)}.".startswith(f"{PACKAGE.name}.{module}".rstrip(".") + ".")]
    every = [(path, mutant) for path in wanted for mutant in mutants((PACKAGE / path).read_text("utf-8"))]
    return random.Random(seed).sample(every, min(number, len(every)))  # noqa: S311 - a choice to be repeated


def survives(found: Found, touching: Touching) -> bool:
    """Whether no test that calls its function notices the mutant."""
    path, mutant = found
    tests = touching.of(str(path), mutant.function)
    return not any(
        killed(path, mutant, portion, sum(touching.seconds[test] for test in portion))
        for portion in touching.portions(tests)
    )


def described(found: Found) -> str:
    """Where it is and what it changes."""
    path, mutant = found
    place = (PACKAGE / path).relative_to(PROJECT)
    return f"{place}:{mutant.line}: {mutant.before} → {mutant.after}"


def tried(sampled: list[Found], touching: Touching, until: float) -> Iterator[tuple[Found, bool]]:
    """Each mutant with whether it survived, a core each, until that moment (monotonic)."""

    def one(found: Found) -> tuple[Found, bool] | None:
        return (found, survives(found, touching)) if time.monotonic() < until else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(one, sampled))


def main() -> int:
    """Print the survivors; 1 where there are any, 2 where the question makes no sense."""
    module, seed = os.environ.get("MODULE") or "", int(os.environ.get("SEED") or 1)
    number, minutes = int(os.environ.get("MUTANTS") or 50), float(os.environ.get("MINUTES") or 20)
    sampled = sample(module, number, seed) if number > 0 else []
    if not sampled:
        sys.stderr.write(f"MUTANTS is {number}, MODULE is {module!r}: there is no such mutant\n")
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
