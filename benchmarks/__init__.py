"""Benches: throughput and memory, always as ratios measured in one run. Run by `make bench`."""
