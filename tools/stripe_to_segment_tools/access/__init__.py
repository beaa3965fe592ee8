"""Find the stack and the Stripe API for a command, with their credentials."""
