"""What a payment states, whichever of Stripe's objects states it: invoice, Checkout Session or PaymentIntent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.tracking import Event, properties, track

if TYPE_CHECKING:
    from stripe_to_segment.mapping.properties import (
        ApplicationFee,
        BillingReason,
        CheckoutId,
        Coupon,
        Currency,
        Discount,
        FirstProduct,
        InvoiceId,
        LineCount,
        OrderId,
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
    )

__all__ = ["OrderCompleted", "Paid"]


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
