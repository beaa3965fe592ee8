"""The path of one batch from the queue to Segment: load, map, claim, send, and the outcome of each record."""
