"""Speaking Segment: the wire format of calls, and sending them in bulk."""
