"""What a contributor reads and what GitHub runs, compared with the code."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from stripe_to_segment.delivery.record import Status
from stripe_to_segment.mapping.translate import EventOutcome
from stripe_to_segment.segment_side.answers import Meaning

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
FORMS = sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
ARCHITECTURE = (PROJECT / "docs/architecture.md").read_text("utf-8")
CHECKLISTS = (PROJECT / "CONTRIBUTING.md").read_text("utf-8").split("\n## Checklists\n")[1].split("\n## ")[0]
PACKAGE = PROJECT / "layers/stripe_to_segment/python/stripe_to_segment"
TOOLS = PROJECT / "tools/stripe_to_segment_tools"

every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
every_form = pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    body: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    found: dict[str, dict[str, Any]] = body["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def contracts() -> dict[str, dict[str, Any]]:
    """The layers contracts of import-linter, by the package that they are about."""
    configuration = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    return {each["containers"][0]: each for each in configuration["contracts"] if each["type"] == "layers"}


def rows(text: str) -> list[list[str]]:
    """The cells of the first table in a text, its head left out."""
    table = re.search(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    assert table, text
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table[0].splitlines()[2:]]


# --- Workflows ---


def test_there_are_workflows_and_forms() -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "deploy", "release", "weekly"}
    assert {path.stem for path in FORMS} == {"bug", "feature"}


@every_workflow
def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(path: Path) -> None:
    """A tag can be moved to other code."""
    used = re.findall(r"uses:\s*(.+)$", path.read_text("utf-8"), re.MULTILINE)
    assert [each.split(" ")[0] for each in used] == [step["uses"] for step in steps(path) if "uses" in step]
    assert [each for each in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@every_workflow
def test_a_job_ends_and_keeps_no_token_for_its_steps(path: Path) -> None:
    """Which rights each job has is in test_workflows.py."""
    assert all(job["timeout-minutes"] <= 120 for job in jobs(path).values())
    assert "pull_request_target" not in path.read_text("utf-8"), "it would run a stranger's code with our rights"
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@every_workflow
def test_no_step_writes_somebodys_text_into_a_shell(path: Path) -> None:
    """https://docs.github.com/en/actions/reference/security/secure-use#good-practices-for-mitigating-script-injection-attacks."""
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


def test_ci_runs_what_a_change_must_pass() -> None:
    ci, weekly = (path for path in WORKFLOWS if path.stem in {"ci", "weekly"})
    assert [step["run"] for step in steps(ci) if "run" in step] == [".ci/run"]
    assert (PROJECT / ".ci/run").stat().st_mode & 0o111
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    for target in jobs(weekly)["weekly"]["strategy"]["matrix"]["search"]:
        assert re.search(rf"^{target}:.* SEED=", makefile, re.MULTILINE), target


def test_the_hooks_before_a_commit_are_our_own() -> None:
    """A hook of another repository would be pinned a second time, and check by other rules."""
    configuration = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert {each["repo"] for each in configuration["repos"]} == {"local"}
    (hook,) = configuration["repos"][0]["hooks"]
    assert hook["entry"].split() == ["make", "--silent", "lint"]


# --- Forms ---


@every_form
def test_a_form_has_what_github_asks_for(path: Path) -> None:
    """https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema."""
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    asked = [element for element in form["body"] if element["type"] != "markdown"]
    assert {element["type"] for element in asked} <= {"checkboxes", "dropdown", "input", "textarea"}
    names = [element["id"] for element in asked]
    assert len(set(names)) == len(names) > 0
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in names)
    assert all(element["attributes"]["label"] for element in asked)


def test_a_report_of_a_bug_names_version_and_event_type_and_holds_nothing_private() -> None:
    form = yaml.safe_load((PROJECT / ".github/ISSUE_TEMPLATE/bug.yml").read_text("utf-8"))
    asked = {element["id"]: element for element in form["body"] if "id" in element}
    assert all(asked[name]["validations"]["required"] for name in ("version", "event_type"))
    assert "stripe-to-segment explain" in asked["explain"]["attributes"]["description"]
    assert [option["required"] for option in asked["private"]["attributes"]["options"]] == [True]


# --- docs/architecture.md, docs/design-decisions.md ---


def test_the_architecture_page_lists_the_folders_in_the_order_of_the_contracts() -> None:
    text = ARCHITECTURE.split("| From the top |")[1]
    told = [re.findall(r"`([\w/]+)`", row[0]) for row in rows(f"| From the top |{text}")]
    flat = [name.rstrip("/") for name in chain.from_iterable(told)]
    layers = [re.split(r" [|:] ", layer) for layer in contracts()["stripe_to_segment"]["layers"]]
    rank = {name: number for number, layer in enumerate(layers) for name in layer}
    assert sorted(flat) == sorted(rank)
    assert [rank[name] for name in flat] == sorted(rank.values())


def test_the_architecture_page_names_every_layer_of_the_tools() -> None:
    text = ARCHITECTURE.split("## Folders")[1].split("## Glossary")[0]
    layers = [re.split(r" [|:] ", layer) for layer in contracts()["stripe_to_segment_tools"]["layers"]]
    for name in {part.split(".")[0] for part in chain.from_iterable(layers)} - {"project"}:
        assert f"`{name}/" in text, name


def test_the_glossary_is_short_and_names_every_outcome() -> None:
    meanings = dict(rows(ARCHITECTURE.split("## Glossary")[1]))
    assert len(meanings) <= 25
    for word, values in (("record outcome", Status), ("event outcome", EventOutcome), ("answer", Meaning)):
        assert set(values) <= set(re.findall(r"\w+", meanings[word])), word
    # One plain sentence each.
    assert all(re.fullmatch(r"[A-Z][^.]*\.", meaning) for meaning in meanings.values())


def test_every_decision_has_a_date() -> None:
    text = (PROJECT / "docs/design-decisions.md").read_text("utf-8")
    decisions = re.findall(r"^\*\*.*$", text, re.MULTILINE)
    assert len(decisions) > 20
    assert [each for each in decisions if not re.match(r"\*\*[^*]+\*\* \(20\d\d-\d\d-\d\d\)", each)] == []


# --- CONTRIBUTING.md ---


def test_every_file_of_a_checklist_exists() -> None:
    named = {name for name in re.findall(r"`([\w./]+\.(?:py|yaml|md))`", CHECKLISTS) if "…" not in name}
    assert {"mapping/catalog.py", "settings.py", "template.yaml"} <= named
    folders = (PROJECT, PACKAGE, TOOLS, TOOLS / "commands")
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []


def files_of(title: str) -> list[str]:
    return re.findall(r"^\d+\. ", CHECKLISTS.split(f"\n### {title}\n")[1].split("\n### ")[0], re.MULTILINE)


@pytest.mark.parametrize(("title", "most"), [("An event", 5), ("A property", 2), ("A setting", 4)])
def test_a_change_takes_few_files(title: str, most: int) -> None:
    """More than these must be derived, or held by a test that reads the code."""
    assert 0 < len(files_of(title)) <= most
