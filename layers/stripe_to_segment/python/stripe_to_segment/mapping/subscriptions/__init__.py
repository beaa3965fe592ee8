"""Facts of a subscription's life, one file for each kind of change."""
