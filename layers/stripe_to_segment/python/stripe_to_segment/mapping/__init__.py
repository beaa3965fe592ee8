"""From a Stripe event to facts, and from these to calls. Pure; `catalog.py` has a row for each type of event."""
