"""The emulator unpacks a function's code and layers once for all processes that run it."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from stripe_to_segment_tools.loopback.ministack import UnpackedOnce

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def emulators_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def unpacked(folder: Path, content: str) -> tuple[list[str], Path]:
    """As ministack unpacks a layer for one process; also the names that it checks before."""
    archive, place = folder / "layer.zip", folder / "layer"
    with ZipFile(archive, "w") as writing:
        writing.writestr("python/module.py", content)
    place.mkdir()
    with UnpackedOnce(archive) as reading:
        checked = reading.namelist()
        reading.extractall(place)
    return checked, place


def test_processes_of_one_function_share_its_files(tmp_path: Path) -> None:
    """Each had 2,000 files of its own: half a second of processor time to make them, and as many deleted at the end."""
    folders = [tmp_path / name for name in ("one", "other", "changed")]
    for folder in folders:
        folder.mkdir()
    (named, one), (known, other), (_, changed) = map(unpacked, folders, ("first = 1", "first = 1", "first = 2"))
    assert (named, known) == (["python/module.py"], [])
    assert one.resolve() == other.resolve() != changed.resolve()
    assert [(place / "python/module.py").read_text() for place in (one, changed)] == ["first = 1", "first = 2"]
