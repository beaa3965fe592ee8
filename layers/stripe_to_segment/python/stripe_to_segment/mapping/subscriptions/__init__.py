"""Facts about a subscription, one file for each kind of change."""
