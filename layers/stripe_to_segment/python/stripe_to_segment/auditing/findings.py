"""What an audit finds: sums by kind and currency, and for each difference an object and a reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

__all__ = ["Cause", "Finding", "Kind", "Report", "Row", "in_units"]


class Kind(StrEnum):
    """What is compared. All but the number of live subscriptions are amounts of money."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    MRR = "mrr"
    SUBSCRIPTIONS = "live subscriptions"


class Cause(StrEnum):
    """Why Stripe's number and ours differ; docs/audit.md says what to do about each."""

    NEVER_CAME = "never_came"
    WAITS = "waits"
    DEAD_LETTER = "dead_letter"
    REFUSED = "refused"
    DROPPED = "dropped_by_setting"
    ENRICH = "dropped_by_enrich"
    NO_KEY = "no_key_for_test_mode"
    OPTED_OUT = "opted_out"
    UNKNOWN_USER = "unknown_user"
    NOT_IMPORTED = "not_imported"
    IMPORTED = "imported_in_silence"
    BEFORE_SUMS = "before_the_sums"
    OTHER_MODE = "other_mode"
    HIDDEN = "api_version_hides_it"
    UNREADABLE = "unreadable_record"
    EXPIRED = "record_expired"
    OTHER_MONTH = "another_month"
    STATED_TWICE = "stated_twice"
    UNEXPLAINED = "unexplained"

    @property
    def explains(self) -> bool:
        """Whether it is a reason; false for unexplained."""
        return self is not Cause.UNEXPLAINED


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: Stripe's amount less what was sent, in minor units (a number for live subscriptions).

    `id` is the object's in Stripe, or the customer's where the difference is in the sum of what was sent for it.
    `remembered` says that the stack knows the object, and did not send it or sent something else. `beside` says that
    what was sent is right, and only the record differs from Stripe. `guessed` says that others of the same customer fit
    as well: the object was chosen by its amount.
    """

    kind: Kind
    currency: str
    id: str
    amount: int
    cause: Cause
    remembered: bool = False
    beside: bool = False
    guessed: bool = False

    @property
    def said(self) -> str:
        """The difference in a few words: payments in_1 0.01 EUR."""
        return f"{self.kind} {self.id} {in_units(self.kind, self.amount, self.currency)} {self.currency.upper()}"

    @property
    def order(self) -> tuple[bool, str, str, str, str]:
        """The key for sorting: unexplained differences come last."""
        return (not self.cause.explains, self.cause, self.kind, self.currency, self.id)


@dataclass(slots=True)
class Row:
    """The sums of a kind in a currency, in minor units; of what differs, the part that findings explain."""

    stripe: int = 0
    remembered: int = 0
    sent: int = 0
    explained: int = 0

    @property
    def difference(self) -> int:
        """Stripe's less what was sent."""
        return self.stripe - self.sent

    @property
    def unexplained(self) -> int:
        """The part that no finding explains."""
        return self.difference - self.explained


@dataclass(slots=True)
class Report:
    """The result of an audit."""

    rows: dict[tuple[Kind, str], Row] = field(default_factory=lambda: defaultdict(Row))
    findings: list[Finding] = field(default_factory=list)

    def row(self, kind: Kind, currency: str) -> Row:
        """The row of a kind and a lower-case currency."""
        return self.rows[kind, currency]

    def found(self, findings: Iterable[Finding]) -> None:
        """Add differences; those of 0 are left out."""
        for one in findings:
            if one.amount:
                self.findings.append(one)
                counts = one.cause.explains and not one.beside
                self.row(one.kind, one.currency).explained += one.amount if counts else 0

    def close(self) -> None:
        """Name what is left over in a row, so that no cent is lost between the findings, and sort."""
        for (kind, currency), row in self.rows.items():
            named = sum(
                one.amount
                for one in self.findings
                if not (one.cause.explains or one.beside) and (one.kind, one.currency) == (kind, currency)
            )
            self.found([Finding(kind, currency, "", row.unexplained - named, Cause.UNEXPLAINED)])
        self.findings.sort(key=lambda one: one.order)

    @property
    def unexplained(self) -> list[Finding]:
        """The differences that nothing explains. Two that cancel each other out are two."""
        return [one for one in self.findings if not one.cause.explains]


def in_units(kind: Kind, amount: int, currency: str) -> Decimal | int:
    """An amount in major units; a number of subscriptions as it is."""
    return amount if kind is Kind.SUBSCRIPTIONS else major(amount, currency)
