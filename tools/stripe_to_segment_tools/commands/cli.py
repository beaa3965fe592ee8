"""The command line `stripe-to-segment`: the list of its commands. Each is imported when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from stripe_to_segment import __version__
from stripe_to_segment_tools.terminal.help import Commands
from stripe_to_segment_tools.terminal.output import say

__all__ = ["app"]

app = Commands(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Turn Stripe webhooks into Segment calls: try the mapping, register a stack in Stripe, and operate it.",
)

# The name, the module and function, and the first sentence of its help.
COMMANDS = (
    (
        "explain",
        "explain:explain_command",
        "Print the calls of each Stripe event: one JSON line for each event, in input order. Offline, nothing is sent.",
    ),
    ("plan", "plan:plan_command", "Print the tracking plan: every event, property and trait that is sent. Offline."),
    (
        "sample",
        "sample:app",
        "Print sample events, or the requests and batches that carry them, for `sam local invoke -e`.",
    ),
    ("send", "send.command:send_command", "Sign events and post them to a local or deployed endpoint."),
    (
        "register",
        "register.command:register_command",
        "Create or update the stack's webhook endpoint in Stripe, and put its signing secret into the SigningSecret.",
    ),
    (
        "prime",
        "prime.command:prime_command",
        "Create each column of a warehouse with the right type, before the first real call does.",
    ),
    (
        "secret",
        "secret.commands:app",
        "Manage the stack's two secrets: Stripe's signing secrets, and the keys. No value is ever shown.",
    ),
    ("doctor", "doctor:doctor_command", "Verify a deployed stack, and say how to fix each problem that it finds."),
    (
        "tail",
        "tail.command:tail_command",
        "Follow the outcomes of events: one line for each attempt to deliver an event, and for each refused request.",
    ),
    (
        "dlq",
        "dlq.command:app",
        "List, show, redrive or delete dead letters, on AWS (--stack) or in the local stack (--local).",
    ),
    (
        "backfill",
        "backfill:backfill_command",
        (
            "List Stripe's events of a period, compare them with the delivered ones, and queue the missing ones, "
            "oldest first."
        ),
    ),
    (
        "import",
        "importing.command:import_command",
        "Bring Stripe's existing data into a stack, so that its numbers are right from the first event on.",
    ),
    (
        "identify-customers",
        "identify_customers:identify_customers_command",
        "Write the user of each customer in a file into the metadata of its Customer in Stripe.",
    ),
    (
        "unidentified",
        "unidentified:unidentified_command",
        "Print how much of the mrr and of the lifetime value belongs to customers without a known user, by currency.",
    ),
    (
        "audit",
        "audit.command:audit_command",
        "Compare Stripe's lists with what was sent and what is stored, and explain every cent that differs.",
    ),
    (
        "forget",
        "forget.command:forget_command",
        "Delete a person's data from the StateTable, in live and in test mode.",
    ),
    (
        "sign-reference",
        "sign_reference:sign_reference_command",
        (
            "Print a signed client reference for each user, which no visitor of a Payment Link or a pricing table can "
            "forge."
        ),
    ),
)
for _name, _target, _summary in COMMANDS:
    app.later(_name, f"{__package__}.{_target}", _summary)


def _version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def main(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn Stripe webhooks into Segment calls: try the mapping, register a stack in Stripe, and operate it."""
