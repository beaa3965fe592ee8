"""What the running local stack tells about itself: .local/stack.json, written by `make run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["STACK_FILE", "read_stack_file"]

STACK_FILE = Path(__file__).resolve().parents[1] / ".local" / "stack.json"


def read_stack_file(path: Path = STACK_FILE) -> dict[str, Any]:
    """Return what the stack wrote; an empty dict when none runs."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        # A file half written, or left by a crash, is as good as none.
        return {}
    return content if isinstance(content, dict) else {}
