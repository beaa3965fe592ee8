"""A built function under AWS's own Python runtime, on this machine."""
