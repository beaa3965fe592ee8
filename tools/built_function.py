"""A function as `sam build` left it: its code, its layers, and its settings with the template's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["BUILT_TEMPLATE", "BuiltFunction", "NotBuiltError", "read_built_function"]

BUILT_TEMPLATE = Path(__file__).resolve().parents[1] / ".aws-sam" / "build" / "template.yaml"
STACK_NAME = "stripe-to-segment"


class NotBuiltError(Exception):
    """`sam build` has not been run, or the function is not in the template it built."""


@dataclass(frozen=True, slots=True)
class BuiltFunction:
    """What Lambda would be given.

    Attributes
    ----------
    name
        The logical id, such as ReceiveFunction.
    handler
        Module and function, as in the template.
    code
        The folder that becomes /var/task.
    layers
        The folders that become /opt, in the template's order: where two hold the same file, the later one wins.
    environment
        The variables whose value the template knows without being deployed.
    timeout, memory
        Seconds and MB.
    """

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: dict[str, str]
    timeout: int
    memory: int


def read_built_function(name: str, template: Path = BUILT_TEMPLATE) -> BuiltFunction:
    """Read a function from the template that `sam build` wrote.

    Raises
    ------
    NotBuiltError
        When there is no build, or no such function in it.
    """
    try:
        document = yaml.load(template.read_text("utf-8"), _Loader)  # noqa: S506 - derived from SafeLoader
    except FileNotFoundError as error:
        raise NotBuiltError(f"{template} is missing: run `make build`") from error
    resources = document["Resources"]
    if resources.get(name, {}).get("Type") != "AWS::Serverless::Function":
        raise NotBuiltError(f"there is no function {name} in {template}")
    values = {key: each.get("Default") for key, each in document.get("Parameters", {}).items()}
    values["AWS::StackName"] = STACK_NAME
    shared = document.get("Globals", {}).get("Function", {})
    own = resources[name]["Properties"]
    variables = _variables(shared) | _variables(own)
    resolved = {key: _resolve(value, values) for key, value in variables.items()}
    settings = shared | own
    return BuiltFunction(
        name=name,
        handler=settings["Handler"],
        code=template.parent / settings["CodeUri"],
        layers=tuple(
            template.parent / resources[layer["Ref"]]["Properties"]["ContentUri"]
            for layer in settings.get("Layers", [])
        ),
        environment={key: str(value) for key, value in resolved.items() if value is not None},
        timeout=int(_resolve(settings["Timeout"], values)),
        memory=int(_resolve(settings["MemorySize"], values)),
    )


def _variables(properties: dict[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = properties.get("Environment", {}).get("Variables", {})
    return variables


def _resolve(value: Any, values: dict[str, Any]) -> Any:
    """Return a property's value; None for what only a deployment knows."""
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return values.get(value["Ref"])
    if "Fn::If" in value:
        # Conditions ask whether a parameter was given; nothing is given here, so the second branch is taken.
        return _resolve(value["Fn::If"][2], values)
    return None


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    return {name: node.value}


_Loader.add_multi_constructor("!", _short_form)
