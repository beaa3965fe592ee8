"""Print safely: no text from outside can control the terminal, hide itself or reverse the direction of a line.

An event's id, an answer's body or a line of a log may contain a text from somebody else, with escape sequences that
recolour or clear the screen, or bidirectional controls that change how a text reads
(https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing, https://trojansource.codes).
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["make_console", "say", "say_json", "stop", "visible"]

WIDTH_WITHOUT_TERMINAL = 120
# Letters by their category, but invisible: https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")


def visible(text: str, *, keep: str = "") -> str:
    r"""Write control characters, bidirectional controls and other invisible characters as JSON escapes, as \u202e.

    JSON keeps its value, because such characters occur only in its strings. Spaces of all widths stay.

    Parameters
    ----------
    text
        Anything.
    keep
        Characters that stay, such as the line breaks of indented JSON.
    """
    if text.isprintable() and _BLANK_LETTERS.isdisjoint(text):
        return text
    return "".join(each if each in keep or _is_visible(each) else json.dumps(each)[1:-1] for each in text)


def _is_visible(character: str) -> bool:
    # For Python, only the ASCII space is a printable space.
    return (character.isprintable() or unicodedata.category(character) == "Zs") and character not in _BLANK_LETTERS


def make_console() -> Console:
    """Return a console with colours on a terminal, and with a fixed width elsewhere."""
    # Imported here, because commands that print JSON do not need it.
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def say(*lines: str, err: bool = False) -> None:
    """Print lines; a line break within a line is printed as an escape."""
    for line in lines:
        typer.echo(visible(line), err=err)


def say_json(value: object, indent: int | None = None) -> None:
    """Print a value as JSON: in one line, or with an indent of so many spaces."""
    written: Any = json.dumps(value, ensure_ascii=False, indent=indent)
    typer.echo(visible(written, keep="\n"))


def stop(message: str, status: int = 2) -> NoReturn:
    """Print the reason on standard error, and end the command."""
    say(*f"error: {message}".splitlines(), err=True)
    raise typer.Exit(status)
