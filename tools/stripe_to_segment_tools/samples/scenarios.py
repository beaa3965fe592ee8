"""Scenarios made of sample events: the history of one customer."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.samples.files import sample
from stripe_to_segment_tools.samples.freshen import freshen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SCENARIOS", "Scenario", "Step", "scenario"]


@dataclass(frozen=True, slots=True)
class Step:
    """One sample event of a scenario, with changes to its object, its previous attributes and when it happened."""

    sample: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    previous: Mapping[str, Any] = field(default_factory=dict)
    created: int | None = None

    def event(self) -> dict[str, Any]:
        """The event."""
        event = copy.deepcopy(sample(self.sample).event)
        event["data"]["object"].update(self.changes)
        if self.previous:
            event["data"]["previous_attributes"] = dict(self.previous)
        if self.created is not None:
            event["created"] = self.created
        return event


@dataclass(frozen=True, slots=True)
class Scenario:
    """The history of one customer; `description` describes it in one line, `look` says what to watch."""

    name: str
    title: str
    description: str
    look: str
    steps: tuple[Step, ...]

    def events(self, now: int, seed: str) -> list[dict[str, Any]]:
        """The events as if the last of them happened at `now` (epoch seconds); the same seed gives the same ids."""
        return freshen([step.event() for step in self.steps], now, seed=seed)


def scenario(name: str) -> Scenario:
    """The scenario of that name. Raises LookupError."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise LookupError(f"no scenario {name!r}: there are {', '.join(SCENARIOS)}") from None


def _of(*names: str) -> tuple[Step, ...]:
    return tuple(Step(name) for name in names)


