"""`make destinations`: what Segment's own destination code makes of our calls, beside the tables of the page.

Runs the pinned `@segment/action-destinations` over the calls of all samples, under each recipe of
docs/destinations.md; nothing leaves the machine. Exit status 1 if the page's tables differ from what was measured;
UPDATE=1 writes them.
"""

from __future__ import annotations

import difflib
import os
import sys

from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.output import say
from tests.destinations.measure import MODULES, measured
from tests.destinations.tables import with_tables

PAGE = PROJECT / "docs" / "destinations.md"


def main() -> int:
    """Measure and compare."""
    if not MODULES.is_dir():
        say(f"{MODULES} is not there: run `make destinations`, which installs it", err=True)
        return 2
    page = PAGE.read_text("utf-8")
    current = with_tables(page, measured(page))
    if current == page:
        say("OK: docs/destinations.md says what was measured")
        return 0
    if os.environ.get("UPDATE"):
        PAGE.write_text(current, "utf-8")
        say("wrote docs/destinations.md")
        return 0
    said = difflib.unified_diff(
        page.splitlines(), current.splitlines(), "docs/destinations.md", "measured", "", "", 0, ""
    )
    say(
        *said,
        "docs/destinations.md differs from what was measured: look at it, then `make destinations UPDATE=1`",
        err=True,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
