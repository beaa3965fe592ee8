"""The wheel as somebody gets it: built, and installed into an environment of its own, away from this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).resolve().parents[2]
# Nothing of this checkout, nothing of a shell's settings.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "AWS_"))},
    # Rich writes for a terminal of this width.
    "COLUMNS": "100",
    "NO_COLOR": "1",
}


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel, and an empty folder to call its command in."""

    environment: Path
    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.environment / "bin" / "python"

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run its `stripe-to-segment`."""
        return self._run(self.environment / "bin" / "stripe-to-segment", *arguments, given=given)

    def run_python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code on its Python."""
        return self._run(self.python, "-c", code)

    def _run(self, program: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            cwd=self.folder,
            env=ENVIRONMENT,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def hatchling(target: str, folder: Path) -> Path:
    """Build the `wheel` or the `sdist` of this project into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel."""
    return hatchling("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Installed]:
    """Makes an environment with nothing but what a requirement asks for, in the versions that are pinned here."""

    def made(requirement: str) -> Installed:
        found = Installed(tmp_path_factory.mktemp("installed") / "venv", tmp_path_factory.mktemp("elsewhere"))
        uv = str(PROJECT / ".tools/uv/bin/uv")
        pinned = str(PROJECT / "requirements/dev.txt")
        install = [uv, "pip", "install", "--quiet", "--python", str(found.python), "--constraint", pinned, requirement]
        for command in ([uv, "venv", "--quiet", "--python", sys.executable, str(found.environment)], install):
            done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
            assert done.returncode == 0, done.stderr
        return found

    return made


@pytest.fixture(scope="session")
def installed(wheel: Path, environment: Callable[[str], Installed]) -> Installed:
    """The wheel by itself."""
    return environment(str(wheel))
