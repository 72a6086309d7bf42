"""Programs that `benchmarks/loading.py` runs in separate processes: our agents, and alternatives to compare with."""
