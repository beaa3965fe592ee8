"""The developer side: sample events, the command line, the local stack. Nothing here is deployed."""
