{{ stripe_to_segment.staged(
    ['Payment Failed', 'Payment Action Required', 'Invoice Overdue', 'Invoice Voided', 'Invoice Written Off'],
    [
        'order_id', 'invoice_id', 'subscription_id', 'checkout_id', 'currency', 'value', 'attempt_count',
        'next_payment_attempt', 'failure_code', 'decline_code', 'failure_message', 'payment_method_type', 'card_brand',
        'billing_reason', 'days_overdue',
    ],
    apart=['Payment Failed', 'Invoice Voided', 'Invoice Written Off']
) }}
