"""Reading Stripe: pure functions that find a fact in whatever shape the payload has.

Removals follow the endpoint's pinned API version while additions reach old versions, so payloads mix shapes.
Readers therefore look where a field can be, newest place first, and never compare version strings.
"""
