"""`stripe-to-segment forget`: erase what a stack remembers of a person."""
