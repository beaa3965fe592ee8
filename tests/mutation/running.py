"""Runs the tests that call a mutant's function, the closest and fastest first, until one fails."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutation.mutants import MODULE_LEVEL
from tests.mutation.touching import PACKAGE, PROJECT, RECORDED, TESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.mutation.mutants import Mutant

__all__ = ["Touching", "killed", "module_of", "recorded"]

# A mutant that loops counts as killed: the limit is STARTING_SECONDS and SLOWER times the tests' usual duration.
STARTING_SECONDS, SLOWER = 60, 10
FAILED, INTERRUPTED, BROKEN, MISUSED, NO_TESTS = 1, 2, 3, 4, 5
# The seconds of tests that run at first, and the seconds more for a mutant that survived these.
FIRST_SECONDS, MORE_SECONDS = 8.0, 60.0
# Makes Hypothesis use the same examples each time and store none; see tests/conftest.py.
ENVIRONMENT = {"CI": "true"}


@dataclass(frozen=True, slots=True)
class Touching:
    """Which tests call which function.

    `tests` maps a function, by module and first line, to its tests; `seconds` and `width` map a test to its duration
    and to the number of functions that it calls.
    """

    tests: Mapping[tuple[str, int], tuple[str, ...]]
    seconds: Mapping[str, float]
    width: Mapping[str, int]

    def of(self, module: str, function: int) -> list[str]:
        """The tests that call the function, or for MODULE_LEVEL those that call any function of the module.

        The tests of the module's own test file come first, then those that call the fewest functions.
        """
        found = {
            test
            for (name, line), tests in self.tests.items()
            if name == module and function in {line, MODULE_LEVEL}
            for test in tests
        }
        own = f"test_{Path(module).stem}.py"
        return sorted(found or self.seconds, key=lambda test: (own not in test, self.width[test], self.seconds[test]))

    def portions(self, tests: Iterable[str]) -> Iterator[list[str]]:
        """The tests in two portions of FIRST_SECONDS and MORE_SECONDS; tests beyond that are left out."""
        waiting = list(tests)
        for limit in (FIRST_SECONDS, MORE_SECONDS):
            taken, total = list[str](), 0.0
            for test in waiting:
                if total + self.seconds[test] <= limit:
                    taken.append(test)
                    total += self.seconds[test]
            if taken:
                yield taken
            chosen = set(taken)
            waiting = [test for test in waiting if test not in chosen]


def recorded(folder: Path) -> Touching:
    """Which tests call which function, read from the folder, or recorded by a test run if code or tests changed.

    Tests that fail without a mutant are left out. Raises SystemExit if the tests cannot be run.
    """
    kept = folder / f"{_fingerprint()}.json"
    if not kept.exists():
        sys.stderr.write("recording which tests call which function\n")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as parts:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-n", "auto", "-p", "tests.mutation.touching", *TESTS],
                cwd=PROJECT,
                env=os.environ | ENVIRONMENT | {RECORDED: parts},
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            if done.returncode not in {0, FAILED}:
                sys.exit(f"{done.stdout[-3000:]}\npytest ended with {done.returncode}")
            failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
            sys.stderr.writelines(f"left out, because it fails without a mutant: {line}\n" for line in failed)
            found = [json.loads(part.read_text("utf-8")) for part in Path(parts).glob("*.json")]
        for old in folder.glob("*.json"):
            old.unlink()
        kept.write_text(json.dumps({test: seen for part in found for test, seen in part.items()}), "utf-8")
    return _touching(json.loads(kept.read_text("utf-8")))


def _touching(seen: Mapping[str, Mapping[str, list[tuple[str, int]]]]) -> Touching:
    tests: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for test, found in seen.items():
        for module, line in found["called"]:
            tests[module, line].append(test)
    return Touching(
        {place: tuple(names) for place, names in tests.items()},
        {test: float(str(found["seconds"])) for test, found in seen.items()},
        {test: len(found["called"]) for test, found in seen.items()},
    )


def _fingerprint() -> str:
    files = sorted([*PACKAGE.rglob("*.py"), *(path for part in TESTS for path in (PROJECT / part).rglob("*.py"))])
    found = hashlib.sha256()
    for path in files:
        found.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    return found.hexdigest()[:16]


def module_of(path: Path) -> str:
    """The name of the module with this path in the package."""
    return ".".join([PACKAGE.name, *path.with_suffix("").parts])


def killed(path: Path, mutant: Mutant, tests: Sequence[str], seconds: float) -> bool:
    """Whether one of the tests fails or times out with the mutant instead of its module.

    `path` is the module's path in the package; `seconds` is how long the tests take without the mutant.
    """
    with tempfile.TemporaryDirectory() as folder:
        file, chosen = Path(folder) / path.name, Path(folder) / "tests"
        file.write_text(mutant.source, "utf-8")
        chosen.write_text("\n".join(tests), "utf-8")
        options = ("-x", "-p", "no:cacheprovider", f"@{chosen}")
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.mutation.child", module_of(path), str(file), *options],
                cwd=PROJECT,
                env=os.environ | ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=STARTING_SECONDS + SLOWER * seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return True
    printed = done.stdout + done.stderr
    # A conftest imports the module too, and pytest takes an error there for wrong usage.
    breaks_when_imported = done.returncode == MISUSED and str(file) in printed
    known = breaks_when_imported or done.returncode in {0, FAILED, INTERRUPTED, BROKEN, NO_TESTS}
    if not known and done.returncode > 0:
        raise RuntimeError(f"pytest ended with {done.returncode}: {printed[-4000:]}")
    return done.returncode not in {0, NO_TESTS}
