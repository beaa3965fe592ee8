"""The audit: what Stripe's lists show, against what was sent and what is stored. Pure: no I/O, no clock."""
