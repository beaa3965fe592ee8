"""`stripe-to-segment dlq`: dead letters."""
