"""docs/deploy.md is right: its workflow, commands, names and tables are compared with the code."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from stripe_to_segment_tools.commands.deploy.answers import QUESTIONS
from stripe_to_segment_tools.commands.deploy.parameters import check, read_parameters
from stripe_to_segment_tools.commands.deploy.stack import LONGEST_NAME, NEVER_WORKED
from tests.template.test_names import FIXED, LONGEST
from tests.unit.test_deploy import VARIABLES

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs/deploy.md").read_text(encoding="utf-8")
PARAMETERS = read_parameters(PROJECT / "template.yaml")
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
(WORKFLOW,) = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def workflow() -> dict[str, Any]:
    """The one job of the workflow."""
    # YAML 1.1 takes the key `on` for true.
    body: dict[Any, Any] = yaml.safe_load(WORKFLOW)
    assert set(body) == {"name", True, "permissions", "concurrency", "jobs"}
    job: dict[str, Any] = body["jobs"]["deploy"]
    return job


def section(title: str) -> str:
    """The text below a heading."""
    return GUIDE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    """A tag can be moved to other code, which would then run with the right to deploy."""
    used = re.findall(r"uses: (.+)$", WORKFLOW, re.MULTILINE)
    assert len(used) == 2
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in used)


def test_the_job_may_ask_for_a_token_and_read_the_repository_and_nothing_else() -> None:
    assert yaml.safe_load(WORKFLOW)["permissions"] == {}
    assert workflow()["permissions"] == {"id-token": "write", "contents": "read"}
    assert workflow()["environment"] == "${{ matrix.stage }}", "whose name the role's trust policy asks for"


def test_what_is_built_is_built_before_the_job_has_any_right_in_aws() -> None:
    steps = [step.get("run") or step["uses"].split("@")[0] for step in workflow()["steps"]]
    assert steps == ["actions/checkout", "make install build", "aws-actions/configure-aws-credentials", "make deploy"]
    assert workflow()["steps"][0]["with"] == {"persist-credentials": False}


def test_the_job_sets_every_variable_that_a_deployment_without_a_terminal_takes() -> None:
    environment = workflow()["steps"][-1]["env"]
    assert environment == {name: f"${{{{ vars.{name} }}}}" for name in [*VARIABLES, "PARAMETERS"]}
    assert [name for name in [*environment, "AWS_ROLE_ARN"] if f"`{name}`" not in section("From CI")] == []


def test_the_questions_are_those_that_are_asked() -> None:
    rows = re.findall(r"^\| .+? \| `([A-Z_]+)` \|.*$", section("From a laptop"), re.MULTILINE)
    assert rows == list(VARIABLES) == ["STACK", "REGION", *(question.variable for question in QUESTIONS)]
    for question in QUESTIONS:
        (row,) = re.findall(rf"^\|.*`{question.variable}`.*$", section("From a laptop"), re.MULTILINE)
        assert f"it becomes `{question.parameter}`" in row


def test_the_settings_that_it_shows_are_some_that_the_template_takes() -> None:
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    given = tomllib.loads(shown)["parameters"]
    assert len(given) == 3
    check(given, PARAMETERS, "eu-central-1")


def test_every_parameter_that_it_names_exists() -> None:
    of_the_role = yaml.safe_load(re.sub(r"!\w+", "", (PROJECT / "docs/deploy-role.yaml").read_text("utf-8")))[
        "Parameters"
    ]
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w*)(?:=[^`]*)?`", GUIDE)) | {"Provider"}
    assert len(named) > 10
    assert named - set(PARAMETERS) - set(of_the_role) == set()
    (overrides,) = re.findall(r"--parameter-overrides (.*?)\naws", GUIDE, re.DOTALL)
    assert set(re.findall(r"(\w+)=", overrides)) == set(of_the_role) - {"PermissionsBoundaryArn", "KmsKeyArn"}


def test_every_state_that_means_a_failed_first_deployment_stands_in_the_table() -> None:
    (row,) = re.findall(r"^\| (.*): the first deployment failed \|", GUIDE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == NEVER_WORKED


def test_the_limits_of_names_are_those_of_the_services() -> None:
    assert f"at most {LONGEST_NAME} characters here" in section("Names and limits")
    shown = [int(number) for number in re.findall(r"\| (\d+) \|$", section("Names and limits"), re.MULTILINE)]
    # But for descriptions, and for the rule of the event bus, whose name is made without the stack's.
    of_names = {limit for (kind, place), limit in LONGEST.items() if place != "Description" and kind not in FIXED}
    assert set(shown) == of_names


def test_the_ci_roles_longest_stack_name_is_the_one_it_says() -> None:
    role = (PROJECT / "docs/deploy-role.yaml").read_text("utf-8")
    assert "{0,31}$" in role
    assert "stack name of at most 32 characters" in GUIDE


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_the_shell_understands_a_command(command: str) -> None:
    done = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)  # noqa: S607 - the shell that reads the guide
    assert (done.returncode, done.stderr) == (0, "")
