"""The catalog: what each Stripe event type becomes. A type that has no row here is acknowledged and not queued."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from stripe_to_segment.mapping import checkout, customers, invoices, learning, refunds, subscriptions
from stripe_to_segment.mapping.plan import Name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.mapping.learning import Lesson
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["CATALOG", "Identify", "Row"]


class Identify(Enum):
    """When an event type brings an identify (and, where a group is known, a group) beside its facts."""

    NEVER = "never"
    IF_CHANGED = "if a trait changed"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Row:
    """One Stripe event type: the facts it can state, what it teaches, and whether it shows the customer's traits.

    `names` are those of the facts, in the order in which one event states several. `rank` orders events of one second:
    created < updated < deleted.
    """

    names: tuple[Name, ...]
    facts: Callable[[StripeEvent, Known], Iterator[Fact]]
    learns: Callable[[StripeEvent, Known, int], Lesson] = learning.nothing
    identify: Identify = Identify.NEVER
    rank: int = 1


CREATED, UPDATED, DELETED = 0, 1, 2

UPDATES = (
    Name.SUBSCRIPTION_ACTIVATED,
    Name.SUBSCRIPTION_EXPIRED,
    Name.TRIAL_STARTED,
    Name.TRIAL_CONVERTED,
    Name.TRIAL_ENDED,
    Name.SUBSCRIPTION_UPGRADED,
    Name.SUBSCRIPTION_DOWNGRADED,
    Name.SUBSCRIPTION_CHANGED,
    Name.SUBSCRIPTION_CANCELLATION_SCHEDULED,
    Name.SUBSCRIPTION_REACTIVATED,
    Name.SUBSCRIPTION_PAST_DUE,
    Name.SUBSCRIPTION_RECOVERED,
    Name.SUBSCRIPTION_UNPAID,
    Name.SUBSCRIPTION_COLLECTION_PAUSED,
    Name.SUBSCRIPTION_COLLECTION_RESUMED,
)

CATALOG: dict[str, Row] = {
    "checkout.session.completed": Row(
        (Name.CHECKOUT_COMPLETED, Name.ORDER_COMPLETED, Name.PAYMENT_INFO_ENTERED),
        checkout.completed,
        learning.session,
        Identify.ALWAYS,
    ),
    "checkout.session.async_payment_succeeded": Row(
        (Name.ORDER_COMPLETED,), checkout.async_payment_succeeded, learning.session
    ),
    "checkout.session.async_payment_failed": Row((Name.PAYMENT_FAILED,), checkout.async_payment_failed),
    "checkout.session.expired": Row((Name.CHECKOUT_EXPIRED,), checkout.expired),
    "customer.subscription.created": Row(
        (Name.SUBSCRIPTION_CREATED, Name.TRIAL_STARTED),
        subscriptions.created,
        learning.subscription,
        Identify.ALWAYS,
        CREATED,
    ),
    "customer.subscription.updated": Row(UPDATES, subscriptions.updated, learning.subscription, Identify.IF_CHANGED),
    "customer.subscription.deleted": Row(
        (Name.SUBSCRIPTION_CANCELLED, Name.TRIAL_ENDED),
        subscriptions.deleted,
        learning.subscription,
        Identify.ALWAYS,
        DELETED,
    ),
    "customer.subscription.paused": Row((Name.SUBSCRIPTION_PAUSED,), subscriptions.paused, learning.subscription),
    "customer.subscription.resumed": Row((Name.SUBSCRIPTION_RESUMED,), subscriptions.resumed, learning.subscription),
    "customer.subscription.trial_will_end": Row((Name.TRIAL_ENDING_SOON,), subscriptions.trial_will_end),
    "customer.subscription.pending_update_applied": Row(
        (Name.SUBSCRIPTION_UPDATE_APPLIED,), subscriptions.update_pending
    ),
    "customer.subscription.pending_update_expired": Row(
        (Name.SUBSCRIPTION_UPDATE_EXPIRED,), subscriptions.update_pending
    ),
    "invoice.paid": Row(
        (Name.ORDER_COMPLETED, Name.SUBSCRIPTION_RENEWED, Name.INVOICE_PAID), invoices.paid, learning.invoice
    ),
    "invoice.payment_failed": Row((Name.PAYMENT_FAILED,), invoices.payment_failed),
    "invoice.payment_action_required": Row((Name.PAYMENT_ACTION_REQUIRED,), invoices.payment_action_required),
    "invoice_payment.paid": Row((), customers.nothing, learning.invoice_payment),
    "charge.refunded": Row((Name.ORDER_REFUNDED,), refunds.refunded, learning.refund),
    "customer.created": Row((), customers.nothing, learning.customer, Identify.ALWAYS, CREATED),
    "customer.updated": Row((), customers.nothing, learning.customer, Identify.IF_CHANGED),
    "customer.deleted": Row((Name.CUSTOMER_DELETED,), customers.deleted, learning.customer, rank=DELETED),
    "product.created": Row((), customers.nothing, learning.product, rank=CREATED),
    "product.updated": Row((), customers.nothing, learning.product),
}
