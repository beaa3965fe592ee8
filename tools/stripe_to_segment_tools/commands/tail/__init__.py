"""`stripe-to-segment tail`: follow the outcomes of events in a deployed stack."""
