"""How fast and how dear the pack is, in ratios taken within one run. `make bench` runs it all."""
