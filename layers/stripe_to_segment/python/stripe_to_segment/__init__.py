"""Turns verified Stripe webhooks into Segment track, identify and group calls."""

__version__ = "0.1.0"
