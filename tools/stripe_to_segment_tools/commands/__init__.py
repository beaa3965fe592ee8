"""The command line `stripe-to-segment`, and `make deploy`."""
