"""The settings of a command that needs no stack: the defaults, and the values of `--set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.terminal.output import say

if TYPE_CHECKING:
    from stripe_to_segment.settings import Settings

__all__ = ["REFERENCE_KEY", "Overrides", "chosen_settings"]

# From the secret on AWS, and not a setting: --set would show it to every user who lists processes.
REFERENCE_KEY = "CLIENT_REFERENCE_KEY"

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Override a setting; may be given several times."),
]


def chosen_settings(given: list[str] | None) -> Settings:
    """The settings with the values of `--set`; ends the command with status 2 if one cannot be used."""
    overrides: dict[str, str] = {}
    for setting in given or []:
        name, separator, value = setting.partition("=")
        if not separator:
            _fail(f"--set takes NAME=VALUE, not {setting!r}")
        overrides[name] = value
    try:
        return settings_from(overrides, strict=True)
    except ConfigurationError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    say(f"error: {message}", err=True)
    raise typer.Exit(2)
