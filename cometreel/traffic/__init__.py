"""Traffic in the formats of other programs: reads and writes HAR and mitmproxy flow files, writes OpenAPI.

Nothing is imported here: each command imports the module of its format, and mitmproxy is loaded only for flow files.
"""

from __future__ import annotations

__all__: list[str] = []