_GUEST = "cus_TfLqN3xWv8KzRb"
_TOLD = (
    Scenario(
        "subscription",
        "A subscription's life",
        "trial → conversion → upgrade → failed payment → recovery → cancellation → refund",
        "There is no revenue in the trial. After it, each payment's revenue is on one call only; MRR rises with the"
        " conversion and the upgrade and falls to 0 with the cancellation. Events that only keep books become no call.",
        _of(
            "customer.created",
            "customer.subscription.created.trialing",
            "invoice.paid.subscription_create.trial",
            "checkout.session.completed.subscription.trial",
            "customer.updated",
            "customer.subscription.trial_will_end",
            "customer.subscription.updated.trial_converted",
            "invoice.paid.subscription_cycle.after_trial",
            "customer.subscription.updated.upgrade",
            "invoice.paid.subscription_update",
            "invoice.upcoming",
            "customer.subscription.updated.renewal",
            "invoice.paid.subscription_cycle",
            "customer.subscription.updated.past_due",
            "payment_intent.payment_failed.invoice",
            "invoice.payment_failed",
            "payment_method.automatically_updated",
            "invoice.paid.recovered",
            "customer.subscription.updated.recovered",
            "customer.subscription.updated.cancellation_scheduled",
            "customer.subscription.updated.reactivated",
            "customer.subscription.deleted",
            "charge.refunded.invoice",
        ),
    ),
    Scenario(
        "guest",
        "A guest who signs up later",
        "card declined → guest checkout → account with a user id → refund under that id: one user, both ids joined",
        "Her order comes before she has a user id, so its calls carry an anonymous id. Once she has an account, one"
        " identify with both ids joins the history. Open Users, Noor Haddad. Payment Failed says why.",
        (
            Step("payment_intent.payment_failed", {"customer": _GUEST}),
            Step("checkout.session.completed.payment", {"customer": _GUEST}),
            Step(
                "customer.updated",
                {
                    "id": _GUEST,
                    "name": "Noor Haddad",
                    "email": "noor@example.com",
                    "metadata": {"user_id": "user_4902"},
                },
                {"metadata": {"user_id": None}},
                # The day after her order, before the refund.
                created=1_780_520_000,
            ),
            Step("charge.refunded.partial", {"customer": _GUEST}),
        ),
    ),
    Scenario(
        "company",
        "A company on a yearly plan",
        "payment of an unknown customer → the checkout names the user → seats with 3-D Secure → invoices by mail",
        "Stripe sends the payment before the event that names its user. Three more seats: open the Subscription"
        " Upgraded, where seats, amount and MRR are marked as changed. Group calls carry the company. Of the two"
        " invoices sent by mail, one is revenue as it is paid, first a part and then the rest; the other is overdue,"
        " then void.",
        _of(
            "price.created",
            "price.updated",
            "coupon.created",
            "customer.discount.created",
            "customer.subscription.created.active",
            "invoice.paid.subscription_create",
            "checkout.session.completed.subscription",
            "invoice.payment_action_required",
            "customer.subscription.updated.quantity",
            "invoice.paid.subscription_update.seats",
            "customer.subscription.pending_update_applied",
            "invoice.finalized",
            "invoice.sent",
            "invoice_payment.paid.part",
            "invoice.paid.manual",
            "invoice.overdue",
            "invoice.voided",
        ),
    ),
    Scenario(
        "yen",
        "Paying later, in yen",
        "konbini paid in time → subscription → downgrade → over to yearly (no decimals in JPY)",
        "The checkout alone is no revenue: Order Completed comes with the payment. Yen have no decimals,"
        " revenue is without tax, and a yearly plan counts with a twelfth in MRR.",
        _of(
            "customer.created.jpy",
            "checkout.session.completed.payment.async",
            "checkout.session.async_payment_succeeded",
            "customer.subscription.created.jpy",
            "invoice.paid.subscription_create.jpy",
            "customer.subscription.updated.downgrade",
            "customer.subscription.updated.plan_switch",
        ),
    ),
    Scenario(
        "paused",
        "A trial without a card",
        "trial ends and pauses → card added → resumed → collection paused for a month",
        "No MRR before the first paid day: it comes with Subscription Resumed. A pause of the subscription and a"
        " pause of the collection are different events.",
        _of(
            "customer.subscription.updated.trial_paused",
            "customer.subscription.paused",
            "payment_method.attached",
            "checkout.session.completed.setup",
            "customer.subscription.resumed",
            "customer.subscription.updated.collection_paused",
            "customer.subscription.updated.collection_resumed",
        ),
    ),
    Scenario(
        "element",
        "A sale without Checkout, and money that goes back",
        "Payment Element → refund → the refund fails → dispute → won → off-session payment → dispute → lost → an order"
        " in two captures",
        "The payment intent is the order, because no invoice or session has it. The lifetime value follows each"
        " movement of the money: a failed refund and a won dispute reverse their amount, a lost dispute does not, and"
        " each of several captures adds its part.",
        _of(
            "payment_intent.succeeded",
            "refund.created",
            "refund.failed",
            "charge.dispute.created",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
            "charge.dispute.closed.won",
            "payment_intent.succeeded.off_session",
            "charge.dispute.created.fraudulent",
            "charge.dispute.funds_withdrawn.fraudulent",
            "charge.dispute.closed.lost",
            "payment_intent.amount_capturable_updated",
            "payment_intent.succeeded.captured",
        ),
    ),
    Scenario(
        "churn",
        "Involuntary churn",
        "first payment incomplete → active → every retry fails → unpaid → written off → cancelled",
        "MRR comes with the activation and goes when the subscription is unpaid, so its cancellation takes nothing"
        " more. The call has the reason of the cancellation: payment_failed.",
        _of(
            "customer.subscription.created.incomplete",
            "customer.subscription.updated.activated",
            "invoice.payment_failed.final",
            "customer.subscription.updated.unpaid",
            "invoice.marked_uncollectible",
            "customer.subscription.deleted.payment_failed",
            "payment_method.detached",
            "customer.deleted",
        ),
    ),
)
SCENARIOS: Mapping[str, Scenario] = {each.name: each for each in _TOLD}
