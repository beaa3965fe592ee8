"""What is derived from the code or the template is current wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.mapping.tracking import EVENTS
from stripe_to_segment_tools.build.settings_table import settings_table
from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS
from stripe_to_segment_tools.tracking_plan.generate import generated

if TYPE_CHECKING:
    from pathlib import Path


FILES = [
    *("docs/start.md", "docs/events.md", "docs/settings.md", "docs/tracking-plan.md", "docs/operations.md"),
    *("docs/permissions.md", "template.yaml", "warehouse/macros/tracking_plan.sql"),
    "warehouse/models/staging/_staging.yml",
]


@pytest.fixture(scope="module")
def texts(project: Path) -> dict[Path, str]:
    """What `make generate` would write, by file."""
    return generated(project)


@pytest.mark.parametrize("name", FILES)
def test_the_committed_file_is_current(project: Path, texts: dict[Path, str], name: str) -> None:
    path = project / name
    assert path.read_text("utf-8") == texts[path], f"{name} is out of date: run `make generate`"


def test_the_guide_names_every_event_type_and_every_event(project: Path, texts: dict[Path, str]) -> None:
    start, events = (texts[project / "docs" / name] for name in ("start.md", "events.md"))
    assert all(start.count(f"\n{kind}\n") == 1 and f"| `{kind}` |" in events for kind in CATALOG)
    assert all(f"**{name}**" in events for name in EVENTS)


def test_a_file_without_the_place_to_write_to_is_an_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("start.md", "events.md", "settings.md", "operations.md", "permissions.md"):
        (tmp_path / "docs" / name).write_text("nothing here", "utf-8")
    (tmp_path / "template.yaml").write_text((project / "template.yaml").read_text("utf-8"), "utf-8")
    with pytest.raises(ValueError, match="there is no place"):
        generated(tmp_path)


def test_the_plan_has_every_event_in_the_catalogs_order_whatever_was_imported_first() -> None:
    """The order was that of the imports: what `make generate` wrote was out of date in a test that imported others."""
    stated = dict.fromkeys(event.event_name for row in CATALOG.values() for event in row.events)
    assert list(EVENT_PLANS) == list(stated)
    assert EVENT_PLANS.keys() == EVENTS.keys()


TEMPLATE = """
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups:
      - Parameters: [First, SourceName]
      - Parameters: [Second, Third]
Parameters:
  First: {Default: 1, Description: "Told by the template. Empty: one."}
  Second: {Default: "", Description: "Said by the template. Empty: nothing."}
  Third: {Default: "off", Description: "Off or on. Empty: off."}
  SourceName: {Default: "", Description: "A name. Empty: the stack's."}
Globals:
  Function:
    Environment:
      Variables:
        SECOND: !Ref Second
Resources:
  Queue:
    Properties: {}
  Function:
    Properties:
      Environment:
        Variables:
          SOURCE_NAME: !If [SourceIsNamed, !Ref SourceName, !Ref AWS::StackName]
          QUEUE: !Ref Queue
          ARN: !GetAtt Queue.Arn
"""
HEAD = "| Parameter | Variable | Default | What it does |\n|---|---|---|---|\n"


def test_a_parameter_without_a_row_gets_one_after_its_neighbour() -> None:
    """A new setting had to be written into the guide by hand, as a fifth file."""
    told = HEAD + "| `Third` | - | `on` | [On](x.md) or off |\n| `First` | `X` | `0` | Ours |\n"
    assert settings_table(TEMPLATE, told) == HEAD + (
        "| `Third` | - | `off` | [On](x.md) or off |\n"
        "| `First` | - | `1` | Ours |\n"
        "| `SourceName` | `SOURCE_NAME` | *empty* | A name |\n"
        "| `Second` | `SECOND` | *empty* | Said by the template |\n"
    )


def test_the_row_of_a_parameter_that_is_gone_goes() -> None:
    assert "Gone" not in settings_table(TEMPLATE, f"{HEAD}| `Gone` | - | `1` | Was |\n")


def test_a_table_that_is_current_stays_as_it_is() -> None:
    table = settings_table(TEMPLATE, "")
    assert settings_table(TEMPLATE, table) == table
