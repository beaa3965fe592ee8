"""Every requirement, of the layer and of the tools, is pinned to one version and to the hashes of its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LISTS = sorted(
    path
    for folder in ("requirements", "layers/dependencies", "benchmarks/aws_pattern")
    for path in (PROJECT / folder).glob("*.in")
)
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^\s;]+( ;[^\\]+)?( --hash=sha256:[0-9a-f]{64})+")


def pins(path: Path) -> list[str]:
    """The requirements of a file, one line each."""
    lines = path.read_text("utf-8").replace("\\\n", "").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.strip().startswith("#")]


def test_the_lists_of_requirements_exist() -> None:
    names = {path.parent.name + "/" + path.stem for path in LISTS}
    assert {"dependencies/requirements", "requirements/dev", "requirements/sam", "requirements/ministack"} <= names


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_every_line_has_a_version_and_hashes(path: Path) -> None:
    found = pins(path.with_suffix(".txt"))
    assert found
    assert [pin for pin in found if not PIN.fullmatch(pin)] == []


def test_nothing_is_installed_without_hashes() -> None:
    for makefile in (PROJECT / "Makefile", PROJECT / "layers/dependencies/Makefile"):
        commands = re.findall(r"(?:uv|UV\)|-m) pip (?:install|sync)(?:.*\\\n)*.*", makefile.read_text("utf-8"))
        assert commands
        # Except this project itself, which is installed without dependencies.
        assert [each for each in commands if "--require-hashes" not in each and "--no-deps" not in each] == []


@pytest.mark.parametrize("name", ["boto3", "botocore", "requests", "stripe", "aws-lambda-powertools"])
def test_the_tests_run_with_what_the_layer_holds(name: str) -> None:
    versions = {
        pin.split(" ")[0]
        for path in ("layers/dependencies/requirements.txt", "requirements/dev.txt")
        for pin in pins(PROJECT / path)
        if pin.startswith((f"{name}==", f"{name}["))
    }
    assert len(versions) == 1
