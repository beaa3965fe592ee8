"""`make chaos`: send thousands of events through the real template while AWS and Segment fail.

Exit status: 0 if no call was lost, doubled, stale or wrong and every poison event is a dead letter, 1 otherwise, 2 if
the local stack did not start.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stripe_to_segment_tools.local_stack import LocalStackError, stop_on_signals
from stripe_to_segment_tools.local_stack.console import Steps, print_error
from stripe_to_segment_tools.terminal.output import make_console
from tests.chaos.campaign import Reporting, run
from tests.chaos.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from tests.chaos.campaign import Result

INTERRUPTED = 130
WHERE = {
    "SendMessage": "SQS SendMessage",
    "ChangeMessageVisibilityBatch": "SQS ChangeMessageVisibility",
    "GetSecretValue": "Secrets Manager GetSecretValue",
    "BatchGetItem": "DynamoDB BatchGetItem",
    "PutItem": "DynamoDB PutItem",
    "UpdateItem": "DynamoDB UpdateItem",
    "StateTable": "StateTable",
    "batch": "Segment /v1/batch",
}
KINDS = ("lost", "doubled", "stale", "wrong", "poison", "queue")
SHOWN = 20


def main(
    events: Annotated[int, typer.Option(min=1, help="The least number of events; each is sent three times.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Chooses customers, order and faults.")] = 1,
) -> None:
    """Send simulated customers' events through the local stack, inject faults, and check what Segment received.

    Each event is sent three times, out of order, between poison events and forged requests. AWS and Segment refuse
    and throttle requests, and answers and connections are lost. A captive portal answers in Segment's place. Records
    of the StateTable are unreadable for a while, and the functions are killed. At the end Segment must have exactly the
    calls of what the customers did.
    """
    console = make_console()
    steps = Steps(console)
    try:
        with stop_on_signals(), _progress(console) as progress:
            outcome = run(events, seed, Reporting(steps, _parts(console, progress)))
    except KeyboardInterrupt:
        steps.clear()
        console.print("interrupted: stopped everything that this run started")
        raise typer.Exit(INTERRUPTED) from None
    except LocalStackError as error:
        steps.clear()
        print_error(error)
        raise typer.Exit(2) from error
    console.print(table_of(outcome))
    for line in lines_of(outcome):
        console.print(line)
    raise typer.Exit(1 if outcome.violations else 0)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _parts(console: Console, progress: Progress) -> Callable[[str, int], Callable[[int], None]]:
    """Show each part as a progress bar, or without a terminal as one line for each tenth."""

    def part(name: str, total: int) -> Callable[[int], None]:
        task = progress.add_task(name, total=total)
        tenths = 0

        def advance(done: int) -> None:
            nonlocal tenths
            progress.advance(task, done)
            now = int(10 * progress.tasks[task].completed / total)
            if now > tenths and not console.is_terminal:
                console.print(f"{name}: {now * 10} % of {total:,}")
            tenths = now

        return advance

    return part


def table_of(outcome: Result) -> Table:
    """Each fault: how often it was injected, how many customers it hit, and how many of these have no violation."""
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("where")
    table.add_column("fault")
    for name in ("injected", "customers hit", "survived"):
        table.add_column(name, justify="right")
    before = ""
    for fault in FAULTS:
        injected, hit, survived = (
            outcome.injected[fault],
            len(outcome.hit.get(fault, ())),
            len(outcome.survivors(fault)),
        )
        where = WHERE[fault.place]
        shown = ("-", "-") if not hit else (f"{hit:,}", Text(f"{survived:,}", "green" if survived == hit else "red"))
        table.add_row("" if where == before else where, fault.name.strip(), f"{injected:,}", *shown)
        before = where
    return table


def lines_of(outcome: Result) -> list[Text]:
    """The figures of the run, its violations, and the verdict."""
    again = {status: count for status, count in outcome.answers.items() if status not in {200, 400}}
    refused = ", ".join(f"{count:,} x {status or 'no answer'}" for status, count in sorted(again.items()))
    rate = outcome.copies / outcome.seconds
    lines = [
        Text(""),
        Text(
            f"{outcome.events:,} events of {outcome.customers:,} customers and {outcome.poisons:,} poison events, sent"
            f" as {outcome.copies:,} copies in {outcome.seconds:.0f} s ({rate:.0f} a second)"
        ),
        Text(
            f"closed kept connections that were replaced at once: {outcome.replaced:,}; unreadable records:"
            f" {outcome.broken:,}, during {outcome.went_on:,} of them calls of other customers arrived"
        ),
        Text(f"webhook requests refused and sent again: {refused or 'none'}; functions killed: {outcome.kills:,}"),
        Text(
            f"{sum(outcome.injected.values()):,} faults in {sum(outcome.requests.values()):,} requests;"
            f" Segment kept {outcome.calls:,} calls and dropped {outcome.repeats:,} repeats;"
            f" dead letters: {outcome.dead_letters:,}"
        ),
    ]
    lines += [Text.assemble(("✗ ", "red"), f"{each.kind}: {each.text}") for each in outcome.violations[:SHOWN]]
    if len(outcome.violations) > SHOWN:
        lines.append(Text(f"  … and {len(outcome.violations) - SHOWN:,} more"))
    lines += [Text(f"note: never injected: {fault.place} {fault.name}", "yellow") for fault in outcome.missing]
    counts = Counter(violation.kind for violation in outcome.violations)
    if not outcome.violations:
        verdict = (
            "0 lost, 0 doubled, 0 stale, 0 wrong; every poison event is a dead letter with its reason; the queue is"
            " empty"
        )
        return [*lines, Text(f"OK: {verdict}", "bold green")]
    return [*lines, Text("FAILED: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS), "bold red")]


if __name__ == "__main__":
    typer.run(main)
