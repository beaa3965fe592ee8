{{ stripe_to_segment.staged(stripe_to_segment.events_with(['subscription_id', 'status', 'mrr']), [
    'subscription_id', 'status', 'plan', 'price_id', 'product_id', 'quantity', 'billing_period', 'amount', 'currency',
    'mrr', 'mrr_change', 'mrr_movement', 'previous_plan', 'previous_mrr', 'trial_start_date', 'trial_end_date',
    'converted', 'reason', 'feedback', 'cancelled_by', 'cancels_at', 'days_active',
], apart=[
    'Subscription Created', 'Subscription Imported', 'Subscription Cancelled', 'Subscription Expired', 'Trial Started',
    'Trial Converted', 'Trial Ended',
]) }}
