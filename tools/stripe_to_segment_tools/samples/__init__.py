"""Sample events: read, refreshed, signed, and played as scenarios."""
