"""The mitmproxy addons, loaded by path: `mitmdump -s proxy_addons/record.py`. Their logic is in `mitmproxy_support`."""
