"""`make demo`: post every sample event once, print its calls, and stop.

Exit status: 0 only if exactly the calls arrived that `explain` prints, none broke Segment's contract, and both queues
are empty; 1 if anything differs; 2 if the local stack did not start.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.progress import track

from stripe_to_segment_tools.commands.send.command import UnreachableError
from stripe_to_segment_tools.local_stack import LocalStack, LocalStackError, Secret, stop_on_signals
from stripe_to_segment_tools.local_stack.console import Steps, print_error, print_table, print_verdict
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS, plan_samples
from stripe_to_segment_tools.local_stack.rehearsal import differences, play, settle
from stripe_to_segment_tools.receiver import Receiver
from stripe_to_segment_tools.terminal.output import make_console

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["main"]

INTERRUPTED = 130


def main() -> int:
    """Run the demonstration; return the exit status."""
    console = make_console()
    steps = Steps(console)
    try:
        with stop_on_signals():
            return _demonstrate(console, steps)
    except KeyboardInterrupt:
        steps.clear()
        console.print("interrupted: everything that was started is stopped")
        return INTERRUPTED
    except (LocalStackError, UnreachableError) as error:
        steps.clear()
        print_error(error)
        return 2


def _demonstrate(console: Console, steps: Steps) -> int:
    started = time.monotonic()
    secret = Secret()
    sources = {"live": secret.segment_write_key, "test": secret.segment_test_write_key}
    with (
        Receiver(sources=sources) as receiver,
        LocalStack(receiver.url, parameters=LOCAL_PARAMETERS, secret=secret, report=steps) as stack,
    ):
        plan = plan_samples(stack.environment(stack.deliver_function))
        events = play(plan, stack.webhook_url, secret, stack, receiver)
        played = list(track(events, "post the sample events", len(plan), console=console, transient=True))
        played = settle(played, receiver)
        found = differences(played, stack.queued(), receiver)
    print_table(console, played)
    print_verdict(console, played, found, time.monotonic() - started)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
