"""mitmproxy support: options, translation of flows, recording and replay for the addons in `proxy_addons/`."""

from __future__ import annotations

__all__: list[str] = []
