"""The stack's two secrets for commands: read, check by form, and write them, without showing a value."""
