"""The file with the address of the local stack holds its keys, so only its owner can read it."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment_tools.local_stack.errors import AlreadyRunningError
from stripe_to_segment_tools.local_stack.stack_file import only_run, read_stack_file, write_stack_file

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


OTHER = """
import sys
from pathlib import Path
from stripe_to_segment_tools.local_stack.stack_file import only_run, write_stack_file

path = Path(sys.argv[1])
with only_run(path):
    write_stack_file({"page_url": "http://127.0.0.1:4242/x"}, path)
    print("running", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_as_long_as_the_first_one_lives(tmp_path: Path) -> None:
    """It took the first one's file, so that every command spoke to the second one, and to none after that."""
    path = tmp_path / "stack.json"
    command = [sys.executable, "-c", OTHER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "running\n"
        with pytest.raises(AlreadyRunningError, match=r"its page is http://127\.0\.0\.1:4242/x"), only_run(path):
            pytest.fail("two run")
        assert read_stack_file(path) == {"page_url": "http://127.0.0.1:4242/x"}, "the first one's file stays"
        other.kill()
    with only_run(path):
        assert read_stack_file(path) == {}, "what a killed run leaves is nobody's"
        write_stack_file({"page_url": "y"}, path)
    assert not path.exists()


def test_a_run_that_is_starting_has_no_page_yet(tmp_path: Path) -> None:
    path = tmp_path / ".local" / "stack.json"
    with only_run(path), pytest.raises(AlreadyRunningError, match="it is starting"), only_run(path):
        pytest.fail("two run")
