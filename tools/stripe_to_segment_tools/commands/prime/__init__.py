"""`stripe-to-segment prime`: create each column of a warehouse with the right type before the first real call."""
