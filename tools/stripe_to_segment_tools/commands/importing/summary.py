"""The summary of an import: what it listed and queued, and what a dry run would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.stripe_api.requests import REQUESTS_A_SECOND
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment_tools.commands.importing.drain import LOOKS
from stripe_to_segment_tools.commands.importing.steps import CUSTOMERS_STEP, LEVELS, steps
from stripe_to_segment_tools.terminal.moments import iso
from stripe_to_segment_tools.terminal.output import say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.commands.importing.progress import Progress
    from stripe_to_segment_tools.commands.importing.run import Run

__all__ = ["DELIVERED_A_SECOND", "conclude", "duration", "pace_of"]

# Records a second for each batch at a time; benchmarks/README.md has the milliseconds of a record.
DELIVERED_A_SECOND = 100
# Records a second of the whole local stack: the emulator gives the function ten at a time. A busy machine takes fewer.
DELIVERED_LOCALLY = 50
# The recommendation of docs/import.md for a large import, which a new AWS account with 10 executions has no room for.
FASTER = 5
PAGE = 100
SHOWN = 10


def pace_of(batches: int) -> str:
    """How fast `deliver` is with so many batches at a time, and which setting makes it faster."""
    paces = [f"{DELIVERED_A_SECOND * 60 * each:,}" for each in (batches, FASTER)]
    said = f"deliver takes about {paces[0]} records a minute with ImportConcurrency={batches}"
    return f"{said}, {paces[1]} with {FASTER}" if batches < FASTER else said


def conclude(run: Run, level: Level, *, batches: int, dry_run: bool, as_json: bool) -> None:
    """Print it; `batches` is the number of batches that `deliver` works on at a time, 0 on the local stack."""
    progress, users = run.progress, run.users
    # For customers that were not listed yet it is unknown whether Stripe has them.
    unknown = sorted(progress.unseen) if progress.step > CUSTOMERS_STEP else []
    others = [] if users is None else users.others
    if as_json:
        seconds = {"seconds": round(_seconds(run, level, batches))} if dry_run else {}
        say_json(
            {
                "level": level,
                "moment": iso(progress.moment),
                "dry_run": dry_run,
                "listed": progress.listed,
                "queued": {} if dry_run else progress.queued,
                "would_queue": progress.queued if dry_run else {},
                **seconds,
                "slowed_down": run.lists.requests.pace.refused,
                "oversize": progress.oversize,
                "unknown_customers": unknown,
                "named_otherwise": others,
            }
        )
        return
    verb = "would be queued" if dry_run else "queued"
    say(f"{progress.listed.total():,} objects listed, {progress.queued.total():,} records {verb}")
    say(*(f"{count:10,d}  {name}" for name, count in progress.queued.items() if count))
    if dry_run:
        say(*(f"would send: {what}" for what in [*_calls(progress, level)] or ["nothing"]))
        say(duration(run, level, batches))
    for customer in unknown[:SHOWN]:
        say(f"note: {customer} of --users is not in Stripe", err=True)
    if len(unknown) > SHOWN:
        say(f"note: and {len(unknown) - SHOWN} more (--json has all)", err=True)
    for customer in others[:SHOWN]:
        say(f"note: the metadata of {customer} names another user than --users; the metadata counts", err=True)
    if len(others) > SHOWN:
        say(f"note: and {len(others) - SHOWN} more (--json has all)", err=True)
    for one in progress.oversize:
        say(f"error: {one} is too large for the queue", err=True)


def duration(run: Run, level: Level, batches: int) -> str:
    """How long the import takes, and how long with more batches at a time; `batches` is 0 on the local stack."""
    minutes, faster = (max(round(_seconds(run, level, most) / 60), 1) for most in (batches, FASTER))
    said = f"would take about {minutes:,} minute{'s' if minutes > 1 else ''}"
    if not batches:
        return f"{said} on this machine"
    said = f"{said} with ImportConcurrency={batches}"
    if batches >= FASTER or faster >= minutes:
        return said
    return (
        f"{said}, about {faster:,} with {FASTER}: deploy with ImportConcurrency={FASTER} before you start, if the "
        "account has more than 10 concurrent executions (`doctor` shows them)"
    )


def _seconds(run: Run, level: Level, batches: int) -> float:
    """The duration of each step: the longer of listing and delivering, and the looks into the queue at its end."""
    listed, queued = run.progress.listed, run.progress.queued
    total, pace = 0.0, DELIVERED_A_SECOND * batches or DELIVERED_LOCALLY
    for step in steps(level):
        requests = sum(listed[kind] for kind in step.kinds) / PAGE
        records = sum(queued[f"{step.level} {kind}"] for kind in step.kinds)
        total += max(requests / REQUESTS_A_SECOND, records / pace) + LOOKS * run.pause_seconds
    return total


def _calls(progress: Progress, level: Level) -> Iterator[str]:
    """The calls that an import of this level sends at most."""
    queued = {each: sum(n for name, n in progress.queued.items() if name.startswith(f"{each} ")) for each in LEVELS}
    if level is not Level.STATE:
        yield f"up to {queued[Level.TRAITS]:,} identify calls, one for each tracked user, and as many group calls"
    if level in {Level.OPENING, Level.HISTORY}:
        yield f"up to {queued[Level.OPENING]:,} Subscription Imported, one for each live subscription"
    if level is Level.HISTORY:
        yield f"up to {queued[Level.HISTORY]:,} tracks of payments, refunds, disputes and ends"
