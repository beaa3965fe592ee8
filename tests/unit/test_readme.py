"""README and docs/ are right: their lists, tables, commands and links are compared with the code."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.build.readme import readme_elsewhere
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.commands.register.webhook_endpoints import API_VERSION
from stripe_to_segment_tools.samples.inputs import read_events
from stripe_to_segment_tools.terminal.help import loaded

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
SETTINGS = (PROJECT / "docs/settings.md").read_text(encoding="utf-8")
START = (PROJECT / "docs/start.md").read_text(encoding="utf-8")
FIRST = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = [*(PROJECT / name for name in FIRST), *sorted((PROJECT / "docs").glob("*.md"))]
NAMES = [path.name for path in DOCUMENTS]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags, of which only `!Ref` matters here."""


def _tagged(_: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, str]:
    return {tag: node.value} if isinstance(node, yaml.ScalarNode) else {}


_Loader.add_multi_constructor("!", _tagged)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    with (PROJECT / "template.yaml").open(encoding="utf-8") as text:
        body: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    return body


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, heads left out."""
    lines = re.findall(r"^\|.*\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    heads = {number for number, row in enumerate(cells[1:]) if set("".join(row)) <= set("-|")}
    return [row for number, row in enumerate(cells) if number not in heads and number - 1 not in heads]


def anchor(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_parameter_stands_in_the_settings_table_with_its_default(template: dict[str, Any]) -> None:
    shown = {row[0].strip("`"): row[2].strip("`") for row in rows(SETTINGS)}
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    assert shown == {name: default or "*empty*" for name, default in defaults.items()}


def test_every_parameter_stands_beside_the_variable_it_becomes(template: dict[str, Any]) -> None:
    variables = dict(template["Globals"]["Function"]["Environment"]["Variables"])
    for function in ("ReceiveFunction", "DeliverFunction"):
        variables |= template["Resources"][function]["Properties"]["Environment"]["Variables"]
    become = {value["Ref"]: name for name, value in variables.items() if isinstance(value, dict) and "Ref" in value}
    shown = {row[0].strip("`"): row[1].strip("`") for row in rows(SETTINGS)}
    assert shown == {name: become.get(name, "-") for name in template["Parameters"]}


def test_every_setting_of_the_package_is_named() -> None:
    for setting in fields(Settings):
        if setting.name == "client_reference_key":
            # Of the secret: no environment holds it.
            continue
        assert f"`{setting.name.upper()}`" in SETTINGS, setting.name


def test_a_default_of_the_package_is_the_one_that_is_documented() -> None:
    own = Settings()
    for row in rows(SETTINGS):
        name, default = row[1].strip("`").lower(), row[2].strip("`")
        if hasattr(own, name) and default != "*empty*":
            value = getattr(own, name)
            plain = ",".join(value) if isinstance(value, tuple) else str(value)
            assert default == (plain.lower() if isinstance(value, bool) else plain), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_make_target_named_exists(path: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"(?:`|^|&& |\$ )make ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_relative_link_resolves(path: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [anchor(each) for each in headings], link


def test_away_from_the_checkout_no_link_of_the_readme_leads_nowhere() -> None:
    """The wheel's page on PyPI and the package had fifty links to files that are not there, and a broken picture."""
    alone = readme_elsewhere(README)
    assert [link for link in re.findall(r"\]\(([^)]+)\)", alone) if not link.startswith(("https://", "#"))] == []
    assert "![" not in alone
    assert "Numbers has the rules" in alone
    linked = readme_elsewhere(README, "https://example.com/shop/stripe-to-segment/")
    assert "(https://example.com/shop/stripe-to-segment/raw/main/docs/page.png)" in linked
    assert "[Numbers](https://example.com/shop/stripe-to-segment/blob/main/docs/numbers.md)" in linked


def test_the_readme_says_which_endpoints_drop_a_repeated_call_and_for_how_long() -> None:
    table = (PROJECT / "docs/endpoints.md").read_text(encoding="utf-8")
    for said in ("for at least 24 hours", "`Dedup.enableDedup`", "for an hour", "does not say"):
        assert said in README
        assert said in table


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert README.count("\n") <= 250


def test_the_readmes_event_is_a_sample_and_its_calls_are_what_it_becomes() -> None:
    event, calls = (json.loads(each) for each in re.findall(r"^```json\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))
    (sample,) = read_events([PROJECT / "events/invoice.paid.subscription_cycle.json"])
    assert within(event, sample.event)
    (made,) = explain([sample], Settings())
    assert len(made.calls) == len(calls)
    assert all(within(call, become) for call, become in zip(calls, made.calls, strict=True))


def within(part: Any, whole: Any) -> bool:
    """Whether an object has all of another, at any depth."""
    if isinstance(part, dict):
        return all(name in whole and within(value, whole[name]) for name, value in part.items())
    return bool(part == whole)


def test_a_page_of_the_guide_is_named_in_the_readme() -> None:
    unnamed = {path.name for path in (PROJECT / "docs").glob("*.md") if f"](docs/{path.name}" not in README}
    assert unnamed == set()


def test_every_command_that_a_guide_calls_exists() -> None:
    group: Any = typer.main.get_command(app)
    commands = {
        **{name: set(getattr(loaded(each), "commands", {})) for name, each in group.commands.items()},
        "--version": set(),
        "--help": set(),
        "--install-completion": set(),
        "--show-completion": set(),
    }
    called = re.compile(r"(?:^|`|bin/|\| )stripe-to-segment ([a-z-]+|--[a-z-]+)(?: ([a-z-]+))?", re.MULTILINE)
    for path in DOCUMENTS:
        for name, sub in called.findall(path.read_text(encoding="utf-8")):
            assert name in commands, f"{path.name}: {name}"
            assert not commands[name] or not sub or sub in commands[name], f"{path.name}: {name} {sub}"


def test_what_each_command_of_a_stack_needs_is_listed() -> None:
    group: Any = typer.main.get_command(app)
    # `dlq` is a group, whose commands need the same.
    of_a_stack = {
        name
        for name, command in ((name, loaded(each)) for name, each in group.commands.items())
        for each in [command, *getattr(command, "commands", {}).values()]
        if any("--stack" in option.opts for option in each.params)
    }
    listed = (PROJECT / "docs/permissions.md").read_text(encoding="utf-8").split("\n## Commands\n")[1].split("\n## ")[0]
    assert {row[0].strip("`") for row in rows(listed)} == of_a_stack


def test_the_api_version_to_choose_is_the_one_that_register_takes() -> None:
    for guide in (README, START):
        assert set(re.findall(r"`(20\d\d-\d\d-\d\d\.\w+)`", guide)) == {API_VERSION}


def test_every_file_named_in_a_command_exists() -> None:
    for path in DOCUMENTS:
        for name in re.findall(r"(?<!/)\bevents/[a-z_./\-]+\.json", path.read_text(encoding="utf-8")):
            assert (PROJECT / name).exists(), name


def test_every_output_that_a_command_reads_exists(template: dict[str, Any]) -> None:
    for path in DOCUMENTS:
        for name in re.findall(r"\$\((?:output|arn) ([A-Z]\w+)\)", path.read_text(encoding="utf-8")):
            assert name in template["Outputs"], name
