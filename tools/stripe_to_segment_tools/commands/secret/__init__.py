"""The stack's two secrets in the hands of whoever runs a command: read, outcome_of by shape, written, never shown."""
