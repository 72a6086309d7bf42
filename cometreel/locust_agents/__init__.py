"""Locust agents on gevent, the code behind `loadtests/`: event loop, connections, transports, worker, coordinator."""

from __future__ import annotations

__all__: list[str] = []
