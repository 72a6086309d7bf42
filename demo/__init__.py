"""The demo, and the parts that it shares with the peer tests: real clients, servers and proxies."""
