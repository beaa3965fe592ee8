"""`stripe-to-segment import`: bring Stripe's data from before the stack into it."""
