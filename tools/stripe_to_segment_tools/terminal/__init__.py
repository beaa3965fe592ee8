"""Output and options of the command line."""
