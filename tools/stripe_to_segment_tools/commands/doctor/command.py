"""The command: run all checks and print one list."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from stripe_to_segment_tools.access.options import AsJson, StackChoice, StripeApiBase, on_a_stack
from stripe_to_segment_tools.commands.doctor.aws import (
    check_alarms,
    check_circuit,
    check_deployment,
    check_functions,
    check_log_groups,
    check_queue_settings,
    check_queues,
    check_unknown_mrr,
)
from stripe_to_segment_tools.commands.doctor.check import State, guarded, unknown
from stripe_to_segment_tools.commands.doctor.door import check_door
from stripe_to_segment_tools.commands.doctor.endpoint import check_endpoints
from stripe_to_segment_tools.commands.doctor.rules import check_rules
from stripe_to_segment_tools.commands.doctor.safety import check_concurrency, check_listeners, check_state
from stripe_to_segment_tools.commands.doctor.secret import check_secrets
from stripe_to_segment_tools.commands.doctor.warehouse import check_warehouse
from stripe_to_segment_tools.terminal.output import make_console, say, say_json, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check

__all__ = ["doctor_command"]

MARKS = {State.GOOD: ("✓", "green"), State.BAD: ("✗", "red"), State.UNKNOWN: ("?", "yellow")}


@on_a_stack
def doctor_command(
    stack: StackChoice,
    *,
    event: Annotated[
        bool, typer.Option("--event/--no-event", help="Send a signed test event through the deployed URL, or do not.")
    ] = True,
    stripe_api_base: StripeApiBase = "",
    as_json: AsJson = False,
) -> None:
    """Verify a deployed stack, and say how to fix each problem that it finds.

    It checks the deployment, the functions, their schedules and logs, the account's concurrency, the queues, dead
    letters, the table's protection, the alarms and their subscribers, the fields of both secrets, the webhook endpoint
    in Stripe, whether the subscriptions in Stripe were imported, and the priming of a warehouse. Then it sends a signed
    test event through the deployed URL and the queue: a product.updated without a name, of which deliver makes no call
    and stores nothing. It also sends a request without a signature, which has to be refused.

    To check the endpoint and the subscriptions in Stripe it needs an API key with the permissions 'Webhook Endpoints:
    Read' and 'Subscriptions: Read', from STRIPE_API_KEY in the environment or from the KeysSecret. It shows no key and
    no secret.

    Exit status: 0 without any ✗ (a ? could not be checked, and is not counted); 1 with a ✗; 2 without a stack.

    Examples
    --------
      stripe-to-segment doctor --local

      STRIPE_API_KEY=$(cat key) stripe-to-segment doctor --stack stripe-to-segment

      stripe-to-segment doctor --stack stripe-to-segment --no-event --json | jq '.checks[] | select(.state == "failed")'
    """
    checks = list(_checks(stack.find(), stripe_api_base, with_event=event))
    counts = Counter(check.state for check in checks)
    if as_json:
        say_json({"ok": not counts[State.BAD], "checks": [asdict(check) for check in checks]})
    else:
        _show(checks)
        say(f"{counts[State.GOOD]} ✓  {counts[State.BAD]} ✗  {counts[State.UNKNOWN]} not checked")
    raise typer.Exit(1 if counts[State.BAD] else 0)


def _checks(stack: Stack, stripe_api_base: str, *, with_event: bool) -> Iterator[Check]:
    """All checks, from the stack's resources to the webhook."""
    yield from check_deployment(stack)
    yield from guarded("functions", partial(check_functions, stack))
    yield from guarded("rules", partial(check_rules, stack))
    yield from guarded("log groups", partial(check_log_groups, stack))
    yield from guarded("concurrency", partial(check_concurrency, stack))
    yield from guarded("queues", partial(check_queues, stack))
    yield from guarded("queues' settings", partial(check_queue_settings, stack))
    yield from guarded("state", partial(check_state, stack))
    yield from guarded("unknown mrr", partial(check_unknown_mrr, stack))
    yield from guarded("alarms", partial(check_alarms, stack))
    yield from guarded("alarm subscribers", partial(check_listeners, stack))
    yield from guarded("secrets", partial(_check_connections, stack, stripe_api_base, with_event=with_event))


def _check_connections(stack: Stack, stripe_api_base: str, *, with_event: bool) -> Iterator[Check]:
    settings, keys = stack.settings(), stack.keys()
    yield from check_secrets(stack, settings, keys)
    yield from check_endpoints(stack, settings, keys.stripe_api_key, stripe_api_base)
    yield from guarded("Segment", partial(check_circuit, stack, settings))
    yield from guarded("warehouse", partial(check_warehouse, stack, settings, keys))
    if with_event:
        yield from guarded("signed event", partial(check_door, stack, settings))
    else:
        yield unknown("signed event", "not sent", "leave out --no-event")


def _show(checks: list[Check]) -> None:
    console = make_console()
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, colour = MARKS[check.state]
        line = Text.assemble((mark, colour), visible(f" {check.name:<{width}}  {check.said}"))
        if check.fix:
            line.append(
                f"\n  {'':<{width}}  → {visible(check.fix)}", "bold" if check.state is State.BAD else "bright_black"
            )
        # Not cut to the terminal's width, so that the fix can be copied.
        console.print(line, soft_wrap=True)
