"""`stripe-to-segment import`: read Stripe's lists, and queue a record of each object for `deliver`."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from stripe_to_segment.enqueuing import enqueue
from stripe_to_segment.errors import ConfigurationError, StripeToSegmentError
from stripe_to_segment.stripe_api import is_live
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment_tools.access.options import AsJson, StackChoice, StripeApiBase, on_a_stack
from stripe_to_segment_tools.access.stripe import check_mode, mode_of, stripe_address, stripe_key
from stripe_to_segment_tools.commands.importing.drain import wait_until_empty, waiting
from stripe_to_segment_tools.commands.importing.lists import REQUESTS_A_SECOND, Lists
from stripe_to_segment_tools.commands.importing.progress import Part, Progress, read_progress
from stripe_to_segment_tools.commands.importing.steps import KINDS, PAST, Step, steps
from stripe_to_segment_tools.commands.importing.users import BadUsersError, Users, read_users
from stripe_to_segment_tools.commands.importing.walk import Walk
from stripe_to_segment_tools.commands.register.webhook_endpoints import WebhookEndpoints
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.moments import iso, moment
from stripe_to_segment_tools.terminal.output import say, say_json, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["import_command"]

FOLDER = PROJECT / ".local"
# 2010: no Stripe account is older.
FIRST = 1_262_304_000
# A list may lag behind the events for a moment; with an earlier moment the events count.
SETTLED_SECONDS = 60
# A real queue counts approximately, and late.
PAUSE_SECONDS, LOCAL_PAUSE_SECONDS = 10.0, 0.5
# About 2,000 on a whole processor, as benchmarks/README.md has it; each of two batches has a seventh of one.
DELIVERED_A_SECOND = 500
EVERYWHERE, WAREHOUSES = {"All": True}, {"All": False}
SHOWN = 10


class Mode(StrEnum):
    """Stripe's modes."""

    LIVE = "live"
    TEST = "test"


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
    """Bring what is in Stripe already into a stack, so that its numbers are right from the first event on.

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
    start = moment(since, now, "--since") if since else FIRST
    where = _integrations(integrations)
    found = stack.find()
    settings = found.settings()
    base = stripe_address(settings, stripe_api_base)
    key, whose = stripe_key(found, "read access to what is listed")
    _check_modes(key, settings, mode)
    if not (unregistered or found.local):
        _check_account(found, key, base)
    lists = Lists(key, base)
    if lacking := lists.unreadable(KINDS):
        them = "these permissions" if len(lacking) > 1 else "this permission"
        stop(
            f"the Stripe API key may not read {', '.join(lacking)}: give it {them} (Read) in the Dashboard, under API "
            f"keys; nothing was started"
        )
    named = _users(users, found)
    options = {
        "level": level,
        "since": since,
        "integrations": where,
        "users": named.digest if named else "",
        "enrich": enrich,
    }
    path = FOLDER / f"import-{found.name}-{mode_of(key)}{'-dry-run' if dry_run else ''}.json"
    progress = _progress(path, options, lists.now or now, start, fresh=restart or dry_run)
    for line in _said_before(level, where, f"{mode_of(key)} mode, API key from {whose}", progress, dry_run=dry_run):
        say(line, err=True)
    sqs, url = found.client("sqs"), found.output("ImportQueueUrl")
    run = Run(
        lists,
        progress,
        named,
        livemode=is_live(key),
        more={"integrations": where, **({"enrich": True} if enrich else {})},
        queue=None if dry_run else partial(enqueue, sqs, url),
        left=lambda: 0 if dry_run else waiting(sqs, url),
        pause_seconds=LOCAL_PAUSE_SECONDS if found.local else PAUSE_SECONDS,
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
    _conclude(run, level, dry_run=dry_run, as_json=as_json)
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


@dataclass(slots=True)
class Run:
    """An import under way.

    `queue` puts records into the ImportQueue, None in a dry run; `left` counts the records in it, and is asked every
    `pause_seconds`.
    """

    lists: Lists
    progress: Progress
    users: Users | None
    livemode: bool
    more: dict[str, object]
    queue: Any
    left: Any
    pause_seconds: float
    resumed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.resumed = self.progress.begun or self.progress.step > 0

    def through(self, every: list[Step]) -> None:
        """Do the remaining steps, one after the other. Raises as `Walk.run` does."""
        for number, step in enumerate(every):
            if number < self.progress.step:
                continue
            name = f"{number + 1}/{len(every)} {step.name}"
            if not self.progress.begun:
                self.progress.begin([self._part(kind) for kind in step.kinds])
            self._list(step, name)
            if self.queue is not None:
                self._wait(f"{name}: waiting for deliver")
            self.progress.end()

    def _list(self, step: Step, name: str) -> None:
        with _bar(name, self._left()) as report:

            def told() -> None:
                report(self._listed(step), self._left())

            walk = Walk(
                self.lists, self.progress, step.level, self.livemode, self.queue, self.more, self.users, report=told
            )
            walk.run()

    def _wait(self, name: str) -> None:
        most = self.left()
        with _bar(name, most) as report:
            wait_until_empty(
                self.left,
                lambda left: report(f"{left:,} records left in the queue", left, max(most, left)),
                self.pause_seconds,
            )

    def _left(self) -> int:
        with self.progress.lock:
            return sum(part.left for part in self.progress.parts)

    def _part(self, kind: str) -> Part:
        return Part(kind, self.progress.since if kind in PAST else FIRST, self.progress.until)

    def _listed(self, step: Step) -> str:
        counts = ", ".join(f"{self.progress.listed[kind]:,} {kind}" for kind in step.kinds)
        slow = f", Stripe asked {self.lists.pace.refused} times to go slower" if self.lists.pace.refused else ""
        return f"{counts}{slow}"


@contextmanager
def _bar(name: str, total: int) -> Iterator[Any]:
    """A progress bar on a terminal, a line elsewhere. Lists show time, because their length is unknown."""
    console = Console(stderr=True)
    if not console.is_terminal:
        say(name, err=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=max(total, 1))

        def report(said: str, left: int, of: int = max(total, 1)) -> None:
            bar.update(task, total=of, completed=max(of - left, 0), description=f"{name}: {said}")

        yield report


def _integrations(text: str) -> dict[str, Any]:
    if not text:
        return WAREHOUSES
    if text.lower() == "all":
        return EVERYWHERE
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict) or not read:
        stop(f'--integrations is {text!r}; it takes a JSON object such as {{"All": false, "Mixpanel": true}}, or all')
    return read


def _users(path: Path | None, stack: Stack) -> Users | None:
    if path is None:
        return None
    try:
        return read_users(path, stack.settings())
    except BadUsersError as error:
        stop(f"--users {path}:\n{error}\nnothing was started")


def _check_modes(key: str, settings: Settings, mode: Mode | None) -> None:
    """End the command if the key is of another mode than wanted, or the stack remembers nothing."""
    check_mode(key, settings)
    if mode is not None and mode != mode_of(key):
        stop(f"--mode is {mode}, and the API key is of {mode_of(key)} mode: set STRIPE_API_KEY to one of {mode} mode")
    if settings.delivery_mode == "log":
        stop("DeliveryMode is log, so this stack remembers nothing: deploy with DeliveryMode=send first")


def _check_account(stack: Stack, key: str, base: str) -> None:
    """End the command if no endpoint of the key's account leads here: it is another account, or not registered."""
    if stack.parameters.get("EventBusName"):
        return
    try:
        found = WebhookEndpoints(key, base).at(stack.webhook_url)
    except ConfigurationError as error:
        say(f"note: not checked whether the API key is of the account that sends events here: {error}", err=True)
        return
    if not found:
        stop(
            f"the API key's Stripe account ({mode_of(key)} mode) has no webhook endpoint for {stack.webhook_url}: is "
            f"it another account? If not, run `stripe-to-segment register` first, so that no event is missed; "
            f"--unregistered imports anyway"
        )


