"""The Makefiles under the `make` of macOS: GNU make 3.81, from 2006."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STAND_IN = Path(__file__).with_name("make_3_81.py")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A PATH with the stand-in for 3.81 as `make`."""
    real = shutil.which("make")
    assert real
    monkeypatch.setenv("REAL_MAKE", real)
    # The flags of an outer make would affect the make that this test starts.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    make = folder / "make"
    make.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n', "utf-8")
    make.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def make(path: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    environment = os.environ | {"PATH": path}
    return subprocess.run(["make", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S607 - the make of PATH


def test_the_stand_in_ignores_oneshell_and_shellflags(path: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "SHELL := bash\n.SHELLFLAGS := -euo pipefail -c\n.ONESHELL:\n"
        "here:\n\t@cd /\n\t@pwd; false | true; echo went on\n",
        "utf-8",
    )
    done = make(path, tmp_path, "here")
    assert (done.returncode, done.stdout.splitlines()) == (0, [str(tmp_path), "went on"])


@pytest.mark.parametrize("line", ["VERSION != date", "define RECIPE =\nendef", "a b &: c", "X := $(file <x)"])
def test_the_stand_in_refuses_what_make_3_81_misreads(path: str, tmp_path: Path, line: str) -> None:
    (tmp_path / "Makefile").write_text(f"{line}\nall: ;\n", "utf-8")
    assert make(path, tmp_path, "all").returncode != 0


def test_the_commands_are_listed(path: str, project: Path) -> None:
    done = make(path, project)
    assert done.returncode == 0, done.stderr
    assert {"deploy", "demo", "test"} <= {line.split()[1] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    "recipe",
    ["false | cat; echo went on", "for one in 1 2; do false; done; echo went on", "echo $$no_such; echo went on"],
)
def test_a_recipe_ends_where_a_command_fails(path: str, project: Path, tmp_path: Path, recipe: str) -> None:
    """3.81 has no .SHELLFLAGS, so it ignored a failure inside a line: `make check` could have passed on a Mac."""
    probe = tmp_path / "probe.mk"
    probe.write_text((project / "Makefile").read_text("utf-8") + f"\nprobe:\n\t@{recipe}\n", "utf-8")
    done = make(path, project, "-f", str(probe), "probe")
    assert done.returncode != 0
    assert "went on" not in done.stdout


@pytest.mark.built
@pytest.mark.tool
def test_sam_builds_the_same_bytes_with_make_3_81(path: str, project: Path, tmp_path: Path) -> None:
    """`sam build` failed on every Mac: SAM runs the `make` of PATH, and the layers' Makefiles needed 3.82."""
    sam = project / ".tools/sam/bin"
    folders = ("--build-dir", str(tmp_path / "build"), "--cache-dir", str(tmp_path / "cache"))
    done = subprocess.run(
        [sam / "sam", "build", *folders],
        cwd=project,
        env=os.environ | {"PATH": f"{sam}{os.pathsep}{path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for layer in ("DependenciesLayer", "StripeToSegmentLayer"):
        built = contents(tmp_path / "build" / layer)
        assert len(built) > 20
        assert built == contents(project / ".aws-sam/build" / layer), layer


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Each file's mode and bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): (path.stat().st_mode, path.read_bytes()) for path in files}
