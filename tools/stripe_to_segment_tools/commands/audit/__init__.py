"""`stripe-to-segment audit`: compare Stripe's lists with what was sent and what is stored."""
