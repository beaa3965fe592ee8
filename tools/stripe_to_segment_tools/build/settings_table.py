"""The table of settings in docs/settings.md, from the template's parameters. Pure.

The template has the parameters, their defaults and their variables. The guide describes each parameter, and its text
may have links; a parameter without a row gets its description from the template.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["settings_table"]

HEAD = "| Parameter | Variable | Default | What it does |\n|---|---|---|---|\n"
ROW = re.compile(r"^\| `(\w+)` \|[^|]*\|[^|]*\| (.+) \|$", re.MULTILINE)
# The end of a parameter's description: tests/template/test_parameters.py.
EMPTY = re.compile(r"\.? Empty: .*$", re.DOTALL)


def settings_table(template: str, table: str) -> str:
    """The current table; rows that `table` already has keep their order and their description."""
    body: Any = yaml.load(template, _Loader)  # noqa: S506 - a SafeLoader
    parameters: dict[str, Any] = body["Parameters"]
    groups = body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    described = {found[1]: found[2] for found in ROW.finditer(table) if found[1] in parameters}
    names = [*described]
    for before, name in pairwise(["", *(name for group in groups for name in group["Parameters"])]):
        if name not in described:
            names.insert(names.index(before) + 1 if before else 0, name)
    variables = dict(_variables(body))
    return HEAD + "".join(
        f"| `{name}` | {_code(variables.get(name, ''), '-')} | {_code(str(parameters[name]['Default']), '*empty*')}"
        f" | {described.get(name) or EMPTY.sub('', parameters[name]['Description'])} |\n"
        for name in names
    )


def _variables(body: Any) -> Iterator[tuple[str, str]]:
    """Each parameter that gives a variable of a function its value, with that variable."""
    sections = [body["Globals"]["Function"], *(resource["Properties"] for resource in body["Resources"].values())]
    for section in sections:
        for name, value in section.get("Environment", {}).get("Variables", {}).items():
            # An !If uses a parameter if it is given, and otherwise a default of the stack.
            source = value[1] if isinstance(value, list) else value
            if isinstance(source, _Ref):
                yield source, name


def _code(text: str, otherwise: str) -> str:
    return f"`{text}`" if text else otherwise


class _Ref(str):
    """The name after `!Ref`."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, of which only `!Ref` matters here."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return _Ref(node.value) if tag == "Ref" else None


_Loader.add_multi_constructor("!", _tagged)
