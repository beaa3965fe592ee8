"""A Lambda function that returns its environment, and where it can write files."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any


def refused(path: str) -> str:
    """The error of writing a file to the path, empty if it can be written."""
    try:
        Path(path).write_text("x")
        Path(path).unlink()
    except OSError as error:
        return str(error.strerror)
    return ""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    if "exit" in event:
        os._exit(event["exit"])
    root = logging.getLogger()
    return {
        "environment": dict(os.environ),
        "path": sys.path,
        "refused": {path: refused(path) for path in event.get("write", [])},
        "root": logging.getLevelName(root.level),
        "context": [context.function_name, context.memory_limit_in_mb, context.log_group_name],
        "seconds": context.get_remaining_time_in_millis() / 1000,
    }
