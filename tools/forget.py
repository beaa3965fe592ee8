"""`stripe-to-segment forget`: erase what a stack remembers of one customer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stripe_to_segment.identity import owner_key
from stripe_to_segment.stripe_side.event import scope_of
from tools.stack_access import say_json, stop
from tools.stack_options import AsJson, StackChoice, on_a_stack

if TYPE_CHECKING:
    from stripe_to_segment.profile import Profile as Record

__all__ = ["forget_command"]

MODES = {"live": True, "test": False}


@on_a_stack
def forget_command(
    stack: StackChoice,
    customer: Annotated[
        str, typer.Argument(metavar="cus_…", help="The Stripe customer; of a guest the pi_… or cs_… that was paid.")
    ],
    *,
    account: Annotated[str, typer.Option(metavar="acct_…", help="The connected account it belongs to.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is kept, and delete nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete what the StateTable keeps of a customer, in live and in test mode.

    That is the ids under which calls went out, the states of the subscriptions, the sums paid, and which events were
    delivered. A later Stripe event of the customer makes a new record: delete the customer in Stripe first. An event
    from before, queued or redriven or backfilled again, is then sent again too. Events that wait in the queues and what
    Segment holds are not touched: Segment has a deletion request of its own. DynamoDB's backups hold the record for up
    to 35 days.

    Exit status: 0, also where nothing is kept; 2 if the stack cannot be asked.

    Examples
    --------
      stripe-to-segment forget cus_NffrFeUfNV2Hib --stack stripe-to-segment --dry-run
    """
    if not re.fullmatch(r"[a-z]{2,}_\w+", customer) or (account and not re.fullmatch(r"acct_\w+", account)):
        stop("Stripe's ids look like cus_NffrFeUfNV2Hib, those of accounts like acct_1032D82eZvKYlo2C")
    store = stack.find().store()
    keys = {mode: owner_key(scope_of(account or None, livemode=live), customer) for mode, live in MODES.items()}
    found = {mode: store.forget(key, really=not dry_run) for mode, key in keys.items()}
    if as_json:
        records = {mode: record and _kept(record) for mode, record in found.items()}
        say_json({"customer": customer, "account": account or None, "dry_run": dry_run, "records": records})
        return
    for mode, record in found.items():
        typer.echo(f"{mode}: {_said(record, dry_run=dry_run)}")


def _kept(record: Record) -> dict[str, Any]:
    """What a record holds, in numbers: its contents are what is to be forgotten."""
    return {
        "user_id": record.user_id is not None,
        "anonymous_id": record.anonymous_id is not None,
        "group_id": record.group_id is not None,
        "subscriptions": len(record.subscriptions),
        "currencies_paid": len(record.paid),
        "delivered": len(record.ledger),
        "told_last": len(record.claims),
    }


def _said(record: Record | None, *, dry_run: bool) -> str:
    if record is None:
        return "nothing is kept"
    kept = _kept(record)
    ids = [name.replace("_", " ") for name in ("user_id", "anonymous_id", "group_id") if kept[name]]
    counts = [
        f"{words} {kept[name]}"
        for name, words in (
            ("subscriptions", "subscriptions"),
            ("currencies_paid", "sums paid"),
            ("delivered", "marks of what was delivered"),
            ("told_last", "events told last"),
        )
    ]
    return f"{'would be deleted' if dry_run else 'deleted'}: {', '.join([*ids, *counts])}"
