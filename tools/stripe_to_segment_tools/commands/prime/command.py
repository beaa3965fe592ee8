"""The command: send one call of each event and of each set of traits to warehouses alone."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stripe_to_segment.http_session import http_session
from stripe_to_segment.segment_side.answers import Meaning
from stripe_to_segment.segment_side.client import SegmentClient
from stripe_to_segment.stripe_side.fields import iso_time
from stripe_to_segment_tools.access.options import AsJson, DryRun, StackChoice, on_a_stack
from stripe_to_segment_tools.commands.prime.sources import Source, is_segments, sources_of
from stripe_to_segment_tools.terminal.moments import iso
from stripe_to_segment_tools.terminal.output import say, say_json, stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.dynamodb import DynamoStore
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["CURRENCIES", "prime_command"]

# The most used of Stripe's currencies with decimals. A column of a currency without decimals needs no priming.
CURRENCIES = (
    *("AUD", "BRL", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR"),
    *("MXN", "MYR", "NOK", "NZD", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "USD", "ZAR"),
)
SECONDS = 60.0


@dataclass(slots=True)
class Report:
    """The output of a run: lines for a person as it goes, or JSON for a program at the end."""

    dry_run: bool
    as_json: bool
    sources: list[dict[str, Any]] = field(default_factory=list)

    def about(self, source: Source, state: str, said: str, **more: Any) -> None:
        """Report the state of a source."""
        self.sources.append({"mode": source.mode, "state": state, **more})
        if not self.as_json:
            say(f"{source.mode} source: {said}")

    def end(self) -> None:
        """Finish the output."""
        if self.as_json:
            say_json({"dry_run": self.dry_run, "sources": self.sources})


@on_a_stack
def prime_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    *,
    currency: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="A currency of yours, for the traits by currency; may be given several times.",
            show_default="the 24 that Stripe charges most in",
        ),
    ] = None,
    warehouse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="The warehouse, as RudderStack calls its kind: Snowflake; may be given several times.",
        ),
    ] = None,
    decline: Annotated[
        bool, typer.Option("--decline", help="Send nothing: no warehouse will ever be connected to these sources.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Send it even if it was sent before.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Create each column of a warehouse with the right type, before the first real call does.

    A warehouse takes a column's type from the first value that it sees. If that is a price of 20, the column holds
    whole numbers, and a later 19.99 becomes 19, for good. So this command sends one call of each event and of each set
    of traits in the tracking plan to each source, live and test, with every amount fractional. The calls are of one
    user, stripe-to-segment-primer, in XTS, the currency code for tests. Run it before you register the webhook, once
    for each source, and again when an update or RenameEvents brings new columns of amounts. The StateTable keeps a note
    of it, and `doctor` says ✗ until each source is primed, with all its columns, or declined.

    Other destinations do not get the calls: `integrations` is {"All": false}, which Segment's warehouses ignore. Those
    of RudderStack obey it, so there name the warehouse with --warehouse, as RudderStack's dashboard calls its kind.

    If the source has sent amounts before, its columns keep their types: docs/warehouse.md says how to check them, and
    what to ask Segment's support for.

    Exit status: 0 if each source is primed or declined now; 1 if a call was not accepted; 2 if it could not start.

    Examples
    --------
      stripe-to-segment prime --stack stripe-to-segment --dry-run

      stripe-to-segment prime --stack stripe-to-segment --currency EUR --currency KWD

      stripe-to-segment prime --stack stripe-to-segment --warehouse Snowflake

      stripe-to-segment prime --stack stripe-to-segment --decline
    """
    codes = _codes(currency)
    found = stack.find()
    settings, keys = found.settings(), found.keys()
    sources = list(sources_of(settings, keys))
    if not sources:
        stop(
            "the KeysSecret has no write key of a mode that the stack takes: put it there with "
            "`stripe-to-segment secret set segment_write_key`"
        )
    heard = _heard(found, settings, warehouse or [], decline=decline)
    store, report = found.store(), Report(dry_run, as_json)
    failed = False
    for source in sources:
        if decline:
            _decline(source, store, report)
        elif not again and (at := source.primed_at(store)) is not None:
            report.about(
                source, "primed", f"nothing to do: primed on {iso(at)}; --again sends it once more", at=iso(at)
            )
        else:
            before = None if again else source.once_primed_at(store)
            failed = not _prime(source, store, _calls(settings, codes, heard), report, before) or failed
    report.end()
    raise typer.Exit(int(failed))


def _codes(given: Sequence[str] | None) -> tuple[str, ...]:
    codes = tuple(dict.fromkeys(code.strip().upper() for code in given or CURRENCIES))
    if wrong := [code for code in codes if not re.fullmatch(r"[A-Z]{3}", code)]:
        stop(f"--currency takes a code of ISO 4217, such as EUR, not {wrong[0]!r}")
    return codes


def _heard(stack: Stack, settings: Settings, warehouses: Sequence[str], *, decline: bool) -> dict[str, Any]:
    """The destinations of the calls, as `integrations`."""
    if not (warehouses or decline or is_segments(stack, settings.segment_endpoint)):
        stop(
            f"SegmentEndpoint is {settings.segment_endpoint}, which is not Segment's: with another endpoint, calls"
            " without destinations reach no warehouse either. Name yours with --warehouse, on RudderStack as its"
            " dashboard calls the kind of "
            "destination (--warehouse Snowflake); docs/warehouse.md says more"
        )
    return {"All": False, **dict.fromkeys(warehouses, True)}


def _calls(settings: Settings, codes: Sequence[str], heard: dict[str, Any]) -> list[Call]:
    # Imported only here, because the JSON Schema library takes longer to import than all the rest.
    from stripe_to_segment_tools.tracking_plan.primer import primer_calls

    return primer_calls(settings, iso_time(int(time.time())) or "", currencies=codes, integrations=heard)


def _prime(source: Source, store: DynamoStore, calls: Sequence[Call], report: Report, before: int | None) -> bool:
    """Send the calls and note that in the StateTable; returns whether all were accepted.

    `before` is the epoch second at which it was primed with fewer columns.
    """
    why = f": since {iso(before)} an update or RenameEvents brought columns of amounts" if before is not None else ""
    if report.dry_run:
        bodies = [json.loads(call.encoded) for call in calls] if report.as_json else []
        said = f"would send {len(calls)} calls to {source.endpoint}{why}"
        report.about(source, "would be primed", said, calls=bodies)
        return True
    answers = SegmentClient(http_session(), source.endpoint, source.write_key).send(calls, lambda: SECONDS)
    bad = [answer for answer in answers.values() if answer.meaning is not Meaning.ACCEPTED]
    if bad:
        reason = f"{bad[0].reason} {bad[0].detail}".strip()
        said = f"{len(bad)} of {len(calls)} calls were not taken: {reason}; try again"
        report.about(source, "failed", said, reason=reason)
        return False
    source.remember(store, declined=False)
    report.about(source, "primed", f"primed with {len(calls)} calls{why}", sent=len(calls))
    return True


def _decline(source: Source, store: DynamoStore, report: Report) -> None:
    if not report.dry_run:
        source.remember(store, declined=True)
    report.about(source, "declined", f"{'would be ' if report.dry_run else ''}declined; `doctor` no longer asks for it")
