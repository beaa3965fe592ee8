"""The file that tells where the local stack is holds its keys: only its owner can read it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from stripe_to_segment_tools.local_stack.stack_file import read_stack_file, write_stack_file

if TYPE_CHECKING:
    from pathlib import Path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / ".local" / "stack.json"
    write_stack_file({"webhook_url": "http://127.0.0.1:1/é"}, path)
    assert read_stack_file(path) == {"webhook_url": "http://127.0.0.1:1/é"}
    assert [file.name for file in path.parent.iterdir()] == ["stack.json"]


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """It was written with the mode of any file, into a folder that everybody may enter."""
    path = tmp_path / ".local" / "stack.json"
    path.parent.mkdir(mode=0o755)
    path.write_text("{}")
    path.chmod(0o644)
    write_stack_file({"secret_access_key": "s"}, path)
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)
    assert read_stack_file(path) == {"secret_access_key": "s"}


def test_a_missing_or_invalid_file_means_that_no_stack_runs(tmp_path: Path) -> None:
    assert read_stack_file(tmp_path / "stack.json") == {}
    for text in ("", "{", "[]"):
        (tmp_path / "stack.json").write_text(text)
        assert read_stack_file(tmp_path / "stack.json") == {}
