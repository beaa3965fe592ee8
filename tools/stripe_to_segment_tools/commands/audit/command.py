"""The command: read both sides, compare them, and explain each difference."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stripe_to_segment.audit_reading import KINDS, read_lists, read_records, span_of
from stripe_to_segment.auditing.books import books_of
from stripe_to_segment.auditing.circumstances import Circumstances
from stripe_to_segment.auditing.comparing import audit
from stripe_to_segment.auditing.findings import Kind
from stripe_to_segment.auditing.truth import Truth
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.stripe_api.lists import Lists
from stripe_to_segment.stripe_api.reader import is_live
from stripe_to_segment_tools.access.options import AsJson, StackChoice, StripeApiBase, on_a_stack
from stripe_to_segment_tools.access.stripe import VARIABLE, mode_of, stripe_address, stripe_key
from stripe_to_segment_tools.commands.audit.explaining import explained
from stripe_to_segment_tools.commands.audit.export import BadExportError, read_export
from stripe_to_segment_tools.commands.audit.reading import anything_waits, letters_of
from stripe_to_segment_tools.commands.audit.report import (
    as_object,
    as_table,
    left_out,
    lines_of_export,
    notes,
    reasons,
    verdict,
)
from stripe_to_segment_tools.local_stack.stack_file import read_stack_file
from stripe_to_segment_tools.terminal.output import make_console, say, say_json, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.audit.export import Line

__all__ = ["audit_command"]

DAY = 86_400
# The imitation looks at no key; its mode is that of the sample events.
IMITATED_KEY = "rk_test_local"


@on_a_stack
def audit_command(
    stack: StackChoice,
    *,
    month: Annotated[
        str,
        typer.Option(
            metavar="MONTH", help="Only the payments, refunds and disputes of a month (UTC), such as 2026-10."
        ),
    ] = "",
    stripe_csv: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help='Explain Stripe\'s export "MRR per subscriber per month" line by line.'),
    ] = None,
    stripe_api_base: StripeApiBase = "",
    as_json: AsJson = False,
) -> None:
    """Compare Stripe's lists with what was sent and what is stored, and explain every cent that differs.

    By currency: payments, refunds, disputes, mrr, and live subscriptions. What was sent is the sum of the calls that
    Segment accepted. Each difference is named by an object and a reason, as docs/audit.md lists them. The mrr and the
    live subscriptions are those of now, also with --month. Nothing is changed, and no personal data is printed.
    Connected accounts and credit notes are not compared; where there are any, it says how many.

    The API key is read from STRIPE_API_KEY in the environment, else from the KeysSecret; it needs read access to what
    is listed (docs/audit.md), and its mode is the mode of the audit. With --local and without a key, the lists are
    those of the sample events that `make run` has posted.

    Exit status: 0 if every difference is explained, 1 if one is not, 2 if it could not compare.

    Examples
    --------
      stripe-to-segment audit --stack stripe-to-segment

      stripe-to-segment audit --stack stripe-to-segment --month 2026-10 --json

      stripe-to-segment audit --stack stripe-to-segment --stripe-csv MRR_per_subscriber_per_month.csv
    """
    now = int(time.time())
    try:
        span = span_of(now, month)
    except ConfigurationError as error:
        stop(f"--month: {error}")
    export = _export(stripe_csv)
    found = stack.find()
    settings = found.settings()
    base, key, whose = _stripe(found, settings, stripe_api_base)
    if settings.delivery_mode == "log":
        stop("DeliveryMode is log, so this stack remembers nothing, and there is nothing to compare")
    lists = Lists(key, base)
    if lacking := lists.unreadable(KINDS):
        them = "these permissions" if len(lacking) > 1 else "this permission"
        stop(f"the Stripe API key may not read {', '.join(lacking)}: give it {them} (Read) in the Dashboard")
    livemode = is_live(key)
    say(f"audit of {month or 'all time'}, {mode_of(key)} mode, {whose}", err=True)
    truth = Truth(livemode, now, settings.mrr_discounts)
    # The queues, then the records, then Stripe: what happens meanwhile is younger than `now`, and waits.
    waits = anything_waits(found)
    with _progress("reading the StateTable") as report:
        records = read_records(found.store(), report)
    letters = letters_of(found)
    with _progress("asking Stripe") as report:
        read_lists(lists, truth, span, report)
    unreadable = frozenset(records.unreadable)
    circumstances = Circumstances(settings, livemode, now, found.store().began(), waits, letters, unreadable)
    result = audit(truth, records.profiles, records.receipts, circumstances, month)
    if not any(row.remembered for row in result.rows.values()) and any(truth.entries(kind) for kind in Kind):
        say(
            "note: the stack has stored nothing of what Stripe lists: is the API key that of the stack's account?",
            err=True,
        )
    lines = None
    if export is not None:
        own = (each for each in records.profiles if each.key.startswith(f"{truth.scope}:"))
        books = {book.owner: book for book in books_of(own, records.receipts, now // DAY)}
        lines = [*explained(export, books, truth.subscriptions.values(), result.findings, month)]
    unknown = sum(one.reason == "unknown" for one in lines or ())
    concluded = verdict(result, unknown)
    clean = not result.unexplained and not unknown
    left = left_out(records.profiles, truth.scope)
    if as_json:
        about = {
            "month": month or None,
            "mode": mode_of(key),
            "explained": clean,
            "verdict": concluded,
            "left_out": left,
        }
        say_json(about | as_object(result, lines))
    else:
        make_console().print(as_table(result))
        export_lines = () if lines is None else lines_of_export(lines)
        say(*reasons(result), *export_lines, *notes(left), concluded)
    if not clean:
        raise typer.Exit(1)


def _stripe(stack: Stack, settings: Settings, given: str) -> tuple[str, str, str]:
    """The address of Stripe's lists, the API key, and a note on where the key was found.

    The local stack imitates the lists of its sample events; they are read if no key is given.
    """
    imitated = str(read_stack_file().get("stripe_lists") or "")
    if stack.local and imitated and not given and not os.environ.get(VARIABLE) and not stack.keys().stripe_api_key:
        return imitated, IMITATED_KEY, "the lists have what came to the page's webhook"
    base = stripe_address(settings, given)
    key, place = stripe_key(stack, "read access to what is listed")
    return base, key, f"API key from {place}"


def _export(path: Path | None) -> list[Line] | None:
    if path is None:
        return None
    try:
        return read_export(path)
    except BadExportError as error:
        stop(f"--stripe-csv {path}: {error}")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """A line that counts on a terminal, and one line elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        say(name, err=True)
        yield lambda _: None
        return
    with console.status(name) as status:
        yield lambda said: status.update(f"{name}: {said}")
