"""The template after the SAM transform, and the output of `sam build`."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


NO_VALUE = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True, slots=True)
class Template:
    """The translated template.

    Attributes
    ----------
    body
        The whole template.
    """

    body: dict[str, Any]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Resources by logical id, including those that SAM adds."""
        resources: dict[str, dict[str, Any]] = self.body["Resources"]
        return resources

    def properties(self, logical_id: str) -> dict[str, Any]:
        """The properties of one resource."""
        properties: dict[str, Any] = self.resources[logical_id]["Properties"]
        return properties

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type, by logical id."""
        return {name: found["Properties"] for name, found in self.resources.items() if found["Type"] == kind}

    def default(self, parameter: str) -> str:
        """The default of a parameter."""
        return str(self.body["Parameters"][parameter]["Default"])

    def given(self, **values: str) -> Template:
        """The template with these parameter values: conditions are evaluated, references stay as they are."""
        parameters = {"AWS::Partition": "aws"} | {name: self.default(name) for name in self.body["Parameters"]} | values

        def holds(condition: Any) -> bool:
            ((kind, said),) = condition.items()
            if kind == "Condition":
                return holds(self.body["Conditions"][said])
            if kind == "Fn::Equals":
                first, second = (parameters[each["Ref"]] if isinstance(each, dict) else str(each) for each in said)
                return bool(first == second)
            return not holds(said[0]) if kind == "Fn::Not" else all(map(holds, said))

        def decided(part: Any) -> Any:
            if isinstance(part, dict) and "Fn::If" in part:
                name, yes, no = part["Fn::If"]
                return decided(yes if holds({"Condition": name}) else no)
            if isinstance(part, dict):
                found = {name: decided(inner) for name, inner in part.items()}
                return {name: inner for name, inner in found.items() if inner != NO_VALUE}
            return [each for each in map(decided, part) if each != NO_VALUE] if isinstance(part, list) else part

        body = {name: section for name, section in self.body.items() if name != "Conditions"}
        for section in ("Resources", "Outputs"):
            kept = {
                name: part
                for name, part in body[section].items()
                if "Condition" not in part or holds({"Condition": part["Condition"]})
            }
            body[section] = decided(kept)
        return Template(body)

    def variables(self, function: str) -> dict[str, Any]:
        """The environment variables of a function."""
        variables: dict[str, Any] = self.properties(function)["Environment"]["Variables"]
        return variables

    def statements(self, role: str) -> list[dict[str, Any]]:
        """The policy statements of a role."""
        policies = self.properties(role)["Policies"]
        return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


@pytest.fixture(scope="session")
def translate(project: Path) -> Callable[[list[dict[str, str]]], list[Template]]:
    """Translates the template with SAM's own translator, once for each change of parameters or code."""

    def translations(changes: list[dict[str, str]]) -> list[Template]:
        python, script = project / ".tools/sam/bin/python", Path(__file__).with_name("translate_template.py")
        assert python.exists(), f"{python} is missing: run `make install`"
        command = [str(python), str(script), "template.yaml", json.dumps(changes)]
        # The transform puts a region into ARNs, and takes it from the environment.
        environment = os.environ | {"AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(command, cwd=project, env=environment, check=True, stdout=subprocess.PIPE)
        return [Template(body) for body in json.loads(done.stdout)]

    return translations


@pytest.fixture(scope="session")
def template(translate: Callable[[list[dict[str, str]]], list[Template]]) -> Template:
    """template.yaml after the SAM transform, with each parameter at its default."""
    (found,) = translate([{}])
    return found


@pytest.fixture(scope="session")
def dependencies_layer(project: Path) -> Path:
    """The built layer of third-party code."""
    return built(project, "DependenciesLayer")


@pytest.fixture(scope="session")
def package_layer(project: Path) -> Path:
    """The built layer of this project's package."""
    return built(project, "StripeToSegmentLayer")


def built(project: Path, layer: str) -> Path:
    """The folder that Lambda puts on the path from a built layer."""
    folder = project / ".aws-sam/build" / layer / "python"
    assert folder.is_dir(), f"{folder} is missing: run `make build`"
    return folder


@pytest.fixture(scope="session")
def project_template(project: Path) -> str:
    """The text of template.yaml."""
    return (project / "template.yaml").read_text(encoding="utf-8")
