"""`make mutate` makes mistakes that change behaviour, and separates killed mutants from surviving ones."""

from __future__ import annotations

import ast
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.mutation import __main__ as command
from tests.mutation.mutants import MODULE_LEVEL, Mutant, mutants
from tests.mutation.running import Touching, killed, module_of
from tests.mutation.touching import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGES = Path("mapping/subscriptions/mrr_changes.py")
INVOICES = Path("mapping/invoices.py")
TRIALS = ["tests/unit/test_trial_ends.py"]
# All of them, and a fifth in `make test-fast`.
EVERY = max(50 // settings().max_examples, 1)
SOURCE = '''\
"""Words."""

from __future__ import annotations

__all__ = ["late"]
LATE = 300


@cache(maxsize=3)
def late(first: int = 1) -> bool:
    """More words."""
    for one in range(first):
        if one in {4, 5}:
            continue
        logger.info("words", extra={"n": 3})
    if not first:
        raise ValueError("words")
    return 0 <= first < LATE and not "é" == f"{first} words"
'''


def changes(source: str) -> list[str]:
    """The line and the change of each mutant."""
    return [f"{each.line}: {each.before} → {each.after}" for each in mutants(source)]


def test_mutants_change_decisions_and_not_texts() -> None:
    assert changes(SOURCE) == [
        "6: 300 → 301",
        "10: 1 → 2",
        "13: one in {4, 5} → one not in {4, 5}",
        "13: {4, 5} → {5}",
        "13: {4, 5} → {4}",
        "13: 4 → 5",
        "13: 5 → 6",
        "14: continue → break",
        "16: not first → first",
        "18: 0 <= first < LATE and not \"é\" == f\"{first} words\" → 0 <= first < LATE or not 'é' == f'{first} words'",
        "18: 0 <= first < LATE → 0 < first < LATE",
        "18: 0 <= first < LATE → 0 <= first <= LATE",
        "18: 0 → 1",
        "18: not \"é\" == f\"{first} words\" → 'é' == f'{first} words'",
        "18: \"é\" == f\"{first} words\" → 'é' != f'{first} words'",
        "18: \"é\" → 'é~'",
    ]


def test_a_mutant_names_its_function_by_pythons_first_line() -> None:
    """A function's first line is that of its first decorator; https://docs.python.org/3/reference/datamodel.html."""
    assert {each.line: each.function for each in mutants(SOURCE)} == {6: MODULE_LEVEL} | dict.fromkeys(
        (10, 13, 14, 16, 18), 9
    )


@pytest.mark.parametrize("path", [CHANGES, INVOICES, Path("stripe_side/event.py")], ids=str)
def test_every_mutant_is_valid_python_that_differs_from_the_module(path: Path) -> None:
    source = (PACKAGE / path).read_text("utf-8")
    before = ast.dump(ast.parse(source))
    for mutant in islice(mutants(source), None, None, EVERY):
        assert ast.dump(ast.parse(mutant.source)) != before, mutant.line


def the_mutant(path: Path, before: str, after: str) -> Mutant:
    source = (PACKAGE / path).read_text("utf-8")
    return next(each for each in mutants(source) if (each.before, each.after) == (before, after))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (CHANGES, "300", "301"),
        (CHANGES, "3_600", "3601"),
        (INVOICES, "0 <= made - record.trial_end < DAY", "0 < made - record.trial_end < DAY"),
        (INVOICES, "0 <= made - record.trial_end < DAY", "0 <= made - record.trial_end <= DAY"),
    ],
)
def test_the_limits_of_a_trial_are_tested_to_the_second(path: Path, before: str, after: str) -> None:
    """These mutants once survived: no test put a trial's end and the following event one second too far apart."""
    assert killed(path, the_mutant(path, before, after), TRIALS, seconds=30)


def test_a_mutant_that_no_test_covers_survives() -> None:
    assert not killed(CHANGES, the_mutant(CHANGES, "300", "301"), ["tests/unit/test_calls.py"], seconds=30)


def test_a_mutant_that_never_ends_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.mutation.running.STARTING_SECONDS", 3)
    endless = Mutant(1, 0, MODULE_LEVEL, "", "", "import time\nwhile True:\n    time.sleep(1)\n")
    assert killed(CHANGES, endless, TRIALS, seconds=0)


def test_a_mutant_that_cannot_be_imported_is_killed() -> None:
    """The tests' conftest imports the module; pytest called that wrong usage, and the whole run ended there."""
    broken = Mutant(1, 0, MODULE_LEVEL, "", "", "REMOVED, NEVER_SEEN = (-1,)\n")
    assert killed(Path("state/profile.py"), broken, TRIALS, seconds=30)


def test_the_closest_and_fastest_tests_run_first() -> None:
    called = {
        ("a.py", 9): ("tests/unit/test_b.py::wide", "tests/unit/test_b.py::narrow", "tests/unit/test_a.py::own"),
        ("a.py", 20): ("tests/unit/test_b.py::other",),
    }
    tests = {test for found in called.values() for test in found}
    touching = Touching(called, dict.fromkeys(tests, 5.0), dict.fromkeys(tests, 2) | {"tests/unit/test_b.py::wide": 9})
    chosen = touching.of("a.py", 9)
    assert [test.partition("::")[2] for test in chosen] == ["own", "narrow", "wide"]
    assert set(touching.of("a.py", MODULE_LEVEL)) == tests
    assert [len(portion) for portion in touching.portions(chosen)] == [1, 2]


@pytest.mark.parametrize("survives", [True, False])
def test_survivors_are_listed_with_their_place_and_fail_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], survives: bool
) -> None:
    def fake_killed(path: Path, mutant: Mutant, tests: Sequence[str], seconds: float) -> bool:
        assert (path, tests) == (INVOICES, ["tests/unit/test_x.py::one"])
        assert mutant.source
        assert seconds
        return not survives

    monkeypatch.setattr("tests.mutation.__main__.killed", fake_killed)
    touching = Touching({}, {"tests/unit/test_x.py::one": 1.0}, {"tests/unit/test_x.py::one": 1})
    monkeypatch.setattr("tests.mutation.__main__.recorded", lambda _: touching)
    for name, value in {"MUTANTS": "3", "SEED": "2", "MODULE": "mapping.invoices"}.items():
        monkeypatch.setenv(name, value)
    assert command.main() == int(survives)
    first, *listed = capsys.readouterr().out.splitlines()
    assert first == f"3 mutants, {0 if survives else 3} killed, {3 if survives else 0} survived (SEED=2)"
    place = "layers/stripe_to_segment/python/stripe_to_segment/mapping/invoices.py:"
    assert [line.startswith(place) for line in listed] == [True] * (3 if survives else 0)


@pytest.mark.parametrize(("name", "value"), [("MODULE", "mapping.nothing"), ("MUTANTS", "-1")])
def test_invalid_options_of_the_command_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert command.main() == 2
    assert value in capsys.readouterr().err


def test_a_seed_chooses_the_same_mutants_again() -> None:
    part = "mapping.subscriptions"
    assert command.sample(part, 5, 1) == command.sample(part, 5, 1) != command.sample(part, 5, 2)
    assert {module_of(path).partition(f".{part}.")[0] for path, _ in command.sample(part, 20, 1)} == {PACKAGE.name}
