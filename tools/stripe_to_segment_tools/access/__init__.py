"""Where a command finds its stack and the Stripe API, and what it may use there."""
