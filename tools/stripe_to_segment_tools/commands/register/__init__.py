"""`stripe-to-segment register`: Stripe's webhook endpoint of a stack."""
