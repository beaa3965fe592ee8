"""One audit while it runs: what it compares, the objects that it has met, and the reason of a difference."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stripe_to_segment.auditing.findings import Cause, Kind, Report
from stripe_to_segment.state.encoding import KEEP_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stripe_to_segment.auditing.books import Kept
    from stripe_to_segment.auditing.circumstances import Circumstances
    from stripe_to_segment.auditing.findings import Finding
    from stripe_to_segment.auditing.truth import Entry, Truth

__all__ = ["Compared", "Comparison", "month_of", "total"]

DAY = 86_400
# SQS keeps an event this long; template.yaml has the number.
QUEUE_SECONDS = 14 * DAY
# The event of a younger object may still be on its way from Stripe.
YOUNG_SECONDS = 300
# The types of the events that state an object of each kind, by their beginnings.
EVENT_TYPES: Mapping[Kind, tuple[str, ...]] = {
    Kind.PAYMENTS: ("invoice.paid", "invoice_payment.paid", "checkout.session.", "payment_intent.succeeded"),
    Kind.REFUNDS: ("refund.", "charge.refunded"),
    Kind.DISPUTES: ("charge.dispute.",),
    Kind.MRR: ("customer.subscription.", "customer.discount."),
    Kind.SUBSCRIPTIONS: ("customer.subscription.",),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """An object as its record remembers it and as Stripe lists it (with the amount 0 if Stripe does not list it)."""

    kept: Kept
    listed: Kept
    finding: Finding | None


@dataclass(slots=True)
class Comparison:
    """The state of one audit.

    `month` limits payments, refunds and disputes to one month (2026-10, UTC); empty means all of them. `seen` are the
    ids of the objects that some record remembers, `known` the keys of all records.
    """

    truth: Truth
    circumstances: Circumstances
    month: str
    report: Report = field(default_factory=Report)
    seen: dict[Kind, set[str]] = field(default_factory=lambda: defaultdict(set))
    known: set[str] = field(default_factory=set)

    def in_month(self, at: int) -> bool:
        """Whether an epoch second lies in the month of this audit."""
        return not self.month or month_of(at) == self.month

    def cause(self, kind: Kind, entry: Entry, *, remembered: bool) -> Cause:  # noqa: PLR0911 - one line for each reason
        """Why no record remembers an object, or (`remembered`) why the record differs from Stripe's list."""
        circumstances = self.circumstances
        if not circumstances.settings.accepts(livemode=circumstances.livemode):
            return Cause.OTHER_MODE
        # A discount is on a subscription, or on the customer.
        names = {*entry.names, entry.record.rpartition(":")[2]}
        if any(one.type.startswith(EVENT_TYPES[kind]) and one.ids & names for one in circumstances.letters):
            return Cause.DEAD_LETTER
        if entry.record in circumstances.unreadable:
            return Cause.UNREADABLE
        if remembered:
            # Stripe's list does not say when the object changed.
            return Cause.WAITS if circumstances.waiting else Cause.NEVER_CAME
        if entry.at < circumstances.began:
            return Cause.NOT_IMPORTED
        if entry.record not in self.known and entry.at < circumstances.now - KEEP_DAYS * DAY:
            return Cause.EXPIRED
        recent = entry.at > circumstances.now - (QUEUE_SECONDS if circumstances.waiting else YOUNG_SECONDS)
        return Cause.WAITS if recent else Cause.NEVER_CAME


def total(objects: Iterable[Kept]) -> int:
    """The sum of their amounts, in minor units."""
    return sum(one.amount for one in objects)


def month_of(at: int) -> str:
    """The month of an epoch second, such as 2026-10, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")
