"""A built function: its code, its layers, and its configuration for Lambda, from the template of `sam build`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from stripe_to_segment_tools.lambda_runtime.intrinsics import UNKNOWN, IntrinsicError, Intrinsics
from stripe_to_segment_tools.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BUILT_TEMPLATE", "REGION", "BuiltFunction", "NotBuiltError", "read_built_function"]

BUILT_TEMPLATE = PROJECT / ".aws-sam" / "build" / "template.yaml"
STACK_NAME = "stripe-to-segment"
REGION = "us-east-1"
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK_NAME,
    "AWS::URLSuffix": "amazonaws.com",
}
# Lambda's level if the template names none and the format is JSON.
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
LOG_LEVEL = "INFO"


class NotBuiltError(Exception):
    """`sam build` has not been run, or the function cannot be read from the built template."""


@dataclass(frozen=True, slots=True)
class BuiltFunction:
    """The function as it would be deployed to Lambda.

    Attributes
    ----------
    name
        The logical id, such as ReceiveFunction.
    handler, runtime
        The handler and the runtime, as in the template.
    code
        The folder that becomes /var/task.
    layers
        The folders that become /opt, in the template's order: a later one overwrites the files of an earlier one.
    environment
        The variables whose values are known before a deployment.
    timeout, memory
        Seconds and MB.
    log_format, log_level, log_group
        JSON or Text; the lowest level of application logs that Lambda keeps, None for Text; and the group's name.
    traced
        Whether Lambda traces a sample of the invocations.
    """

    name: str
    handler: str
    runtime: str
    code: Path
    layers: tuple[Path, ...]
    environment: dict[str, str]
    timeout: int
    memory: int
    log_format: str
    log_level: str | None
    log_group: str
    traced: bool


def read_built_function(
    name: str, template: Path = BUILT_TEMPLATE, parameters: Mapping[str, str] | None = None
) -> BuiltFunction:
    """Read a function from the template that `sam build` wrote.

    Parameters
    ----------
    name
        Its logical id.
    template
        The built template.
    parameters
        Parameters of the template over their defaults.

    Raises
    ------
    NotBuiltError
        When there is no build, no such function in it, or no such parameter.
    """
    try:
        document = yaml.load(template.read_text("utf-8"), _Loader)  # noqa: S506 - derived from SafeLoader
    except FileNotFoundError as error:
        raise NotBuiltError(f"{template} is missing: run `make build`") from error
    resources = document["Resources"]
    if resources.get(name, {}).get("Type") != "AWS::Serverless::Function":
        raise NotBuiltError(f"there is no function {name} in {template}")
    properties = _merged(document.get("Globals", {}).get("Function", {}), resources[name]["Properties"])
    # A layer is a Ref to its resource, which has the folder.
    layers = [resources[layer["Ref"]]["Properties"]["ContentUri"] for layer in properties.pop("Layers", [])]
    try:
        # Events, roles and the like are ignored: only the configuration of the running function is needed.
        given = Intrinsics(document, parameters or {}, PSEUDO).resolve({key: properties.get(key) for key in READ})
    except IntrinsicError as error:
        raise NotBuiltError(f"{template}: {error}") from error
    logging = given["LoggingConfig"] or {}
    log_format = logging.get("LogFormat", "Text")
    return BuiltFunction(
        name=name,
        handler=given["Handler"],
        runtime=given["Runtime"],
        code=template.parent / given["CodeUri"],
        layers=tuple(template.parent / layer for layer in layers),
        environment={
            key: str(value) for key, value in given["Environment"]["Variables"].items() if value is not UNKNOWN
        },
        timeout=int(given["Timeout"]),
        memory=int(given["MemorySize"]),
        log_format=log_format,
        log_level=logging.get("ApplicationLogLevel", LOG_LEVEL) if log_format == "JSON" else None,
        log_group=logging.get("LogGroup", f"/aws/lambda/{name}"),
        traced=given["Tracing"] == "Active",
    )


READ = ("CodeUri", "Environment", "Handler", "LoggingConfig", "MemorySize", "Runtime", "Timeout", "Tracing")


def _merged(shared: Any, own: Any) -> Any:
    """Merge a function's property into the global one, as SAM does: objects are merged, lists joined.

    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html
    """
    if isinstance(shared, dict) and isinstance(own, dict) and not _is_function(shared) and not _is_function(own):
        return {
            key: _merged(shared[key], own[key]) if key in shared and key in own else {**shared, **own}[key]
            for key in {**shared, **own}
        }
    return [*shared, *own] if isinstance(shared, list) and isinstance(own, list) else own


def _is_function(value: dict[str, Any]) -> bool:
    return len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::"))


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
