"""`make generate`: write the parts of files that are derived from the code or the template.

| file | what |
|---|---|
| `docs/tracking-plan.md` | every event, property and trait |
| `docs/events.md` | what each event becomes |
| `docs/settings.md` | the table of settings |
| `docs/start.md` | the event types to register, and the permissions that a restricted key needs |
| `docs/permissions.md` | the requests to the Stripe API, and the permissions that they need |
| `docs/operations.md` | the same permissions, in a sentence |
| `template.yaml` | the event types in the rule for EventBridge |
| `warehouse/macros/tracking_plan.sql` | each event's properties, for the dbt package |
| `warehouse/models/staging/_staging.yml` | what the columns of its views mean |

The other text of a file stays. `tests/unit/test_generated.py` fails if anything differs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.catalog import CATALOG, Identify
from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.build.settings_table import settings_table
from stripe_to_segment_tools.build.stripe_requests import permissions, requests_table
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.output import say
from stripe_to_segment_tools.tracking_plan import TrackingPlan, markdown
from stripe_to_segment_tools.tracking_plan.warehouse import dbt_columns, dbt_macro

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["generated"]

SHOWS = {
    Identify.ALWAYS: "identify, and group where one is known",
    Identify.IF_CHANGED: "identify and group, if a trait changed",
    Identify.NEVER: "",
}


def generated(project: Path = PROJECT) -> dict[Path, str]:
    """The current text of each file."""
    guides, template = project / "docs", project / "template.yaml"
    views = project / "warehouse" / "models" / "staging" / "_staging.yml"
    start, events, settings = guides / "start.md", guides / "events.md", guides / "settings.md"
    parameters, types = template.read_text("utf-8"), [f"{kind}\n" for kind in CATALOG]
    listed = "".join(f"          - {kind}" for kind in types)
    guide, permitted = guides / "operations.md", guides / "permissions.md"
    named = r"restricted key(?: \(`rk_live_…`\))? that may read ", r"(?: \(and Events|\. With it)"
    return {
        guides / "tracking-plan.md": markdown(TrackingPlan(Settings())),
        start: _between(
            _between(start.read_text("utf-8"), *named, lambda _: permissions()),
            r"<<'EVENTS'[^\n]*\n",
            r"EVENTS\n",
            lambda _: "".join(types),
        ),
        events: _between(
            events.read_text("utf-8"),
            r"<!-- catalog, written by `make generate` -->\n",
            r"<!-- end -->",
            lambda _: "\n".join([*_table(), ""]),
        ),
        settings: _between(
            settings.read_text("utf-8"),
            r"<!-- settings[^>]*-->\n",
            r"<!-- end -->",
            lambda table: settings_table(parameters, table),
        ),
        guide: _between(guide.read_text("utf-8"), *named, lambda _: permissions()),
        permitted: _between(
            permitted.read_text("utf-8"),
            r"<!-- requests, written by `make generate` -->\n",
            r"<!-- end -->",
            lambda _: requests_table(),
        ),
        project / "warehouse" / "macros" / "tracking_plan.sql": dbt_macro(),
        views: _described(views),
        template: _between(parameters, r"        detail-type:\n", r"      Targets:\n", lambda _: listed),
    }


def _table() -> Iterator[str]:
    yield "| Stripe event | Segment calls |\n|---|---|"
    for kind, row in CATALOG.items():
        calls = [SHOWS[row.identify], *(f"**{event.event_name}**: {event.sent_when}" for event in row.events)]
        becomes = "<br>".join(filter(None, calls))
        yield f"| `{kind}` | {becomes or 'none: later calls use its data'} |"


def _described(views: Path) -> str:
    """The YAML of the dbt package's views of calls, with the columns of each."""
    return re.sub(
        r"(- name: (\w+)\n[^#]*# columns[^\n]*\n).*?(      # end\n)",
        lambda found: found[1] + dbt_columns((views.parent / f"{found[2]}.sql").read_text("utf-8")) + found[3],
        views.read_text("utf-8"),
        flags=re.DOTALL,
    )


def _between(text: str, start: str, end: str, renewed: Callable[[str], str]) -> str:
    """The text with a new part between two patterns."""
    replaced, count = re.subn(
        rf"({start})(.*?)({end})",
        lambda found: found[1] + renewed(found[2]) + found[3],
        text,
        count=1,
        flags=re.DOTALL,
    )
    if not count:
        message = f"there is no place between {start!r} and {end!r}"
        raise ValueError(message)
    return replaced


if __name__ == "__main__":
    for path, text in generated().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            say(f"wrote {path.relative_to(PROJECT)}")
