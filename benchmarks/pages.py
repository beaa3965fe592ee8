"""The pages that figures are written into, and on which machine they were taken."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["README", "Row", "between_marks", "machine", "table"]

README = Path(__file__).with_name("README.md")

type Row = tuple[str, ...]


def between_marks(page: str, text: str, name: str = "figures") -> str:
    """The page with what stands between two marks replaced."""
    head, start, rest = page.partition(f"<!-- {name} -->\n")
    _, end, tail = rest.partition(f"<!-- end of {name} -->")
    return f"{head}{start}\n{text}\n\n{end}{tail}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; all columns but the first are set right."""
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def machine() -> str:
    """The machine of the measurement, and its load."""
    processor = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text("utf-8").splitlines() if line.startswith("model name")]
        processor = f"{names[0].partition(':')[2].strip()} ({processor})" if names else processor
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores {processor}, {platform.system()}, Python {platform.python_version()}{load}"
