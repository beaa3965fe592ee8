"""The events of a payment, which are the same for all of Stripe's objects that state it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.tracking import Event, properties, track

if TYPE_CHECKING:
    from stripe_to_segment.mapping.properties import (
        ApplicationFee,
        AttemptCount,
        BillingReason,
        CardBrand,
        CheckoutId,
        Coupon,
        Currency,
        DeclineCode,
        Discount,
        FailureCode,
        FailureMessage,
        FirstProduct,
        InvoiceId,
        LineCount,
        NextPaymentAttempt,
        OrderId,
        PaymentMethodType,
        Plan,
        PriceId,
        ProductId,
        ProductIds,
        Products,
        ProductsOmitted,
        Quantity,
        Revenue,
        RevenueRefunded,
        Shipping,
        SubscriptionId,
        Subtotal,
        Tax,
        TaxRefunded,
        Total,
        Value,
    )

__all__ = ["OrderCompleted", "Paid", "PaymentFailed", "Unpaid"]


@properties
class Paid(Event):
    """The properties of every payment: its amounts and products.

    Also the shares of refunds that were sent before it, when their shares of revenue were unknown.
    """

    order_id: OrderId
    total: Total = None
    revenue: Revenue = None
    subtotal: Subtotal = None
    tax: Tax = None
    shipping: Shipping = None
    discount: Discount = None
    coupon: Coupon = None
    currency: Currency = None
    products: Products = None
    products_omitted: ProductsOmitted = None
    product_ids: ProductIds = None
    line_count: LineCount = None
    first_product: FirstProduct = None
    invoice_id: InvoiceId = None
    billing_reason: BillingReason = None
    subscription_id: SubscriptionId = None
    plan: Plan = None
    price_id: PriceId = None
    product_id: ProductId = None
    quantity: Quantity = None
    revenue_refunded: RevenueRefunded = None
    tax_refunded: TaxRefunded = None


@track(
    "Order Completed",
    when="a purchase is paid: a one-time Checkout, a subscription's first invoice, or a payment intent without either",
)
class OrderCompleted(Paid):
    """Segment's own name, which destinations recognise. https://segment.com/docs/connections/spec/ecommerce/v2/."""

    checkout_id: CheckoutId = None
    application_fee: ApplicationFee = None


@properties
class Unpaid(Event):
    """The properties of every failed attempt."""

    order_id: OrderId
    invoice_id: InvoiceId = None
    subscription_id: SubscriptionId = None
    value: Value = None
    currency: Currency = None
    attempt_count: AttemptCount = None
    billing_reason: BillingReason = None


@track("Payment Failed", when="an attempt to pay an invoice, a Checkout Session or another payment intent fails")
class PaymentFailed(Unpaid):
    """One for each attempt, with the cause if Stripe states it."""

    checkout_id: CheckoutId = None
    next_payment_attempt: NextPaymentAttempt = None
    failure_code: FailureCode = None
    decline_code: DeclineCode = None
    failure_message: FailureMessage = None
    payment_method_type: PaymentMethodType = None
    card_brand: CardBrand = None
