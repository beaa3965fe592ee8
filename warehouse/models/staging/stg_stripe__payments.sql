{{ stripe_to_segment.staged(stripe_to_segment.events_with(['order_id', 'revenue']), [
    'order_id', 'invoice_id', 'subscription_id', 'checkout_id', 'currency', 'total', 'revenue', 'subtotal', 'tax',
    'shipping', 'discount', 'coupon', 'application_fee', 'billing_reason', 'plan', 'price_id', 'product_id', 'quantity',
    'after_trial', 'invoice_payment_id', 'revenue_refunded', 'tax_refunded', 'product_ids', 'line_count', 'first_product',
]) }}
