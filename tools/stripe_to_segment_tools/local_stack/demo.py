"""`make demo`: import a small business, post every sample event once, audit all of it, print the calls, and stop.

Exit status: 0 only if exactly the calls arrived that `explain` prints, none broke Segment's contract, both queues are
empty, and the audit explains every cent; 1 if anything differs; 2 if the local stack did not start.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import chain
from typing import TYPE_CHECKING

from rich.progress import track

from stripe_to_segment_tools.commands.send.command import UnreachableError
from stripe_to_segment_tools.local_stack import LocalStack, LocalStackError, Secret, stop_on_signals
from stripe_to_segment_tools.local_stack.audit_rehearsal import audited
from stripe_to_segment_tools.local_stack.console import Steps, print_error, print_result, print_table
from stripe_to_segment_tools.local_stack.import_rehearsal import ImportRehearsal, judged
from stripe_to_segment_tools.local_stack.plan import LOCAL_PARAMETERS, plan_samples, sample_inputs
from stripe_to_segment_tools.local_stack.rehearsal import differences, play, settle
from stripe_to_segment_tools.receiver import Receiver
from stripe_to_segment_tools.samples.existing_business import existing_business
from stripe_to_segment_tools.samples.files import body_of
from stripe_to_segment_tools.samples.inputs import Input
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
        now = int(time.time())
        business = existing_business(now, os.urandom(8).hex())
        rehearsal = ImportRehearsal(business, now)
        records = rehearsal.inputs()
        next_event = Input(f"{business.event['type']}, imported", body_of(business.event), business.event)
        plan = plan_samples(stack.environment(stack.deliver_function), [*records, next_event, *sample_inputs()])
        every_step, events = rehearsal.plan(plan[: len(records)]), plan[len(records) :]
        listed = rehearsal.play(every_step, stack, receiver)
        posted = play(events, stack.webhook_url, secret, stack, receiver)
        shown = track(
            chain(listed, posted),
            "import, and post the samples",
            len(every_step) + len(events),
            console=console,
            transient=True,
        )
        played = settle(shown, receiver)
        imported, first_event, rest = played[: len(every_step)], played[len(every_step)], played[len(every_step) + 1 :]
        everything = [dict(each.event) for each in events if each.event is not None]
        audit = audited(stack, business.objects, everything)
        played = [*imported, judged(business, imported, first_event), *rest, audit]
        found = differences(played, stack.queued(), receiver)
    print_table(console, played)
    print_result(console, played, found, time.monotonic() - started)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
