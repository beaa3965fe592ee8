"""Commands with a help that fits every terminal; each is imported only when it is called."""

from __future__ import annotations

import importlib
import inspect
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Commands", "loaded"]


class Commands(typer.Typer):
    """A Typer app that wraps the docstrings of its commands to the terminal's width, up to their examples."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"cls": _Group, **options})

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as `typer.Typer.command` does."""
        return super().command(name, **{"cls": _Command, **options})

    def later(self, name: str, target: str, summary: str) -> None:
        """Register the command or the group that `target` names, `module:attribute`, and import it when it is called.

        Until then `summary` is its help, which is all that a list of commands shows.
        """
        cls: Any = partial(_LaterCommand, target=target)
        super().command(name, cls=cls, help=summary)(_nothing)


def loaded(command: Any) -> Any:
    """Import the command, if it is one that is imported later."""
    return command.itself if isinstance(command, _LaterCommand) else command


def _nothing() -> None:
    """The placeholder for a command that was not imported yet."""


class _LaterCommand(TyperCommand):
    def __init__(self, *, target: str, **options: Any) -> None:
        super().__init__(**options)
        self._target = target

    @cached_property
    def itself(self) -> Any:
        module, _, attribute = self._target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        app = Commands(add_completion=False, pretty_exceptions_show_locals=False)
        app.command(self.name)(found)
        return typer.main.get_command(app)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        # A group continues with the command of the context.
        return self.itself.make_context(*arguments, **options)


class _Command(TyperCommand):
    def __init__(self, *arguments: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002 - Typer's name
        super().__init__(*arguments, help=_flowing(help or ""), **options)

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


def _plain(parameters: list[Any]) -> list[Any]:
    """Show no type beside a flag, which takes no value."""
    for parameter in _quick(parameters):
        if getattr(parameter, "is_flag", False):
            parameter.display_type_rich = _no_type
    return parameters


def _no_type(ctx: Any) -> None:
    """What Typer shows beside an option in place of `<bool>`."""


def _quick(parameters: list[Any]) -> list[Any]:
    """Keep Typer from importing Pydantic to check texts and flags, which takes longer than the rest of a command.

    If a new Typer moves this code, a test fails.
    """
    for parameter in parameters:
        known = getattr(parameter, "type_descriptor", None)
        if known is not None and known.annotation in {bool, str, list[str]} and known.parameter_info.parser is None:
            parameter._runtime_param = _AsItIs(parameter)  # noqa: SLF001 - no public way
    return parameters


class _AsItIs:
    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter

    def coerce(self, value: Any, **options: Any) -> Any:
        """Return texts and flags unchanged, and leave other types to Typer."""
        parameter = self._parameter
        if parameter.multiple or parameter.nargs == -1:
            return list(value or ())
        if value is None or isinstance(value, parameter.type_descriptor.annotation):
            return value
        parameter._runtime_param = None  # noqa: SLF001 - no public way
        return parameter.get_runtime_param().coerce(value, **options)


def _flowing(text: str) -> str:
    """Join the lines of each paragraph.

    Typer keeps single line breaks, and a narrow terminal would break the lines again.
    """
    paragraphs, heading, examples = inspect.cleandoc(text).partition("Examples\n")
    joined = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs.split("\n\n"))
    return joined + heading + examples
