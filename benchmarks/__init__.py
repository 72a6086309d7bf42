"""Benchmarks of throughput and memory, reported as ratios measured in one run. Run them with `make bench`."""
