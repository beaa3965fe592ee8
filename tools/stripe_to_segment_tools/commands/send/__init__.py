"""`stripe-to-segment send`: post signed events to an endpoint."""
