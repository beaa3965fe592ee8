"""`stripe-to-segment identify-customers`: write the users of a file into the metadata of Stripe's Customers."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - Typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from stripe_to_segment.errors import StripeUnavailableError
from stripe_to_segment.stripe_api.lists import FIRST, Lists, Part
from stripe_to_segment.stripe_api.requests import NotPermittedError, RefusedError
from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.access.options import AsJson, DryRun, StackChoice, StripeApiBase, Yes, on_a_stack
from stripe_to_segment_tools.access.stripe import mode_of, stripe_address, stripe_key
from stripe_to_segment_tools.commands.importing.checks import Mode, check_account, check_modes, users_in
from stripe_to_segment_tools.terminal.output import say, say_json, stop
from stripe_to_segment_tools.terminal.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment_tools.commands.importing.users import Users

__all__ = ["identify_customers_command"]

CUSTOMERS = OBJECTS["customer"]
# No Customer has this id, and the update would change nothing: the answer is 404, or 403 for a key that may not write.
NOBODY = "cus_0"
WORKERS = 8
SHOWN = 10


@on_a_stack
def identify_customers_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    path: Annotated[
        Path,
        typer.Argument(metavar="CSV", help="A file with the header customer,user[,group]."),
    ],
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also replace a user or a group that the metadata names already.")
    ] = False,
    mode: Annotated[
        Mode | None, typer.Option(help="Refuse an API key of the other mode.", show_default="the key's")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    unregistered: Annotated[
        bool, typer.Option("--unregistered", help="Also write in an account without a webhook endpoint for this stack.")
    ] = False,
    stripe_api_base: StripeApiBase = "",
    as_json: AsJson = False,
) -> None:
    """Write the user of each customer in a file into the metadata of its Customer in Stripe.

    The keys of the metadata are the first of the stack's UserIdKeys and the first of its GroupIdKeys, by default
    user_id and group_id. A Customer that names another user or group is listed and left as it is, unless you add
    --overwrite.

    Stripe sends customer.updated for each Customer that is written, so the stack sends an identify for each of these
    users to all destinations. `import --users` changes nothing in Stripe and sends nothing.

    After Ctrl-C, a crash or a failure of Stripe run the same command again: Customers that have their user already are
    left out. The API key is read from STRIPE_API_KEY in the environment, else from the KeysSecret. It needs the
    permission Customers: Write, with --dry-run Read, and Webhook Endpoints: Read.

    Exit status: 0; 1 if it had to stop before the end, or Stripe refused to change a Customer; 2 if it could not start.

    Examples
    --------
      stripe-to-segment identify-customers users.csv --stack stripe-to-segment --dry-run

      stripe-to-segment identify-customers users.csv --mode live --yes
    """
    found = stack.find()
    settings = found.settings()
    base = stripe_address(settings, stripe_api_base)
    key, whose = stripe_key(found, "read access to Customers" if dry_run else "write access to Customers")
    check_modes(key, settings, mode)
    users = users_in(path, settings)
    if not (unregistered or found.local):
        check_account(found, key, base)
    lists = Lists(key, base, alone=True)
    if lacking := _lacking(lists, dry_run=dry_run):
        stop(
            f"the Stripe API key may not {lacking} Customers: give it this permission ({lacking.title()}) in the "
            f"Dashboard, under API keys; nothing was written"
        )
    keys = " and ".join(keys[0] for keys in (users.user_keys, users.group_keys) if keys)
    where = f"the metadata of up to {len(users.rows):,} Customers in {mode_of(key)} mode"
    say(f"{keys}, the first of UserIdKeys and of GroupIdKeys; API key from {whose}", err=True)
    if not (dry_run or yes) and not (sys.stdin.isatty() and typer.confirm(f"Write into {where}?", err=True)):
        stop(f"nothing was written: add --yes to write into {where}")
    writing = Writing(lists, users, overwrite=overwrite, dry_run=dry_run)
    problem, every = "", len(users.rows)
    try:
        with progress_bar("read and compare" if dry_run else "write", every) as report:
            writing.run(lambda: report(f"{writing.done:,} of {every:,}", every - writing.done))
    except (KeyboardInterrupt, StripeUnavailableError, NotPermittedError) as error:
        problem = str(error) or "interrupted"
    _conclude(writing, dry_run=dry_run, as_json=as_json, complete=not problem)
    if problem:
        stop(f"stopped: {problem}\nrun the same command again to continue", 1)
    if writing.refused:
        raise typer.Exit(1)


def _lacking(lists: Lists, *, dry_run: bool) -> str:
    """The permission that the key lacks: read or write; empty if it lacks none."""
    if lists.unreadable([CUSTOMERS.name]):
        return "read"
    try:
        if not dry_run:
            lists.requests.post(f"{CUSTOMERS.path}/{NOBODY}", CUSTOMERS.permission)
    except NotPermittedError:
        return "write"
    except RefusedError:
        pass
    return ""


@dataclass(slots=True)
class Writing:
    """Writes users into Customers, a page of Stripe's list at a time, until the file's customers were all seen.

    Attributes
    ----------
    written, unchanged
        How many were written (or would be, in a dry run), and how many had user and group already.
    others
        The customers that name another user or group and were left unchanged.
    refused
        The customers that Stripe refused to change, with its answer.
    """

    lists: Lists
    users: Users
    overwrite: bool
    dry_run: bool
    written: int = 0
    unchanged: int = 0
    others: list[dict[str, str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many of the file's customers are done."""
        return self.written + self.unchanged + len(self.others) + len(self.refused)

    def run(self, report: Callable[[], None]) -> None:
        """Write the users. Raises as `Requests.post` does; finished writes stay."""
        part = Part(CUSTOMERS.name, FIRST, int(time.time()) + 1)
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                for page in self.lists.pages(part):
                    changes = {str(one["id"]): fields for one in page if (fields := self._changes(one))}
                    for customer, refusal in zip(
                        changes, pool.map(self._write, changes, changes.values()), strict=True
                    ):
                        if refusal:
                            self.refused[customer] = refusal
                        else:
                            self.written += 1
                        report()
                    report()
                    if not self.users.unseen:
                        break
            except BaseException:
                # A request that is under way is finished.
                pool.shutdown(cancel_futures=True)
                raise

    def _changes(self, customer: JsonObject) -> dict[str, str]:
        """The metadata to write for a customer; empty if it names a user already."""
        name = str(customer["id"])
        # A page that is read again, because a customer was deleted, has some that are done.
        if name not in self.users.unseen:
            return {}
        row = self.users.rows[name]
        self.users.unseen.discard(name)
        stated = self.users.stated(customer)
        pairs = list(zip((self.users.user_keys, self.users.group_keys), stated, row, strict=True))
        if not self.overwrite and any(has and wanted and has != wanted for _, has, wanted in pairs):
            self.others.append({"customer": name, **stated._asdict()})
            return {}
        changes = {keys[0]: wanted for keys, has, wanted in pairs if wanted and has != wanted}
        self.unchanged += not changes
        return changes

    def _write(self, customer: str, metadata: dict[str, str]) -> str:
        """Write; returns the reason if Stripe refuses, else an empty text."""
        if self.dry_run:
            return ""
        try:
            self.lists.requests.post(f"{CUSTOMERS.path}/{customer}", CUSTOMERS.permission, metadata=metadata)
        except RefusedError as error:
            return str(error)
        return ""


def _conclude(writing: Writing, *, dry_run: bool, as_json: bool, complete: bool) -> None:
    # For customers that were not listed yet it is unknown whether Stripe has them.
    unknown = sorted(writing.users.unseen) if complete else []
    if as_json:
        say_json(
            {
                "dry_run": dry_run,
                "would_write" if dry_run else "written": writing.written,
                "unchanged": writing.unchanged,
                "named_otherwise": writing.others,
                "unknown_customers": unknown,
                "refused": writing.refused,
            }
        )
        return
    verb = "would be written" if dry_run else "written"
    many = "" if writing.written == 1 else "s"
    say(f"{writing.written:,} Customer{many} {verb}, {writing.unchanged:,} had their user already")
    found = [f"note: {each} is not in Stripe" for each in unknown]
    found += [
        f"note: {each['customer']} names another user or group, and was left as it is: "
        + ", ".join(f"{name} {each[name]}" for name in ("user", "group") if each[name])
        for each in writing.others
    ]
    found += [f"error: {customer}: {why}" for customer, why in writing.refused.items()]
    say(*found[:SHOWN], err=True)
    if len(found) > SHOWN:
        say(f"note: and {len(found) - SHOWN} more (--json has all)", err=True)
