"""One batch from the queue to Segment: load, map, write down, send, and what becomes of each record."""
