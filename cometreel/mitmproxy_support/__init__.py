"""mitmproxy support: the helpers of the addons in `proxy_addons/`."""
