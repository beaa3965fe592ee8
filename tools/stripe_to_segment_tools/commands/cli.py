"""The command line `stripe-to-segment`."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stripe_to_segment import __version__
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.mapping.tracking import EVENTS
from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands import sample as sample_commands
from stripe_to_segment_tools.commands.backfill import backfill_command
from stripe_to_segment_tools.commands.dlq import command as dead_letters
from stripe_to_segment_tools.commands.doctor import doctor_command
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.commands.forget.command import forget_command
from stripe_to_segment_tools.commands.prime.command import CURRENCIES, prime_command
from stripe_to_segment_tools.commands.register.command import register_command
from stripe_to_segment_tools.commands.secret.commands import app as secret_app
from stripe_to_segment_tools.commands.send.command import send_command
from stripe_to_segment_tools.commands.sign_reference import VARIABLE, sign_reference_command
from stripe_to_segment_tools.commands.tail.command import tail_command
from stripe_to_segment_tools.samples.inputs import read_events
from stripe_to_segment_tools.terminal.help import Commands
from stripe_to_segment_tools.terminal.output import say, say_json

if TYPE_CHECKING:
    from stripe_to_segment.settings import Settings

__all__ = ["app"]

app = Commands(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Turn Stripe webhooks into Segment calls: try the mapping, register a stack in Stripe, and operate it.",
)
app.add_typer(sample_commands.app, name="sample")
app.command("send")(send_command)
app.command("prime")(prime_command)
app.command("register")(register_command)
app.add_typer(secret_app, name="secret")
app.add_typer(dead_letters.app, name="dlq")
app.command("doctor")(doctor_command)
app.command("tail")(tail_command)
app.command("backfill")(backfill_command)
app.command("forget")(forget_command)
app.command("sign-reference")(sign_reference_command)


def _version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def main(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn Stripe webhooks into Segment calls: try the mapping, register a stack in Stripe, and operate it."""


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
    """Print the calls of each Stripe event: one JSON line for each event, in input order. Offline, nothing is sent.

    `outcome` is mapped, ignored or invalid, `reason` gives the cause, and `calls` are exactly the items of Segment's
    batch request. Later events use the knowledge from earlier ones, such as the user. Signed client references are
    verified with the key in CLIENT_REFERENCE_KEY.

    Exit status: 0, or 1 if an event was invalid, or 2 if a setting cannot be used.

    Examples
    --------
      stripe-to-segment explain events/

      stripe-to-segment explain --set UNKNOWN_USER_POLICY=customer_id event.json

      pbpaste | stripe-to-segment explain - | jq .calls
    """
    chosen = _chosen(settings)
    invalid = False
    # From the secret on AWS, and not a setting: --set would show it to every user who lists processes.
    chosen = replace(chosen, client_reference_key=os.environ.get(VARIABLE, "").strip())
    for explained in explain(read_events(paths), chosen):
        invalid = invalid or explained.outcome == "invalid"
        say_json(explained.line())
    raise typer.Exit(1 if invalid else 0)


class Format(StrEnum):
    """The output format of `plan`."""

    SEGMENT = "segment"
    MARKDOWN = "markdown"
    JSONSCHEMA = "jsonschema"
    WAREHOUSE = "warehouse"


@app.command("plan")
def plan_command(
    *,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="segment: rules for Segment's Public API. markdown: a document. jsonschema: a schema of one call. "
            "warehouse: the tables, the types of their columns, and a letter to Segment's support.",
        ),
    ] = Format.SEGMENT,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Override a setting; may be given several times."),
    ] = None,
) -> None:
    r"""Print the tracking plan: every event, property and trait that is sent. Offline.

    RENAME_EVENTS and DROP_EVENTS apply to its names, PERSONAL_TRAITS and HASH_EMAIL to its traits. The rules are the
    body of Segment's Replace Rules in Tracking Plan (PUT, the plan then has only these rules) or Update Rules (PATCH,
    beside others). The schema forbids properties that the plan does not name; the rules leave that to the settings of
    the source.

    Exit status: 0, or 2 if a setting cannot be used.

    Examples
    --------
      stripe-to-segment plan > rules.json

      curl -X PUT https://api.segmentapis.com/tracking-plans/$ID/rules -H "Authorization: Bearer $TOKEN" \
        -H "Content-Type: application/vnd.segment.v1+json" --data @rules.json

      stripe-to-segment plan --format markdown --set 'RENAME_EVENTS={"Order Completed": "Purchase Completed"}'

      stripe-to-segment plan --format jsonschema | jq '.allOf | length'

      stripe-to-segment plan --format warehouse | grep ' float$'
    """
    # Imported only here: the JSON Schema library takes longer to import than all the rest.
    from stripe_to_segment_tools.tracking_plan import TrackingPlan, markdown  # noqa: PLC0415
    from stripe_to_segment_tools.tracking_plan.warehouse import warehouse_guide  # noqa: PLC0415

    chosen = _chosen(settings)
    for name in (*chosen.rename_events, *chosen.drop_events):
        if name not in EVENTS:
            say(f"note: {name!r} is no event of the plan, so the setting that names it changes nothing", err=True)
    plan = TrackingPlan(chosen)
    if form is Format.WAREHOUSE:
        say(*warehouse_guide(plan, CURRENCIES))
    elif form is Format.MARKDOWN:
        say(*markdown(plan).splitlines())
    else:
        say_json(plan.segment() if form is Format.SEGMENT else plan.jsonschema(), indent=2)


def _chosen(given: list[str] | None) -> Settings:
    """The settings with the values of `--set`."""
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
