"""`stripe-to-segment import`: read Stripe's lists, and queue a record of each object for `deliver`."""

from __future__ import annotations

import json
import shlex
import time
from functools import partial
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stripe_to_segment.enqueuing import enqueue, waiting
from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError
from stripe_to_segment.stripe_api.lists import FIRST, Lists
from stripe_to_segment.stripe_api.reader import is_live
from stripe_to_segment.stripe_side.event import Level, decoded
from stripe_to_segment.stripe_side.fields import hash_of
from stripe_to_segment_tools.access.options import AsJson, StackChoice, StripeApiBase, on_a_stack
from stripe_to_segment_tools.access.stripe import mode_of, stripe_address, stripe_key
from stripe_to_segment_tools.commands.importing.checks import (
    Mode,
    check_account,
    check_modes,
    check_readable,
    check_sends,
    users_in,
)
from stripe_to_segment_tools.commands.importing.progress import Progress, new_progress, read_progress
from stripe_to_segment_tools.commands.importing.run import LOCAL_PAUSE_SECONDS, Run
from stripe_to_segment_tools.commands.importing.steps import LEVELS, steps
from stripe_to_segment_tools.commands.importing.summary import conclude, pace_of
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.moments import iso, moment
from stripe_to_segment_tools.terminal.output import say, stop
from stripe_to_segment_tools.terminal.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["import_command"]

FOLDER = PROJECT / ".local"
# The template's default of ImportConcurrency.
FEWEST_BATCHES = 2
# A real queue counts approximately, and late.
PAUSE_SECONDS = 10.0
EVERYWHERE, WAREHOUSES = {"All": True}, {"All": False}


@on_a_stack
def import_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    *,
    level: Annotated[Level, typer.Option(help="What to send; each level includes those before it.")] = Level.STATE,
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="Start of the payments: 730d, 2025-01-01 (UTC).", show_default="the beginning"
        ),
    ] = "",
    mode: Annotated[
        Mode | None, typer.Option(help="Refuse an API key of the other mode.", show_default="the key's")
    ] = None,
    integrations: Annotated[
        str,
        typer.Option(
            metavar="JSON",
            help='Which destinations get the calls, such as {"All": false, "Mixpanel": true}, or "all".',
            show_default='{"All": false}, warehouses only',
        ),
    ] = "",
    users: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="The user of each customer: a file with the header customer,user[,group]."),
    ] = None,
    enrich: Annotated[bool, typer.Option("--enrich", help="Pass the calls through your `enrich` function.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List and count, print what would be sent, and queue nothing.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over instead of continuing an unfinished import.")
    ] = False,
    unregistered: Annotated[
        bool,
        typer.Option("--unregistered", help="Also import from an account without a webhook endpoint for this stack."),
    ] = False,
    stripe_api_base: StripeApiBase = "",
    as_json: AsJson = False,
) -> None:
    """Bring Stripe's existing data into a stack, so that its numbers are right from the first event on.

    Run it after `register`. It reads Stripe's lists and puts the objects into a queue of their own, which delays no
    event. Without --integrations the calls that it sends reach warehouses only.

    state: sends nothing. The stack remembers users, subscriptions with their mrr, and payments; the first event of a
    subscription then sends its opening balance.

    traits: also sends one identify for each user, and a group call where a group is known. Each user is a tracked user.

    opening: also sends one Subscription Imported for each live subscription; its mrr_change is the mrr.

    history: also sends past payments, refunds, disputes and ends of subscriptions, with their own times and the
    messageIds of the live events, so nothing is sent twice.

    After Ctrl-C, a crash or a failure of Stripe the same command continues. You can repeat an import as often as you
    like. The API key is read from STRIPE_API_KEY in the environment, else from the KeysSecret; it needs read access to
    all that is listed (docs/import.md), and its mode is the mode of the import.

    Exit status: 0; 1 if it had to stop before the end (it prints the command to continue) or left out an object that is
    too large for the queue; 2 if it could not start.

    Examples
    --------
      stripe-to-segment import --stack stripe-to-segment --dry-run --level traits

      stripe-to-segment import --stack stripe-to-segment --users users.csv

      stripe-to-segment import --stack stripe-to-segment --level history --since 730d --integrations '{"All": false}'
    """
    now = int(time.time())
    start = _start(since, now)
    where = _integrations(integrations)
    found = stack.find()
    settings = found.settings()
    base = stripe_address(settings, stripe_api_base)
    key, whose = stripe_key(found, "read access to what is listed")
    check_modes(key, settings, mode)
    check_sends(found, settings, level, livemode=is_live(key))
    if not (unregistered or found.local):
        check_account(found, key, base)
    named = None if users is None else users_in(users, settings, "--users ")
    lists = Lists(key, base)
    say(f"checking what the API key from {whose} may read", err=True)
    check_readable(lists)
    sqs, url = found.client("sqs"), found.output("ImportQueueUrl")
    options = {
        # Its name may be that of another stack in another account or region, or of one that is no more.
        "stack": url,
        "level": level,
        "since": since,
        "integrations": where,
        "users": named.digest if named else "",
        "enrich": enrich,
    }
    path = FOLDER / f"import-{found.name}-{mode_of(key)}{'-dry-run' if dry_run else ''}.json"
    progress = _progress(path, options, lists.requests.now or now, start, fresh=restart or dry_run)
    batches = 0 if found.local else int(found.parameters.get("ImportConcurrency") or FEWEST_BATCHES)
    say(*_said_before(level, where, mode_of(key), progress, dry_run=dry_run), err=True)
    if not (dry_run or found.local):
        say(f"{pace_of(batches)}; --dry-run estimates the whole", err=True)
    run = Run(
        lists,
        progress,
        named,
        livemode=is_live(key),
        more={"integrations": where, **({"enrich": True} if enrich else {})},
        queue=None if dry_run else partial(enqueue, sqs, url),
        left=lambda: 0 if dry_run else waiting(sqs, url),
        pause_seconds=LOCAL_PAUSE_SECONDS if found.local else PAUSE_SECONDS,
        later=LEVELS[1 : LEVELS.index(level) + 1] if dry_run else (),
        bar=progress_bar,
    )
    problem = ""
    try:
        run.through([step for step in steps(level) if not dry_run or step.level is Level.STATE])
    except ConfigurationError:
        progress.save()
        raise
    except (KeyboardInterrupt, StripeToSegmentError) as error:
        progress.save()
        problem = str(error) or "interrupted"
    else:
        progress.remove()
    conclude(run, level, batches=batches, dry_run=dry_run, as_json=as_json)
    if problem:
        if dry_run:
            progress.remove()
            stop(f"stopped: {problem}", 1)
        given = {"level": level, "since": since, "mode": mode, "integrations": integrations, "users": users}
        flags = {"enrich": enrich, "unregistered": unregistered}
        again = _repeat(found, {**given, "stripe-api-base": stripe_api_base}, **flags)
        stop(f"stopped: {problem}\ncontinue with: {again}", 1)
    if progress.oversize:
        raise typer.Exit(1)


