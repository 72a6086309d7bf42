"""The demonstration, and what it shares with the peer tests: real processes that Cometreel stands between."""
