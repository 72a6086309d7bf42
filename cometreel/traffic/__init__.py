"""Traffic in the formats of other programs: HAR and mitmproxy flow files are read and written, OpenAPI is written."""

from __future__ import annotations

__all__: list[str] = []
