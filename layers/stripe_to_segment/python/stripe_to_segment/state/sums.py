"""The sums of what was sent, by month, currency and kind, as a customer's record keeps them for the audit.

A call counts once it is known that it arrived: when the batch after it settles its claim by the receipt. So a call that
is sent again, after a lost answer or a killed function, counts once, and a refused or dropped call does not count.
Nothing is read or written for this: the sums stand in the record that is written anyway.

Exact are the sums of all calls that a receipt confirmed, each with the amount, the currency and the month of its
timestamp as they stood on the wire, after `enrich`. Bounded are:

- months: the newest MONTHS are kept apart, older ones are one sum (EARLIER);
- claims without a receipt: after 40 days, when no retry can come, they count as arrived. That is wrong only where the
  endpoint was down, or the function died between sending and the receipt, until SQS gave the record up after 14 days;
- claims that did not fit into the record (`encoding.RECORD_BYTES`) are not counted.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from stripe_to_segment.stripe_side.money import digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "EARLIER",
    "MONTHS",
    "OBJECTS",
    "UNCOUNTED",
    "Kind",
    "Sent",
    "Worth",
    "added",
    "kind_by_name",
    "sent_in",
    "worth_in",
    "worth_of",
]

MONTHS = 13
EARLIER = "earlier"
"""In place of a month: all those before the newest MONTHS."""

type Sums = Mapping[str, Sequence[int]]
"""By month and currency (`2026-10:eur`) the sums in minor units, in the order of `Kind.column`, without last zeros."""


class Kind(StrEnum):
    """What a call adds to, as one letter beside its claim."""

    PAYMENT = "p"
    REFUND = "r"
    REFUND_FAILED = "f"
    DISPUTE = "d"
    MRR = "m"

    @property
    def column(self) -> int:
        """Its place in the sums; a refund that failed is taken off the refunds."""
        return {"p": 0, "m": 1, "r": 2, "f": 2, "d": 3}[self]


UNCOUNTED = "-"
"""In place of a kind: a call that says nothing about money."""
# The kinds of calls by their names in the catalog. A claim holds letters only where these do not say it: where an event
# is renamed, or its call repeats the amount of another.
KINDS = {
    "Order Completed": Kind.PAYMENT,
    "Subscription Renewed": Kind.PAYMENT,
    "Invoice Paid": Kind.PAYMENT,
    "Invoice Payment Received": Kind.PAYMENT,
    "Order Refunded": Kind.REFUND,
    "Refund Failed": Kind.REFUND_FAILED,
    "Payment Disputed": Kind.DISPUTE,
}
# The property that holds the amount, in major units.
AMOUNTS = {
    Kind.PAYMENT: "total",
    Kind.REFUND: "total",
    Kind.REFUND_FAILED: "total",
    Kind.DISPUTE: "value",
    Kind.MRR: "mrr_change",
}
# And the one that holds the id of the object that it is about.
OBJECTS = {
    Kind.PAYMENT: "order_id",
    Kind.REFUND: "refund_id",
    Kind.REFUND_FAILED: "refund_id",
    Kind.DISPUTE: "dispute_id",
    Kind.MRR: "subscription_id",
}


class Worth(NamedTuple):
    """What one call adds to the sums: in minor units, of a lower-case currency, in a month such as 2026-10."""

    kind: Kind
    month: str
    currency: str
    amount: int


class Sent(NamedTuple):
    """One sum, in minor units."""

    column: int
    month: str
    currency: str
    amount: int


def kind_by_name(call: Mapping[str, Any]) -> str:
    """The kind of a track by its name and its properties."""
    name, properties = call.get("event"), call.get("properties")
    changes = isinstance(properties, dict) and "mrr_change" in properties
    return KINDS.get(name, Kind.MRR if changes else UNCOUNTED) if isinstance(name, str) else UNCOUNTED


def worth_in(encoded: str, kind: str = "") -> Worth | None:
    """The worth of an encoded call, whose kind its name says unless given; None without an amount or a time."""
    call: dict[str, Any] = json.loads(encoded)
    kind = kind or kind_by_name(call)
    return None if kind == UNCOUNTED else worth_of(call, Kind(kind))


def worth_of(call: Mapping[str, Any], counted: Kind) -> Worth | None:
    """The worth of a call of this kind; None without an amount or a time."""
    # A team's `enrich` may have put anything there.
    properties = call.get("properties")
    stated = properties if isinstance(properties, dict) else {}
    currency, month = stated.get("currency"), str(call.get("timestamp"))[:7]
    if not isinstance(currency, str) or len(month) < len("2026-10"):
        return None
    try:
        amount = int(Decimal(str(stated.get(AMOUNTS[counted]))).scaleb(digits(currency)))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return (
        Worth(counted, month, currency.lower(), -amount if counted is Kind.REFUND_FAILED else amount)
        if amount
        else None
    )


def added(sums: Sums, worths: Iterable[Worth]) -> Sums:
    """The sums with these calls; the oldest months become one where there are more than MONTHS."""
    after = dict(sums)
    for worth in worths:
        name, column = f"{worth.month}:{worth.currency}", worth.kind.column
        after[name] = _plus(after.get(name, ()), [0] * column + [worth.amount])
    return _bounded({name: row for name, row in after.items() if row})


def sent_in(sums: Sums) -> Iterator[Sent]:
    """Each sum that is not 0."""
    for name, row in sums.items():
        month, _, currency = name.partition(":")
        yield from (Sent(column, month, currency, amount) for column, amount in enumerate(row) if amount)


def _bounded(sums: dict[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    months = sorted({name.partition(":")[0] for name in sums} - {EARLIER})
    for name in [name for name in sums if name.partition(":")[0] in months[:-MONTHS]]:
        earlier = f"{EARLIER}:{name.partition(':')[2]}"
        sums[earlier] = _plus(sums.get(earlier, ()), sums.pop(name))
    return sums


def _plus(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """The sums column by column, without the zeros at the end: each byte of a record is paid for."""
    row = [sum(pair) for pair in zip_longest(one, other, fillvalue=0)]
    while row and not row[-1]:
        row.pop()
    return row
