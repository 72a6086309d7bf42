"""The mitmproxy addons, run by path: `mitmdump -s proxy_addons/record.py`. Thin: they translate, the engine decides."""
