"""`stripe-to-segment backfill`: queue the events in Stripe's list that a stack has not delivered."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from stripe_to_segment.enqueuing import enqueue
from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.reconciling import STRIPE_KEEPS_SECONDS, Reconciliation
from stripe_to_segment.stripe_api.reader import StripeEvents
from stripe_to_segment_tools.access.options import AsJson, StackChoice, StripeApiBase, on_a_stack
from stripe_to_segment_tools.access.stripe import check_mode, mode_of, stripe_address, stripe_key
from stripe_to_segment_tools.terminal.moments import iso, moment
from stripe_to_segment_tools.terminal.output import say, say_json, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.reconciling import Step
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["backfill_command"]

# Time passes between the start of a run with "30d" and Stripe's own check of thirty days.
GRACE_SECONDS = 300


@dataclass(slots=True)
class Tally:
    """The progress so far; `until` is its end in epoch seconds."""

    until: int
    listed: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    oversize: list[str] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Add a finished slice."""
        self.until = step.until
        self.listed += step.listed
        self.missing.update(event.type for event in step.missing)
        self.oversize += [event.id for event in step.oversize]


@on_a_stack
def backfill_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    *,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Start: 7d, 12h, 90m, 2026-11-01 or 2026-11-01T08:30:00Z (UTC).")
    ],
    until: Annotated[str, typer.Option(metavar="WHEN", help="End of the period.", show_default="now")] = "",
    types: Annotated[
        str, typer.Option(metavar="TYPE,…", help="Only these event types.", show_default="all that are mapped")
    ] = "",
    undelivered_only: Annotated[
        bool, typer.Option("--undelivered-only", help="Only events that some endpoint has not acknowledged.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the missing events, and queue none.")] = False,
    stripe_api_base: StripeApiBase = "",
    as_json: AsJson = False,
) -> None:
    """List Stripe's events of a period, compare them with the delivered ones, and queue the missing ones, oldest first.

    Stripe lists the events of the last 30 days. The API key is read from STRIPE_API_KEY in the environment, else from
    the KeysSecret; it needs read access to Events, and its mode decides whether live or test events are listed. Events
    of connected accounts are not listed. No event is sent twice, however often you run this. An event that waits in
    the queue counts as missing, and so does a dead letter: redrive or purge dead letters first.

    Exit status: 0; 1 if it had to stop before the end (it prints the command to continue); 2 if it could not start.

    Examples
    --------
      stripe-to-segment backfill --since 7d --stack stripe-to-segment --dry-run

      stripe-to-segment backfill --since 2026-11-01 --until 2026-11-03 --undelivered-only --stack stripe-to-segment
    """
    now = int(time.time())
    start, end = _start(since, now), moment(until, now, "--until") if until else now + 1
    if start >= end:
        stop("--since is not before --until")
    chosen = _types(types)
    found = stack.find()
    settings = found.settings()
    base = stripe_address(settings, stripe_api_base)
    key, whose = stripe_key(found, "read access to Events")
    check_mode(key, settings)
    listing = StripeEvents(key, base, chosen, undelivered=undelivered_only)
    queue = None if dry_run else partial(enqueue, found.client("sqs"), found.output("EventsQueueUrl"))
    reconciliation = Reconciliation(listing.between, found.store(), settings, queue, claimed=True)
    note = f"{iso(start)} to {iso(end)}, {mode_of(key)} mode, API key from {whose}"
    say(note, err=True)
    tally = Tally(start)
    problem = ""
    try:
        _follow(reconciliation.between(start, end), tally, end)
    except ConfigurationError:
        raise
    except (KeyboardInterrupt, StripeToSegmentError) as error:
        problem = str(error) or "interrupted"
    _conclude(tally, start, end, dry_run=dry_run, as_json=as_json)
    if problem:
        flags = {"undelivered_only": undelivered_only, "dry_run": dry_run}
        repeat = _repeat(found, tally.until, end, {"types": types, "stripe-api-base": stripe_api_base}, **flags)
        stop(f"stopped at {iso(tally.until)}: {problem}\ncontinue with: {repeat}", 1)


def _follow(steps: Iterator[Step], tally: Tally, end: int) -> None:
    """Do the steps, with a progress bar on a terminal, which shows time, because the number of events is unknown."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        under_way = bar.add_task("asking Stripe", total=end - tally.until)
        for step in steps:
            tally.add(step)
            said = f"{tally.listed} listed, {tally.missing.total()} missing"
            bar.update(under_way, advance=step.until - step.since, description=said)


def _conclude(tally: Tally, start: int, end: int, *, dry_run: bool, as_json: bool) -> None:
    missing = tally.missing.total()
    if as_json:
        say_json(
            {
                "since": iso(start),
                "until": iso(end),
                "done_until": iso(tally.until),
                "listed": tally.listed,
                "missing": missing,
                "queued": 0 if dry_run else missing,
                "by_type": tally.missing,
                "oversize": tally.oversize,
            }
        )
        return
    verb = "would be queued" if dry_run else "queued"
    say(f"{tally.listed} events listed, {missing} missing{f' and {verb}' if missing else ''}")
    for kind, count in tally.missing.most_common():
        say(f"{count:8d}  {kind}")
    for event in tally.oversize:
        say(f"error: {event} is too large for the queue", err=True)


def _start(text: str, now: int) -> int:
    start = moment(text, now, "--since")
    earliest = now - STRIPE_KEEPS_SECONDS
    if start < earliest - GRACE_SECONDS:
        stop(
            f"Stripe lists the events of the last 30 days, so from {iso(earliest)} on, and has no older ones. Use"
            " --since 30d for all of them"
        )
    return max(start, earliest)


def _types(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in CATALOG]
    if unknown:
        stop(f"nothing is mapped from {', '.join(unknown)}; mapped are {', '.join(CATALOG)}")
    return chosen or list(CATALOG)


def _repeat(stack: Stack, since: int, until: int, given: dict[str, str], **flags: bool) -> str:
    words: list[Any] = ["stripe-to-segment", "backfill", "--since", iso(since), "--until", iso(until)]
    words += [word for name, value in given.items() if value for word in (f"--{name}", value)]
    words += [f"--{name.replace('_', '-')}" for name, given in flags.items() if given]
    return shlex.join([*words, *stack.options])
