"""What an import says at its end: what it listed and queued, and what a dry run would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.stripe_requests import REQUESTS_A_SECOND
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment_tools.commands.importing.steps import PAST
from stripe_to_segment_tools.terminal.moments import iso
from stripe_to_segment_tools.terminal.output import say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.commands.importing.progress import Progress
    from stripe_to_segment_tools.commands.importing.run import Run

__all__ = ["conclude"]

# Of each batch at a time, as benchmarks/README.md has it: a function of 256 MB has a seventh of a processor.
DELIVERED_A_SECOND = 100
SHOWN = 10


def conclude(run: Run, level: Level, *, batches: int, dry_run: bool, as_json: bool) -> None:
    """Print it; `batches` are so many as `deliver` works on at a time."""
    progress, users = run.progress, run.users
    # A run that continues another does not know which customers that one listed.
    unknown = sorted(users.unseen) if users is not None and not run.resumed and progress.listed["customer"] else []
    others = [] if users is None else users.others
    seconds = progress.listed.total() / 100 / REQUESTS_A_SECOND, progress.queued.total() / DELIVERED_A_SECOND / batches
    if as_json:
        say_json(
            {
                "level": level,
                "moment": iso(progress.moment),
                "dry_run": dry_run,
                "listed": progress.listed,
                "queued": {} if dry_run else progress.queued,
                "would_queue": progress.queued if dry_run else {},
                "seconds": round(sum(seconds)),
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
        say(f"would take about {max(sum(seconds) / 60, 1):,.0f} minutes")
    for customer in unknown[:SHOWN]:
        say(f"note: {customer} of --users is not in Stripe", err=True)
    if len(unknown) > SHOWN:
        say(f"note: and {len(unknown) - SHOWN} more (--json has all)", err=True)
    for customer in others[:SHOWN]:
        say(f"note: the metadata of {customer} names another user than --users; the metadata counts", err=True)
    for one in progress.oversize:
        say(f"error: {one} is too large for the queue", err=True)


def _calls(progress: Progress, level: Level) -> Iterator[str]:
    """The calls that an import of this level sends at most, by the counts of the first steps."""
    counts = {name.partition(" ")[2]: count for name, count in progress.queued.items()}
    if level is not Level.STATE:
        yield f"up to {counts.get('customer', 0):,} identify calls, one for each tracked user, and as many group calls"
    if level in {Level.OPENING, Level.HISTORY}:
        yield f"up to {counts.get('subscription', 0):,} Subscription Imported, one for each live subscription"
    if level is Level.HISTORY:
        past = sum(counts.get(kind, 0) for kind in PAST)
        yield f"up to {past + counts.get('subscription', 0):,} tracks of payments, refunds, disputes and ends"
