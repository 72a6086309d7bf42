"""mitmproxy addons that only the benches use, run by path."""
