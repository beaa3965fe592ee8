"""What the models must say, from the simulated histories alone: no call and no SQL is looked at."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulator.worth import in_major

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.simulator.history import History
    from tests.simulator.till import Till

__all__ = ["Movement", "Truth", "truth_of"]

type Amounts[K] = dict[K, Decimal]
# Who ends a trial early may get the invoice a moment before.
EARLY = 60
OVER = {"canceled", "paused", "incomplete_expired"}


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of one subscription's mrr, and what it is in the growth of the MRR."""

    at: int
    customer: str
    subscription: str
    currency: str
    change: Decimal
    kind: str


@dataclass(slots=True)
class Truth:
    """Everything by what it is asked for; currencies in upper case, days and months as dates."""

    payments: dict[str, tuple[str, date, Decimal, Decimal]] = field(default_factory=dict)
    days: dict[tuple[date, str], dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )
    worth: Amounts[tuple[str, str]] = field(default_factory=lambda: defaultdict(Decimal))
    mrr: Amounts[str] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    trials: dict[tuple[str, int], str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def waterfall(self) -> dict[tuple[date, str], Amounts[str]]:
        """The growth of each month in which anything moved, by kind."""
        found: dict[tuple[date, str], Amounts[str]] = defaultdict(lambda: defaultdict(Decimal))
        for one in self.movements:
            found[first_of(one.at), one.currency][one.kind] += one.change
        return found

    def customers_at(self, until: date) -> dict[str, set[str]]:
        """The customers who count something before this day, by currency."""
        sums: Amounts[tuple[str, str]] = defaultdict(Decimal)
        for one in self.movements:
            if day(one.at) < until:
                sums[one.currency, one.customer] += one.change
        found: dict[str, set[str]] = defaultdict(set)
        for (currency, customer), amount in sums.items():
            if amount > 0:
                found[currency].add(customer)
        return found

    def mrr_at(self, until: date) -> Amounts[str]:
        """The MRR before this day, by currency."""
        sums: Amounts[str] = defaultdict(Decimal)
        for one in self.movements:
            if day(one.at) < until:
                sums[one.currency] += one.change
        return sums


def day(epoch: int) -> date:
    """The day of a moment in UTC."""
    return datetime.fromtimestamp(epoch, UTC).date()


def first_of(epoch: int) -> date:
    """The month of a moment, as its first day."""
    return day(epoch).replace(day=1)


def truth_of(histories: Iterable[History], till: Till) -> Truth:
    """What happened in these histories and at this till."""
    truth = Truth()
    for history in histories:
        _money(history, truth)
        truth.movements += _movements(history)
        truth.trials |= _trials(history)
        for subscription, (currency, minor) in history.truth.mrr.items():
            assert minor is not None, "a history whose worth every payload tells"
            truth.mrr[subscription] = in_major(minor, currency)
        for failure in history.truth.failures:
            truth.attempts[failure.pays if failure.pays.startswith("in_") else failure.intent or failure.pays] += 1
    for moment in till.moments:
        for (customer, currency), minor in moment.moved.items():
            truth.worth[customer, currency.upper()] += in_major(minor, currency)
        for (_, currency), minor in moment.stated.items():
            truth.days[day(moment.at), currency.upper()]["kept"] += in_major(minor, currency)
    return truth


def _money(history: History, truth: Truth) -> None:
    for order, paid in history.truth.payments.items():
        currency = paid.currency.upper()
        total, revenue = in_major(paid.collected, paid.currency), in_major(paid.revenue, paid.currency)
        truth.payments[order] = (currency, day(paid.at), total, revenue)
        sums = truth.days[day(paid.at), currency]
        sums["payments"] += 1
        sums["collected"] += total
        sums["revenue"] += revenue
        sums["kept"] += total
        truth.worth["a guest" if paid.guest else history.customer, currency] += total
    for given in history.truth.refunds.values():
        currency, amount = given.currency.upper(), in_major(given.amount, given.currency)
        truth.days[day(given.at), currency]["refunded"] += amount
        truth.days[day(given.at), currency]["kept"] -= amount
        truth.worth["a guest" if given.guest else history.customer, currency] -= amount


def _movements(history: History) -> Iterator[Movement]:
    """A subscriber is new once, comes back afterwards, and is lost with the last subscription that counts."""
    counts: dict[str, Decimal] = defaultdict(Decimal)
    subscribed = False
    for happening in history.happenings:
        if happening.subscription is None or not happening.closes:
            continue
        assert happening.mrr is not None, "a history whose worth every payload tells"
        currency = history.truth.mrr[happening.subscription][0]
        before, now = sum(counts.values()), in_major(happening.mrr, currency)
        change = now - counts[happening.subscription]
        counts[happening.subscription] = now
        if not change:
            continue
        kind = "expansion" if change > 0 else "contraction"
        if before <= 0:
            kind = "reactivation" if subscribed else "new"
        elif before + change <= 0:
            kind = "churn"
        subscribed = True
        yield Movement(
            happening.body["created"], history.customer, happening.subscription, currency.upper(), change, kind
        )


def _trials(history: History) -> dict[tuple[str, int], str]:
    """What came of each trial, by its subscription and beginning."""
    lives: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    paid: dict[str, list[int]] = defaultdict(list)
    for event in history.events:
        about = event["data"]["object"]
        if about["object"] == "subscription":
            lives[about["id"]].append((event["created"], about))
        elif event["type"] == "invoice.paid" and (of := _subscription_of(about)):
            paid[of].append(about["created"])
    return {
        (subscription, began): outcome
        for subscription, life in lives.items()
        for began, outcome in _outcomes(life, paid[subscription])
    }


def _outcomes(life: list[tuple[int, dict[str, Any]]], paid: list[int]) -> Iterator[tuple[int, str]]:
    """The trial that a subscription begins with: converted by an invoice that is made at its end or later, or lost."""
    was, began, ended, over = "", 0, 0, False
    for at, subscription in life:
        status = subscription["status"]
        if status == "trialing" and was in {"", "incomplete"}:
            began = at
        elif was == "trialing" != status and began and not ended:
            ended = at
        # Free days for a running subscription are another trial.
        if status == "trialing" and ended:
            break
        over = status in OVER
        was = status
    if began:
        converted = ended and any(made >= ended - EARLY for made in paid)
        yield began, "converted" if converted else "lost" if over else "unpaid" if ended else "running"


def _subscription_of(invoice: dict[str, Any]) -> str | None:
    parent = invoice.get("parent") or {}
    found = (parent.get("subscription_details") or {}).get("subscription") or invoice.get("subscription")
    return str(found) if found else None
