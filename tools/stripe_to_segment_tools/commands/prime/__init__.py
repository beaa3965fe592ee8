"""`stripe-to-segment prime`: each column of a warehouse in the right type before the first real call."""
