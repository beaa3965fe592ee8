"""The life of one subscription: from its trial or first payment to its end, or to the present."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulator.dealings import DAY, HOUR, Dealings
from tests.simulator.sessions import Session
from tests.simulator.worth import Bill, monthly_worth

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulator.terms import Subscription

__all__ = ["Subscriber"]

REASONS = ("cancellation_requested", "payment_failed", "payment_disputed", None)


class Subscriber(Dealings):
    """Lives one subscription; each step moves the clock and leaves its moments in the stream."""

    def live(self, steps: int) -> Subscription:
        """Begin, and then take so many steps, or fewer where the contract ends; gives what is left of it."""
        self._begin()
        statuses: dict[str, Callable[[], dict[Callable[[], None], float]]] = {
            "incomplete": self._when_incomplete,
            "trialing": self._when_trialing,
            "active": self._when_active,
            "past_due": self._when_past_due,
            "unpaid": self._when_unpaid,
            "paused": self._when_paused,
        }
        for _ in range(steps):
            if self.state.status not in statuses:
                break
            ways = statuses[self.state.status]()
            self.rng.choices([*ways], [*ways.values()])[0]()
        return self.state

    def _when_incomplete(self) -> dict[Callable[[], None], float]:
        return {self._activate: 6, self._expire: 2, self._cancel: 0.7}

    def _when_trialing(self) -> dict[Callable[[], None], float]:
        return {
            self._warn: 2,
            self._convert: 6,
            self._convert_early: 1,
            self._extend: 0.5,
            self._fail_to_convert: 0.7,
            self._change: 2,
            self._schedule_or_reactivate: 1,
            self._lose: 1.5,
            self._cancel: 1,
            self._pause: 1.5 if self.shape.pauses else 0,
        }

    def _when_active(self) -> dict[Callable[[], None], float]:
        return {
            self._renew: 8,
            self._renew_with_changes: 1,
            self._change: 4,
            self._change_at_once: 1,
            self._schedule_or_reactivate: 1.5,
            self._cancel: 0.6,
            self._hold_collection_or_resume: 0 if self.shape.historic else 0.7,
            self._fail: 2,
            self._put_on_trial: 0.3,
            self._keep_books: 1,
            self._pause_on_schedule: 0.7 if self._has_schedules() else 0,
        }

    def _when_past_due(self) -> dict[Callable[[], None], float]:
        return {
            self._fail_again: 2,
            self._recover: 4,
            self._give_up: 2,
            self._cancel: 1.5,
            self._change: 1,
            self._keep_books: 0.5,
        }

    def _when_unpaid(self) -> dict[Callable[[], None], float]:
        return {self._recover: 2, self._cancel: 2, self._change: 0.5, self._keep_books: 0.5}

    def _when_paused(self) -> dict[Callable[[], None], float]:
        return {self._resume: 3, self._cancel: 1, self._change: 0.5, self._keep_books: 0.3}

    # --- the beginning ---

    def _begin(self) -> None:
        through_checkout = not self.shape.historic and self._chance(0.5)
        kind = self.rng.random()
        if kind < 0.35:
            self._begin_in_trial()
        elif kind < 0.7:
            self.state = replace(self.state, status="incomplete")
            self._tell_created()
            if through_checkout:
                self._activate(at_once=True)
        else:
            self._begin_running()
        if through_checkout:
            self._check_out()

    def _begin_in_trial(self) -> None:
        self._set_trial(self.rng.choice((3, 7, 14, 30)))
        self._tell_created()
        self.stream.moment()
        self.cashier.paid(self._invoice("subscription_create", (), Bill(0)), self.at)

    def _begin_running(self) -> None:
        self._together(self._tell_created, lambda: self._pay_period("subscription_create"))

    def _tell_created(self) -> None:
        self.stream.moment()
        self.stream.created(self.state, self.at)

    def _check_out(self) -> None:
        bill = Bill(0) if self.state.status == "trialing" else self._bill_of_items()
        late = self._chance(0.15)
        session = Session(
            f"cs_{self.stream.number()}",
            "subscription",
            self.state.customer,
            self.state.currency,
            bill,
            payment_status="unpaid" if late else "paid" if bill.due else "no_payment_required",
            invoice=self.state.latest_invoice,
            subscription=self.state.id,
            reference=f"user of {self.state.customer}" if self._chance(0.5) else None,
        )
        self.stream.moment()
        soon = self.at + self.rng.randrange(2)
        self.stream.emit("checkout.session.completed", soon, session.render(self.stream.rendering_at(soon)))
        if late:
            paid = replace(session, payment_status="paid")
            kind = "checkout.session.async_payment_succeeded"
            self.stream.emit(kind, soon + HOUR, paid.render(self.stream.rendering_at(soon + HOUR)))

    def _activate(self, *, at_once: bool = False) -> None:
        self.at += 0 if at_once else self.rng.choice((0, 1, HOUR))
        if self._chance(0.1):
            old = self.state
            self._set_trial(7)
            self._become(old)
        else:
            self._together(
                lambda: self._change_to(status="active", payment_method="pm_1"),
                lambda: self._pay_period("subscription_create"),
            )

    def _expire(self) -> None:
        self.at += 23 * HOUR
        self._change_to(status="incomplete_expired", ended=self.at)

    # --- the trial ---

    def _set_trial(self, days: int) -> None:
        end = self.at + days * DAY
        items = tuple(replace(item, period=(self.at, end)) for item in self.state.items)
        # A later trial may keep the start of the first.
        start = self.rng.choice((self.at, self._trial_start()))
        self.state = replace(self.state, status="trialing", trial=(start, end), items=items)

    def _trial_start(self) -> int:
        return self.state.trial[0] if self.state.trial else self.at

    def _trial_end(self) -> int:
        return self.state.trial[1] if self.state.trial else self.at

    def _warn(self) -> None:
        """Once for each end that a trial is given."""
        if self._trial_end() in self.warned:
            return
        self.warned.add(self._trial_end())
        self._wait_until(self._trial_end() - 3 * DAY)
        self.stream.moment()
        self.stream.about("customer.subscription.trial_will_end", self.state, self.state, self.at)

    def _convert(self) -> None:
        self._wait_until(self._trial_end())
        if self.state.cancels_at is not None:
            self._end("cancellation_requested")
            return
        old = self.state
        self.state = replace(self._from_now(), status="active")
        self._together(lambda: self._become(old), lambda: self._pay_period("subscription_cycle"))

    def _convert_early(self) -> None:
        self._wait()
        old = self.state
        self.state = replace(self._from_now(), status="active", trial=(self._trial_start(), self.at))
        self._together(lambda: self._become(old), lambda: self._pay_period("subscription_update"))

    def _extend(self) -> None:
        self._wait()
        start, end = self.state.trial or (self.at, self.at)
        trial = (start, end + 7 * DAY)
        items = tuple(replace(item, period=trial) for item in self.state.items)
        self._change_to(trial=trial, items=items)

    def _fail_to_convert(self) -> None:
        self._wait_until(self._trial_end())
        old = self.state
        self.state = replace(self._from_now(), status="past_due")
        self._together(lambda: self._become(old), lambda: self._fail_period("subscription_cycle"))

    def _lose(self) -> None:
        """No payment method at the end of the trial, and the setting is to cancel."""
        self._wait_until(self._trial_end() + self.rng.choice((0, 0, 4)))
        self._end(None)

    def _pause(self) -> None:
        """No payment method at the end of the trial, and the setting is to pause; Stripe states it twice."""
        self._wait_until(self._trial_end())
        self._twice("customer.subscription.paused", replace(self.state, status="paused"))

    def _has_schedules(self) -> bool:
        """Pauses by request or schedule are as new as `status_details`; only who upgrades to them lives to see them."""
        return bool(self.stream.upgrades) and self.stream.rendering_at(self.at).shape.status_details

    def _pause_on_schedule(self) -> None:
        """https://docs.stripe.com/billing/subscriptions/pause/schedules."""
        self._wait()
        self._twice("customer.subscription.paused", replace(self.state, status="paused", pause="pause_requested"))

    def _resume(self) -> None:
        self._wait()
        self._twice("customer.subscription.resumed", replace(self._from_now(), status="active"))
        self._pay_period("subscription_cycle")

    def _twice(self, kind: str, new: Subscription) -> None:
        old, self.state = self.state, new
        self.stream.moment()
        self._together(
            lambda: self.stream.updated(old, new, self.at), lambda: self.stream.about(kind, old, new, self.at)
        )

    def _put_on_trial(self) -> None:
        """Free days for a running subscription."""
        self._wait()
        old = self.state
        self._set_trial(7)
        self._become(old)

    # --- running ---

    def _renew(self) -> None:
        self._wait_until(self.state.period_end)
        if self.state.at_period_end or self.state.cancels_at is not None:
            self._end("cancellation_requested")
            return
        old, self.state = self.state, self.state.renewed(self.at)
        self._become(old)
        if self.state.collection is None:
            self.at += self.rng.choice((0, HOUR))
            self._pay_period("subscription_cycle")

    def _renew_with_changes(self) -> None:
        """A schedule's next phase: new terms and the next period in one update."""
        self._wait_until(self.state.period_end)
        old = self.state
        self.state = self.changes.any(self.state.renewed(self.at), self.at)
        self._become(old)
        self._pay_period("subscription_cycle")

    def _change(self) -> None:
        self._wait()
        old, self.state = self.state, self.changes.any(self.state, self.at)
        self._together(lambda: self._become(old), lambda: self._prorate(old))

    def _change_at_once(self) -> None:
        """Two or three changes in one second, as a script makes them; only what each one changes states their order.

        None leads back to an earlier state, which would fit any order.
        """
        self._wait()
        first, worths = self.state, {monthly_worth(self.state, self.stream.rendering.stated)}
        for _ in range(self.rng.choice((2, 2, 3))):
            old, changed = self.state, self.changes.seats(self.state, self.at)
            worth = monthly_worth(changed, self.stream.rendering.stated)
            if old is first or worth not in worths:
                worths.add(worth)
                self.state = changed
                self._become(old)

    def _schedule_or_reactivate(self) -> None:
        self._wait()
        if self.state.cancels_at is not None or self.state.at_period_end:
            self._change_to(cancels_at=None, at_period_end=False, asked_to_cancel=None, reason=None, feedback=None)
        else:
            at_end = self.shape.historic or self._chance(0.7)
            end = self.state.period_end if at_end else self.at + 10 * DAY
            self._change_to(
                cancels_at=end,
                at_period_end=at_end,
                asked_to_cancel=self.at,
                reason="cancellation_requested",
                feedback="too_expensive",
            )

    def _hold_collection_or_resume(self) -> None:
        self._wait()
        self._change_to(collection=None if self.state.collection else self.rng.choice(("void", "keep_as_draft")))

    def _keep_books(self) -> None:
        self._wait()
        if self._chance(0.5):
            self._change_to(payment_method=f"pm_{self.stream.number()}")
        else:
            self._change_to(metadata={**self.state.metadata, "note": self.stream.number()})

    # --- dunning ---

    def _fail(self) -> None:
        self._wait_until(self.state.period_end)
        old, self.state = self.state, self.state.renewed(self.at)
        self._become(old)
        self.at += self.rng.choice((0, HOUR))
        self._together(lambda: self._change_to(status="past_due"), lambda: self._fail_period("subscription_cycle"))

    def _fail_again(self) -> None:
        self.at += 3 * DAY
        if self.open is not None:
            self.open = replace(self.open, attempts=self.open.attempts + 1)
            self.stream.moment()
            self.cashier.failed(self.open, self.at)

    def _give_up(self) -> None:
        self.at += 3 * DAY
        self._change_to(status="unpaid")

    def _recover(self) -> None:
        """The open invoice is paid at last; sometimes the same update states more."""
        self.at += self.rng.choice((HOUR, 2 * DAY))
        old = self.state
        self.state = replace(old, status="active")
        if self._chance(0.15):
            self.state = self.changes.any(self.state, self.at)
        self._together(lambda: self._become(old), self._pay_open)

    # --- the end ---

    def _cancel(self) -> None:
        self._wait()
        self._end(self.rng.choice(REASONS))

    def _end(self, reason: str | None) -> None:
        asked = self.state.asked_to_cancel or self.at
        old = self.state
        self.state = replace(old, status="canceled", ended=self.at, asked_to_cancel=asked, reason=reason)
        self.stream.moment()
        self.stream.about("customer.subscription.deleted", old, self.state, self.at)
        if self.state.feedback is None and not self.shape.historic and self._chance(0.2):
            # The customer portal cancels first and asks then.
            self.at += 1
            self._change_to(feedback="unused")
