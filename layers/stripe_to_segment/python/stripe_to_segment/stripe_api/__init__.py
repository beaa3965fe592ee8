"""Reading from the Stripe API, within its rate limits: single objects, lists of them, undelivered and thin events."""
