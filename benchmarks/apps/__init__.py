"""Applications that only the benches serve: a constant, and the real door behind other servers."""