def _start(since: str, now: int) -> int:
    """The epoch second of --since, at the earliest the first one of Stripe."""
    start = max(moment(since, now, "--since"), FIRST) if since else FIRST
    if start > now:
        stop(f"--since {since} is in the future")
    return start


def _integrations(text: str) -> dict[str, Any]:
    if not text:
        return WAREHOUSES
    if text.lower() == "all":
        return EVERYWHERE
    try:
        read: JsonObject = hash_of(decoded(text))
    except ValueError:
        read = {}
    # Segment reads a name with its case: "all" would be a destination that nobody has, and every other one gets calls.
    misread = any(name != "All" and name.lower() == "all" for name in read)
    # Of a destination it reads true, false and an object of options.
    misread |= not all(isinstance(value, bool | dict) for value in read.values()) or isinstance(read.get("All"), dict)
    if not read or misread:
        stop(f'--integrations is {text!r}; it takes a JSON object such as {{"All": false, "Mixpanel": true}}, or all')
    return read


def _progress(path: Path, options: dict[str, Any], now: int, since: int, *, fresh: bool) -> Progress:
    """The import that was begun with the same options, or a new one."""
    begun = None if fresh else read_progress(path)
    if begun is None:
        return new_progress(path, options, now, since)
    if begun.options != options:
        differing = ", ".join(f"--{name}" for name, value in options.items() if begun.options.get(name) != value)
        stop(
            f"an unfinished import of {iso(begun.moment)} had another {differing}: finish it first, or start over with "
            f"--restart"
        )
    return begun


def _said_before(level: Level, where: dict[str, Any], mode: str, progress: Progress, *, dry_run: bool) -> Iterator[str]:
    yield f"import of level {level}, {mode} mode, as of {iso(progress.moment)}"
    if progress.begun or progress.step:
        yield f"continuing with step {progress.step + 1}; {progress.listed.total():,} objects were listed before"
    if level is Level.STATE:
        yield "nothing is sent to Segment"
    elif where == WAREHOUSES:
        yield "the calls go to warehouses only: integrations are " + json.dumps(where)
    else:
        yield "the calls go to destinations too: integrations are " + json.dumps(where)
        if where.get("All") is not False:
            yield "destinations that are not named get them as well, because All is not false"
        yield "destinations refuse old events (docs/import.md), and each customer becomes a tracked user of theirs"
    if dry_run:
        yield "dry run: nothing is queued"


def _repeat(stack: Stack, given: dict[str, object], **flags: bool) -> str:
    words = ["stripe-to-segment", "import"]
    words += [word for name, value in given.items() if value for word in (f"--{name}", str(value))]
    words += [f"--{name}" for name, value in flags.items() if value]
    return shlex.join([*words, *stack.options])
