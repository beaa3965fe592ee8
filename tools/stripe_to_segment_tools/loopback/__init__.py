"""Access control for servers on this machine: only their owner's programs may use them, and no web page."""
