"""Read what an audit compares: Stripe's lists, the StateTable, the queues and the dead letters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.around import Letter
from stripe_to_segment.enqueuing import Enqueued
from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.stripe_side.event import Level, read_json
from stripe_to_segment.stripe_side.fields import hash_of, listed, reference, text
from stripe_to_segment.stripe_side.listing import is_listed, listed_event
from stripe_to_segment.stripe_side.thin import sent_event
from stripe_to_segment_tools.commands.dlq.queue import Pass
from stripe_to_segment_tools.commands.importing.drain import waiting
from stripe_to_segment_tools.commands.importing.progress import Part, Progress
from stripe_to_segment_tools.commands.importing.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stripe_to_segment.auditing.truth import Truth
    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.importing.lists import Lists

__all__ = ["KINDS", "Records", "Span", "anything_waits", "letters_of", "read_lists", "read_records"]

# Coupons and customers first: they have the discounts of subscriptions.
STEPS = (("coupon", "customer"), ("subscription", "invoice", "checkout.session", "payment_intent", "refund", "dispute"))
KINDS = tuple(kind for step in STEPS for kind in step)
NOW = frozenset({"coupon", "customer", "subscription"})
"""What is listed as it is now, of whatever month the audit is."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time of the lists of what happened once, in epoch seconds; what exists now is listed from `first` on."""

    first: int
    since: int
    until: int
    now: int

    def part(self, kind: str) -> Part:
        """The part of a kind's list."""
        return Part(kind, self.first, self.now + 1) if kind in NOW else Part(kind, self.since, self.until)


def read_lists(lists: Lists, truth: Truth, span: Span, report: Callable[[str], None]) -> list[str]:
    """Read Stripe's lists into the truth, as `import` reads them; it then is closed.

    Returns the ids of objects that are too large for a record of an import. Raises as `Walk.run` does.
    """
    lock = Lock()

    def take(bodies: Sequence[str]) -> list[Enqueued]:
        # Several threads list.
        with lock:
            for body in bodies:
                truth.take(json.loads(body)["data"])
        return [Enqueued("read")] * len(bodies)

    with TemporaryDirectory() as folder:
        progress = Progress(Path(folder) / "audit.json", {}, truth.moment, span.until, span.since)
        for kinds in STEPS:
            progress.begin([span.part(kind) for kind in kinds])

            def told() -> None:
                report(", ".join(f"{count:,} {kind}" for kind, count in progress.listed.items()))

            Walk(lists, progress, Level.STATE, truth.livemode, take, {}, report=told).run()
            told()
            progress.end()
    truth.close()
    return progress.oversize


@dataclass(slots=True)
class Records:
    """All records of the StateTable, the receipts of their deliveries, and the keys of those that cannot be read."""

    profiles: list[Profile] = field(default_factory=list)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


def read_records(stack: Stack, report: Callable[[str], None]) -> Records:
    """Scan the StateTable. Raises StoreUnavailableError."""
    store, found = stack.store(), Records()
    for kept in store.everything():
        if kept.unreadable and kept.kind == "profile":
            found.unreadable.add(kept.key)
        elif kept.profile is not None:
            found.profiles.append(kept.profile)
            report(f"{len(found.profiles):,} customers")
    found.receipts = store.receipts({each.delivery for each in found.profiles if each.delivery and each.claims})
    return found


def anything_waits(stack: Stack) -> bool:
    """Whether records wait in the queues, or are under way. Asked first: what was done by then is in the records."""
    sqs = stack.client("sqs")
    return any(waiting(sqs, stack.output(name)) for name in ("EventsQueueUrl", "ImportQueueUrl"))


def letters_of(stack: Stack) -> tuple[Letter, ...]:
    """The dead letters, with what they tell."""
    return tuple(_letters(stack))


def _letters(stack: Stack) -> list[Letter]:
    found: list[Letter] = []
    with Pass(stack.client("sqs"), stack.output("DeadLetterQueueUrl")) as walk:
        for page in walk.pages():
            for letter in page:
                try:
                    data = read_json(letter.event)
                    event = listed_event(data) if is_listed(data) else sent_event(data)
                except MalformedEventError:
                    continue
                about = hash_of(getattr(event, "object", None))
                if event is None:
                    continue
                refunds = [one.get("id") for one in listed(about.get("refunds"))]
                ids = {about.get("id"), reference(about.get("invoice")), *refunds}
                if event.type.startswith(("checkout.session.", "payment_intent.", "invoice_payment.")):
                    ids.add(reference(about.get("payment_intent")))
                found.append(Letter(event.type, frozenset(filter(None, map(text, ids)))))
    return found
