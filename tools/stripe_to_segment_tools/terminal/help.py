"""Commands whose help fits every terminal."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Commands"]


class Commands(typer.Typer):
    """A Typer app whose commands' docstrings flow into whatever width there is, up to their examples."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as `typer.Typer.command` does."""
        return super().command(name, **{"cls": _Command, **options})


class _Command(TyperCommand):
    def __init__(self, *arguments: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002 - Typer's name
        super().__init__(*arguments, help=_flowing(help or ""), **options)


def _flowing(text: str) -> str:
    """Typer keeps single line breaks, which a narrow terminal then breaks again."""
    paragraphs, heading, examples = inspect.cleandoc(text).partition("Examples\n")
    joined = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs.split("\n\n"))
    return joined + heading + examples
