"""The `--help` of every command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from stripe_to_segment_tools.commands.cli import COMMANDS, app
from stripe_to_segment_tools.terminal.help import loaded

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(command: Any, *names: str) -> Iterator[tuple[str, str]]:
    """Each command by its full name, with its help."""
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(loaded(each), *names, name)
    if not hasattr(command, "commands"):
        yield " ".join(names), command.help


GROUP: Any = typer.main.get_command(app)
HELP = dict(commands(GROUP))


def test_all_commands_are_found() -> None:
    assert {"explain", "register", "dlq list", "sample request"} <= set(HELP)


@pytest.mark.parametrize(("name", "summary"), [(name, summary) for name, _, summary in COMMANDS])
def test_the_list_of_commands_says_what_each_says_of_itself(name: str, summary: str) -> None:
    """The list stands in for commands that are not imported yet."""
    assert loaded(GROUP.commands[name]).help.partition("\n\n")[0] == summary


@pytest.mark.parametrize("command", HELP)
def test_the_help_says_what_the_exit_status_means_and_gives_an_example(command: str) -> None:
    before, _, examples = HELP[command].partition("Examples\n--------\n")
    assert "Exit status: 0" in before
    assert f"stripe-to-segment {command}" in examples


@pytest.mark.parametrize("command", ["", *HELP])
def test_a_flag_shows_no_type_as_if_it_took_a_value(command: str) -> None:
    """Typer 0.29 prints `--local <bool>`, and `--local true` then names an argument that no command has."""
    shown = CliRunner().invoke(app, [*command.split(), "--help"]).stdout
    assert "--help" in shown
    assert "<bool>" not in shown


@pytest.mark.parametrize("command", HELP)
def test_the_help_flows_into_whatever_width_there_is(command: str) -> None:
    before, _, _ = HELP[command].partition("Examples\n")
    assert "\n" not in before.replace("\n\n", "")
