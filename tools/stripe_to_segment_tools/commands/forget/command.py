"""`stripe-to-segment forget`: delete one person's data from a stack."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stripe_to_segment_tools.access.options import AsJson, DryRun, StackChoice, Yes, on_a_stack
from stripe_to_segment_tools.commands.dlq.queue import Pass
from stripe_to_segment_tools.commands.forget.person import Found, Who, erase, find
from stripe_to_segment_tools.terminal.output import say, say_json, stop

if TYPE_CHECKING:
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["forget_command"]

ASKED = "-"
# The form in which ids of a connected account's users are sent.
OF_ACCOUNT = re.compile(r"(?P<account>acct_\w+):(?P<user>.+)")


@on_a_stack
def forget_command(  # noqa: PLR0913 - options by name
    stack: StackChoice,
    customer: Annotated[
        str,
        typer.Argument(
            metavar="cus_…", help="The Stripe customer; for a guest the pi_… of the payment, or the cs_… in the calls."
        ),
    ] = "",
    *,
    user: Annotated[
        str,
        typer.Option(metavar="ID", help="The user's id, as your product knows it (acct_…:ID of a connected account)."),
    ] = "",
    email_hash: Annotated[
        str,
        typer.Option(
            metavar="SHA-256",
            help="SHA-256 (64 hex digits) of the trimmed, lower-case email address; - asks for the address itself.",
        ),
    ] = "",
    account: Annotated[str, typer.Option(metavar="acct_…", help="The connected account it belongs to.")] = "",
    alone: Annotated[
        bool, typer.Option("--alone", help="Keep the other customers and guest payments of the same user.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a person's data from the StateTable, in live and in test mode.

    It deletes the records of the customer, of the same user's other customers, of the user's guest payments, and of
    refunds and disputes that arrived before their payment. A record holds the ids in sent calls, the states of
    subscriptions, the sums paid, the delivered events and the last calls. It also deletes the orders of the payments,
    and the person's item. Opt-outs stay, so that they keep working: for a customer the Stripe id and the opt-out, for a
    user a digest of the id.

    Delete the customer in Stripe first, and wait until its events have come: a later event would create a new record,
    and count the mrr of a live subscription once more. The command does not delete
    waiting events, Segment's data (Segment has deletion requests of its own) and DynamoDB's backups (35 days); it
    reports the events in the queues. Orders that version 0.1.0 wrote name no customer; they hold two Stripe ids each
    and expire within 400 days.

    Exit status: 0, also if there is no data; 1 if a record was written meanwhile, so that you have to run it again; 2
    if the stack cannot be reached.

    Examples
    --------
      stripe-to-segment forget cus_NffrFeUfNV2Hib --stack stripe-to-segment --dry-run

      stripe-to-segment forget --user user_4821 --yes

      stripe-to-segment forget --email-hash -
    """
    who = _who(customer, user, email_hash, account)
    deployed = stack.find()
    if deployed.settings().connect_users == "platform":
        who = replace(who, platform=True)
    elif not who.account and (of_account := OF_ACCOUNT.fullmatch(who.user_id)):
        who = replace(who, account=of_account["account"], user_id=of_account["user"])
    store = deployed.store()
    found = find(who, store.everything, siblings=not alone)
    several = len(found.records) > 1 and not dry_run
    if several and not yes and not _agreed(found):
        stop(f"{len(found.records)} records belong to this person: add --yes to delete them, or --alone for this one")
    errors = {} if dry_run else erase(found, store, time.time())
    letters, waiting = _letters(deployed, found), _waiting(deployed)
    if as_json:
        said = {
            "dry_run": dry_run,
            "records": {key.split(":", 1)[1]: _kept(found, key) for key in sorted(found.records)},
            "orders": len(found.orders),
            "persons": len(found.persons),
            "opt_outs_kept": found.opted_out,
            "live_subscriptions": _live(found),
            "not_deleted": len(errors),
            "dead_letters": letters,
            "waiting": waiting,
        }
        say_json(said)
    else:
        say(*_lines(found, letters, waiting, dry_run=dry_run))
    if errors:
        say(f"error: {len(errors)} records were written meanwhile: run it again", err=True)
        raise typer.Exit(1)


