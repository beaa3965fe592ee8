"""`make generate`: what stands in the repository and is derived from the mapper's declarations, written anew.

| file | what |
|---|---|
| `docs/tracking-plan.md` | every event, property and trait |
| `README.md` | the event types to register, and what each event becomes |
| `template.yaml` | the event types that the way in through EventBridge lets in |

A file's other text stays as it is. `tests/unit/test_generated.py` fails while anything differs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.catalog import CATALOG, Identify
from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.output import say
from stripe_to_segment_tools.tracking_plan import TrackingPlan, markdown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["generated"]

SHOWS = {
    Identify.ALWAYS: "identify, and group where one is known",
    Identify.IF_CHANGED: "identify and group, if a trait changed",
    Identify.NEVER: "",
}


def generated(project: Path = PROJECT) -> dict[Path, str]:
    """Each file's text as it should be."""
    readme, template = project / "README.md", project / "template.yaml"
    listed = _between(
        readme.read_text("utf-8"), r"<<'EVENTS'[^\n]*\n", r"EVENTS\n", "".join(f"{kind}\n" for kind in CATALOG)
    )
    types = "".join(f"          - {kind}\n" for kind in CATALOG)
    return {
        project / "docs" / "tracking-plan.md": markdown(TrackingPlan(Settings())),
        readme: _between(
            listed, r"<!-- catalog, written by `make generate` -->\n", r"<!-- end -->", "\n".join([*_table(), ""])
        ),
        template: _between(template.read_text("utf-8"), r"        detail-type:\n", r"      Targets:\n", types),
    }


def _table() -> Iterator[str]:
    yield "| Stripe event | Segment calls |\n|---|---|"
    for kind, row in CATALOG.items():
        calls = [SHOWS[row.identify], *(f"**{event.event_name}**: {event.sent_when}" for event in row.events)]
        told = "<br>".join(filter(None, calls))
        yield f"| `{kind}` | {told or 'none: it teaches what later calls tell'} |"


def _between(text: str, start: str, end: str, new: str) -> str:
    """The text with what stands between two patterns replaced."""
    replaced, count = re.subn(
        rf"({start}).*?({end})", lambda found: found[1] + new + found[2], text, count=1, flags=re.DOTALL
    )
    if not count:
        message = f"there is no place between {start!r} and {end!r}"
        raise ValueError(message)
    return replaced


if __name__ == "__main__":
    for path, text in generated().items():
        if path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            say(f"wrote {path.relative_to(PROJECT)}")
