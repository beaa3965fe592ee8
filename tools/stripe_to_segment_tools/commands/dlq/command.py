"""`stripe-to-segment dlq`: list, show, redrive and purge dead letters."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from stripe_to_segment_tools.access.options import AsJson, DryRun, StackChoice, Yes, on_a_stack
from stripe_to_segment_tools.commands.dlq.queue import DeadLetter, Pass, Result, purge, redrive
from stripe_to_segment_tools.commands.dlq.tables import as_object, as_table, as_text, grouped
from stripe_to_segment_tools.terminal.help import Commands
from stripe_to_segment_tools.terminal.output import make_console, say, say_json, stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["app"]

app = Commands(
    no_args_is_help=True,
    help="List, show, redrive or delete dead letters, on AWS (--stack) or in the local stack (--local).",
)

Reason = Annotated[list[str] | None, typer.Option("--reason", metavar="CODE", help="Those with this reason.")]
Ids = Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="The letter or the event of this id.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """A selection of letters, by reason, or by the id of the letter or the event; without either, all of them."""

    reasons: frozenset[str]
    ids: frozenset[str]

    def __call__(self, letter: DeadLetter) -> bool:
        """Whether this letter is selected."""
        named = not self.ids or bool(self.ids & {letter.message_id, letter.event_id})
        return named and (not self.reasons or letter.reason in self.reasons)


@app.command("list")
@on_a_stack
def list_command(stack: StackChoice, *, as_json: AsJson = False) -> None:
    """Count the dead letters by reason and event type. Bodies are not shown.

    docs/operations.md explains each reason. A `worn_out` letter was received a thousand times; EventBridge could not
    put a `not_handed_over` one into the queue. The letters stay in the queue, hidden from others while they are
    counted.

    Exit status: 0, also without letters; 2 if the stack cannot be reached.

    Examples
    --------
      stripe-to-segment dlq list --local

      stripe-to-segment dlq list --stack stripe-to-segment --json | jq .by_reason
    """
    found = stack.find()
    with _walk(found) as walk:
        groups = grouped(letter for page in walk.pages() for letter in page)
        _warn(walk)
    by_reason = Counter[str]()
    for group in groups:
        by_reason[group.reason] += group.count
    if as_json:
        say_json({"count": by_reason.total(), "by_reason": by_reason, "groups": [asdict(group) for group in groups]})
    elif groups:
        make_console().print(as_table(groups))
    else:
        say("no dead letters")


@app.command("show")
@on_a_stack
def show_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of letters or of events.")] = None,
    *,
    reasons: Reason = None,
    body: Annotated[bool, typer.Option("--body", help="Show the raw event too, with all its personal data.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most letters to show.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show letters with their ids and attributes, and with --body the raw event.

    Exit status: 0; 1 if there is no such letter; 2 if the stack cannot be reached.

    Examples
    --------
      stripe-to-segment dlq show --local --reason http_400

      stripe-to-segment dlq show --local evt_1… --body --json | jq -r .body | stripe-to-segment explain -
    """
    choice = Choice(frozenset(reasons or ()), frozenset(ids or ()))
    shown = 0
    found = stack.find()
    with _walk(found) as walk:
        for letter in (letter for page in walk.pages() for letter in page if choice(letter)):
            if as_json:
                say_json(as_object(letter, body=body))
            else:
                say(*as_text(letter, body=body).split("\n"))
            shown += 1
            if shown == limit:
                break
    if not shown:
        stop("there is no such dead letter", 1)


@app.command("redrive")
@on_a_stack
def redrive_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    *,
    reasons: Reason = None,
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back into the events queue, after you have removed their cause.

    Each event is queued before its letter is deleted, so none is lost; calls that were delivered before are not sent
    twice. An event that fails again becomes a new dead letter, which this run leaves alone.

    Exit status: 0; 1 if letters had to stay; 2 if the stack cannot be reached, or no letters were chosen.

    Examples
    --------
      stripe-to-segment dlq redrive --local --reason http_400

      stripe-to-segment dlq redrive --stack stripe-to-segment --all --dry-run
    """
    if everything == bool(reasons or ids):
        stop("choose dead letters with --reason or --id, or take --all")
    choice = Choice(frozenset(reasons or ()), frozenset(ids or ()))
    found = stack.find()
    result = Result() if yes and not dry_run else _agreed(found, choice, "redrive", ask=not dry_run)
    if not dry_run:
        sqs, events_url = found.client("sqs"), found.output("EventsQueueUrl")
        with _walk(found) as walk:
            result = _followed("redriving", walk, redrive(walk, choice, sqs, events_url))
    _conclude("redriven", result, dry_run=dry_run, as_json=as_json)


@app.command("purge")
@on_a_stack
def purge_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    *,
    reasons: Reason = None,
    ids: Ids = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete dead letters for good: all of them, or those of a reason or id. Asks first.

    Exit status: 0; 1 if letters had to stay, or you answered no; 2 if the stack cannot be reached.

    Examples
    --------
      stripe-to-segment dlq purge --local --reason not_json
    """
    choice = Choice(frozenset(reasons or ()), frozenset(ids or ()))
    found = stack.find()
    result = Result() if yes and not dry_run else _agreed(found, choice, "delete", ask=not dry_run)
    if not dry_run:
        with _walk(found) as walk:
            result = _followed("deleting", walk, purge(walk, choice))
    _conclude("deleted", result, dry_run=dry_run, as_json=as_json)


def _walk(stack: Stack) -> Pass:
    return Pass(stack.client("sqs"), stack.output("DeadLetterQueueUrl"))


def _agreed(stack: Stack, choice: Choice, verb: str, *, ask: bool) -> Result:
    """Count the chosen letters and, if there are any, ask whether to go on; ends the command if the answer is no."""
    reasons: Counter[str] = Counter()
    others = 0
    with _walk(stack) as walk:
        for letter in (letter for page in walk.pages() for letter in page):
            if choice(letter):
                reasons[letter.reason] += 1
            else:
                others += 1
        _warn(walk)
    chosen = reasons.total()
    said = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    say(f"{chosen} of {chosen + others} dead letters{': ' if said else ''}{said}", err=True)
    if ask and chosen and not typer.confirm(f"{verb} {'it' if chosen == 1 else 'them'}?", err=True):
        stop("nothing was done", 1)
    return Result(chosen)


def _followed(task: str, walk: Pass, pages: Iterator[Result]) -> Result:
    """Run all pages, with a progress bar on a terminal."""
    columns = (TextColumn(task), BarColumn(), MofNCompleteColumn())
    result = Result()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        under_way = bar.add_task(task, total=walk.depth())
        for result in pages:
            bar.update(under_way, completed=result.looked_at)
    _warn(walk)
    return result


def _warn(walk: Pass) -> None:
    if overlooked := walk.overlooked():
        say(f"note: {overlooked}", err=True)


def _conclude(done: str, result: Result, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        say_json({done: result.done, "dry_run": dry_run, "undeleted": result.undeleted, "failures": result.failures})
    else:
        say(f"{'would be ' if dry_run else ''}{done}: {result.done}")
    for code, count in result.failures.items():
        say(f"error: {count} stayed: {code}", err=True)
    if result.undeleted:
        say(f"note: {result.undeleted} are queued but still dead letters too: purge them", err=True)
    raise typer.Exit(1 if result.failures else 0)
