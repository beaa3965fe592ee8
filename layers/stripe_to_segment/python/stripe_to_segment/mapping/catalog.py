"""The catalog: the facts of each Stripe event type. A type without a row is acknowledged and not queued."""

from __future__ import annotations

from copy import replace
from enum import Enum
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping import (
    billing,
    checkout,
    credit_notes,
    customers,
    disputes,
    failures,
    intents,
    invoice_payments,
    invoices,
    learning,
    payment_methods,
    payments,
    refunds,
)
from stripe_to_segment.mapping.subscriptions import (
    cancellations,
    collection,
    discounts,
    dunning,
    lifecycle,
    plan_changes,
    trials,
    updates,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.mapping.learning import Lesson
    from stripe_to_segment.mapping.tracking import Event
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import EventHead, StripeEvent

__all__ = ["CATALOG", "Identify", "Row", "refusal"]


CREATED, UPDATED, DELETED = 0, 1, 2


class Identify(Enum):
    """When an event type sends an identify (and, if a group is known, a group call) beside its facts."""

    NEVER = "never"
    IF_CHANGED = "if a trait changed"
    ALWAYS = "always"


# The turn of payments that wait to be claimed.
PAYMENTS = 1


@frozen
class Row:
    """One Stripe event type: the track events it can state, what it stores for later events, and when it identifies.

    `events` are in the order in which one Stripe event states several. `rank` orders events of one second: created <
    updated < deleted. `holds` says whether an event should wait for others that name its payment's customer or order;
    within a batch such events come later, by their `turn`, and those that teach names and coupons come first. What goes
    back of a payment has a turn after every payment.
    """

    events: tuple[type[Event], ...]
    facts: Callable[[StripeEvent, Known], Iterator[Fact]]
    learns: Callable[[StripeEvent, Known, int], Lesson] = learning.nothing
    identify: Identify = Identify.NEVER
    rank: int = UPDATED
    holds: Callable[[StripeEvent, Known], bool] | None = None
    turn: int = 0

    @property
    def goes_back(self) -> bool:
        """Whether it is about money that goes back of a payment."""
        return self.turn > PAYMENTS


UPDATES = (
    lifecycle.SubscriptionImported,
    lifecycle.SubscriptionActivated,
    lifecycle.SubscriptionExpired,
    trials.TrialStarted,
    trials.TrialEnded,
    trials.TrialConverted,
    plan_changes.SubscriptionUpgraded,
    plan_changes.SubscriptionDowngraded,
    plan_changes.SubscriptionChanged,
    cancellations.SubscriptionCancellationScheduled,
    cancellations.CancellationFeedbackGiven,
    cancellations.SubscriptionReactivated,
    dunning.SubscriptionPastDue,
    dunning.SubscriptionRecovered,
    dunning.SubscriptionUnpaid,
    collection.SubscriptionCollectionPaused,
    collection.SubscriptionCollectionResumed,
)

METHOD_UPDATED = Row(
    (payment_methods.PaymentMethodUpdated,), payment_methods.updated, learning.payment_method, Identify.IF_CHANGED
)
REFUND = Row(
    (refunds.OrderRefunded, refunds.RefundFailed),
    refunds.refunded,
    learning.refund,
    Identify.IF_CHANGED,
    holds=refunds.waits_for_its_payment,
    turn=2,
)
DISPUTE = Row(
    (), disputes.disputed, learning.dispute, Identify.IF_CHANGED, holds=disputes.waits_for_its_payment, turn=2
)
CREDIT_NOTE = Row(
    (credit_notes.CreditNoteIssued,), credit_notes.credited, learning.credit_note, Identify.IF_CHANGED, turn=2
)

CATALOG: dict[str, Row] = {
    "checkout.session.completed": Row(
        (checkout.CheckoutCompleted, payments.OrderCompleted, checkout.PaymentInfoEntered),
        checkout.completed,
        learning.session,
        Identify.ALWAYS,
        holds=checkout.waits_for_its_invoice,
    ),
    "checkout.session.async_payment_succeeded": Row(
        (payments.OrderCompleted,),
        checkout.async_payment_succeeded,
        learning.session,
        Identify.IF_CHANGED,
        holds=checkout.waits_for_its_invoice,
    ),
    "checkout.session.async_payment_failed": Row(
        (failures.PaymentFailed,),
        checkout.async_payment_failed,
        learning.failure,
        holds=failures.session_waits_for_the_cause,
    ),
    "checkout.session.expired": Row((checkout.CheckoutExpired,), checkout.expired),
    "customer.subscription.created": Row(
        (
            plan_changes.SubscriptionChanged,
            lifecycle.SubscriptionCreated,
            trials.TrialStarted,
            trials.TrialConverted,
        ),
        lifecycle.created,
        learning.subscription,
        Identify.ALWAYS,
        CREATED,
    ),
    "customer.subscription.updated": Row(UPDATES, updates.updated, learning.subscription, Identify.IF_CHANGED),
    "customer.subscription.deleted": Row(
        (
            plan_changes.SubscriptionChanged,
            lifecycle.SubscriptionImported,
            lifecycle.SubscriptionCancelled,
            trials.TrialEnded,
            trials.TrialConverted,
        ),
        lifecycle.deleted,
        learning.subscription,
        Identify.ALWAYS,
        DELETED,
    ),
    "customer.subscription.paused": Row(
        (
            plan_changes.SubscriptionChanged,
            lifecycle.SubscriptionImported,
            lifecycle.SubscriptionPaused,
            trials.TrialConverted,
        ),
        lifecycle.paused,
        learning.subscription,
        Identify.IF_CHANGED,
    ),
    "customer.subscription.resumed": Row(
        (
            plan_changes.SubscriptionChanged,
            lifecycle.SubscriptionImported,
            lifecycle.SubscriptionResumed,
            trials.TrialConverted,
        ),
        lifecycle.resumed,
        learning.subscription,
        Identify.IF_CHANGED,
    ),
    "customer.subscription.trial_will_end": Row((trials.TrialEndingSoon,), trials.trial_will_end),
    "customer.subscription.pending_update_applied": Row(
        (lifecycle.SubscriptionUpdateApplied,), lifecycle.update_pending
    ),
    "customer.subscription.pending_update_expired": Row(
        (lifecycle.SubscriptionUpdateExpired,), lifecycle.update_pending
    ),
    "invoice.paid": Row(
        (
            trials.TrialConverted,
            plan_changes.SubscriptionChanged,
            payments.OrderCompleted,
            invoices.SubscriptionRenewed,
            invoices.InvoicePaid,
        ),
        invoices.paid,
        learning.invoice,
        Identify.IF_CHANGED,
        holds=invoices.waits_for_its_payments,
    ),
    "invoice.payment_failed": Row(
        (failures.PaymentFailed,), invoices.payment_failed, learning.failure, holds=failures.waits_for_the_cause
    ),
    "invoice.payment_action_required": Row((invoices.PaymentActionRequired,), invoices.payment_action_required),
    "invoice.finalized": Row((billing.InvoiceFinalized,), billing.finalized, learning.bill),
    "invoice.sent": Row((billing.InvoiceSent,), billing.sent, learning.bill),
    "invoice.overdue": Row((billing.InvoiceOverdue,), billing.overdue, learning.bill),
    "invoice.voided": Row((billing.InvoiceVoided,), billing.voided),
    "invoice.marked_uncollectible": Row((billing.InvoiceWrittenOff,), billing.written_off),
    "invoice.upcoming": Row((billing.RenewalUpcoming,), billing.upcoming),
    # The first within a second, because it has the cause of a failure that an invoice or a session states.
    "payment_intent.payment_failed": Row(
        (failures.PaymentFailed,), failures.intent_failed, learning.failure, rank=CREATED
    ),
    "payment_method.attached": Row(
        (payment_methods.PaymentMethodAdded,),
        payment_methods.added,
        learning.payment_method,
        Identify.IF_CHANGED,
        CREATED,
    ),
    "payment_method.updated": METHOD_UPDATED,
    "payment_method.automatically_updated": METHOD_UPDATED,
    "payment_method.detached": Row(
        (payment_methods.PaymentMethodRemoved,),
        payment_methods.removed,
        learning.payment_method,
        Identify.IF_CHANGED,
        DELETED,
    ),
    "invoice_payment.paid": Row(
        (invoice_payments.InvoicePaymentReceived,),
        invoice_payments.received,
        learning.invoice_payment,
        Identify.IF_CHANGED,
        holds=invoice_payments.waits_for_its_invoice,
    ),
    "payment_intent.succeeded": Row(
        (payments.OrderCompleted,),
        intents.succeeded,
        learning.payment_intent,
        Identify.IF_CHANGED,
        holds=intents.waits_to_be_claimed,
        turn=PAYMENTS,
    ),
    # Before the payment itself, where both come at once.
    "payment_intent.amount_capturable_updated": Row((), customers.nothing, learning.capture, Identify.IF_CHANGED),
    "refund.created": REFUND,
    "refund.updated": REFUND,
    "refund.failed": REFUND,
    "charge.refunded": replace(REFUND, turn=3),
    "charge.dispute.created": replace(DISPUTE, events=(disputes.PaymentDisputed,)),
    "charge.dispute.closed": replace(DISPUTE, events=(disputes.DisputeWon, disputes.DisputeLost)),
    "charge.dispute.funds_withdrawn": replace(DISPUTE, events=(disputes.DisputeEscalated,)),
    "charge.dispute.funds_reinstated": DISPUTE,
    "credit_note.created": CREDIT_NOTE,
    "credit_note.voided": replace(CREDIT_NOTE, events=(credit_notes.CreditNoteVoided,)),
    "customer.created": Row(
        (plan_changes.SubscriptionChanged,), discounts.of_customer, learning.customer, Identify.ALWAYS, CREATED
    ),
    "customer.updated": Row(
        (plan_changes.SubscriptionChanged,), discounts.of_customer, learning.customer, Identify.IF_CHANGED
    ),
    "customer.deleted": Row((customers.CustomerDeleted,), customers.deleted, learning.customer, rank=DELETED),
    "customer.discount.created": Row(
        (discounts.DiscountApplied, plan_changes.SubscriptionChanged),
        discounts.applied,
        learning.discount,
        Identify.IF_CHANGED,
        CREATED,
    ),
    "customer.discount.updated": Row(
        (discounts.DiscountRemoved, discounts.DiscountApplied, plan_changes.SubscriptionChanged),
        discounts.switched,
        learning.discount,
        Identify.IF_CHANGED,
    ),
    "customer.discount.deleted": Row(
        (discounts.DiscountRemoved, plan_changes.SubscriptionChanged),
        discounts.removed,
        learning.discount,
        Identify.IF_CHANGED,
        DELETED,
    ),
    "coupon.created": Row((), customers.nothing, learning.coupon, rank=CREATED, turn=-1),
    "coupon.updated": Row((), customers.nothing, learning.coupon, turn=-1),
    "price.created": Row((), customers.nothing, learning.price, rank=CREATED, turn=-1),
    "price.updated": Row((), customers.nothing, learning.price, turn=-1),
    "product.created": Row((), customers.nothing, learning.product, rank=CREATED, turn=-1),
    "product.updated": Row((), customers.nothing, learning.product, turn=-1),
}


def refusal(event: EventHead, settings: Settings) -> str | None:
    """The reason why this stack does not take the event at all, or None if it does."""
    if event.type not in CATALOG:
        return f"no mapping for {event.type}"
    if event.account is not None and not settings.takes_connect:
        return "event of a connected account; CONNECT_EVENTS is refuse"
    if not settings.accepts(livemode=event.livemode):
        return f"{'live' if event.livemode else 'test'} mode event; STRIPE_MODE is {settings.stripe_mode}"
    return None
