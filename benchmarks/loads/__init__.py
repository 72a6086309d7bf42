"""What `benchmarks/loading.py` runs, each in a process of its own: our agents, and others that do the same."""
