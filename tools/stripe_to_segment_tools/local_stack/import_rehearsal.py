"""Import an existing business into the local stack, as `stripe-to-segment import` does, and hold what arrives to it."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from copy import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from stripe_to_segment.enqueuing import enqueue, waiting
from stripe_to_segment.stripe_api.lists import FIRST, Lists
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import record_of
from stripe_to_segment.stripe_side.money import digits
from stripe_to_segment_tools.commands.importing.progress import SETTLED_SECONDS, new_progress
from stripe_to_segment_tools.commands.importing.run import LOCAL_PAUSE_SECONDS, Run
from stripe_to_segment_tools.commands.importing.steps import says_something, steps
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import ObjectLists, StripeStandIn
from stripe_to_segment_tools.local_stack.rehearsal import Planned, Played, arrived
from stripe_to_segment_tools.samples.files import body_of
from stripe_to_segment_tools.samples.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment_tools.commands.importing.steps import Step
    from stripe_to_segment_tools.local_stack.stack import LocalStack
    from stripe_to_segment_tools.receiver import Receiver
    from stripe_to_segment_tools.samples.existing_business import ExistingBusiness

__all__ = ["ImportRehearsal", "judged"]

LEVEL = Level.OPENING
WAREHOUSES = {"All": False}


class ImportRehearsal:
    """An import of a business that is there already.

    Parameters
    ----------
    business
        What Stripe's lists show.
    now
        When the import begins, in epoch seconds.
    """

    def __init__(self, business: ExistingBusiness, now: int) -> None:
        self._business = business
        self._now = now
        self._steps = [*steps(LEVEL)]

    def inputs(self) -> list[Input]:
        """The records that are to be queued, in the order of the steps."""
        records = [
            record_of(one, step.level, self._now - SETTLED_SECONDS, livemode=False, integrations=WAREHOUSES)
            for step in self._steps
            for one in self._listed(step)
        ]
        return [Input(self._business.event["type"], body_of(record), record) for record in records]

    def plan(self, planned: Sequence[Planned]) -> list[Planned]:
        """The steps with their calls, of the plan of `inputs`."""
        rest, found = iter(planned), []
        for step in self._steps:
            records = [next(rest) for _ in self._listed(step)]
            calls = [call for record in records for call in record.calls]
            objects = len(records) if step.level is Level.STATE else 0
            found.append(Planned(self._name(step), None, "imported", "remembered", calls, objects))
        return found

    def play(self, planned: Sequence[Planned], stack: LocalStack, receiver: Receiver) -> Iterator[Played]:
        """Import, and yield each step when `deliver` is done with it."""
        key = f"rk_test_{secrets.token_hex(12)}"
        queue, sqs = stack.deployment.output("ImportQueueUrl"), stack.clients.sqs
        with TemporaryDirectory() as folder, StripeStandIn(objects=ObjectLists(self._business.objects)) as stripe:
            progress = new_progress(Path(folder) / "import.json", {}, self._now, FIRST)
            run = Run(
                Lists(key, stripe.url),
                progress,
                None,
                livemode=False,
                more={"integrations": WAREHOUSES},
                queue=partial(enqueue, sqs, queue),
                left=partial(waiting, sqs, queue),
                pause_seconds=LOCAL_PAUSE_SECONDS,
            )
            for step, each in zip(self._steps, planned, strict=True):
                started, before = time.monotonic(), Counter(progress.listed)
                run.do(step, step.name)
                calls = arrived(each, receiver)
                wrong = self._differing(step, progress.listed - before)
                yield Played(each, 200, "", calls, time.monotonic() - started, _note(calls), tuple(wrong))

    def _listed(self, step: Step) -> list[dict[str, Any]]:
        """The objects of which a step queues a record."""
        return [
            one
            for kind in step.kinds
            for one in self._business.objects
            if one["object"] == kind and says_something(one, step.level)
        ]

    def _name(self, step: Step) -> str:
        counts = Counter(str(one["object"]).rpartition(".")[2].replace("_", " ") for one in self._listed(step))
        what = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items())
        return f"import: {what}" if step.level is Level.STATE else f"import: {step.level} of {what}"

    def _differing(self, step: Step, listed: Counter[str]) -> Iterator[str]:
        there = Counter(one["object"] for one in self._business.objects)
        for kind in step.kinds:
            if listed[kind] != there[kind]:
                yield f"{listed[kind]} {kind} were listed, and Stripe has {there[kind]}"


def judged(business: ExistingBusiness, imported: Sequence[Played], event: Played) -> Played:
    """The first event after an import, with its numbers, and how they and those of the import differ from the truth."""
    calls = [call for each in imported for call in each.calls]
    wrong = [
        f"{name} {_written(said)}, not {_written(true)}"
        for name, said, true in (
            ("the opening balances are", _sums(calls, "mrr_change"), business.mrr),
            ("the lifetime values are", _sums(calls, "lifetime_value"), business.lifetime_values),
            ("the first event changes", _sums(event.calls, "mrr_change"), business.change),
        )
        if said != {currency: Decimal(str(amount)) for currency, amount in true.items()}
    ]
    return replace(event, note=_note(event.calls), wrong=tuple(wrong))


def _note(calls: Sequence[Mapping[str, Any]]) -> str:
    """What the calls sum up to."""
    for name in ("mrr_change", "lifetime_value"):
        if sums := _sums(calls, name):
            return f"{name} {_written(sums)}"
    return ""


def _sums(calls: Iterable[Mapping[str, Any]], name: str) -> dict[str, Decimal]:
    """The property of all tracks, or the trait of all users, by currency."""
    sums: dict[str, Decimal] = {}
    for call in calls:
        said = call.get("properties", {})
        amounts = {said["currency"]: said[name]} if name in said else {}
        if call["type"] == "identify":
            amounts = call["traits"].get(f"{name}_by_currency", {})
        for currency, amount in amounts.items():
            sums[currency] = sums.get(currency, Decimal()) + Decimal(str(amount))
    return sums


def _written(sums: Mapping[str, float | Decimal]) -> str:
    written = (f"{amount:,.{digits(currency)}f} {currency}" for currency, amount in sorted(sums.items()))
    return ", ".join(written) or "nothing"
