"""The options that select a stack, defined once: `on_a_stack` adds them to a command."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from stripe_to_segment.settings import STRIPE_API
from stripe_to_segment_tools.access.stack import find_stack, reporting_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["AsJson", "DryRun", "StackChoice", "StripeApiBase", "Yes", "on_a_stack"]

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for a program to read.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")]
StripeApiBase = Annotated[
    str,
    typer.Option(metavar="URL", help="Send the API key to this address instead of Stripe's.", show_default=STRIPE_API),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class StackChoice:
    """The stack that the options name. Finding it takes a moment, so a command first checks its other options."""

    name: str
    local: bool
    region: str
    profile: str

    def find(self) -> Stack:
        """Find it. Raises StackAccessError."""
        return find_stack(self.name, local=self.local, region=self.region, profile=self.profile)


def _stack_options(
    name: Annotated[
        str,
        typer.Option(
            "--stack",
            envvar="STRIPE_TO_SEGMENT_STACK",
            metavar="NAME",
            help="The deployed stack, on AWS.",
            rich_help_panel="Which stack",
        ),
    ] = "",
    *,
    local: Annotated[
        bool, typer.Option("--local", help="The local stack that `make run` started.", rich_help_panel="Which stack")
    ] = False,
    region: Annotated[
        str,
        typer.Option(
            metavar="REGION", help="AWS region.", show_default="your AWS configuration's", rich_help_panel="Which stack"
        ),
    ] = "",
    profile: Annotated[
        str,
        typer.Option(
            metavar="PROFILE",
            help="AWS profile.",
            show_default="your AWS configuration's",
            rich_help_panel="Which stack",
        ),
    ] = "",
) -> StackChoice:
    return StackChoice(name, local, region, profile)


def on_a_stack(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, pass their values as its first argument, and report its errors."""
    names = list(inspect.signature(_stack_options).parameters)
    own = _parameters(command)[1:]
    # Keyword arguments, as Typer calls it, so that an argument may follow an option.
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in [*own, *_parameters(_stack_options)]]

    def run(**given: Any) -> None:
        with reporting_errors():
            command(_stack_options(**{name: given.pop(name) for name in names}), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(function, localns={"StackChoice": StackChoice}, include_extras=True)
    return [each.replace(annotation=hints[each.name]) for each in inspect.signature(function).parameters.values()]
