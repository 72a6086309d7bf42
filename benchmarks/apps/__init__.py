"""Applications of the benchmarks: a constant reply, and the replay application in other servers."""
