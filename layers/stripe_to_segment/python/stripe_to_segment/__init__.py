"""Turns verified Stripe webhooks into Segment track, identify and group calls."""

__version__ = "1.0.0"
