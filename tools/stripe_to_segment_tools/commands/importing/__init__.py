"""`stripe-to-segment import`: what was there before the stack was."""
