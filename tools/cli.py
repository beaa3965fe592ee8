"""The command line `stripe-to-segment`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, NoReturn

import typer

from stripe_to_segment import __version__
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.settings import settings_from
from tools import sample_commands
from tools.explain import explain
from tools.inputs import read_events
from tools.send import send_command

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Stripe webhooks into Segment calls: look at the mapping, and try a stack with sample events.",
)
app.add_typer(sample_commands.app, name="sample")
app.command("send")(send_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stripe webhooks into Segment calls: look at the mapping, and try a stack with sample events."""


@app.command("explain")
def explain_command(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files or folders of events, requests or SQS batches; - reads standard input.", metavar="PATH"
        ),
    ],
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Override a setting; may be given several times."),
    ] = None,
) -> None:
    """Say what each Stripe event becomes: one JSON line for each event, in input order. Offline, nothing is sent.

    `outcome` is mapped, ignored or invalid, `reason` says why, and `calls` are exactly the items of Segment's batch
    request. What one event tells (who the user is, say) serves the next.

    Exit status: 0, or 1 if an event was invalid, or 2 if a setting cannot be used.

    Examples
    --------
      stripe-to-segment explain events/

      stripe-to-segment explain --set UNKNOWN_USER_POLICY=customer_id event.json

      pbpaste | stripe-to-segment explain - | jq .calls
    """
    overrides: dict[str, str] = {}
    for setting in settings or []:
        name, given, value = setting.partition("=")
        if not given:
            _fail(f"--set takes NAME=VALUE, not {setting!r}")
        overrides[name] = value
    try:
        chosen = settings_from(overrides, strict=True)
    except ConfigurationError as error:
        _fail(str(error))
    invalid = False
    for explained in explain(read_events(paths), chosen):
        invalid = invalid or explained.outcome == "invalid"
        sys.stdout.write(json.dumps(explained.line(), ensure_ascii=False) + "\n")
    raise typer.Exit(1 if invalid else 0)


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)
