"""Readers of Stripe's objects: pure functions that find a value in any shape of the payload.

Stripe removes fields only from new API versions, and adds fields to old ones too, so payloads mix shapes. Readers
therefore look in each place where a field can be, the newest first, and never compare versions.
"""
