"""From a Stripe event to the facts it states: pure functions, one row of `catalog.py` for each event type."""
