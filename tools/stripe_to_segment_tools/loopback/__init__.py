"""Who may talk to a server that listens on this machine: its owner's programs, and no other user's and no web page."""
