"""The output of an audit: ids and amounts alone, for a person or for a program."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from stripe_to_segment.auditing.findings import Cause, Kind, in_units
from stripe_to_segment.stripe_side.money import digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.auditing.findings import Finding, Report, Row
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment_tools.commands.audit.explaining import Explained

__all__ = ["SAYS", "as_object", "as_table", "left_out", "lines_of_export", "notes", "reasons", "verdict"]

SAYS = {
    Cause.NEVER_CAME: "its event never came here: run `stripe-to-segment backfill`, or import it",
    Cause.WAITS: "its event waits in a queue, or its call for Segment's answer: audit again once the queues are empty",
    Cause.DEAD_LETTER: "its event is a dead letter: `stripe-to-segment dlq list`",
    Cause.REFUSED: "Segment refused the call: `stripe-to-segment dlq list`, then redrive",
    Cause.DROPPED: "DropEvents named its event",
    Cause.ENRICH: "the function enrich dropped its call",
    Cause.NO_KEY: "it is of test mode, and the KeysSecret has no segment_test_write_key",
    Cause.OPTED_OUT: "the person had opted out",
    Cause.UNKNOWN_USER: "the user was unknown, and UnknownUserPolicy was skip",
    Cause.NOT_IMPORTED: "it is older than the stack, and was not imported",
    Cause.IMPORTED: "an import has listed it at a level that sends nothing of it",
    Cause.BEFORE_SUMS: "it was sent before the stack kept sums of what it sends",
    Cause.OTHER_MODE: "StripeMode refuses events of this mode",
    Cause.HIDDEN: "events of this API version do not say how much it is; a Stripe API key may",
    Cause.UNREADABLE: "a newer release wrote the customer's record, or it is broken",
    Cause.EXPIRED: "the customer's record has expired",
    Cause.OTHER_MONTH: "it was sent with a time in another month",
    Cause.STATED_TWICE: "a purchase, and the invoice that it has paid or a part of it, are both sent",
    Cause.UNEXPLAINED: "nothing explains it: docs/audit.md says what to look at",
}
SHOWN = 20


def _amount(kind: Kind, amount: int, currency: str) -> str:
    if kind is Kind.SUBSCRIPTIONS:
        return f"{amount:,}"
    return f"{in_units(kind, amount, currency):,.{digits(currency)}f}"


def _rows(report: Report) -> Iterator[tuple[Kind, str, Row, int]]:
    """The sums by kind and currency, and what nothing explains of them, which also counts what cancels out."""
    order, unexplained = [*Kind], unexplained_of(report.unexplained)
    rows = sorted(report.rows.items(), key=lambda entry: (order.index(entry[0][0]), entry[0][1]))
    return (
        (kind, currency, row, unexplained.get((kind, currency), 0))
        for (kind, currency), row in rows
        if any((row.stripe, row.remembered, row.sent, row.explained))
    )


def as_table(report: Report) -> Table:
    """The sums by kind and currency, for a person."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("What", no_wrap=True)
    table.add_column("Currency")
    for name in ("Stripe", "Sent", "Remembered", "Difference", "Unexplained"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, currency, row, unexplained in _rows(report):
        sums = (row.stripe, row.sent, row.remembered, row.difference, unexplained)
        table.add_row(str(kind), currency.upper(), *(_amount(kind, each, currency) for each in sums))
    return table


def reasons(report: Report) -> Iterator[str]:
    """The differences by reason, each with its objects."""
    for cause, found in groupby(report.findings, key=lambda one: one.cause):
        findings = [*found]
        yield f"{cause} ({len(findings)}): {SAYS[cause]}"
        for one in findings[:SHOWN]:
            known = "  or another of the same amount" if one.guessed else "" if one.remembered else "  not remembered"
            known = "  sent, but the record differs" if one.beside else known
            amount = _amount(one.kind, one.amount, one.currency)
            yield f"  {one.kind:<18} {one.id or '(sum)':<32} {amount:>14} {one.currency.upper()}{known}"
        if len(findings) > SHOWN:
            yield f"  and {len(findings) - SHOWN:,} more (--json has all)"


def lines_of_export(lines: Sequence[Explained]) -> Iterator[str]:
    """The lines of Stripe's export that differ, each with a reason."""
    differing = [one for one in lines if one.reason]
    yield f"Stripe's export: {len(lines):,} lines, {len(differing):,} differ"
    for one in differing[:SHOWN]:
        line = one.line
        yield (
            f"  {line.customer:<24} {line.month}  ours {one.ours:>12,}  Stripe {line.mrr:>12,}  "
            f"difference {one.difference:>12,} {one.currency.upper()}  "
            f"{one.reason}"
        )
    if len(differing) > SHOWN:
        yield f"  and {len(differing) - SHOWN:,} more (--json has all)"


def left_out(profiles: Iterable[Profile], scope: str) -> dict[str, int]:
    """How many records and credit notes of this mode are not compared, by what they are."""
    mode = scope.rpartition(":")[2]
    found = {"customers_of_connected_accounts": 0, "credit_notes_outside_of_stripe": 0}
    for profile in profiles:
        account, its_mode = profile.key.split(":")[:2]
        if its_mode != mode:
            continue
        if account.startswith("acct_"):
            found["customers_of_connected_accounts"] += 1
        else:
            notes_of = (payment.credits.values() for _, payment in profile.listed_payments())
            found["credit_notes_outside_of_stripe"] += sum(1 for each in notes_of for amount in each if amount)
    return found


def notes(left: Mapping[str, int]) -> Iterator[str]:
    """What is left out, for a person."""
    customers, credited = left.values()
    if customers:
        yield f"not compared: customers of connected accounts ({customers:,}), which are in no list of the platform"
    if credited:
        yield f"not compared: credit notes for money given back outside of Stripe ({credited:,}), which are no refunds"


def verdict(report: Report, unknown: int) -> str:
    """The last line: whether every cent is explained."""
    cents = [
        f"{_amount(kind, amount, currency)} {currency.upper()} of {kind}".replace("  ", " ")
        for (kind, currency), amount in unexplained_of(report.unexplained).items()
    ]
    if not cents and not unknown:
        explained = len(report.findings)
        number = f"{explained:,} difference{'' if explained == 1 else 's'}"
        return f"0.00 unexplained; {number}, each explained" if explained else "0.00 unexplained"
    lines = f"{unknown:,} line{'' if unknown == 1 else 's'} of Stripe's export"
    said = [*cents, *([lines] if unknown else [])]
    return f"unexplained: {', '.join(said)}"


def unexplained_of(findings: Iterable[Finding]) -> dict[tuple[Kind, str], int]:
    """The unexplained amounts by kind and currency, each difference by its size."""
    sums: dict[tuple[Kind, str], int] = {}
    for one in findings:
        key = one.kind, one.currency
        sums[key] = sums.get(key, 0) + abs(one.amount)
    return sums


def as_object(report: Report, lines: Sequence[Explained] | None) -> dict[str, Any]:
    """The same for a program; amounts are texts in major units."""
    found: dict[str, Any] = {
        "rows": [
            {
                "kind": kind,
                "currency": currency.upper(),
                "stripe": _written(kind, row.stripe, currency),
                "sent": _written(kind, row.sent, currency),
                "remembered": _written(kind, row.remembered, currency),
                "difference": _written(kind, row.difference, currency),
                "unexplained": _written(kind, unexplained, currency),
            }
            for kind, currency, row, unexplained in _rows(report)
        ],
        "differences": [
            {
                "reason": one.cause,
                "kind": one.kind,
                "id": one.id,
                "amount": _written(one.kind, one.amount, one.currency),
                "currency": one.currency.upper(),
                "remembered": one.remembered,
                "certain": not one.guessed,
            }
            for one in report.findings
        ],
    }
    if lines is not None:
        found["export"] = [
            {
                "customer": one.line.customer,
                "month": one.line.month,
                "currency": one.currency.upper(),
                "ours": str(one.ours),
                "stripe": str(one.line.mrr),
                "difference": str(one.difference),
                "reason": one.reason,
            }
            for one in lines
        ]
    return found


def _written(kind: Kind, amount: int, currency: str) -> str | int:
    return amount if kind is Kind.SUBSCRIPTIONS else str(in_units(kind, amount, currency))