def _progress(path: Path, options: dict[str, Any], now: int, since: int, *, fresh: bool) -> Progress:
    """The import that was begun with the same options, or a new one."""
    begun = None if fresh else read_progress(path)
    if begun is None:
        return Progress(path, options, now - SETTLED_SECONDS, now + 1, since)
    if begun.options != options:
        differing = ", ".join(f"--{name}" for name, value in options.items() if begun.options.get(name) != value)
        stop(
            f"an unfinished import of {iso(begun.moment)} had another {differing}: finish it first, or start over with "
            f"--restart"
        )
    return begun


def _said_before(
    level: Level, where: dict[str, Any], whose: str, progress: Progress, *, dry_run: bool
) -> Iterator[str]:
    yield f"import of level {level}, {whose}, as of {iso(progress.moment)}"
    if progress.begun or progress.step:
        yield f"continuing with step {progress.step + 1}; {progress.listed.total():,} objects were listed before"
    if level is Level.STATE:
        yield "nothing is sent to Segment"
    elif where == WAREHOUSES:
        yield "the calls go to warehouses only: integrations are " + json.dumps(where)
    else:
        yield "the calls go to destinations too: integrations are " + json.dumps(where)
        yield "destinations refuse old events (docs/import.md), and each customer becomes a tracked user of theirs"
    if dry_run:
        yield "dry run: nothing is queued"


def _conclude(run: Run, level: Level, *, dry_run: bool, as_json: bool) -> None:
    progress, users = run.progress, run.users
    # A run that continues another does not know which customers that one listed.
    unknown = sorted(users.unseen) if users is not None and not run.resumed and progress.listed["customer"] else []
    others = [] if users is None else users.others
    seconds = progress.listed.total() / 100 / REQUESTS_A_SECOND, progress.queued.total() / DELIVERED_A_SECOND
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
                "slowed_down": run.lists.pace.refused,
                "oversize": progress.oversize,
                "unknown_customers": unknown,
                "named_otherwise": others,
            }
        )
        return
    verb = "would be queued" if dry_run else "queued"
    say(f"{progress.listed.total():,} objects listed, {progress.queued.total():,} records {verb}")
    for name, count in progress.queued.items():
        say(f"{count:10,d}  {name}")
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


def _repeat(stack: Stack, given: dict[str, object], **flags: bool) -> str:
    words = ["stripe-to-segment", "import"]
    words += [word for name, value in given.items() if value for word in (f"--{name}", str(value))]
    words += [f"--{name}" for name, value in flags.items() if value]
    return shlex.join([*words, *stack.options])
