"""`stripe-to-segment tail`: follow the outcomes of events in a deployed stack, line by line."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import BotoCoreError
from rich.text import Text

from stripe_to_segment_tools.access.options import AsJson, StackChoice, on_a_stack
from stripe_to_segment_tools.commands.tail.function_log import FunctionLog
from stripe_to_segment_tools.commands.tail.outcomes import OUTCOMES, LoggedOutcome, Wanted, outcome_in
from stripe_to_segment_tools.terminal.moments import moment
from stripe_to_segment_tools.terminal.output import make_console, say_json, stop, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["OutcomeLog", "tail_command"]

# AWS allows five FilterLogEvents calls a second in an account, for all users together.
PAUSE_SECONDS = 2.0
# The failures in a row after which the command gives up.
PATIENCE = 30
COLOURS = {
    "delivered": "green",
    "ignored": "bright_black",
    "queued": "blue",
    "waiting": "yellow",
    "retry": "yellow",
}
FAILURE = "red"
TYPE_WIDTH = max(map(len, ("customer.subscription.pending_update_applied", "invoice.paid")))


class OutcomeLog:
    """The outcomes that a stack's receive and deliver functions log, from a time in epoch seconds on."""

    def __init__(self, stack: Stack, since: float, event: str = "") -> None:
        functions, logs = stack.client("lambda"), stack.client("logs")
        names = {"receive": "ReceiveFunctionName", "deliver": "DeliverFunctionName"}
        self._logs = {
            function: FunctionLog(functions, logs, stack.output(name), since, event) for function, name in names.items()
        }

    def new(self) -> list[LoggedOutcome]:
        """The outcomes that were not there the last time, oldest first."""
        lines = [(function, line) for function, log in self._logs.items() for line in log.new()]
        found = (outcome_in(said, at, function) for function, (at, said) in lines)
        return sorted((each for each in found if each is not None), key=lambda each: each.at)


@on_a_stack
def tail_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    *,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Start: 30s, 10m, 2h, 7d, 2026-11-01 or 2026-11-01T08:30:00Z.")
    ] = "10m",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Continue until Ctrl-C, or end.")] = True,
    outcomes: Annotated[
        list[str] | None,
        typer.Option(
            "--outcome", metavar="OUTCOME", help=f"Only these: {', '.join(OUTCOMES)}.", show_default="all but queued"
        ),
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only these event types; * stands for anything.")
    ] = None,
    event: Annotated[str, typer.Option(metavar="evt_…", help="Only this event, from the time it was queued.")] = "",
    as_json: AsJson = False,
) -> None:
    """Follow the outcomes of events: one line for each attempt to deliver an event, and for each refused request.

    Each line shows time, outcome, event type, event id, and the calls or the reason. docs/operations.md explains
    outcomes and reasons. The lines come from the functions' logs in CloudWatch, some seconds late, and hold no personal
    data.

    Exit status: 0, also after Ctrl-C and without any line; 2 if the logs cannot be read.

    Examples
    --------
      stripe-to-segment tail --local

      stripe-to-segment tail --stack stripe-to-segment --since 2h --outcome dead --outcome retry

      stripe-to-segment tail --stack stripe-to-segment --event evt_1… --since 7d --no-follow

      stripe-to-segment tail --local --json --type 'invoice.*' | jq .calls
    """
    unknown = [outcome for outcome in outcomes or () if outcome not in OUTCOMES]
    if unknown:
        stop(f"there is no outcome {', '.join(unknown)}: there are {', '.join(OUTCOMES)}")
    start = moment(since, int(time.time()), "--since")
    wanted = Wanted(frozenset(outcomes or ()), tuple(types or ()), event)
    show = _json_line if as_json else _Lines(make_console())
    try:
        for outcome in _outcomes(OutcomeLog(stack.find(), start, event), follow=follow):
            if wanted(outcome):
                show(outcome)
    except KeyboardInterrupt:
        # The normal way to end the command.
        return


def _outcomes(log: OutcomeLog, *, follow: bool, pause: Callable[[float], None] = time.sleep) -> Iterator[LoggedOutcome]:
    yield from log.new()
    failures = 0
    while follow:
        pause(PAUSE_SECONDS)
        try:
            found = log.new()
        except BotoCoreError:
            # A laptop was asleep, for instance. The lines written meanwhile are read afterwards.
            failures += 1
            if failures > PATIENCE:
                raise
            continue
        failures = 0
        yield from found


def _json_line(outcome: LoggedOutcome) -> None:
    said: dict[str, Any] = asdict(outcome)
    say_json(said | {"at": outcome.at.isoformat(timespec="milliseconds")})


class _Lines:
    """Prints outcomes for a person, with colours on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, outcome: LoggedOutcome) -> None:
        colour = COLOURS.get(outcome.outcome, FAILURE)
        line = Text.assemble(
            (f"{outcome.at:%Y-%m-%dT%H:%M:%SZ} ", "bright_black"),
            (visible(f"{outcome.outcome:<9} "), colour),
            visible(f"{outcome.event_type or '-':<{TYPE_WIDTH}} {outcome.event_id or '-'}  "),
            (visible(_why(outcome)), "" if outcome.outcome == "delivered" else colour),
        )
        line.rstrip()
        # One line for each outcome, at any terminal width, so that grep works.
        self._console.print(line, soft_wrap=True)


def _why(outcome: LoggedOutcome) -> str:
    reason = ": ".join(part for part in (outcome.reason, outcome.detail) if part)
    tries = f"try {outcome.received}" if outcome.received > 1 or outcome.outcome == "retry" else ""
    calls = ", ".join(outcome.calls) if outcome.outcome == "delivered" else ""
    return "  ".join(part for part in (calls, reason, tries) if part)
