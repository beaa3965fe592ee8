"""One version: what has to name it names the package's, and what was released keeps its promises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment import __version__

if TYPE_CHECKING:
    from pathlib import Path

PLACES = {
    "template.yaml": r"^    SemanticVersion: (.+)$",
    "warehouse/dbt_project.yml": r"^version: (.+)$",
    "docs/warehouse.md": r"^    revision: v(.+)$",
    "docs/recipes.md": r"/stripe-to-segment/(\d\S*)/template\.yaml",
    "docs/start.md": r"stripe_to_segment-(\S+)-py3-none-any\.whl",
}


@pytest.mark.parametrize("name", PLACES)
def test_a_file_that_names_the_version_names_this_one(project: Path, name: str) -> None:
    assert set(re.findall(PLACES[name], (project / name).read_text("utf-8"), re.MULTILINE)) == {__version__}


def test_the_changelog_begins_with_this_version_and_has_each_once(project: Path) -> None:
    headings = re.findall(r"^## \[(.+)\]", (project / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == __version__
    assert len(headings) == len(set(headings))
