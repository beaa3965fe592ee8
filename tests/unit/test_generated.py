"""What is derived from the mapper's declarations is current wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.mapping.tracking import EVENTS
from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS
from stripe_to_segment_tools.tracking_plan.generate import generated

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["README.md", "template.yaml", "docs/tracking-plan.md"])
def test_the_committed_file_is_current(project: Path, name: str) -> None:
    path = project / name
    assert path.read_text("utf-8") == generated(project)[path], f"{name} is out of date: run `make generate`"


def test_the_readme_names_every_event_type_and_every_event(project: Path) -> None:
    readme = generated(project)[project / "README.md"]
    assert all(readme.count(f"\n{kind}\n") == 1 and f"| `{kind}` |" in readme for kind in CATALOG)
    assert all(f"**{name}**" in readme for name in EVENTS)


def test_a_file_without_the_place_to_write_to_is_an_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here", "utf-8")
    (tmp_path / "template.yaml").write_text((project / "template.yaml").read_text("utf-8"), "utf-8")
    with pytest.raises(ValueError, match="there is no place"):
        generated(tmp_path)


def test_the_plan_has_every_event_in_the_catalogs_order_whatever_was_imported_first() -> None:
    """The order was that of the imports: what `make generate` wrote was out of date in a test that imported others."""
    stated = dict.fromkeys(event.event_name for row in CATALOG.values() for event in row.events)
    assert list(EVENT_PLANS) == list(stated)
    assert EVENT_PLANS.keys() == EVENTS.keys()
