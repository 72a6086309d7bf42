"""The admin API and the console under `/__reel__/`."""

from __future__ import annotations

__all__: list[str] = []
