"""`stripe-to-segment audit`: Stripe's lists against what was sent and what is remembered."""
