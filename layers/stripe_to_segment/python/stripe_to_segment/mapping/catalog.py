"""The catalog: what each Stripe event type becomes. A type that has no row here is acknowledged and not queued."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from stripe_to_segment.mapping import checkout, customers, invoices, learning, refunds, subscriptions

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
    """One Stripe event type: the facts it states, what it teaches, and whether it shows the customer's traits.

    `rank` orders events of one second: created < updated < deleted.
    """

    facts: Callable[[StripeEvent, Known], Iterator[Fact]]
    learns: Callable[[StripeEvent, Known, int], Lesson] = learning.nothing
    identify: Identify = Identify.NEVER
    rank: int = 1


CREATED, UPDATED, DELETED = 0, 1, 2

CATALOG: dict[str, Row] = {
    "checkout.session.completed": Row(checkout.completed, learning.session, Identify.ALWAYS),
    "checkout.session.async_payment_succeeded": Row(checkout.async_payment_succeeded, learning.session),
    "checkout.session.async_payment_failed": Row(checkout.async_payment_failed),
    "checkout.session.expired": Row(checkout.expired),
    "customer.subscription.created": Row(subscriptions.created, learning.subscription, Identify.ALWAYS, CREATED),
    "customer.subscription.updated": Row(subscriptions.updated, learning.subscription, Identify.IF_CHANGED),
    "customer.subscription.deleted": Row(subscriptions.deleted, learning.subscription, Identify.ALWAYS, DELETED),
    "customer.subscription.paused": Row(subscriptions.paused, learning.subscription),
    "customer.subscription.resumed": Row(subscriptions.resumed, learning.subscription),
    "customer.subscription.trial_will_end": Row(subscriptions.trial_will_end),
    "customer.subscription.pending_update_applied": Row(subscriptions.update_pending),
    "customer.subscription.pending_update_expired": Row(subscriptions.update_pending),
    "invoice.paid": Row(invoices.paid, learning.invoice),
    "invoice.payment_failed": Row(invoices.payment_failed),
    "invoice.payment_action_required": Row(invoices.payment_action_required),
    "invoice_payment.paid": Row(customers.nothing, learning.invoice_payment),
    "charge.refunded": Row(refunds.refunded, learning.refund),
    "customer.created": Row(customers.nothing, learning.customer, Identify.ALWAYS, CREATED),
    "customer.updated": Row(customers.nothing, learning.customer, Identify.IF_CHANGED),
    "customer.deleted": Row(customers.deleted, learning.customer, rank=DELETED),
    "product.created": Row(customers.nothing, learning.product, rank=CREATED),
    "product.updated": Row(customers.nothing, learning.product),
}
