"""The stack's two secrets in the hands of whoever runs a command: read, judged by shape, written, never shown."""
