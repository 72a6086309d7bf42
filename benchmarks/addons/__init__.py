"""mitmproxy addons of the benchmarks, run by path."""
