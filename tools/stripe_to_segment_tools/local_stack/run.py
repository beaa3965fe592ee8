"""`make run`: the whole pack on this machine, until Ctrl-C.

[STRIPE_SECRET=whsec_…] python -m stripe_to_segment_tools.local_stack.run [--port N] [--page-port N] [--no-samples]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.progress import track

from stripe_to_segment_tools.commands.send.command import UnreachableError
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import ObjectLists, StripeStandIn
from stripe_to_segment_tools.local_stack import LocalStack, LocalStackError, Secret, stop_on_signals
from stripe_to_segment_tools.local_stack.console import Steps, print_error, print_result, print_table
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS, plan_samples
from stripe_to_segment_tools.local_stack.rehearsal import differences, play, settle
from stripe_to_segment_tools.local_stack.stack_file import STACK_FILE, only_run, write_stack_file
from stripe_to_segment_tools.page import PAGE_PORT, Debugger
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.receiver import Receiver
from stripe_to_segment_tools.terminal.output import make_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

__all__ = ["main"]

HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Happened:
    """What Stripe's lists show of all events that came to the page's webhook, for `audit --local`."""

    page: Debugger

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The objects as of now."""
        return iter(self.page.stripe_objects())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted; return the exit status."""
    options = _options(arguments)
    console = make_console()
    steps = Steps(console)
    try:
        with stop_on_signals(), only_run():
            _run(options, console, steps)
    except KeyboardInterrupt:
        console.print("stopped")
    except (LocalStackError, UnreachableError) as error:
        steps.clear()
        print_error(error)
        return 1
    finally:
        steps.clear()
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stripe_to_segment_tools.local_stack.run",
        description=__doc__.partition("\n")[0],
        epilog="The variable STRIPE_SECRET holds a signing secret to accept too, such as that of `stripe listen`.",
    )
    parser.add_argument("--port", type=_port, default=0, help="port of the AWS emulator (default: any free one)")
    parser.add_argument("--page-port", type=_port, default=0, help=f"port of the page (default: {PAGE_PORT}, or any)")
    parser.add_argument("--no-samples", action="store_true", help="do not post the sample events")
    options = parser.parse_args(arguments)
    # A variable and not an option, because other users can see a command line.
    options.secret = os.environ.get("STRIPE_SECRET", "").strip()
    if options.secret and not options.secret.startswith("whsec_"):
        # Not repeated: a user who mixes them up has put a secret API key here.
        parser.error(
            "STRIPE_SECRET is no signing secret: those begin with whsec_, and `stripe listen --print-secret` prints one"
        )
    return options


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number up to {HIGHEST_PORT}, 0 for any free one")
    return int(text)


def _run(options: argparse.Namespace, console: Console, steps: Steps) -> None:
    secret = Secret()
    if options.secret:
        secret = Secret(stripe_signing_secrets=(*secret.stripe_signing_secrets, options.secret))
    sources = {"live": secret.segment_write_key, "test": secret.segment_test_write_key}
    with (
        Receiver(sources=sources) as receiver,
        LocalStack(receiver.url, parameters=LOCAL_PARAMETERS, secret=secret, port=options.port, report=steps) as stack,
    ):
        own = secret.stripe_signing_secrets[0]
        page = Debugger(stack, receiver, own, options.page_port or None, own_secret=bool(options.secret))
        with page, StripeStandIn(objects=ObjectLists(Happened(page))) as lists:
            write_stack_file(_content(page, stack, secret) | {"stripe_lists": lists.url})
            if not options.no_samples:
                _post_samples(console, stack, receiver, page.webhook_url, secret)
            _print_addresses(console, page, stack, own, accepts_other=bool(options.secret))
            while True:
                time.sleep(1)
                stack.check_alive()


def _print_addresses(console: Console, page: Debugger, stack: LocalStack, own: str, *, accepts_other: bool) -> None:
    if not page.has_its_port:
        console.print(f"\nPort {PAGE_PORT} is in use, so the page has another port.")
    console.print(f"\npage     {page.url}")
    console.print(f"webhook  {page.webhook_url}")
    console.print(f"secret   {own}{', and yours' if accepts_other else ''}")
    console.print(f"AWS      {stack.endpoint_url}, with the access key in {STACK_FILE.relative_to(PROJECT)}")
    console.print("\nEvents of your own Stripe account, in a second terminal:")
    console.print(f"stripe listen --forward-to {page.webhook_url}")
    if not accepts_other:
        console.print("They are refused until you start with: STRIPE_SECRET=$(stripe listen --print-secret) make run")
    console.print("\nCtrl-C stops everything.")


def _post_samples(console: Console, stack: LocalStack, receiver: Receiver, url: str, secret: Secret) -> None:
    """Post the sample events."""
    started = time.monotonic()
    plan = plan_samples(stack.environment(stack.deliver_function))
    played = list(
        track(
            play(plan, url, secret, stack, receiver),
            "post the sample events",
            len(plan),
            console=console,
            transient=True,
        )
    )
    played = settle(played, receiver)
    print_table(console, played)
    print_result(console, played, differences(played, stack.queued(), receiver), time.monotonic() - started)


def _content(page: Debugger, stack: LocalStack, secret: Secret) -> dict[str, str]:
    """What the commands need to reach the stack."""
    return {
        "webhook_url": page.webhook_url,
        "signing_secret": secret.stripe_signing_secrets[0],
        "page_url": page.url,
        "endpoint_url": stack.access.url,
        "access_key_id": stack.access.key_id,
        "secret_access_key": stack.access.secret,
        "stack_name": stack.deployment.name,
    }


if __name__ == "__main__":
    sys.exit(main())
