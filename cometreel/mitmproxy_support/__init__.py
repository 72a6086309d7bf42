"""mitmproxy support: the helpers of the addons in `proxy_addons/`."""

from __future__ import annotations

__all__: list[str] = []
