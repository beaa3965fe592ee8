"""Ask the user of a command for a secret, which is never an argument.

Arguments stand in the shell's history and in `ps`.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from stripe_to_segment_tools.terminal.output import stop

__all__ = ["NoSecret", "SecretFromEnv", "from_standard_input", "from_terminal", "from_variable", "given_secret"]

SIGNING_SECRET = "STRIPE_SIGNING_SECRET"  # noqa: S105 - a variable's name
REFUSED = (
    "--secret takes no signing secret: on the command line your shell's history and other users see it. Put it into "
    f"{SIGNING_SECRET} (read -rs {SIGNING_SECRET} && export {SIGNING_SECRET}), or name another variable with "
    "--secret-from-env. If the one you gave opens anything, roll it"
)
SecretFromEnv = Annotated[
    str,
    typer.Option(
        "--secret-from-env",
        metavar="NAME",
        help="The variable that holds the signing secret.",
        show_default=SIGNING_SECRET,
    ),
]


def _refuse(given: str) -> None:
    if given:
        # Refused before anything is done, and the value is not repeated.
        stop(REFUSED)


# The option of earlier releases: hidden, and refused with a text that says what to do instead.
NoSecret = Annotated[str, typer.Option("--secret", hidden=True, callback=_refuse, is_eager=True)]


def from_variable(name: str) -> str:
    """The value of an environment variable. Ends the command where it is empty."""
    value = os.environ.get(name, "").strip()
    if not value:
        stop(f"the variable {name} is not set, or not exported: read -rs {name} && export {name}")
    return value


def from_terminal(what: str) -> str:
    """A value that is typed or pasted and not shown; empty without a terminal."""
    return typer.prompt(what, hide_input=True, err=True).strip() if sys.stdin.isatty() else ""


def from_standard_input() -> str:
    """The line on standard input. Ends the command unless there is exactly one."""
    lines = sys.stdin.read().split()
    if len(lines) != 1:
        stop("standard input is to hold the value and nothing else")
    return lines[0]


def given_secret(variable: str) -> str:
    """The signing secret that a command was given: in the variable named, or in STRIPE_SIGNING_SECRET; else empty."""
    return from_variable(variable) if variable else os.environ.get(SIGNING_SECRET, "").strip()