def _who(customer: str, user: str, email_hash: str, account: str) -> Who:
    if bool(customer) + bool(user) + bool(email_hash) != 1:
        stop("give one of: a Stripe id such as cus_NffrFeUfNV2Hib, --user ID, --email-hash SHA-256")
    if customer and not re.fullmatch(r"[a-z]{2,}_\w+", customer):
        stop("Stripe's ids look like cus_NffrFeUfNV2Hib; a user's id goes with --user")
    if account and not re.fullmatch(r"acct_\w+", account):
        stop("ids of connected accounts look like acct_1032D82eZvKYlo2C; a customer's like cus_NffrFeUfNV2Hib")
    if email_hash == ASKED:
        asked = sys.stdin.isatty()
        address = typer.prompt("Email address", hide_input=True, err=True) if asked else sys.stdin.readline()
        email_hash = hashlib.sha256(address.strip().lower().encode()).hexdigest()
    if email_hash and not re.fullmatch(r"[0-9a-fA-F]{64}", email_hash):
        stop("--email-hash takes 64 hex digits, the SHA-256 of the trimmed, lower-case address; - asks for the address")
    return Who(customer, user, email_hash.lower(), account)


def _agreed(found: Found) -> bool:
    if not sys.stdin.isatty():
        return False
    return typer.confirm(f"Delete {len(found.records)} records of this person?", err=True)


def _letters(stack: Stack, found: Found) -> int:
    """The number of dead letters with one of the person's ids."""
    if not found.ids:
        return 0
    with Pass(stack.client("sqs"), stack.output("DeadLetterQueueUrl")) as walk:
        letters = [letter for page in walk.pages() for letter in page]
    return sum(any(f'"{name}"' in letter.body for name in found.ids) for letter in letters)


def _waiting(stack: Stack) -> int:
    """The approximate number of events and objects of an import in the queues, of all customers."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    urls = (stack.output("EventsQueueUrl"), stack.output("ImportQueueUrl"))
    answers = [stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names) for url in urls]
    return sum(int(answer["Attributes"][name]) for answer in answers for name in names)


def _live(found: Found) -> int:
    """The number of live subscriptions of the person."""
    return sum(len(record.live) for record in found.records.values())


def _kept(found: Found, key: str) -> dict[str, Any]:
    """The size of a record's parts; never their content, which is to be deleted."""
    record = found.records[key]
    return {
        "user_id": record.user_id is not None,
        "anonymous_id": record.anonymous_id is not None,
        "group_id": record.group_id is not None,
        "email_digest": bool(record.email),
        "personal_traits": bool(record.personal),
        "subscriptions": len(record.subscriptions),
        "currencies_paid": len(record.paid),
        "delivered": len(record.ledger),
        "told_last": len(record.claims),
        "opted_out": record.opted_out,
    }


def _lines(found: Found, letters: int, waiting: int, *, dry_run: bool) -> list[str]:
    done = "would be deleted" if dry_run else "deleted"
    lines = [f"{key.split(':', 1)[1]}: {done}: {_said(found, key)}" for key in sorted(found.records)]
    if not found.records:
        lines = ["no record is kept"]
    if found.orders or found.persons:
        lines.append(f"{done} too: orders {len(found.orders)}, persons {len(found.persons)}")
    if found.opted_out:
        lines.append(f"opt-outs that stay: {found.opted_out}")
    if live := _live(found):
        lines.append(
            f"subscriptions that live on: {live}; their next event begins a new record and counts their mrr once more: "
            "delete the customer in Stripe, and forget it when its events have come"
        )
    if letters:
        lines.append(f"the dead-letter queue holds {letters} events that mention these ids: see dlq show and dlq purge")
    if waiting:
        lines.append(f"about {waiting} events wait in the events queue, of this or of other customers")
    return lines


IDS = ("user_id", "anonymous_id", "group_id", "email_digest", "personal_traits")


def _said(found: Found, key: str) -> str:
    kept = _kept(found, key)
    ids = [name.replace("_", " ") for name in IDS if kept[name]]
    counts = (
        ("subscriptions", "subscriptions"),
        ("currencies_paid", "sums paid"),
        ("delivered", "marks of what was delivered"),
        ("told_last", "events of the latest claims"),
    )
    return ", ".join([*ids, *(f"{words} {kept[name]}" for name, words in counts)])
