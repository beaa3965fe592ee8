"""Readers of a Checkout Session.

https://docs.stripe.com/api/checkout/sessions/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.fields import dig, integer, reference, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = [
    "Amounts",
    "amounts_of",
    "awaits_its_invoice",
    "consents_of",
    "has_recovery_url",
    "invoice_of",
    "is_settled",
    "made_by_payment_link",
    "mode_of",
    "names_its_order",
    "order_id_of",
    "payment_intent_of",
    "takes_the_money",
]


@frozen
class Amounts:
    """The amount charged and its parts, in minor units; None where the payload does not state it."""

    total: int | None
    subtotal: int | None
    tax: int | None
    shipping: int | None
    discount: int | None


def amounts_of(session: shapes.CheckoutSession) -> Amounts:
    """The session's amounts in its own currency, not in the customer's local one of adaptive pricing.

    `shipping` excludes its tax, which `tax` includes.
    """
    details = session.get("total_details")
    cost = session.get("shipping_cost")
    shipping = integer(dig(cost, "amount_total"))
    if shipping is not None:
        shipping -= integer(dig(cost, "amount_tax")) or 0
    else:
        shipping = integer(dig(details, "amount_shipping"))
    return Amounts(
        total=integer(session.get("amount_total")),
        subtotal=integer(session.get("amount_subtotal")),
        tax=integer(dig(details, "amount_tax")),
        shipping=shipping,
        discount=integer(dig(details, "amount_discount")),
    )


def mode_of(session: shapes.CheckoutSession) -> str:
    """payment, subscription or setup; for old sessions without `mode`, derived from the objects that they created."""
    stated = text(session.get("mode"))
    if stated:
        return stated
    if session.get("subscription"):
        return "subscription"
    return "setup" if session.get("setup_intent") else "payment"


def is_settled(session: shapes.CheckoutSession) -> bool:
    """Whether the session is paid, or there was nothing to pay; `unpaid` waits for an asynchronous payment."""
    return text(session.get("payment_status")) in {"paid", "no_payment_required"}


def invoice_of(session: shapes.CheckoutSession) -> str | None:
    """The invoice behind the session; where there is one, its `invoice.paid` states the revenue."""
    return reference(session.get("invoice"))


def takes_the_money(session: shapes.CheckoutSession) -> bool:
    """Whether the session itself states the revenue: it is one-time, and no invoice does.

    With `invoice_creation` Stripe creates the invoice after the payment, so the session may not name it yet.
    """
    return mode_of(session) == "payment" and invoice_of(session) is None and not awaits_its_invoice(session)


def awaits_its_invoice(session: shapes.CheckoutSession) -> bool:
    """Whether the invoice of a one-time session is still to come, as a receipt.

    https://docs.stripe.com/payments/checkout/receipts
    """
    wanted = dig(session, "invoice_creation", "enabled") is True
    return wanted and mode_of(session) == "payment" and invoice_of(session) is None


def names_its_order(session: shapes.CheckoutSession) -> bool:
    """Whether a one-time session knows the id of its order; it does not while its invoice is still to come."""
    return takes_the_money(session) or (mode_of(session) == "payment" and invoice_of(session) is not None)


def payment_intent_of(session: shapes.CheckoutSession) -> str | None:
    """The payment intent, by which a later refund finds its order."""
    return reference(session.get("payment_intent"))


def order_id_of(session: shapes.CheckoutSession) -> str | None:
    """The order's id: the invoice where there is one, else the payment intent, which refunds name too."""
    return invoice_of(session) or payment_intent_of(session) or text(session.get("id"))


def has_recovery_url(session: shapes.CheckoutSession) -> bool:
    """Whether an expired session can be recovered. The URL itself holds a token and is never sent."""
    return text(dig(session, "after_expiration", "recovery", "url")) is not None


def made_by_payment_link(session: shapes.CheckoutSession) -> bool:
    """Whether a Payment Link made the session. Any visitor can put a `client_reference_id` into a Payment Link's URL.

    https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-payment_link
    """
    return bool(session.get("payment_link"))


def consents_of(session: shapes.CheckoutSession) -> dict[str, bool]:
    """The customer's consents, `promotions` and `terms_of_service`; one that Checkout did not ask for is absent.

    https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-consent
    """
    consents: dict[str, bool] = {}
    promotions = text(dig(session, "consent", "promotions"))
    if promotions in {"opt_in", "opt_out"}:
        consents["promotions"] = promotions == "opt_in"
    # Where the terms are required, a session can only be completed by accepting them.
    required = dig(session, "consent_collection", "terms_of_service") == "required"
    if dig(session, "consent", "terms_of_service") == "accepted" or (required and session.get("status") == "complete"):
        consents["terms_of_service"] = True
    return consents
