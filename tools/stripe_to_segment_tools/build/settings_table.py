"""The README's table of settings, from the template's parameters. Pure.

The template knows the parameters, their defaults and the variables that they become. What each does is told in the
README, where it may hold links; a parameter that nobody has told of yet gets its description from the template.
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
# How the description of a parameter ends: tests/template/test_parameters.py.
EMPTY = re.compile(r"\.? Empty: .*$", re.DOTALL)


def settings_table(template: str, table: str) -> str:
    """The table as it should be; rows that `table` already has keep their order and what they say."""
    body: Any = yaml.load(template, _Loader)  # noqa: S506 - a SafeLoader
    parameters: dict[str, Any] = body["Parameters"]
    groups = body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    told = {found[1]: found[2] for found in ROW.finditer(table) if found[1] in parameters}
    names = [*told]
    for before, name in pairwise(["", *(name for group in groups for name in group["Parameters"])]):
        if name not in told:
            names.insert(names.index(before) + 1 if before else 0, name)
    variables = dict(_variables(body))
    return HEAD + "".join(
        f"| `{name}` | {_code(variables.get(name, ''), '-')} | {_code(str(parameters[name]['Default']), '*empty*')}"
        f" | {told.get(name) or EMPTY.sub('', parameters[name]['Description'])} |\n"
        for name in names
    )


def _variables(body: Any) -> Iterator[tuple[str, str]]:
    """Each parameter that a variable of a function takes its value from, with that variable."""
    sections = [body["Globals"]["Function"], *(resource["Properties"] for resource in body["Resources"].values())]
    for section in sections:
        for name, value in section.get("Environment", {}).get("Variables", {}).items():
            # An !If takes a parameter where it is given, and else a default of the stack's.
            source = value[1] if isinstance(value, list) else value
            if isinstance(source, _Ref):
                yield source, name


def _code(text: str, otherwise: str) -> str:
    return f"`{text}`" if text else otherwise


class _Ref(str):
    """A name that stands behind `!Ref`."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, of which `!Ref` matters here."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return _Ref(node.value) if tag == "Ref" else None


_Loader.add_multi_constructor("!", _tagged)
