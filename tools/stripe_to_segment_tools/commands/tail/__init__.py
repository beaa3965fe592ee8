"""`stripe-to-segment tail`: what becomes of events in a deployed stack."""
