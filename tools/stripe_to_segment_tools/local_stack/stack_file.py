"""The file of the running local stack, .local/stack.json, which `make run` writes for the commands.

It holds the keys of the run, so only its owner can read it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STACK_FILE", "read_stack_file", "write_stack_file"]

STACK_FILE = PROJECT / ".local" / "stack.json"


def read_stack_file(path: Path = STACK_FILE) -> dict[str, Any]:
    """The content of the file; empty if no stack runs."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        # No stack runs, or the file is not a stack's.
        return {}
    return content if isinstance(content, dict) else {}


def write_stack_file(content: Mapping[str, Any], path: Path = STACK_FILE) -> None:
    """Write the file atomically, readable only by its owner."""
    path.parent.mkdir(exist_ok=True)
    # An installation may have created the folder with other permissions.
    path.parent.chmod(0o700)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        # A temporary file has mode 600.
        json.dump(content, file, indent=2)
    Path(file.name).replace(path)
