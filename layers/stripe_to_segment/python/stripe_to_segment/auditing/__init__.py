"""The audit: what Stripe's lists show, against what was sent and what is remembered. Pure: no I/O, no clock."""
