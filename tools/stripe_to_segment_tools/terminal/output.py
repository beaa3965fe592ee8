"""What the command line prints: no text from outside can command the terminal, hide itself or turn the line around.

An event's id, an answer's body or a line of a log may hold what somebody else wrote: escape sequences that recolour or
clear the screen, and bidirectional controls that let a text read other than it is
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
# Letters by their category, but nothing to see: https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")


def visible(text: str, *, keep: str = "") -> str:
    r"""Write control characters, bidirectional controls and whatever else cannot be seen as JSON escapes, as \u202e.

    JSON stays the same value, as such characters stand in its strings alone. Spaces of all widths stay as they are.

    Parameters
    ----------
    text
        Anything.
    keep
        Characters that are to stay, such as the line breaks of JSON with an indent.
    """
    if text.isprintable() and _BLANK_LETTERS.isdisjoint(text):
        return text
    return "".join(each if each in keep or _is_visible(each) else json.dumps(each)[1:-1] for each in text)


def _is_visible(character: str) -> bool:
    # Python calls no space printable but the one of ASCII.
    return (character.isprintable() or unicodedata.category(character) == "Zs") and character not in _BLANK_LETTERS


def make_console() -> Console:
    """Return a console with colours on a terminal only, and a fixed width elsewhere."""
    # Imported here alone: what prints JSON needs none.
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def say(*lines: str, err: bool = False) -> None:
    """Print lines; a line break within one is shown as an escape, and makes no second line."""
    for line in lines:
        typer.echo(visible(line), err=err)


def say_json(value: object, indent: int | None = None) -> None:
    """Print a value as JSON: in one line, or with so many spaces as indent."""
    written: Any = json.dumps(value, ensure_ascii=False, indent=indent)
    typer.echo(visible(written, keep="\n"))


def stop(message: str, status: int = 2) -> NoReturn:
    """Say why on standard error, and end the command."""
    say(*f"error: {message}".splitlines(), err=True)
    raise typer.Exit(status)
