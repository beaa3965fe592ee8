"""The parts of every step of a simulated subscription: the clock, the stream, and the bills."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.simulator.bills import Invoice, Line
from tests.simulator.market import half_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.changes import Changes
    from tests.simulator.payments import Cashier
    from tests.simulator.terms import Subscription
    from tests.simulator.worth import Bill

__all__ = ["DAY", "HOUR", "Dealings"]

HOUR, DAY = 3600, 86_400


class Dealings:
    """A contract at a moment: what the customer's balance holds, which invoice is open, of which ends it was warned."""

    def __init__(self, changes: Changes, cashier: Cashier, customer: str, at: int) -> None:
        self.changes, self.cashier, self.stream, self.market = changes, cashier, changes.stream, changes.market
        self.rng, self.shape = self.stream.rng, changes.shape
        self.at = at
        self.credit = 0
        self.open: Invoice | None = None
        self.warned: set[int] = set()
        self.state = changes.signed(customer, at)

    # --- money ---

    def _pay_period(self, reason: str) -> None:
        bill = self._bill_of_items()
        invoice = self._invoice(reason, self.market.lines(self.state.items), self._with_balance(bill))
        self.stream.moment()
        self.cashier.paid(invoice, self.at)

    def _fail_period(self, reason: str) -> None:
        self.open = self._invoice(reason, self.market.lines(self.state.items), self._bill_of_items())
        self.stream.moment()
        self.cashier.failed(self.open, self.at)

    def _pay_open(self) -> None:
        if self.open is not None:
            self.stream.moment()
            self.cashier.paid(self.open, self.at)
            self.open = None

    def _bill_of_items(self) -> Bill:
        lines = self.market.lines(self.state.items)
        amount, off = sum(line.amount for line in lines), Fraction(0)
        for coupon in self.state.coupons:
            covered = sum(line.amount for line in lines if coupon.covers(line.price))
            share = Fraction(coupon.percent or 0) / 100
            off += max(Fraction(covered) - off, Fraction(0)) * share + min(coupon.amount or 0, covered)
        return self.market.bill(amount, discount=min(half_up(off), amount), ships=self._chance(0.1))

    def _with_balance(self, bill: Bill) -> Bill:
        """What the customer's balance covers: a credit from a downgrade, a voucher, or a small old debt."""
        if bill.total <= 0:
            return bill
        if self._chance(0.1):
            self.credit += self.rng.choice((100, 1000, bill.total // 2, bill.total))
        if not self.credit and self._chance(0.05):
            return replace(bill, balance=-100)
        covered = min(self.credit, bill.total)
        self.credit -= covered
        return replace(bill, balance=covered)

    def _prorate(self, old: Subscription) -> None:
        """An invoice at once for the rest of the period, on which the old terms are given back."""
        if self.state.status != "active" or self._chance(0.5):
            return
        rest = Fraction(self.rng.randrange(1, 30), 30)
        back = sum(line.amount for line in self.market.lines(old.items))
        new = sum(line.amount for line in self.market.lines(self.state.items))
        lines = (
            Line("Unused time", -half_up(back * rest), 1, old.items[0].price, proration=True),
            Line("Remaining time", half_up(new * rest), 1, self.state.items[0].price, proration=True),
        )
        bill = self.market.bill(sum(line.amount for line in lines))
        if bill.total < 0:
            self.credit -= bill.total
        self.stream.moment()
        self.cashier.paid(self._invoice("subscription_update", lines, self._with_balance(bill)), self.at)

    def _invoice(self, reason: str, lines: tuple[Line, ...], bill: Bill) -> Invoice:
        state = self.state
        number = f"in_{self.stream.number()}"
        coupon = state.coupons[0].id if state.coupons else None
        made = self.at
        return Invoice(
            number, state.customer, state.currency, bill, lines, reason, made, state.id, state.metadata, coupon=coupon
        )

    # --- the clock and the stream ---

    def _wait(self) -> None:
        """Some time within the present period."""
        left = max(self.state.period_end - self.at - 1, 1)
        self.at += self.rng.randrange(min(left, 40 * DAY)) or 1

    def _wait_until(self, moment: int) -> None:
        self.at = max(moment, self.at + 1)

    def _from_now(self) -> Subscription:
        """The contract with every period beginning now."""
        items = tuple(replace(item, period=(self.at, self.at + item.price.days * DAY)) for item in self.state.items)
        return replace(self.state, items=items)

    def _change_to(self, **fields: object) -> None:
        old = self.state
        self.state = replace(old, **fields)  # type: ignore[arg-type]
        self._become(old)

    def _become(self, old: Subscription) -> None:
        self.stream.moment()
        self.stream.updated(old, self.state, self.at)

    def _together(self, *doings: Callable[[], None]) -> None:
        """Things of one second, in any order."""
        order = [*doings]
        self.rng.shuffle(order)
        for doing in order:
            doing()

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability
