"""`stripe-to-segment forget`: delete a person's data from a stack."""
