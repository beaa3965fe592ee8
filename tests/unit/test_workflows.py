"""What GitHub runs for this project: pinned, with no more rights than each job needs. zizmor looks too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
FILES = sorted((PROJECT / ".github/workflows").glob("*.yml"))
(GUIDES,) = re.findall(
    r"^```yaml\n(.*?)^```$", (PROJECT / "docs/deploy.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)
# What a job may have beyond reading: each of these lets it act for the project.
RIGHTS = {
    "ci": {},
    "weekly": {},
    "deploy": {"deploy": {"id-token"}},
    "release": {"attest": {"id-token", "attestations"}, "pypi": {"id-token"}, "github": {"contents"}},
}


def workflow(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((PROJECT / f".github/workflows/{name}.yml").read_text("utf-8"))
    return found


def test_each_workflow_has_its_rights_listed_here() -> None:
    assert {path.stem for path in FILES} == RIGHTS.keys()


@pytest.mark.parametrize("name", RIGHTS)
def test_a_job_has_the_rights_it_needs_and_no_other(name: str) -> None:
    body = workflow(name)
    assert body["permissions"] == {}
    for job, content in body["jobs"].items():
        writes = {right for right, how in content["permissions"].items() if how == "write"}
        assert writes == RIGHTS[name].get(job, set()), job


def test_every_action_is_pinned_to_a_commit_and_one_action_to_one() -> None:
    """A tag can be moved to other code, which would then run with the right to publish or to deploy."""
    text = "".join(path.read_text("utf-8") for path in FILES) + GUIDES
    used = re.findall(r"uses: (.+)$", text, re.MULTILINE)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in used)
    pins = {each.partition("@")[0]: each for each in used}
    assert {each for each in used if each != pins[each.partition("@")[0]]} == set()


def test_a_release_is_built_once_and_published_after_it_was_tried_and_attested() -> None:
    jobs = workflow("release")["jobs"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "build": None,
        "try": "build",
        "attest": "try",
        "pypi": "attest",
        "github": "pypi",
    }
    checkouts = {name for name, job in jobs.items() if "actions/checkout@" in str(job["steps"])}
    assert checkouts == {"build"}, "what has a right to publish runs no code of the checkout"
    assert {"run": ".ci/run"} in jobs["build"]["steps"]
    assert "make package wheel" in [step.get("run") for step in jobs["build"]["steps"]]


def test_a_release_is_tried_with_the_uv_that_the_project_is_built_with() -> None:
    (tried,) = [step["env"]["UV"] for step in workflow("release")["jobs"]["try"]["steps"] if "env" in step]
    assert f"\n{tried} " in (PROJECT / "requirements/uv.txt").read_text("utf-8")


def test_the_deployment_has_the_steps_of_the_guide() -> None:
    assert workflow("deploy")["jobs"]["deploy"]["steps"] == yaml.safe_load(GUIDES)["jobs"]["deploy"]["steps"]
